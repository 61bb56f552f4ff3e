"""A folder of DICOM becomes a case."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tds_clinical.dicom._dataset import starts_like_dicom
from tds_clinical.dicom._files import walk_files
from tds_clinical.dicom.identify import SequenceGuess, identify_sequence
from tds_clinical.dicom.series import FolderScan, SeriesFiles, scan_folder
from tds_clinical.dicom.volume import read_series
from tds_clinical.errors import AmbiguousSeries, FolderNotReadable, SeriesNotFound
from tds_data.case import Case
from tds_data.errors import SequenceNotFound
from tds_data.geometry import from_canonical, to_canonical
from tds_data.vocabulary import MODALITIES, Modality
from tds_data.volume import Volume

_LOG = logging.getLogger(__name__)

_CASE_NAME: Final = "study"
_LEAST_CONFIDENCE: Final = 0.5
_SIMILAR_CONFIDENCE: Final = 0.2
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IdentifiedSeries:
    """One series of a study and what became of it.

    Attributes:
        files: The series.
        guess: What its header says that it is.
        modality: The sequence that it was read as, or `None` if it was left out.
        overridden: Whether the caller chose it.
    """

    files: SeriesFiles
    guess: SequenceGuess
    modality: Modality | None
    overridden: bool = False

    @property
    def passed_over(self) -> bool:
        """Whether it might well be a sequence that another series was read as."""
        return self.modality is None and self.guess.modality is not None and self.guess.confidence >= _LEAST_CONFIDENCE


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


def read_study(folder: Path, *, overrides: Mapping[Modality, str] | None = None) -> DicomStudy:
    """Return the T1, T1ce, T2 and FLAIR sequences of one study.

    Args:
        folder: One study of one patient, in any folder structure; other files are ignored.
        overrides: Series number or Series Instance UID to read as a sequence, whatever its header says.

    Raises:
        NoImages: If there is no MR image.
        MixedPatients: If there is more than one patient or study.
        SequenceNotFound: If no series is one of the four sequences.
        AmbiguousSeries: If two series claim one sequence with similar confidence.
        SeriesNotFound: If an override names no series of the study.
        DicomReadError: If a file is damaged.
        FolderNotReadable: If a folder is missing or may not be listed.
        IncompleteSeries: If slices of a chosen series are missing.
        GeometryNotSupported: If a chosen series cannot become a volume.
        GridMismatch: If the sequences do not share one grid.
    """
    found = read_sequences(folder, overrides=overrides)
    case = Case(name=_CASE_NAME, images=_aligned(found.images))
    return DicomStudy(case=case, series=found.series, ignored=found.ignored)


def read_sequences(folder: Path, *, overrides: Mapping[Modality, str] | None = None) -> DicomSequences:
    """Return the T1, T1ce, T2 and FLAIR sequences of one study as they are, for a raw study that is yet to be prepared.

    Args:
        folder: One study of one patient, in any folder structure; other files are ignored.
        overrides: Series number or Series Instance UID to read as a sequence, whatever its header says.

    Raises:
        ClinicalError: As `read_study`.
        SequenceNotFound: If no series is one of the four sequences.
    """
    scan = scan_folder(folder)
    chosen = _overridden(scan.series, overrides or {})
    guesses = {series.key: identify_sequence(series.header) for series in scan.series}
    picked = {**_pick(scan.series, guesses, chosen), **chosen}
    if not picked:
        raise SequenceNotFound(_nothing_found(scan, guesses))
    modality_of = {series.key: modality for modality, series in picked.items()}
    identified = tuple(
        IdentifiedSeries(
            files=series,
            guess=guesses[series.key],
            modality=modality_of.get(series.key),
            overridden=any(series is other for other in chosen.values()),
        )
        for series in scan.series
    )
    for entry in identified:
        _LOG.info("series number=%s read_as=%s reason=%s", entry.files.number, entry.modality, entry.guess.reason)
    images = {modality: read_series(picked[modality]) for modality in MODALITIES if modality in picked}
    return DicomSequences(images=images, series=identified, ignored=scan.ignored)


def looks_like_dicom(path: Path) -> bool:
    """Tell whether a path is a DICOM file or a folder that holds one, however far down and behind however many others.

    Args:
        path: Anything; what cannot be read does not look like DICOM.
    """
    try:
        return any(map(_starts_like_dicom, walk_files(path)))
    except FolderNotReadable:
        return False


def _starts_like_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return starts_like_dicom(stream)
    except OSError:
        return False


def _overridden(all_series: Iterable[SeriesFiles], overrides: Mapping[Modality, str]) -> dict[Modality, SeriesFiles]:
    chosen = {}
    available = list(all_series)
    for modality, name in overrides.items():
        matches = [s for s in available if name in {s.uid, s.key, s.name, str(s.number)}]
        if not matches:
            raise SeriesNotFound(modality, ", ".join(str(s.number) for s in available))
        if len(matches) > 1:
            raise AmbiguousSeries(modality, tuple(s.label for s in matches))
        chosen[modality] = matches[0]
    return chosen


def _pick(
    all_series: Iterable[SeriesFiles], guesses: Mapping[str, SequenceGuess], chosen: Mapping[Modality, SeriesFiles]
) -> dict[Modality, SeriesFiles]:
    taken = {series.key for series in chosen.values()}
    free = [s for s in all_series if s.key not in taken and guesses[s.key].confidence >= _LEAST_CONFIDENCE]
    picked = {}
    for modality in MODALITIES:
        if modality in chosen:
            continue
        claims = [s for s in free if guesses[s.key].modality is modality]
        if not claims:
            continue
        best = max(guesses[s.key].confidence for s in claims)
        similar = [s for s in claims if guesses[s.key].confidence >= best - _SIMILAR_CONFIDENCE - _ROUNDING]
        if len(similar) > 1:
            raise AmbiguousSeries(modality, tuple(s.label for s in similar))
        picked[modality] = similar[0]
    return picked


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


def _nothing_found(scan: FolderScan, guesses: Mapping[str, SequenceGuess]) -> str:
    seen = "; ".join(f"{s.label}: {guesses[s.key].reason}" for s in scan.series)
    return f"no series could be recognised as T1, T1ce, T2 or FLAIR ({seen}); name the series of each with an override"
