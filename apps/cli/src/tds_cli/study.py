"""From a path on the command line to a case in memory, whatever the study is made of."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tds_cli.errors import UsageFault
from tds_data.case import Case
from tds_data.discover import discover
from tds_data.errors import StudyError
from tds_data.formats.names import Format, format_of, is_image_name
from tds_data.labels import read_reference
from tds_data.report import QualityFlag, Severity
from tds_data.sequence_names import names_sequence
from tds_data.study_files import StudyFiles, load_case, load_images
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

if TYPE_CHECKING:
    from tds_clinical.dicom import SeriesFiles, SourceSeries

_DEPTH: Final = 4
_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
_DICOM_NAME: Final = "study"
_DICOM_PHANTOM: Final = "phantom-0000_"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRequest:
    """What to read.

    Attributes:
        path: An image (NIfTI, NRRD, MetaImage), or a folder of images or of DICOM files.
        reference: An expert mask, in place of the one that may lie in the folder.
        modality: The sequence that a single file holds, if its name does not say.
        series: Series number or UID to read as a sequence; DICOM only.
        resample: Whether tilted or unevenly spaced slices are resampled to a box instead of refused; DICOM only.
    """

    path: Path
    reference: Path | None = None
    modality: Modality | None = None
    series: Mapping[Modality, str] = field(default_factory=dict)
    resample: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """What was read.

    Attributes:
        case: Registered sequences.
        notes: What had to be assumed, to be kept with the result.
        phantom: Whether it is synthetic.
    """

    case: Case
    notes: tuple[QualityFlag, ...] = ()
    phantom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawStudy:
    """What was read of a study that is yet to be registered and stripped.

    Attributes:
        name: A short label without patient identifiers.
        images: Each sequence on its own grid.
        reference: An expert's mask on the grid of one of them, if there is one.
        notes: What had to be assumed, to be kept with the result.
        prefix: What the files that come of it are to be named with, so that a phantom stays known as one.
        dicom: What each sequence was read from, if it was DICOM.
        is_resampled: Whether tilted or unevenly spaced slices of it were resampled to a box.
    """

    name: str
    images: Mapping[Modality, Volume]
    reference: Volume | None = None
    notes: tuple[QualityFlag, ...] = ()
    prefix: str = ""
    dicom: "Mapping[Modality, SeriesFiles]" = field(default_factory=dict)
    is_resampled: bool = False

    def source(self, modality: Modality) -> "SourceSeries | None":
        """Return the series of a sequence as results refer to it, `None` if the study was no DICOM.

        Args:
            modality: The sequence.

        Raises:
            ClinicalError: If a file can no longer be read.
        """
        if modality not in self.dicom:
            return None
        from tds_clinical.dicom import read_source  # noqa: PLC0415  # pydicom is imported for DICOM only

        return read_source(self.dicom[modality], resample=self.is_resampled)


def check_request(request: StudyRequest) -> None:
    """Refuse a request that cannot be met whatever the files hold.

    Args:
        request: What to read.

    Raises:
        UsageFault: If a path does not exist or an option does not fit the input.
    """
    for path in (request.path, request.reference):
        if path is not None and not path.exists():
            message = f"there is no file or folder {str(path)!r}; check the path"
            raise UsageFault(message)
    if request.modality is not None and request.path.is_dir():
        message = f"--modality names the sequence of a single file, and {str(request.path)!r} is a folder; leave it out"
        raise UsageFault(message)
    if request.path.is_dir() and holds_images(request.path) and _holds_dicom(request.path):
        message = (
            f"{str(request.path)!r} holds images (NIfTI, NRRD or MetaImage) and DICOM files, and either could be the "
            "study; give the folder of one of them alone"
        )
        raise UsageFault(message)
    if request.series and holds_images(request.path):
        message = "--series chooses DICOM series, and the input is no DICOM; leave it out"
        raise UsageFault(message)


def read_study(request: StudyRequest) -> Study:
    """Return the study in image files that share one grid.

    Args:
        request: What to read.

    Raises:
        DataError: If it cannot be read or put together.
    """
    study = _read_images(request)
    if request.reference is None:
        return study
    return replace(study, case=replace(study.case, reference=read_reference(request.reference)))


def read_raw_study(request: StudyRequest) -> RawStudy:
    """Return the study at a path with each sequence where it was taken.

    Args:
        request: What to read.

    Raises:
        DataError: If it cannot be read or put together.
        ClinicalError: If it is DICOM that cannot be read.
    """
    study = _raw_images(request) if holds_images(request.path) else _raw_dicom(request)
    return study if request.reference is None else replace(study, reference=read_reference(request.reference))


def holds_images(path: Path) -> bool:
    """Tell whether a path is an image by its name, or a folder with a study's images, at most three folders down.

    Any NIfTI file makes a folder one of images. NRRD and MetaImage also lie beside DICOM, as segmentations do, so they
    count only where they are named after a sequence.

    Args:
        path: A file or a folder.
    """
    if not path.is_dir():
        return is_image_name(path)
    for folder, folders, files in os.walk(path):
        if any(_is_study_image(Path(name)) for name in files):
            return True
        if len(Path(folder).relative_to(path).parts) >= _DEPTH - 1:
            folders.clear()
    return False


def _holds_dicom(path: Path) -> bool:
    """Tell whether a file in a folder starts as DICOM files do, at most three folders down; imports no pydicom."""
    for folder, folders, files in os.walk(path):
        if any(_starts_as_dicom(Path(folder) / name) for name in files if not is_image_name(Path(name))):
            return True
        if len(Path(folder).relative_to(path).parts) >= _DEPTH - 1:
            folders.clear()
    return False


def _starts_as_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(_PREAMBLE_BYTES + len(_MAGIC))[_PREAMBLE_BYTES:] == _MAGIC
    except OSError:
        return False


def _is_study_image(path: Path) -> bool:
    kind = format_of(path)
    if kind in {Format.NRRD, Format.METAIMAGE}:
        return names_sequence(path)
    return kind is Format.NIFTI


def _read_images(request: StudyRequest) -> Study:
    files = _files(request)
    return Study(case=load_case(files), notes=_assumed(files), phantom=files.phantom is not None)


def _raw_images(request: StudyRequest) -> RawStudy:
    files = _files(request)
    images, reference = load_images(files)
    prefix = "" if files.phantom is None else f"{files.phantom}_"
    return RawStudy(name=files.name, images=images, reference=reference, notes=_assumed(files), prefix=prefix)


def _files(request: StudyRequest) -> StudyFiles:
    files = discover(request.path, assume=request.modality)
    return files if request.reference is None else replace(files, reference=None)


def _assumed(files: StudyFiles) -> tuple[QualityFlag, ...]:
    return tuple(QualityFlag(code="ASSUMED", severity=Severity.INFO, message=note) for note in files.notes)


def _raw_dicom(request: StudyRequest) -> RawStudy:
    # pydicom is imported only where there may be DICOM to read.
    from tds_clinical.dicom import read_sequences, reading_notes, shows_phantom  # noqa: PLC0415  # as above

    _check_dicom(request)
    found = read_sequences(request.path, overrides=request.series, resample=request.resample)
    files = {entry.modality: entry.files for entry in found.series if entry.modality is not None}
    prefix = _DICOM_PHANTOM if shows_phantom(files.values()) else ""
    return RawStudy(
        name=_DICOM_NAME,
        images=found.images,
        notes=reading_notes(found),
        prefix=prefix,
        dicom=files,
        is_resampled=request.resample,
    )


def _check_dicom(request: StudyRequest) -> None:
    from tds_clinical.dicom import is_archive, looks_like_dicom  # noqa: PLC0415  # as above

    if is_archive(request.path):
        return
    if not looks_like_dicom(request.path):
        message = (
            f"{request.path.name!r} holds neither NIfTI (.nii, .nii.gz), NRRD or MetaImage named after a sequence, "
            "nor DICOM files; check the path"
        )
        raise StudyError(message)
    if not request.path.is_dir():
        message = f"{request.path.name!r} is one DICOM file; give the folder or zip archive of the whole study"
        raise StudyError(message)
