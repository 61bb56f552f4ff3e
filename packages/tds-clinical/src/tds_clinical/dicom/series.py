"""Finding the MR series in a folder."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from tds_clinical.dicom._archives import Progress
from tds_clinical.dicom._files import find_files
from tds_clinical.dicom._headers import FoundImage, Ignored, read_image_header
from tds_clinical.dicom._model import SeriesFiles, SliceFile
from tds_clinical.dicom._quiet import quiet_pydicom
from tds_clinical.dicom._tags import text
from tds_clinical.dicom._volumes import volumes_of
from tds_clinical.errors import DicomReadError, MixedPatients, NoImages

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FolderScan:
    """What a folder holds.

    Attributes:
        series: The MR series by rising number, one entry for each volume in them; never empty.
        ignored: Number of files that are no MR images: text, other kinds of DICOM objects and so on.
        ignored_kinds: How many of them are of each kind.
        damaged: What is wrong with the images that were passed over; empty unless that was asked for.
    """

    series: tuple[SeriesFiles, ...]
    ignored: int
    ignored_kinds: Mapping[Ignored, int] = field(default_factory=dict)
    damaged: tuple[DicomReadError, ...] = ()


def read_series_headers(folder: Path) -> tuple[SeriesFiles, ...]:
    """Return the MR series in a folder and all its subfolders, by rising series number.

    Args:
        folder: Any mixture of files; what is no MR image is ignored and counted in the log.

    Raises:
        NoImages: If there is no MR image.
        MixedPatients: If the images belong to more than one patient or study.
        DicomReadError: If an MR image is damaged or a file may not be read.
        FolderNotReadable: If a folder is missing or may not be listed.
    """
    return scan_folder(folder).series


def scan_folder(folder: Path, *, progress: Progress | None = None, pass_over_damage: bool = False) -> FolderScan:
    """Return the MR series in a folder and all its subfolders or in a zip archive, and what was ignored.

    An archive is unpacked to a private temporary folder, which is deleted as soon as nothing of the scan is in use.

    Args:
        folder: Any mixture of files. Links to folders are followed, each folder once. Or a zip archive.
        progress: Hears how many files have been looked at, and of how many; an archive's are first counted unpacking.
        pass_over_damage: Whether to tell of damaged images in the result instead of raising.

    Raises:
        NoImages: If there is no MR image.
        MixedPatients: If the images belong to more than one patient or study.
        DicomReadError: If an MR image is damaged or a file may not be read.
        FolderNotReadable: If a folder is missing, may not be listed or holds far too many files.
        ArchiveNotReadable: If an archive is damaged or unsafe to unpack.
    """
    found = find_files(folder, progress=progress)
    groups: dict[str, list[SliceFile]] = defaultdict(list)
    ignored: Counter[Ignored] = Counter()
    damaged: list[DicomReadError] = []
    with quiet_pydicom():
        for done, path in enumerate(found.paths, start=1):
            image = _found_image(path, damaged if pass_over_damage else None)
            if isinstance(image, Ignored):
                ignored[image] += 1
            elif image is not None:
                file = SliceFile(path=path, header=image.header, pixels=image.pixels, kept_by=found.kept_by)
                groups[text(image.header, "SeriesInstanceUID")].append(file)
            if progress is not None:
                progress(done, len(found.paths))
        if not groups:
            raise NoImages(ignored.total() + len(damaged))
        _refuse_mixture(header for slices in groups.values() for header in (s.header for s in slices))
        series = _series(groups.values())
    if ignored:
        _LOG.info("files_ignored count=%d", ignored.total())
    return FolderScan(series=series, ignored=ignored.total(), ignored_kinds=dict(ignored), damaged=tuple(damaged))


def _found_image(path: Path, damaged: list[DicomReadError] | None) -> FoundImage | Ignored | None:
    try:
        return read_image_header(path)
    except DicomReadError as error:
        if damaged is None:
            raise
        damaged.append(error)
        return None


def _refuse_mixture(headers: Iterator[Dataset]) -> None:
    patients, studies = set(), set()
    for header in headers:
        patients.add(text(header, "PatientID"))
        studies.add(text(header, "StudyInstanceUID"))
    if len(patients) > 1 or len(studies) > 1:
        raise MixedPatients(len(patients), len(studies))


def _series(groups: Iterable[Sequence[SliceFile]]) -> tuple[SeriesFiles, ...]:
    volumes = (volume for files in groups for volume in volumes_of(files))
    return tuple(sorted(volumes, key=lambda v: (v.number is None, v.number or 0, v.uid, v.index or 0)))
