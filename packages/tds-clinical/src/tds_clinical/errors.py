"""What can go wrong in tds_clinical.

::

    ClinicalError
    ├── DicomReadError (ValueError)        a DICOM file is damaged or holds no usable image
    ├── DicomWriteError (OSError)          a DICOM file could not be written
    ├── FolderNotReadable (OSError)        a folder is missing or may not be listed
    ├── NoImages (ValueError)              a folder holds no MR image
    ├── MixedPatients (ValueError)         a folder holds more than one patient or study
    ├── SeriesNotFound (LookupError)       an override names a series that is not there
    ├── AmbiguousSeries (ValueError)       two series claim one sequence
    ├── IncompleteSeries (ValueError)      slices are missing
    ├── GeometryNotSupported (ValueError)  a series cannot become one regular volume
    ├── ArchiveNotReadable (ValueError)    an archive is damaged, or unsafe to unpack
    ├── ResultsDisagree (ValueError)       mask, report and images are not about the same thing
    ├── PushFailed (OSError)               a server did not take what was sent
    ├── FollowUpError (ValueError)         time points cannot be compared
    ├── ClinicalDependency (ImportError)   an extra is not installed
    └── ReportError (ValueError)           a report could not be made

Messages say what was wrong, the value seen and what to do. They name files without their folders and series by their
number; they never hold a patient's name or identifier.
"""

from pathlib import Path

from tds_data.vocabulary import Modality


class ClinicalError(Exception):
    """Root of every error that tds_clinical raises on purpose."""


class DicomReadError(ClinicalError, ValueError):
    """A DICOM file is damaged, truncated or holds no usable image.

    Attributes:
        path: The file; the message shows its name only.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path.name!r}: {reason}")
        self.path = path


class DicomWriteError(ClinicalError, OSError):
    """A DICOM file could not be written.

    Attributes:
        path: The target; the message shows its name only.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot write {path.name!r}: {reason}")
        self.path = path


class FolderNotReadable(ClinicalError, OSError):
    """A folder is missing or may not be listed.

    Attributes:
        path: The folder; the message leaves it out, because folders are often named for patients.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"the study's folder or one inside it cannot be listed: {reason}; check the path and its rights"
        )
        self.path = path


class NoImages(ClinicalError, ValueError):
    """A folder holds no MR image.

    Attributes:
        ignored: Number of files that were looked at and are no MR images.
    """

    def __init__(self, ignored: int) -> None:
        super().__init__(
            f"no DICOM MR image was found ({ignored} other files were ignored); give the folder that holds the study"
        )
        self.ignored = ignored


class MixedPatients(ClinicalError, ValueError):
    """A folder holds images of more than one patient or study.

    Attributes:
        patients: Number of different patients.
        studies: Number of different studies.
    """

    def __init__(self, patients: int, studies: int) -> None:
        super().__init__(
            f"the folder holds images of {patients} patient(s) and {studies} study(ies); "
            "give a folder with exactly one study of one patient"
        )
        self.patients = patients
        self.studies = studies


class SeriesNotFound(ClinicalError, LookupError):
    """An override names a series that is not in the study.

    Attributes:
        modality: The sequence that was asked for.
    """

    def __init__(self, modality: Modality, available: str) -> None:
        super().__init__(
            f"the series chosen for {modality} is not in the study; choose by series number, one of: {available}"
        )
        self.modality = modality


class AmbiguousSeries(ClinicalError, ValueError):
    """Two or more series claim one sequence, and neither claim is clearly better.

    Attributes:
        modality: The sequence that they claim.
        series: The series in words, by number.
    """

    def __init__(self, modality: Modality, series: tuple[str, ...]) -> None:
        super().__init__(
            f"{', '.join(series)} could each be the {modality} sequence; "
            f"say which one is {modality} with an override (series number or UID), or remove the others"
        )
        self.modality = modality
        self.series = series


class IncompleteSeries(ClinicalError, ValueError):
    """Slices of a series are missing or unevenly spaced.

    Attributes:
        series: The series in words, by number.
        gap_mm: The distance between neighbouring slices that does not fit.
        expected_mm: The usual distance between neighbouring slices.
        missing: How many slices fit into that distance; 0 if the slices are only unevenly spaced.
    """

    def __init__(
        self, series: str, *, gap_mm: float, expected_mm: float, after_slice: int, missing: int | None = None
    ) -> None:
        cause = {
            None: "slices are missing or unevenly spaced: export the whole series again",
            0: "the slices are unevenly spaced: read them resampled to a regular box, or export an even series",
        }.get(missing, f"{missing} slice(s) are missing there: export the whole series again")
        super().__init__(
            f"{series}: {gap_mm:.2f} mm lie between slices {after_slice} and {after_slice + 1} along the slice normal, "
            f"{expected_mm:.2f} mm were expected; {cause}"
        )
        self.series = series
        self.gap_mm = gap_mm
        self.expected_mm = expected_mm
        self.missing = missing


class GeometryNotSupported(ClinicalError, ValueError):
    """A series cannot become one regular volume.

    Attributes:
        series: The series in words, by number.
    """

    def __init__(self, series: str, reason: str) -> None:
        super().__init__(f"{series}: {reason}")
        self.series = series


class ReportError(ClinicalError, ValueError):
    """A report could not be made from what was given."""


class ArchiveNotReadable(ClinicalError, ValueError):
    """An archive is damaged, or holds what is not safe to unpack.

    Attributes:
        path: The archive; the message shows its name only.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read the archive {path.name!r}: {reason}")
        self.path = path


class ResultsDisagree(ClinicalError, ValueError):
    """Mask, report and images are not about the same thing, so nothing was written."""


class PushFailed(ClinicalError, OSError):
    """A server did not take what was sent to it.

    Attributes:
        status: Its HTTP status, `None` if there was no answer.
    """

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class FollowUpError(ClinicalError, ValueError):
    """Time points cannot be compared."""


class ClinicalDependency(ClinicalError, ImportError):
    """An extra is not installed.

    Attributes:
        extra: Its name.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; install tds-clinical[{extra}]")
        self.extra = extra
