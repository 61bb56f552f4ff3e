"""Log messages on stderr, without what could identify a patient.

structlog is imported with the first message that is shown, because most runs show none and it takes a while.
"""

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

_SECRET_KEYS: Final = frozenset(
    {
        "accession_number",
        "birth_date",
        "mrn",
        "other_patient_ids",
        "patient",
        "patient_address",
        "patient_birth_date",
        "patient_id",
        "patient_name",
        "patientbirthdate",
        "patientid",
        "patientname",
        "referring_physician_name",
    }
)
_REDACTED: Final = "[redacted]"
_PATTERNS: Final = (
    # patient_name=..., "PatientID: ..." inside a sentence, up to the next separator
    (re.compile(r"(?i)\b(patient[ _]?(?:name|id|birth[ _]?date)|mrn)(\s*[=:]\s*)[^,;)\]\n]+"), r"\1\2[redacted]"),
    (re.compile(r"(?i)([/\\](?:home|users)[/\\])[^/\\\s'\":]+"), r"\1[user]"),
    (re.compile(r"\b\d+(?:\.\d+){5,}\b"), "[uid]"),
    (re.compile(r"\d{6,}"), "[digits]"),
)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return a log event without patient names, numbers, birth dates, UIDs and names of home folders; for structlog.

    Args:
        event: The event's fields, changed in place.

    Examples:
        >>> redact(None, "info", {"event": "read /home/ada/scan 20260102", "patient_id": "17"})
        {'event': 'read /home/[user]/scan [digits]', 'patient_id': '[redacted]'}
    """
    for key, value in event.items():
        if key.lower() in _SECRET_KEYS:
            event[key] = _REDACTED
        elif isinstance(value, str):
            event[key] = redact_text(value)
    return event


def redact_text(text: str) -> str:
    """Return a text without what looks like a patient's or a user's data.

    Args:
        text: Any text.
    """
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


_OURS: Final = ("tds_cli", "tds_core", "tds_data", "tds_clinical", "tds_cloud", "tds_serve")


class RedactingHandler(logging.Handler):
    """Shows log records on stderr, one line each, redacted."""

    _formatter: logging.Formatter | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record.

        Args:
            record: What happened.
        """
        try:
            if self._formatter is None:
                self._formatter = _structured()
            sys.stderr.write(self._formatter.format(record) + "\n")
        except Exception:  # noqa: BLE001  # a log line that cannot be written must not end the work
            self.handleError(record)


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Send the log messages of the block to stderr, from level WARNING up, and Python's own warnings with them."""
    root = logging.getLogger()
    handler, level = RedactingHandler(), root.level
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.setLevel(level)
        root.removeHandler(handler)
        set_verbosity(verbose=False)


def set_verbosity(*, verbose: bool) -> None:
    """Choose whether messages of level INFO and DEBUG are shown too: ours, and other libraries' from WARNING up.

    Args:
        verbose: Whether to.
    """
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.NOTSET)


def _structured() -> logging.Formatter:
    import structlog  # noqa: PLC0415  # takes a fifth of a second, and most runs log nothing

    added: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="at"),
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=added,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.KeyValueRenderer(key_order=["at", "level", "logger", "event"]),
        ],
    )
