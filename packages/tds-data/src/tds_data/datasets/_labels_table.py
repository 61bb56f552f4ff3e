"""Tables that say which number is which tissue: columns `index` and `name`, as in BIDS."""

from collections.abc import Mapping
from typing import Final

from tds_data.datasets._cases_table import read_table, table_text
from tds_data.datasets._dataset_json import scheme_of_labels
from tds_data.datasets._tree import Tree
from tds_data.errors import DatasetError

LABELS_TABLE: Final = "labels.tsv"
"""Name of the table in a data set of the layout `brats`, in the root; it is this package's own."""

Labels = tuple[tuple[str, int], ...]
"""Names and numbers, by number, without the background."""


def read_labels(tree: Tree, path: str, problems: list[str]) -> Labels | None:
    """Return the labels that a table lists, or `None` if it cannot be used.

    Args:
        tree: What lies in the data set's folder.
        path: The table, relative to the root.
        problems: Receives what is wrong with the table.
    """
    try:
        rows = read_table(tree, path, "\t", problems)
        pairs = [(row.get("abbreviation") or row["name"], int(row["index"])) for row in rows]
    except (KeyError, ValueError):
        problems.append(f"{path}: the table needs the columns index and name")
        return None
    return tuple(sorted(((name, number) for name, number in pairs if number > 0), key=lambda pair: pair[1]))


def declared_scheme(
    tree: Tree, paths: tuple[str, ...], problems: list[str]
) -> tuple[str | None, dict[str, tuple[int, ...]]]:
    """Return the scheme and the labels that tables declare, or `None` and nothing if there is no table.

    Args:
        tree: What lies in the data set's folder.
        paths: The tables, relative to the root.
        problems: Receives what is wrong with a table.

    Raises:
        DatasetError: If the tables contradict each other.
    """
    found = {table for path in paths if (table := read_labels(tree, path, problems))}
    if not found:
        return None, {}
    if len(found) > 1:
        message = f"the tables of labels ({', '.join(paths[:3])}) contradict each other; index each group by itself"
        raise DatasetError(message)
    labels: dict[str, tuple[int, ...]] = {name: (number,) for name, number in found.pop()}
    return scheme_of_labels(labels), labels


def labels_table(values: Mapping[str, int]) -> str:
    """Return a table of labels.

    Args:
        values: The number of each tissue.
    """
    rows = sorted((number, name) for name, number in values.items())
    return table_text(("index", "name"), [{"index": str(n), "name": name} for n, name in [(0, "background"), *rows]])
