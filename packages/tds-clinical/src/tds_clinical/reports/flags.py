"""Findings of the quality gate as a report shows them."""

from collections.abc import Iterable
from typing import Final

from tds_clinical.reports.content import Flag
from tds_clinical.reports.language import Language
from tds_data.report import QualityFlag, Severity

_WEIGHT: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def flags_of(quality: Iterable[QualityFlag], language: Language) -> tuple[Flag, ...]:
    """Return findings with the gravest first; their own messages stay English.

    Args:
        quality: The findings.
        language: What to write their severity in.
    """
    words = language.words
    names = {Severity.ERROR: words.error, Severity.WARNING: words.warning, Severity.INFO: words.info}
    return tuple(
        Flag(
            severity=flag.severity.value,
            severity_name=names[flag.severity],
            code=flag.code,
            message=flag.message,
            seen="" if flag.value is None else words.seen.format(value=flag.value),
        )
        for flag in sorted(quality, key=lambda flag: _WEIGHT[flag.severity])
    )
