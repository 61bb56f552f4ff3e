"""What a DICOM study holds, as lines for people."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from tds_cli.output import say
from tds_clinical.dicom import SeriesRow, StudyTable

_HEADS: Final = ("series", "read as", "guess", "sure", "voxels", "mm", "plane")
_INDENT: Final = " " * 4
_WIDEST: Final = 120


def say_study_table(table: StudyTable) -> None:
    """Print what a study holds: a line of figures for each series, and below it the reasons.

    Args:
        table: What was found.
    """
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    alike = [list(rows) for _, rows in groupby(table.rows, key=_likeness)]
    lines = [_HEADS, *(_figures(rows) for rows in alike)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEADS))]
    say(_aligned(_HEADS, widths))
    for rows, line in zip(alike, lines[1:], strict=True):
        say(_aligned(line, widths))
        for sentence in _sentences(rows):
            _say_wrapped(sentence, width, indent=_INDENT)
    for dispute in table.disputes:
        _say_wrapped(f"to be settled: {dispute}", width)
    for fault in table.damaged:
        _say_wrapped(f"damaged: {fault}", width)
    if table.ignored:
        kinds = ", ".join(f"{kind} {count}" for kind, count in table.ignored.items())
        _say_wrapped(f"files that are no MR images: {kinds}", width)


def _likeness(row: SeriesRow) -> tuple[object, ...]:
    """Return what volumes of one series share that are told together: a time series has hundreds."""
    series, _, volume = row.name.partition(".")
    if not volume or row.chosen is not None:
        return (row,)
    return series, replace(row, name="", label="")


def _figures(rows: Sequence[SeriesRow]) -> tuple[str, ...]:
    row = rows[0]
    last = "" if len(rows) == 1 else f" to {rows[-1].name}"
    return (
        f"{row.name or '-'}{last}",
        "-" if row.chosen is None else str(row.chosen),
        "-" if row.guess is None else str(row.guess),
        f"{row.confidence:.2f}",
        "-" if row.shape is None else "x".join(map(str, row.shape)),
        "-" if row.spacing_mm is None else " x ".join(f"{edge:.3g}" for edge in row.spacing_mm),
        row.orientation or "-",
    )


def _sentences(rows: Sequence[SeriesRow]) -> Iterator[str]:
    row = rows[0]
    times = (("TR", row.repetition_ms), ("TE", row.echo_ms), ("TI", row.inversion_ms))
    recorded = ", ".join(f"{name} {value:g}" for name, value in times if value is not None)
    agent = "contrast agent recorded" if row.contrast else ""
    part = row.label.partition(", ")[2] if len(rows) == 1 else f"{len(rows)} volumes"
    facts = (row.description, part, row.kind, f"{recorded} ms" if recorded else "no timing recorded", agent)
    yield "; ".join(fact for fact in facts if fact)
    yield f"because {row.reason}" if not row.overridden else f"chosen by you; by itself: {row.reason}"
    if row.preferred_because:
        yield f"taken before others because {row.preferred_because}"
    if row.refused_because:
        yield f"no volume: {row.refused_because}"


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _say_wrapped(sentence: str, width: int, *, indent: str = "") -> None:
    for line in textwrap.wrap(sentence, width, initial_indent=indent, subsequent_indent=indent + "  "):
        say(line)
