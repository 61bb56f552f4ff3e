"""Lesions of a mask: connected components of the whole tumour, measured in millimetres and millilitres."""

from typing import Final

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from tds_data.report import Lesion, Point
from tds_data.vocabulary import REGION_LABELS, REGIONS, Region
from tds_data.volume import Volume

_CONNECTIVITY: Final = 26
_FLAT: Final = 1e-9


def find_lesions(mask: Volume) -> tuple[Lesion, ...]:
    """Return the lesions of a mask, largest first.

    Voxels that touch by a face, an edge or a corner belong to one lesion.

    Args:
        mask: Labels 0 to 3.
    """
    components, order, boxes = _components(mask)
    return tuple(
        _measure(number, int(component), components, mask, boxes[component])
        for number, component in enumerate(order, start=1)
    )


def map_lesions(mask: Volume) -> NDArray[np.uint32]:
    """Return the number of the lesion that each voxel belongs to, as `find_lesions` counts them; 0 outside.

    Args:
        mask: Labels 0 to 3.
    """
    components, order, _ = _components(mask)
    numbers = np.zeros(len(order) + 1, np.uint32)
    numbers[order] = np.arange(1, len(order) + 1)
    return np.asarray(numbers[components])


def _components(mask: Volume) -> tuple[NDArray[np.generic], NDArray[np.int64], NDArray[np.int64]]:
    """Return the connected components, their numbers from the largest to the smallest, and their boxes."""
    labels = np.ascontiguousarray(mask.voxels, dtype=np.uint8)
    components = cc3d.connected_components((labels > 0).astype(np.uint8), connectivity=_CONNECTIVITY)
    statistics = cc3d.statistics(components, no_slice_conversion=True)
    sizes = np.asarray(statistics["voxel_counts"], dtype=np.int64)[1:]
    order = np.argsort(-sizes, kind="stable") + 1
    return components, order, np.asarray(statistics["bounding_boxes"], dtype=np.int64)


def drop_small_lesions(labels: NDArray[np.uint8], min_voxels: float) -> NDArray[np.uint8]:
    """Return the mask without lesions that have fewer voxels than asked for.

    Args:
        labels: Uint8 array of shape (x, y, z), labels 0 to 3.
        min_voxels: Smallest number of voxels that is kept.
    """
    if min_voxels <= 1:
        return labels
    components, count = cc3d.connected_components(
        (labels > 0).astype(np.uint8), connectivity=_CONNECTIVITY, return_N=True
    )
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    small = sizes < min_voxels
    small[0] = False
    return np.where(small[components], np.uint8(0), labels)


def region_volumes_ml(labels: NDArray[np.generic], voxel_volume_ml: float) -> dict[Region, float]:
    """Return the millilitres of each region.

    Args:
        labels: Array of labels 0 to 3.
        voxel_volume_ml: Volume of one voxel in millilitres.
    """
    counts = np.bincount(labels.ravel().astype(np.uint8, copy=False), minlength=4)
    return {r: float(sum(counts[label] for label in REGION_LABELS[r]) * voxel_volume_ml) for r in REGIONS}


def _measure(
    number: int, component: int, components: NDArray[np.generic], mask: Volume, box: NDArray[np.int64]
) -> Lesion:
    slices = tuple(slice(int(a), int(b) + 1) for a, b in zip(box[::2], box[1::2], strict=True))
    inside = components[slices] == component
    start = np.array([s.start for s in slices])
    indices = np.argwhere(inside) + start
    places = indices @ mask.ras_from_voxel[:3, :3].T + mask.ras_from_voxel[:3, 3]
    half = np.abs(mask.ras_from_voxel[:3, :3]).sum(axis=1) / 2
    labels = np.where(inside, mask.voxels[slices], 0)
    return Lesion(
        number=number,
        centroid_mm=_point(places.mean(axis=0)),
        bounding_box_mm=(_point(places.min(axis=0) - half), _point(places.max(axis=0) + half)),
        longest_diameter_mm=longest_diameter_mm(inside, mask.ras_from_voxel),
        volume_ml=region_volumes_ml(labels, mask.voxel_volume_ml),
    )


def longest_diameter_mm(inside: NDArray[np.bool_], ras_from_voxel: NDArray[np.float64]) -> float:
    """Return the largest distance between two voxel centres of a lesion, in millimetres, in 3D.

    Args:
        inside: Boolean array of shape (x, y, z) with at least one true voxel.
        ras_from_voxel: Affine of the array; only its axes matter.
    """
    corners = _extremes(inside)
    points = corners[_hull(corners)] @ ras_from_voxel[:3, :3].T
    return float(pdist(points).max(initial=0.0))


def _extremes(inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first and last true voxel along z of every column; the convex hull has no other corners."""
    x, y = np.nonzero(inside.any(axis=2))
    columns = inside[x, y]
    first = columns.argmax(axis=1)
    last = columns.shape[1] - 1 - columns[:, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([x, y, first], axis=1), np.stack([x, y, last], axis=1)])


def _hull(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which points span the convex hull, in as many dimensions as they fill.

    Works on voxel indices, where flat is exactly flat; an affine keeps the corners of a hull.
    """
    centred = indices - indices.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    dimensions = int(np.count_nonzero(spread > _FLAT * max(1.0, spread[0])))
    along = centred @ axes[:dimensions].T
    if dimensions == 0:
        return np.zeros(1, np.int64)
    if dimensions == 1:
        return np.array([along.argmin(), along.argmax()])
    return np.asarray(ConvexHull(along).vertices, dtype=np.int64)


def _point(values: NDArray[np.float64]) -> Point:
    x, y, z = (round(float(v), 3) for v in values)
    return x, y, z
