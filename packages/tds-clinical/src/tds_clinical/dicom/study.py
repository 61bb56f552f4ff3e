"""A folder or an archive of DICOM becomes a case."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tds_clinical.dicom._archives import Progress, archived_files, is_archive
from tds_clinical.dicom._dataset import starts_like_dicom
from tds_clinical.dicom._files import walk_files
from tds_clinical.dicom._picking import IdentifiedSeries, Picked, pick_series
from tds_clinical.dicom.series import scan_folder
from tds_clinical.dicom.volume import read_series
from tds_clinical.errors import ArchiveNotReadable, FolderNotReadable
from tds_data.case import Case
from tds_data.errors import SequenceNotFound
from tds_data.geometry import from_canonical, to_canonical
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

_LOG = logging.getLogger(__name__)

_NAMED_SERIES: Final = 5
_CASE_NAME: Final = "study"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DicomSequences:
    """The sequences of a study, each on its own grid.

    Attributes:
        images: What was read, in model order.
        series: Every MR series of the folder, by rising number, with what was picked and why.
        ignored: Number of files that are no MR images.
    """

    images: Mapping[Modality, Volume]
    series: tuple[IdentifiedSeries, ...]
    ignored: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DicomStudy:
    """A study read from DICOM.

    Attributes:
        case: Its sequences on one grid, under a neutral name.
        series: Every MR series of the folder, by rising number, with what was picked and why.
        ignored: Number of files that are no MR images.
    """

    case: Case
    series: tuple[IdentifiedSeries, ...]
    ignored: int


def read_study(
    folder: Path,
    *,
    overrides: Mapping[Modality, str] | None = None,
    progress: Progress | None = None,
    resample: bool = False,
) -> DicomStudy:
    """Return the T1, T1ce, T2 and FLAIR sequences of one study.

    Args:
        folder: One study of one patient, in any folder structure or as a zip archive; other files are ignored.
        overrides: Series number, as `SeriesFiles.name`, or Series Instance UID to read as a sequence, whatever its
            header says.
        progress: Hears how many files have been looked at, and of how many.
        resample: Whether a tilted or unevenly spaced series is resampled to a box instead of refused, as by
            `read_series`; `reading_notes` tells of it.

    Raises:
        NoImages: If there is no MR image.
        MixedPatients: If there is more than one patient or study.
        SequenceNotFound: If no series is one of the four sequences.
        AmbiguousSeries: If two series claim one sequence with similar confidence.
        SeriesNotFound: If an override names no series of the study.
        DicomReadError: If a file is damaged.
        FolderNotReadable: If a folder is missing or may not be listed.
        ArchiveNotReadable: If an archive is damaged or unsafe to unpack.
        IncompleteSeries: If slices of a chosen series are missing.
        GeometryNotSupported: If a chosen series cannot become a volume.
        GridMismatch: If the sequences do not share one grid.
    """
    found = read_sequences(folder, overrides=overrides, progress=progress, resample=resample)
    case = Case(name=_CASE_NAME, images=_aligned(found.images))
    return DicomStudy(case=case, series=found.series, ignored=found.ignored)


def read_sequences(
    folder: Path,
    *,
    overrides: Mapping[Modality, str] | None = None,
    progress: Progress | None = None,
    resample: bool = False,
) -> DicomSequences:
    """Return the T1, T1ce, T2 and FLAIR sequences of one study as they are, for a raw study that is yet to be prepared.

    Args:
        folder: One study of one patient, in any folder structure or as a zip archive; other files are ignored.
        overrides: Series number, as `SeriesFiles.name`, or Series Instance UID to read as a sequence, whatever its
            header says.
        progress: Hears how many files have been looked at, and of how many.
        resample: Whether a tilted or unevenly spaced series is resampled to a box instead of refused, as by
            `read_series`; `reading_notes` tells of it.

    Raises:
        ClinicalError: As `read_study`.
        SequenceNotFound: If no series is one of the four sequences.
    """
    scan = scan_folder(folder, progress=progress)
    picked = pick_series(scan.series, overrides or {})
    if picked.disputes:
        raise picked.disputes[0]
    if not picked.chosen:
        raise SequenceNotFound(_nothing_found(picked))
    for entry in picked.series:
        _LOG.info("series number=%s read_as=%s reason=%s", entry.files.name, entry.modality, entry.guess.reason)
    images = {modality: read_series(series, resample=resample) for modality, series in picked.chosen.items()}
    return DicomSequences(images=images, series=picked.series, ignored=scan.ignored)


def looks_like_dicom(path: Path) -> bool:
    """Tell whether a path is a DICOM file, or a folder or zip archive that holds one, however far down.

    Args:
        path: Anything; what cannot be read does not look like DICOM.
    """
    try:
        if is_archive(path):
            return any(map(starts_like_dicom, archived_files(path)))
        return any(map(_starts_like_dicom, walk_files(path)))
    except (FolderNotReadable, ArchiveNotReadable):
        return False


def _starts_like_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return starts_like_dicom(stream)
    except OSError:
        return False


def _aligned(images: Mapping[Modality, Volume]) -> dict[Modality, Volume]:
    grid = next(iter(images.values()))
    return {modality: _on_grid(volume, grid) for modality, volume in images.items()}


def _on_grid(volume: Volume, grid: Volume) -> Volume:
    if grid.same_grid(volume):
        return grid.with_voxels(volume.voxels)
    canonical = to_canonical(volume)
    if to_canonical(grid).same_grid(canonical):
        return grid.with_voxels(from_canonical(canonical.voxels, grid))
    return volume


def _nothing_found(picked: Picked) -> str:
    reasons = [f"{entry.files.label}: {entry.guess.reason}" for entry in picked.series]
    more = f"; and {len(reasons) - _NAMED_SERIES} more" if len(reasons) > _NAMED_SERIES else ""
    seen = "; ".join(reasons[:_NAMED_SERIES]) + more
    return (
        f"no series could be recognised as T1, T1ce, T2 or FLAIR ({seen}); look at the table of the study (tds dicom "
        "inspect) and name the series of each sequence (--series)"
    )
