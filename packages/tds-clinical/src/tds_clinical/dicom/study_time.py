"""When a study was taken."""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

from pydicom.dataset import Dataset
from pydicom.valuerep import DA, TM

from tds_clinical.dicom._tags import text

_NO_DAY: Final = date(1970, 1, 1)
_ZONE: Final = re.compile(r"([+-])(0[0-9]|1[0-4])([0-5][0-9])")


def study_day(header: Dataset) -> date | None:
    """Return the day of a study, `None` if its header has none that can be read.

    Args:
        header: Header of any of its images.
    """
    with suppress(ValueError):
        return date.fromisoformat(text(header, "StudyDate"))
    with suppress(ValueError):
        return DA(text(header, "StudyDate")) if text(header, "StudyDate") else None
    return None


def study_zone(header: Dataset) -> timezone | None:
    """Return the time zone of all dates and times in a header (PS3.3, section C.12.1), `None` if it names none.

    Args:
        header: Header of any of a study's images.
    """
    said = _ZONE.fullmatch(text(header, "TimezoneOffsetFromUTC"))
    if said is None:
        return None
    sign, hours, minutes = said.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if sign == "-" else offset)


def study_time(header: Dataset) -> datetime:
    """Return when a study began, for results that have to be reproducible.

    Args:
        header: Header of any of its images.

    Returns:
        In the zone that the header names, or in UTC, because headers seldom name one; midnight where the time is
        missing or malformed, and 1970 where the date is.
    """
    moment = time()
    said = text(header, "StudyTime")
    if said:
        with suppress(ValueError):
            moment = time.fromisoformat(str(TM(said).isoformat()))
    return datetime.combine(study_day(header) or _NO_DAY, moment, tzinfo=study_zone(header) or UTC)
