"""The metrics once more, slowly and straight from their definitions."""

import itertools
import warnings

import numpy as np
import surface_distance
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]


def surface(mask: Mask) -> NDArray[np.int64]:
    """Indices of the voxels with a face neighbour outside."""
    padded = np.pad(mask, 1)
    hidden = np.ones_like(mask)
    for axis in range(3):
        for shift in (-1, 1):
            hidden &= np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1]
    return np.argwhere(mask & ~hidden)


def directed(found: Mask, truth: Mask, spacing: Spacing) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of each surface voxel to the other surface, over all pairs."""
    a, b = surface(found) * np.array(spacing), surface(truth) * np.array(spacing)
    distances = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return distances.min(axis=1), distances.min(axis=0)


def hausdorff(found: Mask, truth: Mask, spacing: Spacing, percent: float) -> float:
    return float(max(np.percentile(distances, percent) for distances in directed(found, truth, spacing)))


def elements(found: Mask, truth: Mask, spacing: Spacing) -> dict[str, NDArray[np.float64]]:
    """Surface elements as their authors' package gives them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it calls SciPy in an old way
        distances: dict[str, NDArray[np.float64]] = surface_distance.compute_surface_distances(truth, found, spacing)
    return distances


def element_surface_dice(found: Mask, truth: Mask, spacing: Spacing, tolerance: float) -> float:
    distances = elements(found, truth, spacing)
    return float(surface_distance.compute_surface_dice_at_tolerance(distances, tolerance))


def element_average(found: Mask, truth: Mask, spacing: Spacing) -> float:
    distances = elements(found, truth, spacing)
    sides = ("gt_to_pred", "gt"), ("pred_to_gt", "pred")
    total = sum((distances[f"distances_{way}"] * distances[f"surfel_areas_{side}"]).sum() for way, side in sides)
    return float(total / sum(distances[f"surfel_areas_{side}"].sum() for _, side in sides))


def element_hausdorff95(found: Mask, truth: Mask, spacing: Spacing) -> float:
    return float(surface_distance.compute_robust_hausdorff(elements(found, truth, spacing), 95))


def lesion_wise(
    found: Mask, truth: Mask, spacing: Spacing, *, steps: int = 3, smallest_mm3: float = 50, penalty: float = 374
) -> tuple[float, float, int, int, int]:
    """Lesion-wise Dice and HD95, and the numbers of found, missed and false lesions."""
    every_neighbour = np.ones((3, 3, 3))
    grow = ndimage.generate_binary_structure(3, 2)
    parts, part_count = ndimage.label(found, every_neighbour)
    grown = ndimage.binary_dilation(truth, grow, iterations=steps) if steps else truth
    zones, zone_count = ndimage.label(grown, every_neighbour)
    dices, distances, hits, touched = [], [], 0, set()
    for zone in range(1, zone_count + 1):
        lesion = truth & (zones == zone)
        around = ndimage.binary_dilation(lesion, grow, iterations=steps) if steps else lesion
        mine = set(np.unique(parts[around])) - {0}
        touched |= mine
        if lesion.sum() * np.prod(spacing) <= smallest_mm3:
            continue
        together = np.isin(parts, list(mine)) & (parts > 0)
        hits += bool(mine)
        dices.append(2 * (together & lesion).sum() / (together.sum() + lesion.sum()))
        distances.append(element_hausdorff95(together, lesion, spacing) if mine else penalty)
    false = part_count - len(touched)
    missed = len(dices) - hits
    if not dices and not false:
        return 1.0, 0.0, 0, 0, 0
    count = len(dices) + false
    return sum(dices) / count, (sum(distances) + penalty * false) / count, hits, missed, false


def expected_calibration_error(probability: NDArray[np.float64], truth: Mask, bins: int) -> float:
    total = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = (probability > low) & (probability <= high) if number else probability <= high
        if inside.any():
            total += inside.sum() * abs(probability[inside].mean() - truth[inside].mean())
    return total / probability.size


def element_areas(spacing: Spacing) -> NDArray[np.float64]:
    """Areas of the 256 patterns, with the package's order of voxels put into ours."""
    table = surface_distance.lookup_tables.create_table_neighbour_code_to_surface_area(spacing)
    kernel = surface_distance.lookup_tables.ENCODE_NEIGHBOURHOOD_3D_KERNEL
    corners = list(itertools.product((0, 1), repeat=3))
    theirs = [sum(int(kernel[corner]) for bit, corner in enumerate(corners) if code >> bit & 1) for code in range(256)]
    areas: NDArray[np.float64] = table[theirs]
    return areas
