"""Distances between points of one lattice.

Most points of two surfaces lie close to each other. Neighbours on the lattice are therefore looked up first, nearest
first, and only points that have none within reach are looked up in a tree. A percentile needs few of those: two
points' distances differ by no more than the points are apart, so the middles of blocks bound all points in them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tds_core.metrics.masks import Spacing

Floats = NDArray[np.float64]

Span = Callable[[Floats], tuple[float, float]]
"""Gives the lowest and highest of the distances that a figure is made of, such as those next to a percentile."""

_NEIGHBOURS: Final = 123
"""Lattice points within reach, about; those within three voxels, if all sides are equal."""

_ABOVE: Final = 1.000001
"""What a length is raised by so that rounding takes no equal one away."""

_LEAF: Final = 64
"""Points in a leaf of the tree: many, because it is built for one set of questions."""

_FEW: Final = 200
"""Points that are looked up in the tree without bounding them first."""


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


@lru_cache(maxsize=64)
def shells_within(spacing_mm: Spacing, longest_mm: float) -> tuple[Shell, ...]:
    """Return the steps that are at most so long, shortest first.

    Args:
        spacing_mm: Distance of neighbours along each axis.
        longest_mm: Longest step.
    """
    most = [int(longest_mm / size) for size in spacing_mm]
    steps = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.sqrt(np.square(steps * np.array(spacing_mm)).sum(axis=1))
    kept = lengths <= longest_mm
    steps, lengths = steps[kept], lengths[kept]
    return tuple(Shell(steps=steps[lengths == length], length_mm=float(length)) for length in np.unique(lengths))


def reach_mm(spacing_mm: Spacing) -> float:
    """Return how far neighbours are looked up one by one.

    Args:
        spacing_mm: Distance of neighbours along each axis.
    """
    return _ABOVE * math.cbrt(_NEIGHBOURS * math.prod(spacing_mm) * 0.75 / math.pi)


def margin_for(spacing_mm: Spacing) -> tuple[int, int, int]:
    """Return how many false voxels `near_mm` needs around the points along each axis.

    Args:
        spacing_mm: Distance of neighbours along each axis.
    """
    x, y, z = (int(reach_mm(spacing_mm) / size) + 1 for size in spacing_mm)
    return x, y, z


def near_mm(here: Points, there: Points, longest_mm: float) -> Floats:
    """Return the distance from each point to the closest other point, infinite where none is so near.

    Args:
        here: The points to measure from.
        there: The points to measure to, in an array of the same shape.
        longest_mm: How far to look, at most `reach_mm`.
    """
    distances = np.full(here.places.size, np.inf)
    held = there.held.ravel()
    rest = np.arange(here.places.size)
    places = here.places
    _, rows, columns = here.held.shape
    for shell in shells_within(here.spacing_mm, longest_mm):
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


def all_mm(here: Points, there: Points) -> Floats:
    """Return the distance from each point to the closest other point.

    Args:
        here: The points to measure from.
        there: The points to measure to, at least one, in an array of the same shape.
    """
    distances = near_mm(here, there, reach_mm(here.spacing_mm))
    far = np.flatnonzero(np.isinf(distances))
    if far.size:
        distances[far] = _tree(there).query(_mm(here.places[far], here))[0]
    return distances


def settled_mm(here: Points, there: Points, span: Span, *, least_mm: float = 0.0) -> Floats:
    """Return distances that give the same figure as those of `all_mm`; those that do not matter may be off.

    Args:
        here: The points to measure from.
        there: The points to measure to, at least one, in an array of the same shape.
        span: Which distances the figure is made of.
        least_mm: A figure of less than this need not be right, as long as it stays less.
    """
    reach = reach_mm(here.spacing_mm)
    upper = near_mm(here, there, reach)
    far = np.flatnonzero(np.isinf(upper))
    lower = np.minimum(upper, reach)
    if not far.size or span(upper)[1] <= reach:
        return lower
    tree = _tree(there)
    high = math.inf
    if far.size > _FEW:
        lower[far], upper[far] = _bounds(_mm(here.places[far], here), tree, reach)
        low, high = span(lower)[0], _ABOVE * span(upper)[1]
        if high < least_mm:
            return lower
        # whoever cannot be one of the distances stays on its side of them
        far = far[(upper[far] >= low) & (lower[far] <= high)]
    lower[far] = tree.query(_mm(here.places[far], here), distance_upper_bound=high)[0]
    return lower


def _bounds(places_mm: Floats, tree: cKDTree, reach: float) -> tuple[Floats, Floats]:
    """Return lowest and highest possible distances to a tree, measured from the middles of blocks of points."""
    x, y, z = (places_mm / reach).astype(np.int64).T
    shape = (int(x.max()) + 1, int(y.max()) + 1, int(z.max()) + 1)
    blocks, block = np.unique(np.ravel_multi_index((x, y, z), shape), return_inverse=True)
    middles = (np.stack(np.unravel_index(blocks, shape), axis=1) + 0.5) * reach
    known = tree.query(middles)[0][block]
    apart = np.sqrt(np.square(places_mm - middles[block]).sum(axis=1))
    return np.maximum(known - apart, reach), known + apart


def _tree(points: Points) -> cKDTree:
    return cKDTree(_mm(points.places, points), leafsize=_LEAF, balanced_tree=False, compact_nodes=False)


def _mm(places: NDArray[np.int64], points: Points) -> Floats:
    indices = np.stack(np.unravel_index(places, points.held.shape), axis=1)
    return np.asarray(indices * np.array(points.spacing_mm))
