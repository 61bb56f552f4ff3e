"""A category by each set of criteria, with its reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from tds_clinical.followup.course import Course
from tds_clinical.followup.criteria import Category, Reading, possible_categories, read
from tds_clinical.followup.model import Assessment
from tds_clinical.followup.options import Clinical, ClinicalStatus, FollowUpOptions, Steroids
from tds_clinical.followup.rules import RECIST, rano, rano_volume, recist
from tds_clinical.followup.wording import (
    describe_others,
    describe_sums,
    describe_targets,
    describe_uncertainty,
)

_PROTECTED_DAYS: Final = 12 * 7
_RESPONSES: Final = (Category.CR, Category.PR)

_RECIST_UNKNOWN: Final = (
    "Only the brain is assessed: lesions elsewhere in the body, and a confirmation where a trial asks for one, are not "
    "known."
)
_STEROIDS_UNKNOWN: Final = (
    "Steroids are not known: a response holds only if they were not increased, a complete one only without them."
)
_RADIOTHERAPY_UNKNOWN: Final = (
    "The end of radiotherapy is not known: within 12 weeks after it progression needs a confirmation, because it may "
    "be pseudoprogression."
)
_RADIOTHERAPY_RECENT: Final = (
    "Less than 12 weeks have passed since radiotherapy: what looks like progression may be pseudoprogression, and "
    "needs a confirmation by a scan or by tissue."
)
_RADIOTHERAPY_LATER: Final = (
    "Radiotherapy ended after the latest time point: if it had begun by then, what looks like progression may be "
    "pseudoprogression."
)

Categories = tuple[Category, tuple[Category, ...]]
"""The category by the measured values, and all that are possible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is known besides the lesions.

    Attributes:
        labels: Names of the time points, oldest first.
        latest: Date of the latest one.
        obstacles: Why nothing can be evaluated, in sentences; empty if it can.
        clinical: What images do not show.
    """

    labels: tuple[str, ...]
    latest: date | None
    obstacles: tuple[str, ...]
    clinical: Clinical


def assess(course: Course, setting: Setting, options: FollowUpOptions) -> tuple[Assessment, ...]:
    """Return the latest time point's category by RANO 2.0, by its volumes and by RECIST 1.1.

    Args:
        course: The lesions over all time points.
        setting: What is known besides them.
        options: How many target lesions are summed.
    """
    rules = (rano(options.rano_targets), rano_volume(options.rano_targets), recist(options.recist_targets))
    return tuple(_assess(read(course, rule), setting) for rule in rules)


def _assess(reading: Reading, setting: Setting) -> Assessment:
    rule = reading.rule
    reasons = list(setting.obstacles)
    stated: Category = Category.NE
    possible: tuple[Category, ...] = (Category.NE,)
    if not setting.obstacles:
        stated, possible = possible_categories(reading)
        reasons += describe_targets(reading)
        reasons += describe_sums(reading, setting.labels) if reading.targets[0] else []
        reasons += describe_others(reading)
        if len(possible) > 1:
            reasons.append(describe_uncertainty(stated, possible))
        if rule.name == RECIST:
            reasons.append(_RECIST_UNKNOWN)
        else:
            (stated, possible), heard = _with_clinical((stated, possible), setting)
            reasons += heard
    elif rule.name != RECIST and setting.clinical.status is ClinicalStatus.WORSE:
        (stated, possible), heard = _with_status((stated, possible), setting)
        reasons += heard
    return Assessment(
        criteria=rule.name,
        category=str(possible[0] if len(possible) == 1 else Category.UNCERTAIN),
        sum_mm=tuple(total.value for total in reading.sums),
        unit=rule.unit,
        reasons=tuple(reasons),
        sum_interval=tuple(total.interval for total in reading.sums),
        possible=tuple(str(category) for category in possible),
        targets=reading.targets,
    )


def _with_clinical(found: Categories, setting: Setting) -> tuple[Categories, list[str]]:
    """Return what RANO makes of the categories with what images do not show, and the reasons."""
    reasons: list[str] = []
    for step in (_with_steroids, _with_confirmation, _with_radiotherapy, _with_status):
        found, heard = step(found, setting)
        reasons += heard
    return found, reasons


def _with_steroids(found: Categories, setting: Setting) -> tuple[Categories, list[str]]:
    steroids = setting.clinical.steroids
    if not set(_RESPONSES) & set(found[1]):
        return found, []
    if steroids is None:
        return found, [_STEROIDS_UNKNOWN]
    if steroids is Steroids.HIGHER:
        return _replaced(found, _RESPONSES, Category.SD), ["Steroids were increased, so there is no response."]
    if steroids is not Steroids.NONE and Category.CR in found[1]:
        return _replaced(found, (Category.CR,), Category.PR), ["The patient takes steroids, so a response is partial."]
    return found, []


def _with_confirmation(found: Categories, setting: Setting) -> tuple[Categories, list[str]]:
    if not set(_RESPONSES) & set(found[1]) or setting.clinical.is_confirmed:
        return found, []
    if setting.clinical.is_confirmed is None:
        return found, ["A response holds only once a scan at least four weeks later confirms it."]
    return _replaced(found, _RESPONSES, Category.SD), ["A later scan did not confirm the response."]


def _with_radiotherapy(found: Categories, setting: Setting) -> tuple[Categories, list[str]]:
    ended, latest = setting.clinical.radiotherapy_ended, setting.latest
    stated, possible = found
    if Category.PD not in possible or setting.clinical.is_confirmed:
        return found, []
    if ended is None or latest is None:
        return found, [_RADIOTHERAPY_UNKNOWN]
    days = (latest - ended).days
    if not 0 <= days < _PROTECTED_DAYS:
        return found, [_RADIOTHERAPY_LATER] if days < 0 else []
    widened = tuple(sorted({*possible, Category.SD}, key=list(Category).index))
    return (stated, widened), [_RADIOTHERAPY_RECENT]


def _with_status(found: Categories, setting: Setting) -> tuple[Categories, list[str]]:
    status = setting.clinical.status
    if status is ClinicalStatus.WORSE:
        return (Category.PD, (Category.PD,)), ["The patient's state is clearly worse, which is progression by itself."]
    if status is None:
        return found, ["The patient's state is not known: a clear decline would be progression whatever images show."]
    return found, []


def _replaced(found: Categories, old: Sequence[Category], new: Category) -> Categories:
    stated, possible = found
    changed = {new if category in old else category for category in possible}
    return (new if stated in old else stated), tuple(sorted(changed, key=list(Category).index))
