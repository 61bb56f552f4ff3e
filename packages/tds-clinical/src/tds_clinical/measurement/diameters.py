"""The longest diameter of a lesion in a slice and the longest one at right angles to it.

RECIST 1.1 (Eisenhauer et al. 2009, Eur J Cancer 45, 228-247) takes the longest diameter in the plane of the slices,
and RANO 2.0 (Wen et al. 2023, J Clin Oncol 41, 5187-5199) the maximal perpendicular diameters on one axial slice. So
the slice is the one with the longest line, and the perpendicular one lies in the same slice; among equal ones counts
the longest perpendicular.

- Lines end on the outline halfway between voxels inside and outside (see `outline`), so they are as long as what a
  reader marks from edge to edge.
- The longest line joins the two points of the outline that lie furthest apart; where a shape is concave it may leave
  it in between. The perpendicular one is a chord: it stays inside the outline from end to end, and need not cross
  the longest one.
- What a slice shows of a lesion may be several pieces; a line never joins two of them.
- Holes do not interrupt a chord, and neither does the necrotic core where enhancing tumour is measured: a rim is
  measured from outer edge to outer edge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_clinical.errors import ResultsDisagree
from tds_clinical.measurement.chords import Line, longest_chord, longest_lines
from tds_clinical.measurement.outline import Piece, split_pieces
from tds_data.report import LesionReport, Point
from tds_data.vocabulary import REGION_LABELS, REGIONS, Region
from tds_data.volume import Volume

_AXES: Final = 3
_EQUAL_MM: Final = 1e-6
_DIRECTIONS: Final = 8
_PASSABLE: Final = {Region.WT: Region.WT, Region.TC: Region.TC, Region.ET: Region.TC}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diameters:
    """Two lines at right angles across one slice of a lesion.

    Attributes:
        longest_mm: Length of the longest line, millimetres.
        perpendicular_mm: Length of the longest line at right angles to it in the same slice, millimetres.
        longest_ends_mm: Its ends, RAS+ millimetres.
        perpendicular_ends_mm: The other one's.
        axis: Axis of the mask's array along which slices are counted.
        slice_index: Index of the slice along it.
    """

    longest_mm: float
    perpendicular_mm: float
    longest_ends_mm: tuple[Point, Point]
    perpendicular_ends_mm: tuple[Point, Point]
    axis: int
    slice_index: int

    @property
    def product_mm2(self) -> float:
        """Longest times perpendicular, as in RANO, square millimetres."""
        return self.longest_mm * self.perpendicular_mm


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionMeasurement:
    """The diameters of one lesion.

    Attributes:
        lesion: Number of the lesion.
        diameters: Those of each region that the lesion has.
    """

    lesion: int
    diameters: Mapping[Region, Diameters]


def measure_lesions(
    mask: Volume, lesions: NDArray[np.uint16], report: LesionReport, *, axis: int | None = None
) -> tuple[LesionMeasurement, ...]:
    """Return the diameters of each lesion of a report, in its order.

    Args:
        mask: Labels 0 to 3.
        lesions: Number of the lesion of each voxel, from `map_lesions`.
        report: What was found.
        axis: Axis of the array along which slices are counted; the one nearest to head to foot if `None`.

    Raises:
        ResultsDisagree: If the map has another shape than the mask, or lacks a lesion of the report.
        ValueError: If the array has no such axis.
    """
    if lesions.shape != mask.shape:
        message = f"the map of lesions has {lesions.shape} voxels and the mask {mask.shape}; make it from this mask"
        raise ResultsDisagree(message)
    along = head_foot_axis(mask.ras_from_voxel) if axis is None else axis
    if along not in range(_AXES):
        message = f"slices are counted along axis 0, 1 or 2 of the array; {along} was given"
        raise ValueError(message)
    boxes = ndimage.find_objects(lesions)
    found = []
    for lesion in report.lesions:
        box = boxes[lesion.number - 1] if 0 < lesion.number <= len(boxes) else None
        if box is None:
            message = f"lesion {lesion.number} of the report is not on the map of lesions; make it from this report"
            raise ResultsDisagree(message)
        labels = np.where(lesions[box] == lesion.number, mask.voxels[box], 0)
        place = _Place(affine=mask.ras_from_voxel, start=tuple(part.start for part in box), axis=along)
        found.append(LesionMeasurement(lesion=lesion.number, diameters=_measure(labels, place)))
    return tuple(found)


def head_foot_axis(ras_from_voxel: NDArray[np.float64]) -> int:
    """Return the axis of an array that runs nearest to head to foot.

    Args:
        ras_from_voxel: Affine of shape (4, 4).
    """
    directions = ras_from_voxel[:3, :3] / np.linalg.norm(ras_from_voxel[:3, :3], axis=0)
    return int(np.abs(directions[2]).argmax())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Place:
    """Where a box of voxels lies, and how it is cut into slices."""

    affine: NDArray[np.float64]
    start: tuple[int, ...]
    axis: int

    @property
    def plane(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Two orthonormal directions in the slice (3, 2), and the matrix (2, 2) that brings pixels to them."""
        others = [axis for axis in range(_AXES) if axis != self.axis]
        basis, from_pixels = np.linalg.qr(self.affine[:3, others])
        return basis, from_pixels

    def origin_mm(self, slice_index: int) -> NDArray[np.float64]:
        """RAS+ millimetres of the first pixel of a slice of the box."""
        corner = np.array(self.start, float)
        corner[self.axis] += slice_index
        return np.asarray(self.affine[:3, :3] @ corner + self.affine[:3, 3])


