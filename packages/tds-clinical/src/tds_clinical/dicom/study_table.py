"""What a study holds, series by series, before anything is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tds_clinical.dicom._acquisition import read_acquisition
from tds_clinical.dicom._archives import Progress
from tds_clinical.dicom._model import SeriesFiles
from tds_clinical.dicom._picking import IdentifiedSeries, pick_series
from tds_clinical.dicom._pixels import why_not_decodable
from tds_clinical.dicom._quiet import quiet_pydicom
from tds_clinical.dicom._tags import number, numbers, text
from tds_clinical.dicom._words import plain_description
from tds_clinical.dicom.series import scan_folder
from tds_clinical.dicom.volume import grid_of
from tds_clinical.errors import ClinicalError
from tds_data.vocabulary import Modality

_PLANES: Final = ("sagittal", "coronal", "axial")
_OBLIQUE_COSINE: Final = float(np.cos(np.deg2rad(5.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRow:
    """One series, or one of several volumes in a series.

    Attributes:
        name: How to choose it with an override: its number; empty if it has none.
        label: The same in words.
        description: Series description. Free text may name the patient, so words that no protocol uses are left out
            unless the whole was asked for.
        kind: `classic`, `enhanced` or `mosaic`.
        shape: Voxels along columns, rows, slices, so far as known.
        spacing_mm: Voxel edges, `None` where no volume can be made.
        orientation: `axial`, `coronal` or `sagittal`, with `oblique` before it beyond 5 degrees; empty if unknown.
        repetition_ms: TR, if it is recorded; likewise the following.
        echo_ms: TE.
        inversion_ms: TI.
        contrast: Whether tags name a contrast agent.
        guess: What it seems to be.
        confidence: How sure that is, 0 to 1.
        reason: What it rests on.
        chosen: What it is read as, `None` if it is left out.
        overridden: Whether the caller chose it.
        preferred_because: Why it is read and not others that claim the same; empty if none does.
        refused_because: Why it cannot become a volume; empty if it can.
    """

    name: str
    label: str
    description: str
    kind: str
    shape: tuple[int, int, int] | None
    spacing_mm: tuple[float, float, float] | None
    orientation: str
    repetition_ms: float | None
    echo_ms: float | None
    inversion_ms: float | None
    contrast: bool
    guess: Modality | None
    confidence: float
    reason: str
    chosen: Modality | None
    overridden: bool
    preferred_because: str
    refused_because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTable:
    """What a study holds.

    Attributes:
        rows: Its MR series by rising number.
        disputes: Sequences that several series claim alike, in words; each needs an override.
        damaged: What is wrong with images that could not be read at all.
        ignored: How many files are no MR images, by kind.
    """

    rows: tuple[SeriesRow, ...]
    disputes: tuple[str, ...]
    damaged: tuple[str, ...]
    ignored: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain JSON types."""
        return {
            "series": [_as_dict(row) for row in self.rows],
            "disputes": list(self.disputes),
            "damaged": list(self.damaged),
            "ignored": dict(self.ignored),
        }


def inspect_study(
    path: Path,
    overrides: Mapping[Modality, str] | None = None,
    *,
    whole_descriptions: bool = False,
    progress: Progress | None = None,
) -> StudyTable:
    """Return what a study holds and what `read_study` would read of it, without reading a pixel.

    Args:
        path: A folder or zip archive with one study of one patient; other files are counted.
        overrides: Series number or Series Instance UID to read as a sequence, whatever its header says.
        whole_descriptions: Whether to show series descriptions as they are; they may name the patient.
        progress: Hears how many files have been looked at, and of how many.

    Raises:
        NoImages: If there is no MR image.
        MixedPatients: If there is more than one patient or study.
        SeriesNotFound: If an override names no series of the study.
        AmbiguousSeries: If an override names several.
        FolderNotReadable: If a folder is missing or may not be listed.
        ArchiveNotReadable: If an archive is damaged or unsafe to unpack.
    """
    scan = scan_folder(path, progress=progress, pass_over_damage=True)
    picked = pick_series(scan.series, overrides or {})
    return StudyTable(
        rows=tuple(_row(entry, whole_descriptions=whole_descriptions) for entry in picked.series),
        disputes=tuple(str(dispute) for dispute in picked.disputes),
        damaged=tuple(str(error) for error in scan.damaged),
        ignored={str(kind): count for kind, count in sorted(scan.ignored_kinds.items())},
    )


def _row(entry: IdentifiedSeries, *, whole_descriptions: bool) -> SeriesRow:
    header = entry.files.header
    acquisition = read_acquisition(header)
    description = text(header, "SeriesDescription")
    shape, spacing_mm, refused = _geometry(entry.files)
    return SeriesRow(
        name=entry.files.name,
        label=entry.files.label,
        description=description if whole_descriptions else plain_description(description),
        kind=_kind(entry.files),
        shape=shape,
        spacing_mm=spacing_mm,
        orientation=_orientation(entry.files),
        repetition_ms=acquisition.repetition_ms,
        echo_ms=acquisition.echo_ms,
        inversion_ms=acquisition.inversion_ms,
        contrast=acquisition.agent,
        guess=entry.guess.modality,
        confidence=entry.guess.confidence,
        reason=entry.guess.reason,
        chosen=entry.modality,
        overridden=entry.overridden,
        preferred_because=entry.preferred_because,
        refused_because=refused,
    )


def _kind(series: SeriesFiles) -> str:
    if series.is_mosaic:
        return "mosaic"
    return "enhanced" if series.is_multi_frame else "classic"


def _geometry(
    series: SeriesFiles,
) -> tuple[tuple[int, int, int] | None, tuple[float, float, float] | None, str]:
    try:
        with quiet_pydicom():
            grid = grid_of(series)
    except ClinicalError as error:
        return _claimed_shape(series), None, str(error)
    spacing = np.linalg.norm(grid.ras_from_voxel[:3, :3], axis=0)
    file = series.slices[0]
    refused = why_not_decodable(file.path, file.header)
    return grid.shape, (float(spacing[0]), float(spacing[1]), float(spacing[2])), refused


def _claimed_shape(series: SeriesFiles) -> tuple[int, int, int] | None:
    columns, rows = number(series.header, "Columns"), number(series.header, "Rows")
    if columns is None or rows is None:
        return None
    return int(columns), int(rows), len(series.slices)


def _orientation(series: SeriesFiles) -> str:
    cosines = numbers(series.header, "ImageOrientationPatient", 6)
    if cosines is None:
        return ""
    normal = np.abs(np.cross(cosines[:3], cosines[3:]))
    length = float(np.linalg.norm(normal))
    if not length:
        return ""
    axis = int(np.argmax(normal))
    return _PLANES[axis] if normal[axis] / length >= _OBLIQUE_COSINE else f"oblique {_PLANES[axis]}"


def _as_dict(row: SeriesRow) -> dict[str, Any]:
    return {
        "series": row.name or None,
        "label": row.label,
        "description": row.description,
        "kind": row.kind,
        "shape": None if row.shape is None else list(row.shape),
        "spacing_mm": None if row.spacing_mm is None else [round(edge, 4) for edge in row.spacing_mm],
        "orientation": row.orientation or None,
        "repetition_ms": row.repetition_ms,
        "echo_ms": row.echo_ms,
        "inversion_ms": row.inversion_ms,
        "contrast": row.contrast,
        "guess": row.guess,
        "confidence": round(row.confidence, 2),
        "reason": row.reason,
        "chosen": row.chosen,
        "overridden": row.overridden,
        "preferred_because": row.preferred_because or None,
        "refused_because": row.refused_because or None,
    }
