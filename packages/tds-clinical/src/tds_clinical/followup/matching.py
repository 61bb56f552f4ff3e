"""Which lesions of two time points are the same.

1. Two lesions are linked if their overlap is at least a tenth of the smaller one.
2. A lesion that is linked to none is linked to the nearest of the other time point, if their surfaces are no further
   apart than the reach (3 mm by default: what registration and the outlines may be off).
3. Lesions that hang together by links are one change: one and one `matched`, one that became several `split`, several
   that became one `merged`; those without a link are `new` or `gone`.

By the second rule two neighbours that overlap with their own predecessors are not taken for a merger however close
they lie, and a piece that broke off next to its parent is not taken for new.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from tds_clinical.followup.model import ChangeKind
from tds_data.geometry import Interpolation
from tds_data.raw.resampling import resample_to
from tds_data.volume import Volume

MIN_OVERLAP: Final = 0.1
"""Share of the smaller lesion that two must have in common to be linked."""

Link = tuple[int, int]
"""Number of a lesion at the earlier time point, and at the later one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionSpace:
    """The lesions of one time point and where they are.

    Attributes:
        lesions: Number of the lesion of each voxel, on the grid of its mask.
        numbers: The numbers.
    """

    lesions: Volume
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Lesions that hang together.

    Attributes:
        kind: What became of them.
        before: Numbers at the earlier time point.
        after: Numbers at the later one.
    """

    kind: ChangeKind
    before: tuple[int, ...]
    after: tuple[int, ...]


def find_links(
    before: LesionSpace, after: LesionSpace, after_from_before: NDArray[np.float64], reach_mm: float
) -> tuple[Link, ...]:
    """Return which lesions of two time points are the same, by the rules of the module.

    Args:
        before: The earlier time point.
        after: The later one.
        after_from_before: Matrix of shape (4, 4) from the earlier one's RAS+ millimetres to the later one's.
        reach_mm: Largest distance between surfaces.
    """
    moved = resample_to(before.lesions, after.lesions, after_from_before, interpolation=Interpolation.NEAREST)
    links = set(_overlaps(moved.voxels, after.lesions.voxels))
    lone_before = [number for number in before.numbers if number not in {link[0] for link in links}]
    lone_after = [number for number in after.numbers if number not in {link[1] for link in links}]
    if not (lone_before or lone_after) or not (before.numbers and after.numbers):
        return tuple(sorted(links))
    clouds_before, clouds_after = _surfaces(before, after_from_before), _surfaces(after, np.eye(4))
    for number in lone_before:
        near = _nearest(clouds_before[number], clouds_after, reach_mm)
        if near is not None:
            links.add((number, near))
    for number in lone_after:
        near = _nearest(clouds_after[number], clouds_before, reach_mm)
        if near is not None:
            links.add((near, number))
    return tuple(sorted(links))


def group_links(links: Sequence[Link], before: Sequence[int], after: Sequence[int]) -> tuple[Group, ...]:
    """Return the lesions that hang together, each with what became of it; ordered by the later numbers, gone ones last.

    Args:
        links: Which are the same.
        before: Numbers at the earlier time point.
        after: Numbers at the later one.
    """
    rows = [before.index(first) for first, _ in links]
    columns = [len(before) + after.index(second) for _, second in links]
    size = len(before) + len(after)
    graph = coo_array((np.ones(len(links)), (rows, columns)), shape=(size, size))
    count, parts = connected_components(graph, directed=False)
    groups = []
    for part in range(count):
        members = np.flatnonzero(parts == part).tolist()
        old = tuple(before[index] for index in members if index < len(before))
        new = tuple(after[index - len(before)] for index in members if index >= len(before))
        groups.append(Group(kind=_kind(len(old), len(new)), before=old, after=new))
    return tuple(sorted(groups, key=lambda group: (not group.after, group.after, group.before)))


def is_inside(places_mm: NDArray[np.float64], grid: Volume) -> NDArray[np.bool_]:
    """Tell which places lie in the box of a grid's voxels, shape (n,).

    Args:
        places_mm: RAS+ millimetres, shape (n, 3).
        grid: The grid.
    """
    back = np.linalg.inv(grid.ras_from_voxel)
    voxels = places_mm @ back[:3, :3].T + back[:3, 3]
    # Voxel n reaches from n - 0.5 to n + 0.5, so the box is the shape around its middle.
    return np.asarray((np.abs(2 * voxels + 1 - grid.shape) <= grid.shape).all(axis=1))


def _kind(before: int, after: int) -> ChangeKind:
    if not before:
        return ChangeKind.NEW
    if not after:
        return ChangeKind.GONE
    if before == after == 1:
        return ChangeKind.MATCHED
    return ChangeKind.SPLIT if after > before else ChangeKind.MERGED


def _overlaps(before: NDArray[np.generic], after: NDArray[np.generic]) -> list[Link]:
    both = (before != 0) & (after != 0)
    pairs, shared = np.unique(np.stack([before[both], after[both]], axis=1), axis=0, return_counts=True)
    sizes_before, sizes_after = np.bincount(before.ravel()), np.bincount(after.ravel())
    return [
        (int(first), int(second))
        for (first, second), count in zip(pairs, shared, strict=True)
        if count >= MIN_OVERLAP * min(sizes_before[first], sizes_after[second])
    ]


def _surfaces(space: LesionSpace, matrix: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """Return the middles of the outer faces of each lesion's voxels after a move, RAS+ millimetres, shape (n, 3)."""
    boxes = ndimage.find_objects(np.asarray(space.lesions.voxels))
    affine = matrix @ space.lesions.ras_from_voxel
    clouds = {}
    for number in space.numbers:
        box = boxes[number - 1]
        faces = _faces(np.asarray(space.lesions.voxels[box] == number)) + [part.start for part in box]
        clouds[number] = np.asarray(faces @ affine[:3, :3].T + affine[:3, 3])
    return clouds


def _faces(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    padded = np.pad(inside, 1)
    faces = []
    for axis in range(3):
        for step in (1, -1):
            outer = padded & ~np.roll(padded, -step, axis=axis)
            faces.append(np.argwhere(outer) - 1 + step / 2 * np.eye(3)[axis])
    return np.concatenate(faces)


def _nearest(cloud: NDArray[np.float64], others: dict[int, NDArray[np.float64]], reach_mm: float) -> int | None:
    tree = cKDTree(cloud)
    distances = {number: float(tree.query(other)[0].min()) for number, other in others.items()}
    number = min(distances, key=lambda key: (distances[key], key))
    return number if distances[number] <= reach_mm else None
