"""Distances between the surfaces of two masks.

Empty masks: both empty, the distance is 0 and the surface Dice 1; one empty, the distance is `EMPTY_DISTANCE_MM` (or
what is asked for) and the surface Dice 0.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_core.metrics._nearest import margin_for
from tds_core.metrics._surfaces import Surfaces, element_surfaces, voxel_surfaces
from tds_core.metrics.masks import Mask, MaskPair, Spacing, pair_masks

EMPTY_DISTANCE_MM: Final = 373.13
"""Distance reported when exactly one mask is empty, millimetres: the diagonal of the BraTS field of view."""

_PERCENT: Final = 95.0


def hd95_mm(found: Mask, truth: Mask, spacing_mm: Spacing, *, empty_mm: float = EMPTY_DISTANCE_MM) -> float:
    """Return the 95th percentile Hausdorff distance in millimetres.

    The larger of the two directed 95th percentiles of the distances between surface voxels' centres (Huttenlocher et
    al. 1993). Surface voxels have a face neighbour outside the mask; outside the array counts as outside. Percentiles
    between two distances are interpolated linearly. MONAI's `compute_hausdorff_distance` is defined in the same way.

    Args:
        found: The mask to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis; the axes must be orthogonal.
        empty_mm: The distance if exactly one mask is empty.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    return voxel_hd95_mm(voxel_surfaces(pair_for_distances(found, truth, spacing_mm)), empty_mm)


def hd_mm(found: Mask, truth: Mask, spacing_mm: Spacing, *, empty_mm: float = EMPTY_DISTANCE_MM) -> float:
    """Return the Hausdorff distance in millimetres: the largest of the distances that `hd95_mm` looks at.

    Args:
        found: The mask to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis; the axes must be orthogonal.
        empty_mm: The distance if exactly one mask is empty.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    surfaces = voxel_surfaces(pair_for_distances(found, truth, spacing_mm))
    if surfaces.empty:
        return surfaces.distance_of_empty(empty_mm)
    return float(max(distances.max() for distances in surfaces.distances_mm()))


def average_surface_distance_mm(
    found: Mask, truth: Mask, spacing_mm: Spacing, *, empty_mm: float = EMPTY_DISTANCE_MM
) -> float:
    """Return the average symmetric surface distance in millimetres.

    The mean distance of both surfaces' elements to the other surface, weighted by their areas.

    Args:
        found: The mask to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis; the axes must be orthogonal.
        empty_mm: The distance if exactly one mask is empty.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    surfaces = element_surfaces(pair_for_distances(found, truth, spacing_mm))
    if surfaces.empty:
        return surfaces.distance_of_empty(empty_mm)
    distances = np.concatenate(surfaces.distances_mm())
    return float(np.average(distances, weights=np.concatenate([surfaces.found_mm2, surfaces.truth_mm2])))


def surface_dice(found: Mask, truth: Mask, spacing_mm: Spacing, *, tolerance_mm: float) -> float:
    """Return the share of both surfaces that lies within a tolerance of the other, in [0, 1].

    The normalised surface Dice of Nikolov et al. 2021 (doi 10.2196/26151), with surface elements weighted by area.

    Args:
        found: The mask to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis; the axes must be orthogonal.
        tolerance_mm: Largest distance that counts as agreement.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    return element_dice(element_surfaces(pair_for_distances(found, truth, spacing_mm)), tolerance_mm)


def pair_for_distances(found: Mask, truth: Mask, spacing_mm: Spacing) -> MaskPair:
    """Return a pair with the margin that distances need.

    Args:
        found: The mask to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    return pair_masks(found, truth, spacing_mm, margin=margin_for(tuple(spacing_mm)))


def voxel_hd95_mm(surfaces: Surfaces, empty_mm: float) -> float:
    """Return the 95th percentile Hausdorff distance of surface voxels.

    Args:
        surfaces: What `voxel_surfaces` returned.
        empty_mm: The distance if exactly one mask is empty.
    """
    if surfaces.empty:
        return surfaces.distance_of_empty(empty_mm)
    return max(float(np.percentile(distances, _PERCENT)) for distances in surfaces.distances_mm())


def element_hd95_mm(surfaces: Surfaces, empty_mm: float) -> float:
    """Return the 95th percentile Hausdorff distance of surface elements, weighted by their areas.

    Args:
        surfaces: What `element_surfaces` returned.
        empty_mm: The distance if exactly one mask is empty.
    """
    if surfaces.empty:
        return surfaces.distance_of_empty(empty_mm)
    there, back = surfaces.distances_mm()
    return max(_weighted_percentile(there, surfaces.found_mm2), _weighted_percentile(back, surfaces.truth_mm2))


def element_dice(surfaces: Surfaces, tolerance_mm: float) -> float:
    """Return the share of surface elements, by area, that lie within a tolerance of the other surface.

    Args:
        surfaces: What `element_surfaces` returned.
        tolerance_mm: Largest distance that counts as agreement.
    """
    if surfaces.empty:
        return float(surfaces.both_empty)
    there, back = surfaces.distances_mm()
    agreed = surfaces.found_mm2[there <= tolerance_mm].sum() + surfaces.truth_mm2[back <= tolerance_mm].sum()
    return float(agreed / (surfaces.found_mm2.sum() + surfaces.truth_mm2.sum()))


def _weighted_percentile(distances: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Return the smallest distance within which at least 95 % of the weight lies."""
    order = np.argsort(distances, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    place = int(np.searchsorted(share, _PERCENT / 100.0))
    return float(distances[order[min(place, distances.size - 1)]])
