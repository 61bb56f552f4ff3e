"""How far the volumes of a time point may be off.

Where the report brings intervals they are taken. Otherwise the boundary of each region is taken to lie up to half a
voxel further in or out: half of the voxels inside that touch the outside by a face may not belong to it, and half of
those outside that touch it may.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.report import Interval, LesionReport
from tds_data.vocabulary import REGION_LABELS, REGIONS, Region
from tds_data.volume import Volume

BOUNDARY_METHOD: Final = "boundary up to half a voxel further in or out"
"""How intervals are made where a report has none."""

_UNNAMED_METHOD: Final = "intervals of the report"

Intervals = Mapping[Region, Interval]
"""Millilitres of each region, lower and upper end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeIntervals:
    """The intervals of one time point.

    Attributes:
        total: Over the whole study.
        lesions: Of each lesion, by its number.
        method: How they were made.
    """

    total: Intervals
    lesions: Mapping[int, Intervals]
    method: str


def find_intervals(mask: Volume, lesions: NDArray[np.uint16], report: LesionReport) -> VolumeIntervals:
    """Return the intervals of a report's volumes, those of the report itself where it has them all.

    Args:
        mask: Labels 0 to 3.
        lesions: Number of the lesion of each voxel.
        report: What was found.
    """
    own = {lesion.number: lesion.volume_interval_ml for lesion in report.lesions}
    if report.volume_interval_ml is not None and all(own.values()):
        given = {number: intervals for number, intervals in own.items() if intervals is not None}
        return VolumeIntervals(
            total=report.volume_interval_ml, lesions=given, method=report.interval_method or _UNNAMED_METHOD
        )
    boxes = ndimage.find_objects(lesions)
    made = {}
    for lesion in report.lesions:
        box = boxes[lesion.number - 1]
        labels = np.pad(np.where(lesions[box] == lesion.number, mask.voxels[box], 0), 1)
        made[lesion.number] = {region: _boundary_interval(labels, region, mask.voxel_volume_ml) for region in REGIONS}
    total = {region: _sum([intervals[region] for intervals in made.values()]) for region in REGIONS}
    return VolumeIntervals(total=total, lesions=made, method=BOUNDARY_METHOD)


def overlap(first: Interval, second: Interval) -> bool:
    """Tell whether two intervals have a number in common.

    Args:
        first: Lower and upper end.
        second: Another one.
    """
    return first[0] <= second[1] and second[0] <= first[1]


def _boundary_interval(labels: NDArray[np.generic], region: Region, voxel_ml: float) -> Interval:
    inside = np.isin(labels, list(REGION_LABELS[region]))
    volume = float(inside.sum())
    core = ndimage.binary_erosion(inside)
    wide = ndimage.binary_dilation(inside)
    low, high = (volume + float(core.sum())) / 2, (volume + float(wide.sum())) / 2
    return low * voxel_ml, high * voxel_ml


def _sum(intervals: list[Interval]) -> Interval:
    return sum(low for low, _ in intervals), sum(high for _, high in intervals)
