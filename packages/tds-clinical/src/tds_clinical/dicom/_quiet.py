"""pydicom kept from telling what it sees in a header.

Scanners break a value's format in harmless ways, and each time pydicom warns and logs with the value itself, which may
be the patient's name, or with the path of the file. What matters here is checked value by value, and said without.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LOGGERS: Final = ("pydicom", "pydicom.pixels.decoders.base", "pydicom.pixels.utils")


class _Nothing(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002  # as logging calls it
        return False


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Drop pydicom's warnings and log records while a file is read."""
    nothing = _Nothing()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        for logger in loggers:
            logger.addFilter(nothing)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(nothing)
