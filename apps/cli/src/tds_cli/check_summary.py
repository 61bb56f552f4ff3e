"""What `tds data check` prints for people."""

from collections.abc import Sequence
from typing import Final

from tds_cli import output
from tds_data.quality import CODES, DatasetReport
from tds_data.report import QualityFlag, Severity

_WORDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_WHOLE: Final = "(data set)"


def say_report(report: DatasetReport) -> None:
    """Print the findings of each case, how many cases have each, and what to do.

    Args:
        report: What `check_dataset` returned.
    """
    counts = report.by_severity
    shown = ", ".join(
        f"{counts[kind]} {words}"
        for kind, words in (
            ("error", "with errors"),
            ("warning", "with warnings"),
            ("info", "with notes only"),
            ("clean", "without findings"),
        )
    )
    noun = "case" if len(report.cases) == 1 else "cases"
    output.say(f"{len(report.cases)} {noun} of layout {report.layout}, labels {report.scheme}: {shown}")
    rows = [_row(_WHOLE, flag) for flag in report.flags]
    rows += [_row(case.name, flag) for case in report.cases for flag in case.flags]
    if rows:
        output.say()
        _say_columns(("case", "severity", "code", "about", "value"), rows)
        output.say()
        codes = [(code, str(count), CODES[code].advice) for code, count in report.by_code.items()]
        _say_columns(("code", "cases", "what to do"), codes)


def _row(name: str, flag: QualityFlag) -> tuple[str, ...]:
    return name, _WORDS[flag.severity], flag.code, flag.subject or "", flag.value or flag.message


def _say_columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns of text, each as wide as its longest cell but for the last."""
    widths = [max(len(line[i]) for line in (heads, *rows)) for i in range(len(heads) - 1)]
    for line in (heads, *rows):
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        output.say("  ".join((*cells, line[-1])).rstrip())
