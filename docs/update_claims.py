"""Keep the ledger of claims in step with its artefacts.

    python docs/update_claims.py refresh
    python docs/update_claims.py add ID --artefact docs/claims/FILE.json --pointer /a/b --text "8.4 s" --unit s ...
    python docs/update_claims.py add-evaluation docs/claims/FILE.json --command "tds evaluate ..." --hardware ...

`refresh` takes value, hash, commit and date of every claim whose artefact changed from that artefact, and rewrites the
figures where they are marked on pages and in the tables of `benchmarks.md`. The model card inside the bundle is left
alone: `tools/default_bundle/pack.py` writes it. `add-evaluation` enters every figure of that card.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from claims_ledger import NUMBER, SUBJECTS, Claim, Ledger, figure_in, load_ledger, prints_as, sha256_of
from claims_pages import find_pages
from claims_tables import BENCHMARKS, with_tables

LEDGER: Final = Path("docs/claims.yaml")
CARD: Final = Path("tools/default_bundle/card.py")
HEADER: Final = """\
# Every measured figure on the project's pages; see docs/how-to/add-a-claim.md. Written by docs/update_claims.py.
# `definitions` are figures that nobody measured (targets, limits), with the reason why they need no claim.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where figures come from.

    Attributes:
        artefact: JSON file, relative to the root of the repository.
        command: What produced it.
        hardware: What it ran on.
        subject: One of `SUBJECTS`.
        commit: Commit that was measured.
    """

    artefact: str
    command: str
    hardware: str
    subject: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of an artefact and how it is shown."""

    id: str
    title: str
    unit: str
    text: str
    pointer: str


def refresh(root: Path, ledger: Ledger, commit: str) -> Ledger:
    """Return the ledger as its artefacts are now; claims whose artefact is the same are not touched.

    Args:
        root: Root of the repository.
        ledger: The ledger so far.
        commit: Commit that was measured.
    """
    claims = {}
    for claim in ledger.claims.values():
        sha256 = sha256_of(root / claim.artefact)
        if sha256 == claim.sha256:
            claims[claim.id] = claim
            continue
        value = figure_in(json.loads((root / claim.artefact).read_text(encoding="utf-8")), claim.pointer)
        text = reprinted(claim.text, value, claim.unit)
        claims[claim.id] = replace(claim, value=value, text=text, sha256=sha256, commit=commit, date=today())
    return Ledger(claims=claims, definitions=ledger.definitions)


def reprinted(text: str, value: float, unit: str) -> str:
    """Return a printed figure with another number in it, to the same digits.

    Args:
        text: Such as `8.4 s`.
        value: The new number, in `unit`.
        unit: `1` for shares, which may be printed in per cent.
    """
    if prints_as(value, text, unit):
        return text
    scale = 100.0 if unit == "1" and "%" in text else 1.0
    return NUMBER.sub(lambda match: f"{value * scale:.{len(match[1] or '')}f}", text, count=1)


def entered(root: Path, source: Source, figures: Iterable[Figure]) -> Iterator[Claim]:
    """Yield claims for figures of one artefact.

    Args:
        root: Root of the repository.
        source: Where the figures come from.
        figures: Which they are.

    Raises:
        LedgerError: If a field is of the wrong form.
        LookupError: If a pointer leads nowhere.
    """
    path = root / source.artefact
    document = json.loads(path.read_text(encoding="utf-8"))
    shared: dict[str, Any] = {**asdict(source), "sha256": sha256_of(path), "date": today()}
    for figure in figures:
        yield Claim(**asdict(figure), **shared, value=figure_in(document, figure.pointer))


def card_figures(root: Path, evaluation: Path) -> Iterator[Figure]:
    """Yield the figures that the model card shows of an evaluation.

    Args:
        root: Root of the repository.
        evaluation: What `tds evaluate --subsets -o` wrote.
    """
    spec = importlib.util.spec_from_file_location("card", root / CARD)
    if spec is None or spec.loader is None:
        message = f"cannot load {CARD}"
        raise ImportError(message)
    card = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(card)
    for name, pointer, text, _ in card.ledger_entries(evaluation):
        unit = "mm" if "-hd95-" in name else "1"
        yield Figure(id=name, title=_title(name), unit=unit, text=text, pointer=pointer)


