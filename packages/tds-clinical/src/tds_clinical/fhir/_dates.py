"""Dates and times of headers as FHIR writes them."""

import re
from datetime import date, datetime
from typing import Final

from pydicom.dataset import Dataset

from tds_clinical.dicom._tags import text

_DATE: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_TIME: Final = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})?(\.[0-9]+)?")
_ZONE: Final = re.compile(r"([+-][0-9]{2})([0-9]{2})")


def header_date(header: Dataset, keyword: str) -> str | None:
    """Return a date of a header as FHIR writes it.

    Args:
        header: The header.
        keyword: An element of VR DA.

    Returns:
        The date; `None` if the element is absent or no date.
    """
    found = _DATE.fullmatch(text(header, keyword))
    try:
        return date(*map(int, found.groups())).isoformat() if found else None
    except ValueError:
        return None


def study_started(header: Dataset) -> str | None:
    """Return when a study began as a FHIR dateTime.

    FHIR allows a time of day only together with its time zone, so a header without one gives the date alone.

    Args:
        header: Header of the source.

    Returns:
        The dateTime; `None` if the header has no readable date.
    """
    day = header_date(header, "StudyDate")
    clock = _TIME.fullmatch(text(header, "StudyTime"))
    zone = _ZONE.fullmatch(text(header, "TimezoneOffsetFromUTC"))
    if day is None or clock is None or zone is None:
        return day
    hours, minutes, seconds, _ = clock.groups(default="00")
    try:
        return datetime.fromisoformat(f"{day}T{hours}:{minutes}:{seconds}{zone[1]}:{zone[2]}").isoformat()
    except ValueError:
        return day
