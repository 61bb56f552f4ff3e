"""What a server says was wrong, without anything that could be about a patient.

An OperationOutcome (R4, section 2.30) holds free text, and servers put values, names and identifiers into it. Only
words that cannot be such are told: those of an allow-list in lower case, and paths of FHIR elements.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from tds_clinical.fhir._names import Json
from tds_clinical.fhir._plain_words import PLAIN_WORDS

_MOST_ISSUES: Final = 5
_PATH: Final = re.compile(
    r"(Bundle|Patient|ImagingStudy|ImagingSelection|Device|Observation|DiagnosticReport|Provenance)"
    r"(\.[a-z][A-Za-z]{0,40}(\[[0-9x]{1,5}\])?){1,12}"
)
_CODE: Final = re.compile(r"[a-z][a-z-]{0,40}")
_GAP: Final = "[...]"
_MOST_WORDS: Final = 60


def issue_words(answer: object) -> str:
    """Return the issues of an OperationOutcome in words, empty if there are none.

    Args:
        answer: What a server answered: an OperationOutcome or anything else.
    """
    if not isinstance(answer, dict) or answer.get("resourceType") != "OperationOutcome":
        return ""
    issues = answer.get("issue")
    found = [_issue(issue) for issue in issues if isinstance(issue, dict)] if isinstance(issues, list) else []
    more = len(found) - _MOST_ISSUES
    shown = found[:_MOST_ISSUES] + ([f"and {more} more"] if more > 0 else [])
    return "; ".join(shown)


def _issue(issue: Json) -> str:
    severity, code = (_only(_CODE, issue.get(key)) for key in ("severity", "code"))
    kind = " ".join(part for part in (severity, code) if part) or "issue"
    paths = [path for path in _texts(issue.get("expression")) if _PATH.fullmatch(path)]
    where = f" at {', '.join(paths)}" if paths else ""
    details = issue.get("details")
    words = _safe_words(details.get("text") if isinstance(details, dict) else None)
    words = words or _safe_words(issue.get("diagnostics"))
    return f"{kind}{where}" + (f" ({words})" if words else "")


def _only(pattern: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401  # JSON of a stranger
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, str))


def _safe_words(text: object) -> str:
    if not isinstance(text, str):
        return ""
    told: list[str] = []
    for raw in text.split()[:_MOST_WORDS]:
        word = raw.strip("()[]{}.,:;!?'\"")
        safe = word.lower() if word.lower() in PLAIN_WORDS else _only(_PATH, word)
        told.append(safe or _GAP)
    kept = [word for index, word in enumerate(told) if word != _GAP or not index or told[index - 1] != _GAP]
    return " ".join(kept) if any(word != _GAP for word in kept) else ""
