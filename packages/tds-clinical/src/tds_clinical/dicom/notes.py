"""What people should know of how a study was read, as flags to keep with its result."""

from collections.abc import Iterator
from typing import Final

from tds_clinical.dicom._pixels import is_lossy
from tds_clinical.dicom._tags import text
from tds_clinical.dicom.study import DicomSequences, DicomStudy
from tds_clinical.dicom.volume import irregularity
from tds_data.report import QualityFlag, Severity

SERIES_READ: Final = "SERIES-READ"
SERIES_PASSED_OVER: Final = "SERIES-PASSED-OVER"
FILES_IGNORED: Final = "FILES-IGNORED"
FRAME_OF_REFERENCE: Final = "FRAME-OF-REFERENCE"
LOSSY_COMPRESSION: Final = "LOSSY-COMPRESSION"
RESAMPLED: Final = "RESAMPLED"


def reading_notes(study: DicomStudy | DicomSequences) -> tuple[QualityFlag, ...]:
    """Return which series was read as what, which were passed over, and what speaks against using them together.

    Args:
        study: What `read_study` or `read_sequences` returned.
    """
    return tuple(_notes(study))


def _notes(study: DicomStudy | DicomSequences) -> Iterator[QualityFlag]:
    for entry in study.series:
        if entry.modality is not None:
            why = f", preferred because {entry.preferred_because}" if entry.preferred_because else ""
            yield _info(SERIES_READ, f"{entry.files.label} was read as {entry.modality}{why}")
    for entry in study.series:
        if entry.passed_over:
            message = f"{entry.files.label} could be {entry.guess.modality} too, but another series was taken as that"
            yield _info(SERIES_PASSED_OVER, message)
    if study.ignored:
        yield _info(FILES_IGNORED, "files that are no MR images were left out", str(study.ignored))
    for entry in study.series:
        if entry.modality is not None and any(is_lossy(file.header) for file in entry.files.slices):
            message = (
                f"{entry.files.label}, read as {entry.modality}, was compressed with loss, so small structures may "
                "have changed; use the original images"
            )
            yield QualityFlag(code=LOSSY_COMPRESSION, severity=Severity.WARNING, message=message)
    yield from _resampled(study)
    frames = _frames_of_reference(study)
    if len(frames) > 1:
        message = (
            "the series name different frames of reference (PS3.3, section C.7.4.1), so nothing says that one place in "
            "them is one place in the patient; check that they are registered"
        )
        yield QualityFlag(code=FRAME_OF_REFERENCE, severity=Severity.WARNING, message=message, value=str(len(frames)))


def _resampled(study: DicomStudy | DicomSequences) -> Iterator[QualityFlag]:
    for entry in study.series:
        reason = "" if entry.modality is None else irregularity(entry.files)
        if reason:
            message = (
                f"the slices of {entry.files.label}, read as {entry.modality}, are {reason}; they were resampled to a "
                "regular box, which blurs them a little"
            )
            yield QualityFlag(code=RESAMPLED, severity=Severity.WARNING, message=message)


def _frames_of_reference(study: DicomStudy | DicomSequences) -> set[str]:
    chosen = (entry.files for entry in study.series if entry.modality is not None)
    return {text(file.header, "FrameOfReferenceUID") for files in chosen for file in files.slices} - {""}


def _info(code: str, message: str, value: str | None = None) -> QualityFlag:
    return QualityFlag(code=code, severity=Severity.INFO, message=message, value=value)