def save(root: Path, ledger: Ledger, before: Ledger) -> None:
    """Write the ledger, the figures that changed on pages, and the tables.

    Args:
        root: Root of the repository.
        ledger: The new ledger.
        before: The old one, whose figures the pages show.
    """
    rows = {
        "claims": [{f.name: getattr(c, f.name) for f in fields(c)} for c in ledger.claims.values()],
        "definitions": [asdict(definition) for definition in ledger.definitions],
    }
    text = HEADER + yaml.safe_dump(rows, sort_keys=False, allow_unicode=True, width=120)
    (root / LEDGER).write_text(text, encoding="utf-8")
    changed = [(old, ledger.claims[i].text) for i, old in before.claims.items() if ledger.claims[i].text != old.text]
    for page in find_pages(root):
        if "/src/" not in page.name:
            (root / page.name).write_text(_with_figures(page.text, changed), encoding="utf-8")
    path = root / BENCHMARKS
    path.write_text(with_tables(path.read_text(encoding="utf-8"), ledger), encoding="utf-8")


def today() -> str:
    """Return the day in UTC, ISO 8601."""
    return datetime.now(tz=UTC).date().isoformat()


def head(root: Path) -> str:
    """Return the hash of the commit that is checked out.

    Args:
        root: Root of the repository.
    """
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603  # a fixed command


def main(arguments: Sequence[str], root: Path) -> None:
    """Run one of the commands above.

    Args:
        arguments: The command line without the script's name.
        root: Root of the repository.
    """
    asked = _parser().parse_args(arguments)
    before = load_ledger(root / LEDGER)
    commit = getattr(asked, "commit", None) or head(root)
    if asked.what == "refresh":
        after = refresh(root, before, commit)
    else:
        names = ("artefact", "command", "hardware", "subject")
        source = Source(**{name: getattr(asked, name) for name in names}, commit=commit)
        claims = entered(root, source, _asked_figures(root, asked))
        after = Ledger(claims={**before.claims, **{c.id: c for c in claims}}, definitions=before.definitions)
    save(root, after, before)
    sys.stdout.write(f"{len(after.claims)} claims in {LEDGER}\n")


def _asked_figures(root: Path, asked: argparse.Namespace) -> Iterator[Figure]:
    if asked.what == "add-evaluation":
        return card_figures(root, root / asked.artefact)
    return iter([Figure(**{f.name: getattr(asked, f.name) for f in fields(Figure)})])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("refresh")
    one = commands.add_parser("add")
    one.add_argument("id")
    one.add_argument("--artefact", required=True)
    for name in ("title", "unit", "text", "pointer"):
        one.add_argument(f"--{name}", required=True)
    many = commands.add_parser("add-evaluation")
    many.add_argument("artefact")
    for command in (one, many):
        command.add_argument("--command", required=True)
        command.add_argument("--hardware", required=True)
        command.add_argument("--subject", choices=SUBJECTS, default="patient")
        command.add_argument("--commit", help="what was measured; the commit that is checked out by default")
    return parser


def _title(name: str) -> str:
    kind, _, rest = name.partition("-")
    which, _, region = rest.rpartition("-")
    which, _, measure = which.rpartition("-")
    metric = {"dice": "Dice", "hd95": "HD95"}[measure]
    if kind == "subset":
        return f"mean {metric} {region.upper()} from {which.replace('-', ', ')}"
    return f"{metric} {region.upper()}, {'mean of the validation patients' if which == 'mean' else 'patient ' + which}"


def _with_figures(text: str, changed: Iterable[tuple[Claim, str]]) -> str:
    for old, new in changed:
        mark = f"<!-- claim: {old.id} -->"
        text = text.replace(old.text + mark, new + mark)
    return text


if __name__ == "__main__":
    main(sys.argv[1:], Path(__file__).resolve().parents[1])
