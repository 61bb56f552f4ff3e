"""The longest line across a polygon, and the longest chord at right angles to it."""

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
    line, place = _crossings(body_sides, stands)  # of each line an even number: it enters, it leaves
    region_line, region_place = _crossings(region_sides, stands)
    least = min(place.min(), region_place.min())
    width = max(place.max(), region_place.max()) - least + 1.0
    keys, region_keys = line * width + (place - least), region_line * width + (region_place - least)
    first = np.searchsorted(region_keys, keys[0::2] - _EQUAL_MM)
    last = np.searchsorted(region_keys, keys[1::2] + _EQUAL_MM) - 1
    holds = np.flatnonzero(first < last)
    lengths = region_place[last[holds]] - region_place[first[holds]]
    best = holds[lengths.argmax()]
    stand = stands[line[0::2][best]]
    ends = np.array([[region_place[first[best]], stand], [region_place[last[best]], stand]])
    return np.asarray(ends @ frame)


def _beside_corners(places: NDArray[np.float64]) -> NDArray[np.float64]:
    corners = np.sort(places)
    gaps = np.diff(corners)
    low, gap = corners[:-1][gaps > _MIN_GAP_MM], gaps[gaps > _MIN_GAP_MM]
    return np.stack([low + _STEP * gap, low + (1 - _STEP) * gap], axis=1).ravel()


def _crossings(sides: Segments, stands: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return which line crosses a side, and where along it, ordered by line and place.

    No line stands on a corner, so each crosses an outline an even number of times.
    """
    (along_a, across_a), (along_b, across_b) = sides[:, 0].T, sides[:, 1].T
    first = np.searchsorted(stands, np.minimum(across_a, across_b))
    count = np.searchsorted(stands, np.maximum(across_a, across_b)) - first
    side = np.repeat(np.arange(count.size), count)
    line = np.arange(side.size) - np.repeat(np.cumsum(count) - count, count) + first[side]
    share = (stands[line] - across_a[side]) / (across_b - across_a)[side]
    place = along_a[side] + share * (along_b - along_a)[side]
    order = np.lexsort((place, line))
    return line[order], place[order]
