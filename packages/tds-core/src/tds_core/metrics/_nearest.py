"""Distances between points of one lattice.

Most points of two surfaces lie close to each other. Neighbours on the lattice are therefore looked up first, nearest
first, and only points that have none within reach are looked up in a tree.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tds_core.metrics.masks import Spacing

_NEIGHBOURS: Final = 123
"""Lattice points within reach, about; those within three voxels, if all sides are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Lattice steps of one length.

    Attributes:
        steps: Array of shape (n, 3).
        length_mm: How long they are.
    """

    steps: NDArray[np.int64]
    length_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Points of a lattice.

    Attributes:
        held: Boolean array, true where a point is; false within reach of its ends.
        places: Index of each point in the flat array, ascending.
        spacing_mm: Distance of neighbours along each axis.
    """

    held: NDArray[np.bool_]
    places: NDArray[np.int64]
    spacing_mm: Spacing


@cache
def shells_within(spacing_mm: Spacing, reach_mm: float) -> tuple[Shell, ...]:
    """Return the steps that are at most so long, shortest first.

    Args:
        spacing_mm: Distance of neighbours along each axis.
        reach_mm: Longest step.
    """
    most = [int(reach_mm / size) for size in spacing_mm]
    steps = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.sqrt((np.square(steps * np.array(spacing_mm))).sum(axis=1))
    kept = lengths <= reach_mm
    steps, lengths = steps[kept], lengths[kept]
    return tuple(Shell(steps=steps[lengths == length], length_mm=float(length)) for length in np.unique(lengths))


@cache
def reach_mm(spacing_mm: Spacing) -> float:
    """Return how far neighbours are looked up one by one.

    Args:
        spacing_mm: Distance of neighbours along each axis.
    """
    # a little above the lengths that whole steps have
    return 1.000001 * math.cbrt(_NEIGHBOURS * math.prod(spacing_mm) * 0.75 / math.pi)


@cache
def margin_for(spacing_mm: Spacing) -> tuple[int, int, int]:
    """Return how many false voxels `near_mm` needs around the points along each axis.

    Args:
        spacing_mm: Distance of neighbours along each axis.
    """
    x, y, z = (int(reach_mm(spacing_mm) / size) + 1 for size in spacing_mm)
    return x, y, z


def near_mm(here: Points, there: Points) -> NDArray[np.float64]:
    """Return the distance from each point to the closest other point, infinite where none is within reach.

    Args:
        here: The points to measure from.
        there: The points to measure to, in an array of the same shape.
    """
    distances = np.full(here.places.size, np.inf)
    held = there.held.ravel()
    rest = np.arange(here.places.size)
    places = here.places
    _, rows, columns = here.held.shape
    for shell in shells_within(here.spacing_mm, reach_mm(here.spacing_mm)):
        steps = (shell.steps[:, 0] * rows + shell.steps[:, 1]) * columns + shell.steps[:, 2]
        hit = held[places + steps[0]]
        for step in steps[1:]:
            hit |= held[places + step]
        distances[rest[hit]] = shell.length_mm
        missed = ~hit
        rest, places = rest[missed], places[missed]
        if not rest.size:
            break
    return distances


def with_far_mm(near: NDArray[np.float64], here: Points, there: Points) -> NDArray[np.float64]:
    """Return distances with the infinite ones measured.

    Args:
        near: What `near_mm` returned for these points.
        here: The points to measure from.
        there: The points to measure to, at least one.
    """
    far = ~np.isfinite(near)
    if not far.any():
        return near
    tree = cKDTree(_mm(there.places, there), balanced_tree=False, compact_nodes=False)
    distances = near.copy()
    distances[far] = tree.query(_mm(here.places[far], here))[0]
    return distances


def _mm(places: NDArray[np.int64], points: Points) -> NDArray[np.float64]:
    indices = np.stack(np.unravel_index(places, points.held.shape), axis=1)
    return np.asarray(indices * np.array(points.spacing_mm))
