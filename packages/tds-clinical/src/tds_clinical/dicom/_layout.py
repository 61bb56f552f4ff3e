"""How the slices of a volume lie to each other: on a regular grid, or on none."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_clinical.dicom._model import SeriesFiles
from tds_clinical.dicom._planes import Plane, ras_from_lps
from tds_clinical.errors import GeometryNotSupported, IncompleteSeries

_FEWEST_SLICES: Final = 2
_GAP_TOLERANCE: Final = 0.05
_DRIFT_TOLERANCE_MM: Final = 0.05
_MISSING_TOLERANCE: Final = 0.1
_WIDEST_GAP: Final = 2.5
_ROUNDING: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """The grid that a volume is read on.

    Attributes:
        planes: One plane for each stored slice, along the slice normal.
        shape: Columns, rows and slices of the grid.
        ras_from_voxel: Its affine from (column, row, slice) indices to RAS+ millimetres, shape (4, 4).
        irregularity: What keeps the stored slices off every regular grid, so that they have to be resampled to this
            one; empty if they lie on it.
        depths: Where the stored slices lie along the grid's third axis, in slices of the grid, shape (planes,).
        shifts: How far the first pixel of each stored slice lies from the grid's, in rows and columns, shape
            (planes, 2).
    """

    planes: tuple[Plane, ...]
    shape: tuple[int, int, int]
    ras_from_voxel: NDArray[np.float64]
    irregularity: str
    depths: NDArray[np.float64]
    shifts: NDArray[np.float64]


def lay_out(series: SeriesFiles, planes: Sequence[Plane], *, resample: bool = False) -> Layout:
    """Return the grid that a volume is read on.

    Args:
        series: The volume, for messages.
        planes: One plane for each place, along the slice normal.
        resample: Whether slices off every regular grid get one to be resampled to, instead of being refused.

    Raises:
        GeometryNotSupported: If there is a single slice; if slices are shifted against each other, unless they overlap
            and may be resampled.
        IncompleteSeries: If slices are missing; unless resampling, if they are unevenly spaced.
    """
    if len(planes) < _FEWEST_SLICES:
        raise GeometryNotSupported(series.label, "it has a single slice; a volume needs at least two")
    first = planes[0]
    positions = np.array([plane.position_mm for plane in planes]) - first.position_mm
    depths_mm = positions @ first.normal
    uneven = _unevenness(series, depths_mm, resample=resample)
    drift = _drift(positions, depths_mm, first.normal)
    if drift and not resample:
        raise GeometryNotSupported(
            series.label, f"its slices are {drift}; read it resampled to a box, or rebuild it untilted"
        )
    if uneven or drift:
        box = _box(planes, positions, depths_mm, " and ".join(filter(None, (uneven, drift))))
        _check_overlap(series, first, box)
        return box
    rows, columns = first.shape
    return Layout(
        planes=tuple(planes),
        shape=(columns, rows, len(planes)),
        ras_from_voxel=_affine(first, first.position_mm, positions[-1] / (len(planes) - 1)),
        irregularity="",
        depths=np.arange(len(planes), dtype=np.float64),
        shifts=np.zeros((len(planes), 2)),
    )


def _unevenness(series: SeriesFiles, depths_mm: NDArray[np.float64], *, resample: bool) -> str:
    steps = np.diff(depths_mm)
    expected = float(median_low(steps.tolist()))
    worst = int(np.argmax(np.abs(steps - expected)))
    widest = int(np.argmax(steps))
    off_mm = float(np.abs(depths_mm - np.linspace(0.0, depths_mm[-1], depths_mm.size)).max())
    if abs(steps[worst] - expected) <= _GAP_TOLERANCE * expected and off_mm <= _tolerance_mm(depths_mm):
        return ""
    missing = _missing(float(steps[widest]) / expected)
    if missing or not resample:
        at = widest if missing else worst
        raise IncompleteSeries(
            series.label, gap_mm=float(steps[at]), expected_mm=expected, after_slice=at + 1, missing=missing
        )
    return f"unevenly spaced, {steps.min():.2f} to {steps.max():.2f} mm apart"


def _missing(ratio: float) -> int:
    """Return how many slices a gap has room for that should be there; 0 if it is only uneven."""
    whole = round(ratio)
    return max(whole - 1, 0) if abs(ratio - whole) <= _MISSING_TOLERANCE or ratio > _WIDEST_GAP else 0


def _drift(positions: NDArray[np.float64], depths_mm: NDArray[np.float64], normal: NDArray[np.float64]) -> str:
    shifted = positions - depths_mm[:, None] * normal
    drift_mm = float(np.linalg.norm(shifted, axis=1).max())
    return "" if drift_mm <= _tolerance_mm(depths_mm) else f"shifted against each other by up to {drift_mm:.2f} mm"


def _tolerance_mm(depths_mm: NDArray[np.float64]) -> float:
    """Return how far from its place on a regular grid a slice may lie."""
    return _DRIFT_TOLERANCE_MM + _GAP_TOLERANCE * float(depths_mm[-1]) / (len(depths_mm) - 1)


def _box(
    planes: Sequence[Plane], positions: NDArray[np.float64], depths_mm: NDArray[np.float64], irregularity: str
) -> Layout:
    first = planes[0]
    rows, columns = first.shape
    axes = np.stack([first.down, first.across], axis=1)
    shifts = positions @ axes / first.spacing_mm
    shifts = np.where(np.abs(shifts - np.rint(shifts)) < _ROUNDING, np.rint(shifts), shifts)
    low, high = np.floor(shifts.min(axis=0)), np.ceil(shifts.max(axis=0))
    step = float(median_low(np.diff(depths_mm).tolist()))
    slices = int(np.floor(depths_mm[-1] / step + _ROUNDING)) + 1
    corner = first.position_mm + axes @ (low * first.spacing_mm)
    grown = (high - low).astype(int)
    return Layout(
        planes=tuple(planes),
        shape=(columns + int(grown[1]), rows + int(grown[0]), slices),
        ras_from_voxel=_affine(first, corner, step * first.normal),
        irregularity=irregularity,
        depths=depths_mm / step,
        shifts=shifts - low,
    )


def _check_overlap(series: SeriesFiles, first: Plane, box: Layout) -> None:
    rows, columns = first.shape
    if box.shape[0] > 2 * columns or box.shape[1] > 2 * rows:
        reason = f"its slices are {box.irregularity}, so that some do not overlap; export it again"
        raise GeometryNotSupported(series.label, reason)


def _affine(first: Plane, corner: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    row_spacing, column_spacing = first.spacing_mm
    lps = np.eye(4)
    lps[:3, :3] = np.stack([first.across * column_spacing, first.down * row_spacing, step], axis=1)
    lps[:3, 3] = corner
    return ras_from_lps(lps)
