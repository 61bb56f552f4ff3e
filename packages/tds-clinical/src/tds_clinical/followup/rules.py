"""The numbers of RANO 2.0 and RECIST 1.1.

RANO 2.0: Wen PY et al. 2023, J Clin Oncol 41(33), 5187-5199. RECIST 1.1: Eisenhauer EA et al. 2009, Eur J Cancer 45(2),
228-247. Both look at what enhances; in the brain that is one organ.
"""

import math
from typing import Final

from tds_clinical.followup.criteria import Presence, Rule
from tds_clinical.followup.sizes import MEASURABLE_MM, Estimate, LesionSize

RANO: Final = "RANO 2.0"
RANO_VOLUME: Final = "RANO 2.0 (volume)"
RECIST: Final = "RECIST 1.1"

_RECIST_SMALL_MM: Final = 5.0
_SMALLEST_SPHERE_ML: Final = math.pi / 6 * MEASURABLE_MM**3 / 1000
_RANO_VOLUME_GROWTH: Final = 0.40
_RECIST_VOLUME_GROWTH: Final = 0.73


def rano(targets: int) -> Rule:
    """Return RANO 2.0 with products of diameters: at least 50 % less, or at least 25 % more.

    Args:
        targets: How many target lesions at most.
    """
    return Rule(
        name=RANO,
        measured="products of perpendicular diameters",
        unit="mm2",
        measure=_product,
        is_measurable=_two_ways,
        new=_new_two_ways,
        targets=targets,
        response=0.50,
        progression=0.25,
        least_increase=0.0,
        from_nothing=MEASURABLE_MM**2,
        others_growth=_RANO_VOLUME_GROWTH,
    )


def rano_volume(targets: int) -> Rule:
    """Return RANO 2.0 with volumes: at least 65 % less, or at least 40 % more.

    After a volume of 0 progression begins at that of a ball of 10 mm, the counterpart of 10 mm by 10 mm.

    Args:
        targets: How many target lesions at most.
    """
    return Rule(
        name=RANO_VOLUME,
        measured="enhancing volumes",
        unit="ml",
        measure=_volume,
        is_measurable=_two_ways,
        new=_new_two_ways,
        targets=targets,
        response=0.65,
        progression=_RANO_VOLUME_GROWTH,
        least_increase=0.0,
        from_nothing=_SMALLEST_SPHERE_ML,
        others_growth=_RANO_VOLUME_GROWTH,
    )


def recist(targets: int) -> Rule:
    """Return RECIST 1.1: longest diameters at least 30 % less, or at least 20 % and 5 mm more.

    Other lesions count as perhaps progressing from 73 % more volume on, which corresponds to 20 % of a diameter.

    Args:
        targets: How many target lesions in the brain at most.
    """
    return Rule(
        name=RECIST,
        measured="longest diameters",
        unit="mm",
        measure=_longest,
        is_measurable=_one_way,
        new=_new_at_all,
        targets=targets,
        response=0.30,
        progression=0.20,
        least_increase=5.0,
        from_nothing=5.0,
        others_growth=_RECIST_VOLUME_GROWTH,
    )


def _product(size: LesionSize) -> Estimate:
    return size.product_mm2


def _volume(size: LesionSize) -> Estimate:
    return size.volume_ml


def _longest(size: LesionSize) -> Estimate:
    return size.longest_mm


def _two_ways(size: LesionSize) -> bool:
    return size.is_two_way_measurable[1]


def _one_way(size: LesionSize) -> bool:
    return size.is_one_way_measurable


def _new_two_ways(size: LesionSize) -> Presence:
    at_low, _, at_high = size.is_two_way_measurable
    if at_low:
        return Presence.YES
    return Presence.PERHAPS if at_high else Presence.NO


def _new_at_all(size: LesionSize) -> Presence:
    return Presence.YES if size.longest_mm.low >= _RECIST_SMALL_MM else Presence.PERHAPS
