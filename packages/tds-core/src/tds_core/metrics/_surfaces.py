"""Surfaces of two masks, and how far each point of one is from the other."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tds_core.metrics._nearest import Floats, Points, Span, all_mm, near_mm, reach_mm, settled_mm
from tds_core.metrics._surface_elements import element_areas_mm2, element_codes
from tds_core.metrics.masks import Mask, MaskPair


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure that is made of the distances of a surface's points.

    Attributes:
        value: Gives the figure.
        span: Gives the lowest and highest of the distances that it depends on.
    """

    value: Callable[[Floats], float]
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Surfaces:
    """The surfaces of two masks on one lattice.

    Attributes:
        found: Points of the surface to judge.
        truth: Points of the reference's surface.
        found_mm2: Area of each point of the first, square millimetres.
        truth_mm2: Area of each point of the second.
    """

    found: Points
    truth: Points
    found_mm2: Floats
    truth_mm2: Floats

    @property
    def empty(self) -> bool:
        """Whether a surface has no point."""
        return not (self.found.places.size and self.truth.places.size)

    @property
    def both_empty(self) -> bool:
        """Whether neither surface has a point."""
        return not (self.found.places.size or self.truth.places.size)

    def distance_of_empty(self, empty_mm: float) -> float:
        """Return the distance when a surface is empty.

        Args:
            empty_mm: The distance if only one is.
        """
        return 0.0 if self.both_empty else empty_mm

    def distances_mm(self) -> tuple[Floats, Floats]:
        """Return the distance of each point of the first to the second, and of each of the second to the first."""
        return all_mm(self.found, self.truth), all_mm(self.truth, self.found)

    def larger_mm(self, found: Figure, truth: Figure) -> float:
        """Return the larger of two figures, each of the distances of one surface's points to the other.

        Args:
            found: What is made of the distances of the first surface's points.
            truth: What is made of those of the second's.
        """
        there = found.value(settled_mm(self.found, self.truth, found.span))
        return max(there, truth.value(settled_mm(self.truth, self.found, truth.span, least_mm=there)))

    def within(self, longest_mm: float) -> tuple[Mask, Mask]:
        """Return which points of the first are so near to the second, and which of the second to the first.

        Args:
            longest_mm: The largest distance.
        """
        if longest_mm > reach_mm(self.found.spacing_mm):
            there, back = self.distances_mm()
        else:
            there = near_mm(self.found, self.truth, longest_mm)
            back = near_mm(self.truth, self.found, longest_mm)
        return there <= longest_mm, back <= longest_mm


def voxel_surfaces(pair: MaskPair) -> Surfaces:
    """Return the surface voxels: those with a face neighbour outside the mask, each of the same area.

    Args:
        pair: The masks.
    """
    found, truth = (_points(_surface_voxels(mask), pair) for mask in (pair.found, pair.truth))
    return Surfaces(
        found=found, truth=truth, found_mm2=np.ones(found.places.size), truth_mm2=np.ones(truth.places.size)
    )


def element_surfaces(pair: MaskPair) -> Surfaces:
    """Return the surface elements between voxels, with their areas.

    Args:
        pair: The masks.
    """
    areas = element_areas_mm2(pair.spacing_mm)
    codes = [element_codes(mask) for mask in (pair.found, pair.truth)]
    found, truth = (_points((code != 0) & (code != code.dtype.type(-1 % 256)), pair) for code in codes)
    found_mm2, truth_mm2 = (areas[code.ravel()[p.places]] for code, p in zip(codes, (found, truth), strict=True))
    return Surfaces(found=found, truth=truth, found_mm2=found_mm2, truth_mm2=truth_mm2)


def _points(held: Mask, pair: MaskPair) -> Points:
    return Points(held=held, places=np.flatnonzero(held), spacing_mm=pair.spacing_mm)


def _surface_voxels(mask: Mask) -> Mask:
    surface = np.zeros_like(mask)
    core = mask[1:-1, 1:-1, 1:-1]
    hidden = mask[:-2, 1:-1, 1:-1] & mask[2:, 1:-1, 1:-1]
    for axis in (1, 2):
        for cut in (slice(None, -2), slice(2, None)):
            window = [slice(1, -1)] * 3
            window[axis] = cut
            hidden &= mask[tuple(window)]
    np.greater(core, hidden, out=surface[1:-1, 1:-1, 1:-1])
    return surface
