"""From an uploaded study to a case in memory, with what must be said about it beside its result."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tds_clinical.dicom import looks_like_dicom, read_study, reading_notes
from tds_data.case import Case
from tds_data.discover import discover
from tds_data.report import QualityFlag, Severity
from tds_data.study_files import StudyFiles, load_case

_PHANTOM_FILE: Final = re.compile(r"phantom-\d{4,}_")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyRead:
    """What was read.

    Attributes:
        case: Registered sequences.
        notes: What had to be assumed or chosen, to be kept with the result.
        phantom: Whether it is synthetic, as far as its file names say.
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
        return StudyRead(case=found.case, notes=reading_notes(found))
    files = discover(study)
    notes = tuple(QualityFlag(code="ASSUMED", severity=Severity.INFO, message=note) for note in files.notes)
    return StudyRead(case=load_case(files), notes=notes, phantom=_is_phantom(files))


def _is_phantom(files: StudyFiles) -> bool:
    paths = [source[0] if isinstance(source, tuple) else source for source in files.images.values()]
    return all(_PHANTOM_FILE.match(path.name) for path in paths)
