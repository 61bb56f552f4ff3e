"""Polygons as pixels."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

ON_PATH: Final = 0.02
"""How near a polygon the centre of a pixel is still on it, in pixels: coordinates are often rounded to 0.01 mm."""

Points = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """The part of a picture around a polygon.

    Attributes:
        window: Its columns and rows.
        inside: Pixels whose centres an odd number of edges lies beside. Those on the polygon may be either.
        on_path: Pixels whose centres lie on the polygon.
    """

    window: tuple[slice, slice]
    inside: NDArray[np.bool_]
    on_path: NDArray[np.bool_]


def rasterise(polygon: Points, shape: tuple[int, int]) -> Patch:
    """Return the pixels of a closed polygon.

    Args:
        polygon: Columns and rows of its corners, shape (n, 2); the centre of the first pixel is (0, 0).
        shape: Columns and rows of the picture. What is outside of it is cut off.
    """
    first = np.floor(polygon.min(axis=0)).clip(0, shape).astype(np.int64)
    stop = (np.ceil(polygon.max(axis=0)) + 1).clip(first, shape).astype(np.int64)
    starts = polygon - first
    ends = np.roll(starts, -1, axis=0)
    columns, rows = (stop - first).tolist()
    on_path = _on_path(starts, ends, (columns, rows))
    on_path |= _on_path(starts[:, ::-1], ends[:, ::-1], (rows, columns)).T
    return Patch(
        window=(slice(first[0], stop[0]), slice(first[1], stop[1])),
        inside=_inside(starts, ends, (columns, rows)),
        on_path=on_path,
    )


def _inside(starts: Points, ends: Points, shape: tuple[int, int]) -> NDArray[np.bool_]:
    columns, rows = shape
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    edge, row = _each_line(np.ceil(low), np.ceil(high), rows)
    start, step = starts[edge], ends[edge] - starts[edge]
    crossing = start[:, 0] + (row - start[:, 1]) / step[:, 1] * step[:, 0]
    column = np.ceil(crossing).clip(0, columns).astype(np.int64)
    flips = np.bincount(row * (columns + 1) + column, minlength=rows * (columns + 1)).reshape(rows, columns + 1)
    return np.asarray((np.cumsum(flips[:, :columns], axis=1) & 1).astype(bool).T)


def _on_path(starts: Points, ends: Points, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the centres on edges, looked for where the edges meet the rows of the picture."""
    columns, rows = shape
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    edge, row = _each_line(np.ceil(low - ON_PATH), np.floor(high + ON_PATH) + 1, rows)
    start, step = starts[edge], ends[edge] - starts[edge]
    level = step[:, 1] == 0
    along = np.where(level, 0.0, (row - start[:, 1]) / np.where(level, 1.0, step[:, 1])).clip(0, 1)
    column = np.rint(start[:, 0] + along * step[:, 0])
    away = np.stack([column, row], axis=1) - start
    length = (step**2).sum(axis=1)
    nearest = ((away * step).sum(axis=1) / np.where(length > 0, length, 1.0)).clip(0, 1)
    distance = np.linalg.norm(away - nearest[:, None] * step, axis=1)
    found = (distance <= ON_PATH) & (column >= 0) & (column < columns)
    picture = np.zeros(shape, bool)
    picture[column[found].astype(np.int64), row[found]] = True
    return picture


def _each_line(first: Points, stop: Points, count: int) -> tuple[Places, Places]:
    """Return every edge with each of the whole numbers that are its own, between 0 and `count`."""
    lowest, highest = (bound.clip(0, count).astype(np.int64) for bound in (first, stop))
    counts = (highest - lowest).clip(0)
    edge = np.repeat(np.arange(counts.size), counts)
    within = np.arange(edge.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return edge, lowest[edge] + within
