"""A language: its texts and how it writes numbers."""

from dataclasses import dataclass

from tds_clinical.reports.language.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """What a report is written in.

    Attributes:
        code: Its code, as `ReportOptions.language` names it.
        tag: BCP 47 tag, as HTML and PDF name it.
        decimal_mark: What stands between whole and fraction.
        words: Its texts.
    """

    code: str
    tag: str
    decimal_mark: str
    words: Words

    def number(self, value: float, decimals: int) -> str:
        """Return a number as the language writes it, never as minus zero.

        Args:
            value: The number.
            decimals: How many digits follow the decimal mark.
        """
        rounded = round(value, decimals) + 0.0
        return f"{rounded:.{decimals}f}".replace(".", self.decimal_mark)
