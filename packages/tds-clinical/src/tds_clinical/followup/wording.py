"""The reasons for a category, in sentences."""

from collections.abc import Sequence
from typing import Final

from tds_clinical.followup.criteria import Category, Presence, Reading
from tds_clinical.followup.sizes import MEASURABLE_MM, Estimate

UNITS: Final = {"mm2": "mm\N{SUPERSCRIPT TWO}", "mm": "mm", "ml": "mL"}
"""Units of sums as people write them."""

_DIGITS: Final = {"mm2": 0, "mm": 1, "ml": 2}


def describe_targets(reading: Reading) -> list[str]:
    """Return what is summed, or why nothing is.

    Args:
        reading: What the rule sees.
    """
    chosen = reading.targets[0]
    if not chosen:
        where = "along its longest diameter" if reading.rule.unit == "mm" else "in both directions, on two slices"
        text = (
            f"No enhancing lesion was measurable at the first time point (at least {MEASURABLE_MM:g} mm {where}), so "
            "there are no target lesions to sum."
        )
        return [text]
    noun = "lesion" if len(chosen) == 1 else "lesions"
    numbers = ", ".join(map(str, chosen))
    return [f"Target {noun} at the first time point: {numbers}; the {reading.rule.measured} are summed."]


def describe_sums(reading: Reading, labels: Sequence[str]) -> list[str]:
    """Return the sums and what they mean against the thresholds.

    Args:
        reading: What the rule sees.
        labels: Names of the time points.
    """
    rule = reading.rule
    baseline, lowest, latest = reading.sums[0], reading.sums[reading.lowest], reading.sums[-1]
    said = [
        f"The sum is now {tell(latest, rule.unit)}; it was {tell(baseline, rule.unit)} at the first time point"
        + ("." if reading.lowest == 0 else f" and {tell(lowest, rule.unit)} at its lowest ({labels[reading.lowest]}).")
    ]
    least = f" and {rule.least_increase:g} {UNITS[rule.unit]}" if rule.least_increase else ""
    said.append(
        f"Against the first time point that is {_change(baseline, latest)} (partial response from -{rule.response:.0%})"
        f"; against the lowest sum {_change(lowest, latest)} (progression from +{rule.progression:.0%}{least})."
    )
    return said


def describe_others(reading: Reading) -> list[str]:
    """Return what is said of new lesions and of those that are no target lesions.

    Args:
        reading: What the rule sees.
    """
    said = []
    if reading.fresh:
        numbers = ", ".join(map(str, reading.fresh))
        said.append(f"New enhancing lesions since the first time point: {numbers}. {_NEW[reading.new]}")
    if reading.others:
        numbers = ", ".join(map(str, reading.others))
        said.append(f"Other enhancing lesions that are no target lesions: {numbers}.")
    if reading.growth is Presence.PERHAPS:
        said.append(
            f"Those have grown by more than {reading.rule.others_growth:.0%} in volume; whether that is unequivocal "
            "progression is for a reader to say."
        )
    return said


def describe_uncertainty(stated: Category, possible: Sequence[Category]) -> str:
    """Return why a category is uncertain.

    Args:
        stated: The category by the measured values.
        possible: All that are possible.
    """
    return (
        f"The measured values alone would give {stated}; what is certain allows "
        f"{', '.join(possible[:-1])} or {possible[-1]}."
    )


def tell(estimate: Estimate, unit: str) -> str:
    """Return a sum with its interval and unit.

    Args:
        estimate: The sum.
        unit: `mm2`, `mm` or `ml`.
    """
    digits = _DIGITS[unit]
    return f"{estimate.value:.{digits}f} {UNITS[unit]} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def _change(reference: Estimate, latest: Estimate) -> str:
    if reference.value <= 0:
        return "no change" if latest.value <= 0 else "an increase from nothing"
    return f"{latest.value / reference.value - 1:+.0%}"


_NEW: Final = {
    Presence.NO: "They are too small to count as progression, and need to be watched.",
    Presence.PERHAPS: "Whether they count as progression their size does not settle.",
    Presence.YES: "That is progression.",
}
