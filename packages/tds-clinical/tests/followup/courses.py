"""Courses whose numbers are given instead of measured."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from tds_clinical.followup.course import Course
from tds_clinical.followup.sizes import Estimate, LesionSize

Numbers = Mapping[int, LesionSize]


def exact(value: float, share: float = 0.0) -> Estimate:
    return Estimate(low=value * (1 - share), value=value, high=value * (1 + share))


def size(
    longest_mm: float, perpendicular_mm: float, *, volume_ml: float = 1.0, slices: int = 5, share: float = 0.0
) -> LesionSize:
    """Return a lesion's size; `share` is how far every number may be off."""
    return LesionSize(
        number=1,
        longest_mm=exact(longest_mm, share),
        perpendicular_mm=exact(perpendicular_mm, share),
        product_mm2=exact(longest_mm * perpendicular_mm, share),
        volume_ml=exact(volume_ml, share),
        slices=slices,
        measurable_from_mm=10.0,
    )


def course(*points: Sequence[LesionSize]) -> Course:
    """Return a course in which the first lesion of each time point is the same, the second too, and so on."""
    sizes = tuple(
        {
            number: LesionSize(**{name: getattr(entry, name) for name in LesionSize.__slots__} | {"number": number})
            for number, entry in enumerate(entries, start=1)
        }
        for entries in points
    )
    links = tuple(tuple((number, number) for number in before if number in after) for before, after in pairwise(sizes))
    return Course(sizes=sizes, links=links, returned=tuple({} for _ in sizes))
