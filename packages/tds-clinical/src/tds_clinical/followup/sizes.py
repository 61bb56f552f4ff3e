"""How large the enhancing part of each lesion is, with intervals.

Diameters get their intervals from the volume of the tumour core, which their lines run across: a shape that keeps its
form has diameters that go with the cube root of its volume.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_clinical.followup.intervals import VolumeIntervals
from tds_clinical.measurement import LesionMeasurement
from tds_data.report import Interval, LesionReport
from tds_data.vocabulary import Label, Region
from tds_data.volume import Volume

MEASURABLE_MM: Final = 10.0
"""Least diameter of a measurable lesion on slices of at most 5 mm; else twice their distance (RANO and RECIST)."""

_THICK_MM: Final = 5.0
_MIN_SLICES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number and its interval.

    Attributes:
        low: Lower end.
        value: What was measured.
        high: Upper end.
    """

    low: float
    value: float
    high: float

    @property
    def interval(self) -> Interval:
        """Both ends."""
        return self.low, self.high

    @property
    def readings(self) -> tuple[float, float, float]:
        """Lower end, value and upper end."""
        return self.low, self.value, self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionSize:
    """The enhancing part of one lesion.

    Attributes:
        number: Number of the lesion.
        longest_mm: Longest diameter on a slice.
        perpendicular_mm: The one at right angles to it.
        product_mm2: Their product.
        volume_ml: Volume.
        slices: On how many slices it is seen.
        measurable_from_mm: Least diameter of a measurable lesion on such slices.
    """

    number: int
    longest_mm: Estimate
    perpendicular_mm: Estimate
    product_mm2: Estimate
    volume_ml: Estimate
    slices: int
    measurable_from_mm: float

    @property
    def is_two_way_measurable(self) -> tuple[bool, bool, bool]:
        """Whether both are long enough, on at least two slices: at the lower end, as measured, at the upper."""
        low, value, high = (
            self.slices >= _MIN_SLICES and min(pair) >= self.measurable_from_mm
            for pair in zip(self.longest_mm.readings, self.perpendicular_mm.readings, strict=True)
        )
        return low, value, high

    @property
    def is_one_way_measurable(self) -> bool:
        """Whether the longest diameter is long enough."""
        return self.longest_mm.value >= self.measurable_from_mm


def find_sizes(
    mask: Volume,
    lesions: NDArray[np.uint16],
    report: LesionReport,
    measurements: Iterable[LesionMeasurement],
    intervals: VolumeIntervals,
) -> dict[int, LesionSize]:
    """Return the size of each lesion that enhances, by its number.

    Args:
        mask: Labels 0 to 3.
        lesions: Number of the lesion of each voxel.
        report: What was found.
        measurements: Diameters of the lesions.
        intervals: Of their volumes.
    """
    measured = {entry.lesion: entry.diameters for entry in measurements}
    boxes = ndimage.find_objects(lesions)
    sizes = {}
    for lesion in report.lesions:
        diameters = measured[lesion.number].get(Region.ET)
        if diameters is None:
            continue
        box = boxes[lesion.number - 1]
        enhancing = (lesions[box] == lesion.number) & (mask.voxels[box] == Label.ET)
        others = tuple(axis for axis in range(3) if axis != diameters.axis)
        step_mm = mask.spacing_mm[diameters.axis]
        stretch = _stretch(intervals.lesions[lesion.number][Region.TC], lesion.volume_ml[Region.TC])
        low, high = intervals.lesions[lesion.number][Region.ET]
        sizes[lesion.number] = LesionSize(
            number=lesion.number,
            longest_mm=_spread(diameters.longest_mm, stretch, 1),
            perpendicular_mm=_spread(diameters.perpendicular_mm, stretch, 1),
            product_mm2=_spread(diameters.product_mm2, stretch, 2),
            volume_ml=Estimate(low=low, value=lesion.volume_ml[Region.ET], high=high),
            slices=int(enhancing.any(axis=others).sum()),
            measurable_from_mm=MEASURABLE_MM if step_mm <= _THICK_MM else 2 * step_mm,
        )
    return sizes


def add_up(estimates: Iterable[Estimate]) -> Estimate:
    """Return the sum of some numbers and of their ends.

    Args:
        estimates: Any number of them.
    """
    rows = [estimate.readings for estimate in estimates]
    low, value, high = (sum(column) for column in zip(*rows, strict=True)) if rows else (0.0, 0.0, 0.0)
    return Estimate(low=low, value=value, high=high)


def _stretch(interval: Interval, volume: float) -> tuple[float, float]:
    low, high = ((end / volume) ** (1 / 3) for end in interval)
    return low, high


def _spread(value: float, stretch: tuple[float, float], power: int) -> Estimate:
    low, high = (value * factor**power for factor in stretch)
    return Estimate(low=low, value=value, high=high)


def total_volume(sizes: Mapping[int, LesionSize], numbers: Iterable[int]) -> Estimate:
    """Return the enhancing volume of some lesions, millilitres.

    Args:
        sizes: Of the lesions that enhance.
        numbers: Numbers of lesions, those that do not enhance among them.
    """
    return add_up(sizes[number].volume_ml for number in numbers if number in sizes)
