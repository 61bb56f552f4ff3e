"""Scores as CSV: one row a case and region, and one row a summary."""

import csv
import io
from collections.abc import Mapping, Sequence

from tds_core.evaluation.summary import MetricSummary, ScoredCase

_DIGITS = 6
_SUMMARY_HEADS = (
    "kind",
    "region",
    "metric",
    "cases",
    "undefined",
    "stand_ins",
    "mean",
    "interval_low",
    "interval_high",
    "interval_level",
    "interval_method",
    "deviation",
    "lowest",
    "first_quartile",
    "median",
    "third_quartile",
    "highest",
)


def cases_csv(cases: Sequence[ScoredCase]) -> str:
    """Return one row for each case and region; a metric that is not defined is empty.

    Args:
        cases: At least one; all with the same regions and metrics.
    """
    metrics = list(next(iter(cases[0].values.values())))
    rows = [
        [case.case, _kind(phantom=case.phantom), region, *(_cell(values[m]) for m in metrics)]
        for case in cases
        for region, values in case.values.items()
    ]
    return _text(["case", "kind", "region", *metrics], rows)


def summary_csv(summaries: Sequence[MetricSummary]) -> str:
    """Return one row for each kind of case, region and metric.

    Args:
        summaries: What `summarise` returned.
    """
    return _text(list(_SUMMARY_HEADS), [[_cell(value) for value in summary_row(s).values()] for s in summaries])


def summary_row(summary: MetricSummary) -> Mapping[str, str | float | None]:
    """Return a summary as plain JSON types, flat.

    Args:
        summary: The summary.
    """
    interval = summary.interval
    first, median, third = summary.quartiles
    values: tuple[str | float | None, ...] = (
        _kind(phantom=summary.phantom),
        summary.region,
        summary.metric,
        summary.cases,
        summary.undefined,
        summary.stand_ins,
        summary.mean,
        None if interval is None else interval.low,
        None if interval is None else interval.high,
        None if interval is None else interval.level,
        None if interval is None else interval.method,
        summary.deviation,
        summary.lowest,
        first,
        median,
        third,
        summary.highest,
    )
    return dict(zip(_SUMMARY_HEADS, values, strict=True))


def _kind(*, phantom: bool) -> str:
    return "phantom" if phantom else "patient"


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{round(value, _DIGITS):.10g}"


def _text(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([[_harmless(cell) for cell in row] for row in rows])
    return buffer.getvalue()


def _harmless(cell: str) -> str:
    # A spreadsheet takes a cell that begins so for a formula; numbers may begin with a minus.
    return f"'{cell}" if cell[:1] in {"=", "+", "@", "\t"} else cell
