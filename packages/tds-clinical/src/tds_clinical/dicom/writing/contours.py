"""Outlines of voxels, slice by slice: the polygons of a structure set.

The outline of a region follows the edges of its pixels, drawn inwards by `INSET` of a pixel. Thus every centre of a
pixel is clearly inside or outside, regions that touch at a corner only stay apart, no polygon meets itself, and readers
that round points to pixels draw the same region. Pixels belong together across edges, holes across corners as well.

Holes are joined to the outline around them by a channel without width, or are polygons of their own (PS3.3, section
C.8.8.6.3). The channel runs between two rows of pixels, so it meets no centre.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

INSET: Final = 1e-3
"""How far inside the edges of its pixels an outline runs, in pixels."""

Indices = NDArray[np.int64]

_STEP_X: Final = np.array([1, 0, -1, 0])
_STEP_Y: Final = np.array([0, 1, 0, -1])
_INWARDS: Final = np.array([(0, 1), (-1, 0), (0, -1), (1, 0)])
_TURNS: Final = (1, 0, 3)  # towards the region first: pixels that touch at a corner only are not joined
_DIRECTIONS: Final = 4


class HoleStyle(StrEnum):
    """How a hole is told from what is around it."""

    KEYHOLE = "keyhole"
    XOR = "xor"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outline:
    """One closed polygon.

    Attributes:
        slice_index: Index of its slice.
        points: Columns and rows of its corners, shape (n, 2), in voxels: the first voxel's centre is (0, 0). The first
            corner is not repeated. Outer polygons have a positive area (x to y), holes a negative one.
    """

    slice_index: int
    points: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Signed area, square pixels."""
        x, y = self.points.T
        return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2.0

    @property
    def is_hole(self) -> bool:
        """Whether the region is outside of it."""
        return self.area < 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Edges:
    """Edges of pixels along the rim of a region, each with the region to its right, y downwards.

    Attributes:
        x: Column of the corner where each begins, shape (n,).
        y: Its row.
        z: Its slice.
        direction: 0 to 3: along x, along y, against x, against y.
        following: Index of the edge that comes next.
    """

    x: Indices
    y: Indices
    z: Indices
    direction: Indices
    following: Indices


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Corners:
    """Corners of polygons, each the head of a list.

    Attributes:
        points: Columns and rows, moved inwards, shape (n, 2).
        z: Slice of each, shape (n,).
        kept: Whether the polygon needs it, shape (n,).
        following: Index of the one that comes next.
    """

    points: NDArray[np.float64]
    z: Indices
    kept: NDArray[np.bool_]
    following: Indices


def outline_region(
    region: NDArray[np.bool_], *, holes: HoleStyle = HoleStyle.KEYHOLE, first: tuple[int, int, int] = (0, 0, 0)
) -> tuple[Outline, ...]:
    """Return the outlines of a region in each slice, slice by slice.

    Args:
        region: Where it is, shape (columns, rows, slices).
        first: Column, row and slice of its first voxel, where it is a part of a volume.
        holes: How holes are written: one polygon for each connected piece of a slice, or polygons of their own.

    Returns:
        Polygons without three points on a line, save where a channel begins. None at all for an empty region.

    Examples:
        >>> region = np.zeros((3, 3, 2), bool)
        >>> region[1, :, 1] = True
        >>> [(outline.slice_index, len(outline.points), round(outline.area, 1)) for outline in outline_region(region)]
        [(1, 4, 3.0)]
    """
    if not region.any():
        return ()
    spans = [_span(np.flatnonzero(region.any(axis=other))) for other in ((1, 2), (0, 2), (0, 1))]
    box = region[tuple(slice(begin, end) for begin, end in spans)]
    edges = _edges(np.ascontiguousarray(box.transpose(2, 1, 0)))
    corners = _corners(edges)
    if holes is HoleStyle.KEYHOLE:
        corners = _join_holes(edges, corners)
    left, top, lowest = (begin + offset for (begin, _), offset in zip(spans, first, strict=True))
    return tuple(_polygons(corners, np.array([left, top]), lowest))


def _span(places: Indices) -> tuple[int, int]:
    return int(places[0]), int(places[-1]) + 1


