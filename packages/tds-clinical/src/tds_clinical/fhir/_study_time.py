"""When a study was made, as far as its header says."""

from datetime import datetime

from pydicom.dataset import Dataset

from tds_clinical.dicom._tags import text


def study_started(header: Dataset) -> str | None:
    """Return when a study began as a FHIR dateTime.

    FHIR allows a time of day only together with its time zone, so a header without one gives the date alone.

    Args:
        header: Header of the source.

    Returns:
        The dateTime; `None` if the header has no readable date.
    """
    day, clock = text(header, "StudyDate"), text(header, "StudyTime").partition(".")[0]
    moment = _moment(f"{day}{clock}{text(header, 'TimezoneOffsetFromUTC')}", "%Y%m%d%H%M%S%z")
    if moment is not None:
        return moment.isoformat()
    midnight = _moment(f"{day}+0000", "%Y%m%d%z")
    return None if midnight is None else midnight.date().isoformat()


def _moment(written: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(written, form)  # noqa: DTZ007  # every form has a zone
    except ValueError:
        return None
