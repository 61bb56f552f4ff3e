"""From an uploaded study to a case in memory, with what must be said about it beside its result."""

from dataclasses import dataclass
from pathlib import Path

from tds_clinical.dicom import looks_like_dicom, read_study, reading_notes, shows_phantom
from tds_data.case import Case
from tds_data.discover import discover
from tds_data.report import QualityFlag, Severity
from tds_data.study_files import load_case


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyRead:
    """What was read.

    Attributes:
        case: Registered sequences.
        notes: What had to be assumed or chosen, to be kept with the result.
        phantom: Whether it is synthetic, as far as its file names or headers say.
    """

    case: Case
    notes: tuple[QualityFlag, ...] = ()
    phantom: bool = False


def read(study: Path) -> StudyRead:
    """Return the study in a folder of NIfTI or DICOM.

    Args:
        study: The folder.

    Raises:
        DataError: If it cannot be read or put together (from tds_data).
        ClinicalError: If it is DICOM that cannot be read (from tds_clinical).
    """
    if looks_like_dicom(study):
        found = read_study(study)
        phantom = shows_phantom(entry.files for entry in found.series if entry.modality is not None)
        return StudyRead(case=found.case, notes=reading_notes(found), phantom=phantom)
    files = discover(study)
    notes = tuple(QualityFlag(code="ASSUMED", severity=Severity.INFO, message=note) for note in files.notes)
    return StudyRead(case=load_case(files), notes=notes, phantom=files.phantom is not None)