def _edges(region: NDArray[np.bool_]) -> _Edges:
    slices, rows, columns = region.shape
    corners = (slices, rows + 1, columns + 1)
    padded = np.pad(region, ((0, 0), (1, 1), (1, 1)))
    outside = (padded[:, :-2, 1:-1], padded[:, 1:-1, 2:], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2])
    begins = ((0, 0), (0, 1), (1, 1), (1, 0))  # row and column of the corner where each side of a pixel begins
    found = []
    for side, (neighbour, (down, right)) in enumerate(zip(outside, begins, strict=True)):
        z, y, x = np.nonzero(region & ~neighbour)
        found.append(np.ravel_multi_index((z, y + down, x + right), corners) * _DIRECTIONS + side)
    names = np.sort(np.concatenate(found))
    z, y, x = np.unravel_index(names // _DIRECTIONS, corners)
    direction = names % _DIRECTIONS
    ends = np.ravel_multi_index((z, y + _STEP_Y[direction], x + _STEP_X[direction]), corners)
    return _Edges(x=x, y=y, z=z, direction=direction, following=_following(names, ends, direction))


def _following(names: Indices, ends: Indices, direction: Indices) -> Indices:
    following = np.full(names.size, -1)
    for turn in reversed(_TURNS):
        wanted = ends * _DIRECTIONS + (direction + turn) % _DIRECTIONS
        place = np.searchsorted(names, wanted).clip(max=names.size - 1)
        following = np.where(names[place] == wanted, place, following)
    return following


def _corners(edges: _Edges) -> _Corners:
    preceding = _inverse(edges.following)
    before, after = edges.direction[preceding], edges.direction
    bends = before != after
    shift = np.where(bends[:, None], _INWARDS[before] + _INWARDS[after], _INWARDS[after])
    points = np.stack([edges.x, edges.y], axis=1) - 0.5 + INSET * shift
    return _Corners(points=points, z=edges.z, kept=bends, following=edges.following)


def _join_holes(edges: _Edges, corners: _Corners) -> _Corners:
    """Return the corners with each hole joined to what is left of it by a channel there and back.

    A hole's first corner, row by row, has the region on its left and above it. The rim corner nearest on its left is
    therefore the one before it in order. It is the only one at its place, and belongs to the outer rim or to a hole
    with an earlier first corner, so that the holes hang together as trees.
    """
    count = corners.z.size
    ones = np.ones(count, np.int8)
    _, loop = connected_components(coo_array((ones, (np.arange(count), edges.following))), directed=False)
    area = np.bincount(loop, weights=edges.x * _STEP_Y[edges.direction])
    _, firsts = np.unique(loop, return_index=True)
    hole = firsts[area < 0]
    rim = hole - 1
    hole_again = count + np.arange(hole.size)
    rim_again = hole_again + hole.size
    following = np.concatenate([edges.following, rim_again, edges.following[rim]])
    following[_inverse(edges.following)[hole]] = hole_again
    following[rim_again] = following[rim]
    following[rim] = hole
    copied = np.concatenate([np.arange(count), hole, rim])
    kept = corners.kept[copied]
    kept[np.concatenate([hole, rim, hole_again, rim_again])] = True
    return _Corners(points=corners.points[copied], z=corners.z[copied], kept=kept, following=following)


def _polygons(corners: _Corners, origin: Indices, lowest: int) -> Iterator[Outline]:
    order, begins = _walk(corners.following.tolist())
    kept = corners.kept[order]
    points = corners.points[order][kept] + origin
    slices = corners.z[order][begins] + lowest
    cuts = np.concatenate([[0], np.cumsum(kept)])[begins]
    for slice_index, polygon in zip(slices.tolist(), np.split(points, cuts[1:]), strict=True):
        yield Outline(slice_index=slice_index, points=polygon)


def _walk(following: list[int]) -> tuple[list[int], list[int]]:
    """Return the corners loop by loop, and where in that order each loop begins."""
    order: list[int] = []
    begins: list[int] = []
    seen = bytearray(len(following))
    for first in range(len(following)):
        if seen[first]:
            continue
        begins.append(len(order))
        corner = first
        while not seen[corner]:
            seen[corner] = 1
            order.append(corner)
            corner = following[corner]
    return order, begins


def _inverse(following: Indices) -> Indices:
    preceding = np.empty_like(following)
    preceding[following] = np.arange(following.size)
    return preceding
