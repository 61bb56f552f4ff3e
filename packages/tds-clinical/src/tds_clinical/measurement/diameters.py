"""The longest diameter of a lesion in a slice and the longest one at right angles to it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tds_data.report import LesionReport, Point
from tds_data.vocabulary import Region
from tds_data.volume import Volume


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
    """
    raise NotImplementedError
