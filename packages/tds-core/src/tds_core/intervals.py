"""How far the volumes of a mask move when its threshold does.

A mask holds the voxels whose probability reaches the bundle's threshold. Moving that threshold by one unit of log-odds
up and down (from 0.5 to 0.73 and to 0.27) gives a narrow and a wide mask, and their volumes are the ends of an interval
around the mask's own. A network that is sure of its boundary has a tight interval, one that hesitates a broad one. It
is a measure of the model's own doubt and not a confidence interval: nobody has counted how often the truth lies inside.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_core.lesions import find_lesions, map_lesions, region_volumes_ml
from tds_core.regions import paint_regions
from tds_data.report import Interval, LesionReport
from tds_data.task import Task
from tds_data.vocabulary import REGION_LABELS, REGIONS, Region
from tds_data.volume import Volume

BAND_LOGITS: Final = 1.0
"""How far the threshold is moved, in units of log-odds."""

INTERVAL_METHOD: Final = "threshold moved by one logit up and down; not calibrated"
"""How the intervals are made, as reports say it."""

_LABELS: Final = 4
_LEAST: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bounds:
    """The masks at the ends of the band.

    Attributes:
        narrow: Uint8 labels 0 to 3 where the model is sure.
        wide: Uint8 labels 0 to 3 where it sees at least some sign; on the same grid.
    """

    narrow: Volume
    wide: Volume


def band(threshold: float) -> tuple[float, float]:
    """Return the thresholds of the wide and of the narrow mask.

    Args:
        threshold: The mask's own, 0 to 1.

    Examples:
        >>> [round(end, 2) for end in band(0.5)]
        [0.27, 0.73]
    """
    middle = min(max(threshold, _LEAST), 1 - _LEAST)
    logit = math.log(middle / (1 - middle))
    low, high = (1 / (1 + math.exp(-(logit + move))) for move in (-BAND_LOGITS, BAND_LOGITS))
    return low, high


def paint_bounds(
    sure: Mapping[str, NDArray[np.bool_]], possible: Mapping[str, NDArray[np.bool_]], mask: Volume, task: Task
) -> Bounds:
    """Return the masks at the ends of the band.

    Args:
        sure: Boolean array for each region: probability at least the upper threshold.
        possible: The same for the lower threshold.
        mask: The labels in between; where small lesions were dropped from it, none is sure.
        task: Says which labels each region holds.
    """
    narrow = np.where(mask.voxels != 0, paint_regions(sure, task), np.uint8(0))
    return Bounds(narrow=mask.with_voxels(narrow), wide=mask.with_voxels(paint_regions(possible, task)))


def measured_again(report: LesionReport, mask: Volume, bounds: Bounds | None = None) -> LesionReport:
    """Return a report with the lesions, volumes and intervals of a mask, and all else as it was.

    Args:
        report: The report to begin with.
        mask: Labels 0 to 3, such as the report's own mask carried to another grid.
        bounds: The masks around it on the same grid; no intervals if `None`.
    """
    lesions = find_lesions(mask)
    report = replace(
        report,
        lesions=lesions,
        volume_ml=region_volumes_ml(mask.voxels, mask.voxel_volume_ml),
        volume_interval_ml=None,
        interval_method=None,
    )
    if bounds is None:
        return report
    narrow, wide = _counts_by_lesion(mask, bounds, len(lesions))
    ml = mask.voxel_volume_ml
    return replace(
        report,
        lesions=tuple(
            replace(entry, volume_interval_ml=_ends(entry.volume_ml, narrow[entry.number], wide[entry.number], ml))
            for entry in lesions
        ),
        volume_interval_ml=_ends(report.volume_ml, _tally(bounds.narrow.voxels), _tally(bounds.wide.voxels), ml),
        interval_method=INTERVAL_METHOD,
    )


def _counts_by_lesion(mask: Volume, bounds: Bounds, lesions: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the voxels of each label in each lesion, narrow and wide: shape (lesions + 1, 4) each."""
    own = map_lesions(mask)
    wide = _nearest_lesion(own, bounds.wide.voxels != 0, mask.spacing_mm)
    return _table(own, bounds.narrow.voxels, lesions), _table(wide, bounds.wide.voxels, lesions)


def _nearest_lesion(
    own: NDArray[np.uint32], possible: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.uint32]:
    """Return the lesion that each possible voxel would join: the one it is connected with, the nearest of several."""
    reach = cc3d.connected_components((possible | (own != 0)).astype(np.uint8), connectivity=26)
    found = np.zeros_like(own)
    for number, box in enumerate(ndimage.find_objects(reach), start=1):
        if box is None:  # never so for components of cc3d, which counts without gaps
            continue
        inside = reach[box] == number
        members = np.unique(own[box][inside])
        members = members[members != 0]
        if len(members) == 1:
            found[box][inside] = members[0]
        elif len(members) > 1:
            here = np.where(inside, own[box], 0)
            nearest = ndimage.distance_transform_edt(here == 0, spacing_mm, return_distances=False, return_indices=True)
            found[box][inside] = here[tuple(nearest)][inside]
    return found


def _table(lesion_map: NDArray[np.uint32], labels: NDArray[np.generic], lesions: int) -> NDArray[np.int64]:
    pairs = lesion_map.astype(np.int64) * _LABELS + labels.astype(np.int64)
    return np.bincount(pairs.ravel(), minlength=(lesions + 1) * _LABELS).reshape(-1, _LABELS)


def _tally(labels: NDArray[np.generic]) -> NDArray[np.int64]:
    return np.bincount(labels.ravel().astype(np.int64), minlength=_LABELS)


def _ends(
    volume_ml: Mapping[Region, float], narrow: NDArray[np.int64], wide: NDArray[np.int64], voxel_ml: float
) -> dict[Region, Interval]:
    ends = {}
    for region in REGIONS:
        labels = list(REGION_LABELS[region])
        low, high = float(narrow[labels].sum() * voxel_ml), float(wide[labels].sum() * voxel_ml)
        # Carried to another grid, each mask is rounded by itself.
        ends[region] = (min(low, volume_ml[region]), max(high, volume_ml[region]))
    return ends
