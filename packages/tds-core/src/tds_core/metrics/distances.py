"""Distances between the surfaces of two masks.

Empty masks: both empty, the distance is 0 and the surface Dice 1; one empty, the distance is `EMPTY_DISTANCE_MM` (or
what is asked for) and the surface Dice 0.
"""

import math
from typing import Final

import numpy as np

from tds_core.errors import EvaluationError
from tds_core.metrics._nearest import Floats, margin_for
from tds_core.metrics._surfaces import Figure, Surfaces, element_surfaces, voxel_surfaces
from tds_core.metrics.masks import Mask, MaskPair, Spacing, check_masks, pair_masks

EMPTY_DISTANCE_MM: Final = 373.13
"""Distance reported when exactly one mask is empty, millimetres: the diagonal of the BraTS field of view."""

_PERCENT: Final = 95.0
_SLACK: Final = 1e-9
"""By what share a distance may exceed the tolerance of the surface Dice, against rounding."""


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
    return surfaces.larger_mm(_LARGEST, _LARGEST)


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
        EvaluationError: If the masks cannot be compared, or the tolerance is negative or not finite.
    """
    if not 0.0 <= tolerance_mm < math.inf:
        message = f"a tolerance of {tolerance_mm} mm makes no sense; give a finite length from 0"
        raise EvaluationError(message)
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
    check_masks(found, truth, spacing_mm)
    return pair_masks(found, truth, spacing_mm, margin=margin_for(spacing_mm))


def voxel_hd95_mm(surfaces: Surfaces, empty_mm: float) -> float:
    """Return the 95th percentile Hausdorff distance of surface voxels.

    Args:
        surfaces: What `voxel_surfaces` returned.
        empty_mm: The distance if exactly one mask is empty.
    """
    if surfaces.empty:
        return surfaces.distance_of_empty(empty_mm)
    return surfaces.larger_mm(_PERCENTILE, _PERCENTILE)


def element_hd95_mm(surfaces: Surfaces, empty_mm: float) -> float:
    """Return the 95th percentile Hausdorff distance of surface elements, weighted by their areas.

    Args:
        surfaces: What `element_surfaces` returned.
        empty_mm: The distance if exactly one mask is empty.
    """
    if surfaces.empty:
        return surfaces.distance_of_empty(empty_mm)
    return surfaces.larger_mm(_weighted_figure(surfaces.found_mm2), _weighted_figure(surfaces.truth_mm2))


def element_dice(surfaces: Surfaces, tolerance_mm: float) -> float:
    """Return the share of surface elements, by area, that lie within a tolerance of the other surface.

    Args:
        surfaces: What `element_surfaces` returned.
        tolerance_mm: Largest distance that counts as agreement.
    """
    if surfaces.empty:
        return float(surfaces.both_empty)
    there, back = surfaces.within(tolerance_mm * (1.0 + _SLACK))
    agreed = surfaces.found_mm2[there].sum() + surfaces.truth_mm2[back].sum()
    return float(agreed / (surfaces.found_mm2.sum() + surfaces.truth_mm2.sum()))


def _weighted_figure(weights: Floats) -> Figure:
    """Return the smallest distance within which at least 95 % of the weight lies."""

    def value(distances: Floats) -> float:
        order = np.argsort(distances)
        share = np.cumsum(weights[order]) / weights.sum()
        place = int(np.searchsorted(share, _PERCENT / 100.0))
        return float(distances[order[min(place, distances.size - 1)]])

    return Figure(value=value, span=lambda distances: (value(distances),) * 2)


def _largest(distances: Floats) -> float:
    return float(distances.max())


def _percentile(distances: Floats) -> float:
    return float(np.percentile(distances, _PERCENT))


def _around_percentile(distances: Floats) -> tuple[float, float]:
    """Return the two distances between which the percentile lies."""
    below = (distances.size - 1) * _PERCENT / 100.0
    ranks = (math.floor(below), math.ceil(below))
    parted = np.partition(distances, ranks)
    return float(parted[ranks[0]]), float(parted[ranks[1]])


_PERCENTILE: Final = Figure(value=_percentile, span=_around_percentile)
_LARGEST: Final = Figure(value=_largest, span=lambda distances: (_largest(distances),) * 2)
