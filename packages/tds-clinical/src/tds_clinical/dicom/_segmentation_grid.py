"""Where the frames of a DICOM Segmentation lie: the regular grid that holds them all, whichever of them are stored.

Places are in DICOM's patient axes (LPS, millimetres; PS3.3, section C.7.6.2) until the affine leaves them.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.dicom._tags import number, numbers
from tds_clinical.errors import DicomReadError
from tds_data.volume import Volume

_RAS_FROM_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_COSINE_TOLERANCE: Final = 1e-3
_SPACING_TOLERANCE_MM: Final = 1e-3
_SAME_PLACE_MM: Final = 1e-2
_DRIFT_MM: Final = 0.05
_DRIFT_STEPS: Final = 0.1
_MOST_SLICES: Final = 4096
_MOST_VOXELS: Final = 1 << 29


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentationGrid:
    """The grid of a segmentation.

    Attributes:
        shape: Columns, rows, slices from the first to the last one that is stored.
        ras_from_voxel: Affine from (column, row, slice) indices to RAS+ millimetres, shape (4, 4).
        slice_of_frame: Index of the slice of each frame.
    """

    shape: tuple[int, int, int]
    ras_from_voxel: NDArray[np.float64]
    slice_of_frame: tuple[int, ...]


def read_grid(path: Path, dataset: Dataset, onto: Volume | None = None) -> SegmentationGrid:
    """Return the grid of a segmentation.

    Args:
        path: Its file, for messages.
        dataset: The segmentation.
        onto: A volume on whose slices the frames probably lie.

    Raises:
        DicomReadError: If its frames have no places, differ in orientation or spacing, or fill no regular grid.
    """
    cosines = _common(path, dataset, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
    across, down = np.array(cosines).reshape(2, 3)
    row_mm, column_mm = _common(path, dataset, "PixelMeasuresSequence", "PixelSpacing", 2)
    unit = np.allclose([across @ across, down @ down, across @ down], [1, 1, 0], atol=_COSINE_TOLERANCE)
    if not unit or min(row_mm, column_mm) <= 0:
        raise DicomReadError(path, "its orientation or pixel spacing is impossible; export it again")
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    positions = np.array(_each(path, dataset, "PlanePositionSequence", "ImagePositionPatient", 3))
    depths = positions @ normal
    spacing_mm = _slice_spacing(path, dataset, depths, [] if onto is None else [_spacing_along(onto, normal)])
    slices = np.rint((depths - depths.min()) / spacing_mm).astype(int)
    shape = (int(dataset.Columns), int(dataset.Rows), int(slices.max()) + 1)
    if shape[2] > _MOST_SLICES or math.prod(shape) > _MOST_VOXELS:
        raise DicomReadError(path, f"its frames span {shape[2]} slices, which no study has; export it again")
    if slices.max():  # decimal strings and drift: the first and the last slice say it better than two neighbours
        spacing_mm = float(np.ptp(depths)) / int(slices.max())
    first = positions[slices.argmin()]
    _check_line(path, positions - first, slices[:, None] * spacing_mm * normal, spacing_mm)
    lps = np.eye(4)
    lps[:3, :3] = np.stack([across * column_mm, down * row_mm, normal * spacing_mm], axis=1)
    lps[:3, 3] = first
    return SegmentationGrid(
        shape=shape,
        ras_from_voxel=np.asarray(_RAS_FROM_LPS @ lps),
        slice_of_frame=tuple(slices.tolist()),
    )


def _spacing_along(volume: Volume, lps_normal: NDArray[np.float64]) -> float:
    steps = (_RAS_FROM_LPS @ volume.ras_from_voxel)[:3, :3]
    return float(np.abs(lps_normal @ steps).max())


def _slice_spacing(path: Path, dataset: Dataset, depths: NDArray[np.float64], likely: list[float]) -> float:
    """Return the distance between slices: what is likely or said if the frames bear it out, or else what they show."""
    said = _positive(dataset, "SpacingBetweenSlices")
    thickness = _positive(dataset, "SliceThickness")
    steps = np.diff(np.unique(depths))
    steps = steps[steps > _SAME_PLACE_MM]
    if not steps.size:
        known = [*likely, *said, *thickness]
        if not known:
            raise DicomReadError(path, "it has a single slice and says neither spacing nor thickness; export it again")
        return known[0]
    for spacing_mm in (*likely, *said, float(np.median(steps)), float(steps.min()), *thickness):
        slices = (depths - depths.min()) / spacing_mm
        off_mm = np.abs(slices - np.rint(slices)) * spacing_mm
        if steps.min() > spacing_mm / 2 and (off_mm <= _DRIFT_MM + _DRIFT_STEPS * spacing_mm).all():
            return spacing_mm
    reason = "its slices are unevenly spaced; resample it to a regular grid in the software that made it"
    raise DicomReadError(path, reason)


def _positive(dataset: Dataset, keyword: str) -> list[float]:
    found = (number(item, keyword) for item in _holders(dataset, "PixelMeasuresSequence", 0))
    return [value for value in found if value is not None and value > 0]


def _check_line(path: Path, found: NDArray[np.float64], expected: NDArray[np.float64], spacing_mm: float) -> None:
    off_mm = float(np.linalg.norm(found - expected, axis=1).max())
    if off_mm > _DRIFT_MM + _DRIFT_STEPS * spacing_mm:
        reason = f"its frames lie up to {off_mm:.2f} mm off a regular grid; resample it in the software that made it"
        raise DicomReadError(path, reason)


def _common(path: Path, dataset: Dataset, group: str, keyword: str, count: int) -> tuple[float, ...]:
    """Return the value that all frames share."""
    values = _each(path, dataset, group, keyword, count)
    if not np.allclose(values, values[0], rtol=0, atol=_SPACING_TOLERANCE_MM):
        raise DicomReadError(path, f"its frames differ in {keyword}; export one orientation and spacing as one file")
    return values[0]


def _each(path: Path, dataset: Dataset, group: str, keyword: str, count: int) -> list[tuple[float, ...]]:
    """Return the value of each frame."""
    found = []
    for index in range(len(dataset.get("PerFrameFunctionalGroupsSequence") or [])):
        holders = _holders(dataset, group, index)
        value = next((v for holder in holders if (v := numbers(holder, keyword, count)) is not None), None)
        if value is None:
            reason = f"frame {index + 1} has no usable {keyword}; export it again, as a segmentation of a volume"
            raise DicomReadError(path, reason)
        found.append(value)
    return found


def _holders(dataset: Dataset, group: str, index: int) -> list[Dataset]:
    """Return where an attribute of a frame may be: its own functional groups, then the shared ones."""
    own = dataset.PerFrameFunctionalGroupsSequence[index].get(group) or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    return [*own, *((shared[0].get(group) or []) if shared else [])]
