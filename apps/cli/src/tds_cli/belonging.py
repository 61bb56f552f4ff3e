"""Whether time points belong together, as far as their DICOM headers say."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from tds_data.report import QualityFlag, Severity

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose study it is and when it was taken, by its header.

    Attributes:
        patient: Patient ID, for comparing alone; empty if the header has none.
        day: Day of the study; `None` if the header has none.
    """

    patient: str = field(default="", repr=False)
    day: date | None = None


def origin_of(header: "Dataset") -> Origin:
    """Return what a header says of whose study it is and when it was taken.

    Args:
        header: Header of any of its images.
    """
    from tds_clinical.dicom.study_time import study_day  # noqa: PLC0415  # few time points are DICOM

    return Origin(patient=str(header.get("PatientID") or "").strip(), day=study_day(header))


def belonging_flags(points: Sequence[tuple[date, Origin | None]]) -> tuple[QualityFlag, ...]:
    """Return what speaks against comparing some time points, without saying whose they are.

    Args:
        points: The day that was given for each, and what its header says; `None` without a header.
    """
    flags = []
    patients = {origin.patient for _, origin in points if origin is not None and origin.patient}
    if len(patients) > 1:
        message = "The DICOM headers of the time points name different patients; compare studies of one patient."
        flags.append(QualityFlag(code="PATIENT-DIFFERS", severity=Severity.WARNING, message=message))
    for number, (given, origin) in enumerate(points, start=1):
        if origin is not None and origin.day not in (None, given):
            message = f"Time point {number} was given another day than its DICOM header has; check the days."
            flags.append(QualityFlag(code="DAY-DIFFERS", severity=Severity.WARNING, message=message))
    return tuple(flags)