def _measure(labels: NDArray[np.generic], place: _Place) -> dict[Region, Diameters]:
    slices = np.moveaxis(labels, place.axis, 0)
    members = {region: np.isin(slices, list(REGION_LABELS[region])) for region in REGIONS}
    return {
        region: _measure_region(members[region], members[_PASSABLE[region]], place)
        for region in REGIONS
        if members[region].any()
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cross:
    """A longest line and the one at right angles to it, in millimetres of the slice."""

    longest: Line
    perpendicular: Line
    slice_index: int

    @property
    def lengths_mm(self) -> tuple[float, float]:
        return _length(self.longest), _length(self.perpendicular)


def _measure_region(region: NDArray[np.bool_], passable: NDArray[np.bool_], place: _Place) -> Diameters:
    basis, from_pixels = place.plane
    bounds = _longest_possible_mm(region, from_pixels)
    best: _Cross | None = None
    seen: set[bytes] = set()
    for index in np.argsort(-bounds, kind="stable").tolist():
        if best is not None and bounds[index] < best.lengths_mm[0] - _EQUAL_MM:
            break
        for piece in split_pieces(region[index], passable[index]):
            # Upright shapes look the same on slice after slice.
            if piece.key not in seen:
                seen.add(piece.key)
                best = _better(best, piece, index, from_pixels)
    if best is None:
        message = "a region without voxels has no diameters"
        raise ValueError(message)
    origin = place.origin_mm(best.slice_index)
    longest_mm, perpendicular_mm = best.lengths_mm
    return Diameters(
        longest_mm=longest_mm,
        perpendicular_mm=perpendicular_mm,
        longest_ends_mm=_ends(best.longest, basis, origin),
        perpendicular_ends_mm=_ends(best.perpendicular, basis, origin),
        axis=place.axis,
        slice_index=place.start[place.axis] + best.slice_index,
    )


def _better(best: _Cross | None, piece: Piece, index: int, from_pixels: NDArray[np.float64]) -> _Cross | None:
    """Return the best cross of a piece where it beats the best one so far, else that."""
    longest_mm, perpendicular_mm = (0.0, 0.0) if best is None else best.lengths_mm
    if piece.longest_possible_mm(from_pixels) < longest_mm - _EQUAL_MM:
        return best
    sides = piece.region_sides @ from_pixels.T
    lines = longest_lines(sides)
    length = _length(lines[0])
    if length < longest_mm - _EQUAL_MM:
        return best
    body = piece.body_sides @ from_pixels.T
    for line in lines:
        (x, y), (end_x, end_y) = line
        chord = longest_chord(sides, body, np.array([y - end_y, end_x - x]) / length)
        if length > longest_mm + _EQUAL_MM or _length(chord) > perpendicular_mm + _EQUAL_MM:
            best = _Cross(longest=line, perpendicular=chord, slice_index=index)
            longest_mm, perpendicular_mm = best.lengths_mm
    return best


def _longest_possible_mm(region: NDArray[np.bool_], from_pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an upper bound of the longest line in each slice, millimetres; 0 in empty ones.

    No line is longer than the shape's extent along a direction close to it, divided by the cosine between them.
    """
    angles = np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ from_pixels  # mm along each direction for one pixel
    filled = np.asarray(region.any(axis=2))
    ends = np.stack([region.argmax(axis=2), region.shape[2] - 1 - region[:, :, ::-1].argmax(axis=2)])
    rows = np.arange(region.shape[1])
    longest = np.zeros(region.shape[0])
    for first, second in steps:
        reach = first * rows + second * ends
        high = np.where(filled, reach, -np.inf).max(axis=(0, 2))
        low = np.where(filled, reach, np.inf).min(axis=(0, 2))
        longest = np.maximum(longest, np.where(filled.any(axis=1), high - low + max(abs(first), abs(second)), 0.0))
    return np.asarray(longest / np.cos(np.pi / (2 * _DIRECTIONS)) + _EQUAL_MM)


def _length(line: Line) -> float:
    return float(np.linalg.norm(line[1] - line[0]))


def _ends(line: Line, basis: NDArray[np.float64], origin: NDArray[np.float64]) -> tuple[Point, Point]:
    first, second = (tuple(float(value) for value in origin + basis @ end) for end in line)
    return (first[0], first[1], first[2]), (second[0], second[1], second[2])
