"""From what was measured to a category: what RANO 2.0 and RECIST 1.1 have in common.

Numbers have intervals, so there is more than one reading of them. The category is computed from the values, from the
latest sum's lower end against the upper end of the sums that it is compared with, and the other way round. Where these
differ, it is uncertain, and the categories in question are named.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final

from tds_clinical.followup.course import Course
from tds_clinical.followup.sizes import Estimate, LesionSize, add_up, total_volume

_ROUNDING: Final = 1e-9


class Category(StrEnum):
    """What a time point is called, against the baseline and the smallest sum since."""

    CR = "CR"
    PR = "PR"
    SD = "SD"
    PD = "PD"
    NE = "NE"
    UNCERTAIN = "uncertain"


ORDER: Final = (Category.CR, Category.PR, Category.SD, Category.PD)
"""From the best to the worst."""


class Presence(StrEnum):
    """Whether something is there, as far as its size lets us say."""

    NO = "no"
    PERHAPS = "perhaps"
    YES = "yes"

    @property
    def readings(self) -> tuple[bool, ...]:
        """The answers that are possible."""
        return {Presence.NO: (False,), Presence.PERHAPS: (False, True), Presence.YES: (True,)}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One set of criteria.

    Attributes:
        name: What it is called.
        measured: What is summed, in words.
        unit: Unit of the sum: `mm2`, `mm` or `ml`.
        measure: What a target lesion contributes to the sum.
        is_measurable: Whether a lesion may be a target lesion.
        new: Whether a new lesion of this size counts as progression.
        targets: How many target lesions at most.
        response: Least decrease against the baseline for partial response, as a share.
        progression: Least increase against the smallest sum for progression, as a share.
        least_increase: Least increase for progression in units of the sum.
        from_nothing: Least sum for progression after a sum of 0.
        others_growth: Increase of the volume of the other lesions from which on they may be progression, as a share.
    """

    name: str
    measured: str
    unit: str
    measure: Callable[[LesionSize], Estimate]
    is_measurable: Callable[[LesionSize], bool]
    new: Callable[[LesionSize], Presence]
    targets: int
    response: float
    progression: float
    least_increase: float
    from_nothing: float
    others_growth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a rule sees in a course.

    Attributes:
        rule: The rule.
        targets: Target lesions at each time point.
        sums: Their sum at each.
        lowest: Index of the time point with the smallest sum before the latest.
        others: Enhancing lesions of the latest time point that are neither target lesions nor new.
        new: Whether there are new lesions that count.
        fresh: New lesions at the latest time point, whether they count or not.
        growth: Whether the other lesions grew so much that a reader may call it progression.
    """

    rule: Rule
    targets: tuple[tuple[int, ...], ...]
    sums: tuple[Estimate, ...]
    lowest: int
    others: tuple[int, ...]
    new: Presence
    fresh: tuple[int, ...]
    growth: Presence

    @property
    def has_others(self) -> bool:
        """Whether anything but target lesions enhances now, however small: then no response is complete."""
        return bool(self.others or self.fresh)


def read(course: Course, rule: Rule) -> Reading:
    """Return what a rule sees.

    Args:
        course: The lesions over all time points.
        rule: What is measured.
    """
    first = course.sizes[0]
    able = [size for size in first.values() if rule.is_measurable(size)]
    chosen = sorted(able, key=lambda size: (-rule.measure(size).value, size.number))[: rule.targets]
    families = course.descendants(size.number for size in chosen)
    targets = tuple(tuple(sorted(family & set(sizes))) for family, sizes in zip(families, course.sizes, strict=True))
    sums = tuple(
        add_up(rule.measure(sizes[number]) for number in numbers)
        for sizes, numbers in zip(course.sizes, targets, strict=True)
    )
    fresh = course.fresh()
    latest = course.sizes[-1]
    return Reading(
        rule=rule,
        targets=targets,
        sums=sums,
        lowest=min(range(len(sums) - 1), key=lambda index: sums[index].value),
        others=tuple(sorted(set(latest) - set(targets[-1]) - fresh)),
        new=_worst(rule.new(latest[number]) for number in fresh),
        fresh=tuple(sorted(fresh)),
        growth=_growth(course, families, rule),
    )


def target_category(rule: Rule, baseline: float, lowest: float, latest: float) -> Category:
    """Return the category of target lesions with certain sums.

    Args:
        rule: The rule.
        baseline: Sum at the first time point, above 0.
        lowest: Smallest sum before the latest one.
        latest: Sum now.
    """
    if latest <= 0:
        return Category.CR
    increase = latest - lowest
    if lowest <= 0:
        has_grown = _at_least(latest, max(rule.from_nothing, rule.least_increase))
    else:
        has_grown = _at_least(increase, rule.progression * lowest) and _at_least(increase, rule.least_increase)
    if has_grown:
        return Category.PD
    return Category.PR if _at_least(baseline - latest, rule.response * baseline) else Category.SD


def possible_categories(reading: Reading) -> tuple[Category, tuple[Category, ...]]:
    """Return the category by the measured values, and all that the intervals allow, from the best to the worst.

    Args:
        reading: What the rule sees.
    """
    if not reading.targets[0]:
        # Nothing can be summed, but what is new counts all the same.
        answers = [Category.PD if is_new else Category.NE for is_new in reading.new.readings]
        return answers[0], tuple(dict.fromkeys(answers))
    baseline, lowest, latest = reading.sums[0], reading.sums[reading.lowest], reading.sums[-1]
    best = target_category(reading.rule, baseline.high, lowest.high, latest.low)
    value = target_category(reading.rule, baseline.value, lowest.value, latest.value)
    worst = target_category(reading.rule, baseline.low, lowest.low, latest.high)
    ranks = [ORDER.index(category) for category in (best, value, worst)]
    spread = ORDER[min(ranks) : max(ranks) + 1]
    found = {
        _overall(category, has_others=reading.has_others, is_worse=is_new or has_growth)
        for category, is_new, has_growth in product(spread, reading.new.readings, reading.growth.readings)
    }
    is_worse = reading.new is Presence.YES
    stated = _overall(value, has_others=reading.has_others, is_worse=is_worse)
    return stated, tuple(category for category in ORDER if category in found)


def _overall(target: Category, *, has_others: bool, is_worse: bool) -> Category:
    if is_worse:
        return Category.PD
    return Category.PR if target is Category.CR and has_others else target


def _growth(course: Course, families: tuple[frozenset[int], ...], rule: Rule) -> Presence:
    kin = course.descendants(frozenset(course.sizes[0]) - families[0])
    volumes = [
        total_volume(sizes, others - family) for sizes, others, family in zip(course.sizes, kin, families, strict=True)
    ]
    lowest = min(volumes[:-1], key=lambda volume: volume.value)
    has_grown = lowest.high > 0 and volumes[-1].low >= (1 + rule.others_growth) * lowest.high
    return Presence.PERHAPS if has_grown else Presence.NO


def _worst(answers: Iterable[Presence]) -> Presence:
    ranks = list(Presence)
    return max(answers, key=ranks.index, default=Presence.NO)


def _at_least(value: float, limit: float) -> bool:
    return value >= limit - _ROUNDING * max(1.0, abs(limit))
