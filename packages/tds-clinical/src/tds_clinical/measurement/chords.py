"""The longest line across a polygon, and the longest chord at right angles to it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

Segments = NDArray[np.float64]
"""Sides of a polygon, millimetres, shape (n, 2 ends, 2 axes)."""

Line = NDArray[np.float64]
"""Two ends, millimetres, shape (2 ends, 2 axes)."""

_EQUAL_MM: Final = 1e-6
_MIN_GAP_MM: Final = 1e-5
_STEP: Final = 1e-4  # share of the gap between corners by which a line stands beside one


def longest_lines(sides: Segments) -> list[Line]:
    """Return the lines between the two points of an outline that lie furthest apart; several if they are equal.

    Args:
        sides: The outline; not all on one line.
    """
    points = sides.reshape(-1, 2)
    corners = points[ConvexHull(points).vertices]
    distances = squareform(pdist(corners))
    first, second = np.nonzero(np.triu(distances >= distances.max() - _EQUAL_MM))
    return [corners[[a, b]] for a, b in zip(first, second, strict=True)]


def longest_chord(region: Segments, body: Segments, direction: NDArray[np.float64]) -> Line:
    """Return the longest line along a direction whose ends lie on a region's outline and which stays in a body.

    Between two neighbouring corners the length of a chord is linear in where it stands, so the longest one stands
    right beside a corner.

    Args:
        region: The region's outline.
        body: The outline of what holds it, without holes.
        direction: Unit vector of shape (2,).
    """
    frame = np.stack([direction, np.array([-direction[1], direction[0]])])
    region_sides, body_sides = region @ frame.T, body @ frame.T
    stands = _beside_corners(np.concatenate([region_sides, body_sides])[..., 1].ravel())
    through, inner = _crossings(body_sides, stands), _crossings(region_sides, stands)
    least = through.beside.min() - 1.0  # the region lies within the body
    width = through.beside.max() - least + 1.0
    keys, inner_keys = through.keys(least, width), inner.keys(least, width)
    # Each line crosses the body an even number of times: it enters, it leaves.
    first = np.searchsorted(inner_keys, keys[0::2] - _EQUAL_MM)
    last = np.searchsorted(inner_keys, keys[1::2] + _EQUAL_MM) - 1
    holds = np.flatnonzero(first < last)
    lengths = inner.place[last[holds]] - inner.place[first[holds]]
    best = holds[lengths.argmax()]
    stand = stands.corner[through.line[0::2][best]]
    ends = np.array([[inner.place[first[best]], stand], [inner.place[last[best]], stand]])
    return np.asarray(ends @ frame)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stands:
    """Lines right beside corners, and the corners: what a line crosses is asked beside, where it does at the corner."""

    beside: NDArray[np.float64]
    corner: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Crossings:
    """Where lines cross an outline, ordered by line and place: beside the corner, and in the limit at it."""

    line: NDArray[np.intp]
    beside: NDArray[np.float64]
    place: NDArray[np.float64]

    def keys(self, least: float, width: float) -> NDArray[np.float64]:
        """One rising number for each crossing, line after line."""
        return np.asarray(self.line * width + (self.beside - least))


def _beside_corners(places: NDArray[np.float64]) -> _Stands:
    corners = np.sort(places)
    gaps = np.diff(corners)
    low, gap = corners[:-1][gaps > _MIN_GAP_MM], gaps[gaps > _MIN_GAP_MM]
    return _Stands(
        beside=np.stack([low + _STEP * gap, low + (1 - _STEP) * gap], axis=1).ravel(),
        corner=np.stack([low, low + gap], axis=1).ravel(),
    )


def _crossings(sides: Segments, stands: _Stands) -> _Crossings:
    (along_a, across_a), (along_b, across_b) = sides[:, 0].T, sides[:, 1].T
    first = np.searchsorted(stands.beside, np.minimum(across_a, across_b))
    count = np.searchsorted(stands.beside, np.maximum(across_a, across_b)) - first
    side = np.repeat(np.arange(count.size), count)
    line = np.arange(side.size) - np.repeat(np.cumsum(count) - count, count) + first[side]
    slope = (along_b - along_a)[side] / (across_b - across_a)[side]
    beside = along_a[side] + (stands.beside[line] - across_a[side]) * slope
    order = np.lexsort((beside, line))
    place = along_a[side] + (stands.corner[line] - across_a[side]) * slope
    return _Crossings(line=line[order], beside=beside[order], place=place[order])
