"""When a study was taken."""

from contextlib import suppress
from datetime import UTC, date, datetime, time
from typing import Final

from pydicom.dataset import Dataset
from pydicom.valuerep import DA, TM

from tds_clinical.dicom._tags import text

_NO_DAY: Final = date(1970, 1, 1)


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


def study_time(header: Dataset) -> datetime:
    """Return when a study began, for results that have to be reproducible.

    Args:
        header: Header of any of its images.

    Returns:
        In UTC, because headers seldom name a zone; midnight where the time is missing or malformed, and 1970 where the
        date is.
    """
    moment = time()
    said = text(header, "StudyTime")
    if said:
        with suppress(ValueError):
            moment = time.fromisoformat(str(TM(said).isoformat()))
    return datetime.combine(study_day(header) or _NO_DAY, moment, tzinfo=UTC)
