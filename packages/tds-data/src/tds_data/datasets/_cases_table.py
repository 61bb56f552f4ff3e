"""Tables beside the images: what is known of a case beyond its voxels.

`cases.tsv` is this package's own. It holds what a layout has no place for: the patient that several cases share,
attributes such as age and sex, and whether a case is a phantom. Tables of other makers (`*.csv`) are read too, if one
of their columns holds names of cases.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from tds_data.datasets._drafts import SESSION, SPLIT, Draft
from tds_data.datasets._patients import session_of
from tds_data.datasets._tree import Tree
from tds_data.datasets.manifest import CaseEntry
from tds_data.errors import ConversionRefused

CASES_TABLE: Final = "cases.tsv"
"""Name of the table, in the root."""

MISSING: Final = "n/a"
"""What stands in a table where nothing is known."""

_MAX_TABLE_BYTES: Final = 64 << 20
_OWN: Final = ("name", "patient", "phantom")
_TRUE: Final = "true"


def with_table(tree: Tree, drafts: Sequence[Draft], problems: list[str]) -> tuple[Draft, ...]:
    """Return cases with what `cases.tsv` says about them, if there is one.

    Args:
        tree: What lies in the folder.
        drafts: The cases.
        problems: Receives what is wrong with the table.
    """
    if CASES_TABLE not in tree.known:
        return tuple(drafts)
    rows = {row["name"]: row for row in read_table(tree, CASES_TABLE, "\t", problems) if row.get("name")}
    return tuple(_from_row(draft, rows.get(draft.name, {})) for draft in drafts)


def with_csv(tree: Tree, drafts: Sequence[Draft], problems: list[str]) -> tuple[Draft, ...]:
    """Return cases with what the data set's own CSV tables say about them.

    Args:
        tree: What lies in the folder; tables are looked for in its first two levels.
        drafts: The cases.
        problems: Receives what is wrong with a table.
    """
    tables = [path for path in tree.files if path.lower().endswith(".csv") and path.count("/") <= 1]
    for path in tables:
        rows = read_table(tree, path, ",", problems)
        drafts = _joined(drafts, rows)
    return tuple(drafts)


def read_table(tree: Tree, path: str, delimiter: str, problems: list[str]) -> list[dict[str, str]]:
    """Return the rows of a table without the cells in which nothing is known; an unreadable one has none.

    Args:
        tree: What lies in the folder.
        path: The table, relative to the root.
        delimiter: What separates cells.
        problems: Receives what is wrong with the table.
    """
    try:
        file = tree.root / path
        if file.stat().st_size > _MAX_TABLE_BYTES:
            problems.append(f"{path}: the table is larger than 64 MiB and was not read")
            return []
        text = file.read_text(encoding="utf-8-sig")
        plain = delimiter == "\t"  # tables with tabs know no quotes
        lines = io.StringIO(text)
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if plain else csv.DictReader(lines))
    except (OSError, ValueError, csv.Error) as error:
        problems.append(f"{path}: the table cannot be read ({error})")
        return []
    return [{str(k).strip(): v.strip() for k, v in row.items() if k and _is_known(v)} for row in rows]


def table_text(heads: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """Return a table with tabs between cells, `n/a` where nothing is known.

    Args:
        heads: Names of the columns.
        rows: Cells by column.

    Raises:
        ConversionRefused: If a cell or a head holds a tab or a line break.
    """
    lines = [list(heads), *([row.get(head, "") or MISSING for head in heads] for row in rows)]
    broken = next((cell for line in lines for cell in line if any(c in cell for c in "\t\n\r")), None)
    if broken is not None:
        message = f"a table cannot hold {broken[:40]!r}, which has a tab or a line break; take it out of the attributes"
        raise ConversionRefused(message)
    return "".join("\t".join(line) + "\n" for line in lines)


def cases_table(cases: Sequence[CaseEntry], *, told: frozenset[str], patients: Mapping[str, str]) -> str | None:
    """Return the `cases.tsv` for a layout, or `None` if the layout itself tells everything.

    Args:
        cases: The cases.
        told: Attributes that the layout has a place for.
        patients: The patient that a reader would take each case for.

    Raises:
        ConversionRefused: If an attribute cannot be a column.
    """
    rest = {case.name: _untold(case, told) for case in cases}
    names = sorted({key for attributes in rest.values() for key in attributes})
    if not names and not any(c.phantom or c.patient != patients[c.name] for c in cases):
        return None
    reserved = sorted(set(names) & set(_OWN))
    if reserved:
        message = f"an attribute cannot be called {reserved[0]!r}, which {CASES_TABLE} has for itself; rename it"
        raise ConversionRefused(message)
    rows = [
        {"name": c.name, "patient": c.patient, "phantom": _TRUE if c.phantom else "", **rest[c.name]} for c in cases
    ]
    return table_text((*_OWN, *names), rows)


def _untold(case: CaseEntry, told: frozenset[str]) -> dict[str, str]:
    named = {SESSION: session_of(case.name)}
    return {key: value for key, value in case.attributes.items() if key not in told and named.get(key) != value}


def _from_row(draft: Draft, row: Mapping[str, str]) -> Draft:
    attributes = {key: value for key, value in row.items() if key not in _OWN}
    return replace(
        draft,
        patient=row.get("patient", draft.patient),
        phantom=draft.phantom or row.get("phantom") == _TRUE,
        attributes={**attributes, **draft.attributes},
    )


def _joined(drafts: Sequence[Draft], rows: Sequence[Mapping[str, str]]) -> tuple[Draft, ...]:
    names = {draft.name for draft in drafts} | {draft.patient for draft in drafts}
    heads = {head for row in rows for head in row}
    hits = {head: sum(row.get(head) in names for row in rows) for head in sorted(heads)}
    key = max(hits, key=lambda head: hits[head], default=None)
    if key is None or not hits[key]:
        return tuple(drafts)
    by_name = {row[key]: row for row in rows if key in row}
    return tuple(_with_row(draft, by_name.get(draft.name, by_name.get(draft.patient, {})), key) for draft in drafts)


def _with_row(draft: Draft, row: Mapping[str, str], key: str) -> Draft:
    told = {head.lower(): value for head, value in row.items() if head != key and head.lower() != SPLIT}
    return replace(draft, attributes={**told, **draft.attributes})


def _is_known(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.strip() != MISSING
