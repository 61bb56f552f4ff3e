"""Boxes of voxels. Apart from `tds_data.geometry`, so that whoever cuts boxes need not wait for what resamples them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]
"""Voxels along x, y, z."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A half-open box of voxel indices.

    Attributes:
        start: First index along each axis.
        stop: One past the last index along each axis.
    """

    start: Shape
    stop: Shape

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index expression."""
        x, y, z = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return x, y, z

    @property
    def shape(self) -> Shape:
        """Voxels along each axis."""
        x, y, z = (b - a for a, b in zip(self.start, self.stop, strict=True))
        return x, y, z


def bounding_box(mask: NDArray[np.bool_]) -> Box | None:
    """Return the smallest box around the true voxels, or `None` if there is none.

    Args:
        mask: Boolean array of shape (x, y, z).
    """
    start, stop = [], []
    for axis in range(3):
        hits = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if hits.size == 0:
            return None
        start.append(int(hits[0]))
        stop.append(int(hits[-1]) + 1)
    return Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))
