"""Agreement between two masks.

Empty masks, as in BraTS: if both are empty the Dice is 1 and the distance 0; if one is, the Dice is 0 and the distance
373.13 mm, the diagonal of the BraTS field of view.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, generate_binary_structure
from scipy.spatial import cKDTree

from tds_data.geometry import bounding_box
from tds_data.vocabulary import REGION_LABELS, REGIONS, Region

EMPTY_DISTANCE_MM: Final = 373.13
"""Hausdorff distance reported when exactly one mask is empty, millimetres."""

Mask = NDArray[np.bool_]
"""A boolean array of shape (x, y, z)."""


def region_mask(labels: NDArray[np.generic], region: Region) -> Mask:
    """Return where a label map holds a region.

    Args:
        labels: Array of labels 0 to 3.
        region: The region.
    """
    lookup = np.zeros(256, dtype=np.bool_)
    lookup[list(REGION_LABELS[region])] = True
    return lookup[labels.astype(np.uint8, copy=False)]


def dice(found: Mask, truth: Mask) -> float:
    """Return the Dice coefficient of two masks, in [0, 1].

    Args:
        found: The mask to judge.
        truth: The reference.
    """
    total = int(np.count_nonzero(found)) + int(np.count_nonzero(truth))
    return 2.0 * int(np.count_nonzero(found & truth)) / total if total else 1.0


def hd95_mm(found: Mask, truth: Mask, spacing_mm: tuple[float, float, float]) -> float:
    """Return the 95th percentile Hausdorff distance in millimetres.

    The larger of the two directed 95th percentiles of the distances between surface voxels' centres (Huttenlocher et
    al. 1993). Surface voxels have a face neighbour outside the mask; outside the array counts as outside.

    Args:
        found: The mask to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis; the axes must be orthogonal.
    """
    a, b = _surface_mm(found, spacing_mm), _surface_mm(truth, spacing_mm)
    if not len(a) or not len(b):
        return 0.0 if len(a) == len(b) else EMPTY_DISTANCE_MM
    there = cKDTree(b).query(a)[0]
    back = cKDTree(a).query(b)[0]
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def region_dice(found: NDArray[np.generic], truth: NDArray[np.generic]) -> dict[Region, float]:
    """Return the Dice of each region of two label maps.

    Args:
        found: Labels to judge, 0 to 3.
        truth: Reference labels of the same shape.
    """
    return {r: dice(region_mask(found, r), region_mask(truth, r)) for r in REGIONS}


def region_hd95_mm(
    found: NDArray[np.generic], truth: NDArray[np.generic], spacing_mm: tuple[float, float, float]
) -> dict[Region, float]:
    """Return the 95th percentile Hausdorff distance of each region of two label maps, in millimetres.

    Args:
        found: Labels to judge, 0 to 3.
        truth: Reference labels of the same shape.
        spacing_mm: Voxel size along each axis.
    """
    return {r: hd95_mm(region_mask(found, r), region_mask(truth, r), spacing_mm) for r in REGIONS}


def _surface_mm(mask: Mask, spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    box = bounding_box(mask)
    if box is None:
        return np.empty((0, 3))
    inside = mask[box.slices]
    surface = inside & ~binary_erosion(inside, generate_binary_structure(3, 1))
    places: NDArray[np.float64] = (np.argwhere(surface) + np.array(box.start)) * np.array(spacing_mm)
    return places
