"""The languages of reports: one typed table of texts each."""

from typing import Final

from tds_clinical.errors import ReportError
from tds_clinical.reports.language.de import GERMAN
from tds_clinical.reports.language.en import ENGLISH
from tds_clinical.reports.language.es import SPANISH
from tds_clinical.reports.language.language import Language
from tds_clinical.reports.language.words import Words

LANGUAGES: Final[dict[str, Language]] = {language.code: language for language in (ENGLISH, GERMAN, SPANISH)}
"""Every language that reports can be written in, by its code."""

__all__ = ["ENGLISH", "GERMAN", "LANGUAGES", "SPANISH", "Language", "Words", "language_of"]


def language_of(code: str) -> Language:
    """Return a language by its code.

    Args:
        code: Such as `de`.

    Raises:
        ReportError: If reports cannot be written in it.
    """
    try:
        return LANGUAGES[code]
    except KeyError:
        message = f"reports cannot be written in the language {code!r}; choose one of: {', '.join(LANGUAGES)}"
        raise ReportError(message) from None
