"""Outlines of flat masks: the polygon halfway between the pixels inside and those outside.

This is the surface on which the Image Biomarker Standardisation Initiative measures diameters (Zwanenburg et al. 2020,
Radiology 295(2), 328-338, maximum 3D diameter), in the plane: a row of n pixels is n pixels long, as a radiologist
draws it from edge to edge, and one pixel is one pixel wide along either axis. Pixels that touch by a corner belong
together, as voxels of one lesion do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_TOUCHING: Final = np.ones((3, 3), bool)

# Which sides of a cell of four neighbouring pixels the outline joins, by which of the corners (first: 1, next along
# the first axis: 2, next along the second: 4, both: 8) are inside. Sides are named by their middle.
_LOW_SECOND, _LOW_FIRST, _HIGH_FIRST, _HIGH_SECOND = (0.5, 0.0), (0.0, 0.5), (1.0, 0.5), (0.5, 1.0)
_SIDES: Final = (
    ((1, 6, 14), _LOW_FIRST, _LOW_SECOND),
    ((2, 9, 13), _LOW_SECOND, _HIGH_FIRST),
    ((4, 9, 11), _LOW_FIRST, _HIGH_SECOND),
    ((6, 7, 8), _HIGH_FIRST, _HIGH_SECOND),
    ((3, 12), _LOW_FIRST, _HIGH_FIRST),
    ((5, 10), _LOW_SECOND, _HIGH_SECOND),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """A connected part of a region in one slice.

    Attributes:
        start: First pixel of the box that it was cut from.
        region: What is measured in the box, boolean.
        body: What a line may run through, without holes; holds the region.
    """

    start: tuple[int, int]
    region: NDArray[np.bool_]
    body: NDArray[np.bool_]

    @property
    def key(self) -> bytes:
        """The same for pieces of the same form, wherever they lie."""
        return b"%d %d " % self.region.shape + self.region.tobytes() + self.body.tobytes()

    @property
    def region_sides(self) -> NDArray[np.float64]:
        """Sides of the outline of what is measured, pixels of the slice, shape (n, 2 ends, 2 axes)."""
        return np.asarray(outline(self.region) + np.array(self.start))

    @property
    def body_sides(self) -> NDArray[np.float64]:
        """Sides of the outline of what a line may run through, likewise."""
        return np.asarray(outline(self.body) + np.array(self.start))

    def longest_possible_mm(self, from_pixels: NDArray[np.float64]) -> float:
        """Return the longer diagonal of the box, which no line exceeds.

        Args:
            from_pixels: Matrix of shape (2, 2) from pixels to millimetres.
        """
        rows, columns = self.region.shape
        diagonals = from_pixels @ np.array([[rows, rows], [columns, -columns]], float)
        return float(np.linalg.norm(diagonals, axis=0).max())


def outline(pixels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the sides of the polygon around some pixels, in pixel indices, shape (n, 2 ends, 2 axes).

    Args:
        pixels: Boolean array of shape (a, b).
    """
    padded = np.pad(pixels, 1).astype(np.uint8)
    codes = padded[:-1, :-1] + 2 * padded[1:, :-1] + 4 * padded[:-1, 1:] + 8 * padded[1:, 1:]
    sides = []
    for inside, start, end in _SIDES:
        cells = np.argwhere(np.isin(codes, inside)) - 1.0
        sides.append(np.stack([cells + start, cells + end], axis=1))
    return np.concatenate(sides)


def split_pieces(region: NDArray[np.bool_], passable: NDArray[np.bool_]) -> Iterator[Piece]:
    """Yield the connected parts of a region in one slice.

    Args:
        region: What is measured, shape (a, b).
        passable: What a line may run through besides what it encloses; holds the region.
    """
    labels, _ = ndimage.label(_without_holes(passable), structure=_TOUCHING)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        body = labels[box] == number
        member = body & region[box]
        if member.any():
            yield Piece(start=(box[0].start, box[1].start), region=member, body=body)


def _without_holes(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    outside, _ = ndimage.label(np.pad(~pixels, 1, constant_values=True))
    return np.asarray(outside[1:-1, 1:-1] != outside[0, 0])
