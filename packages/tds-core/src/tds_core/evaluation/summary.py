"""Many cases' scores in a few numbers. Phantoms and patients are never summed up together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tds_core.errors import EvaluationError
from tds_core.evaluation.bootstrap import Interval, mean_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """One metric of one region over all cases of one kind.

    Attributes:
        region: The region.
        metric: The metric, with its unit in its name where it has one.
        phantom: Whether the cases are synthetic.
        cases: How many there are.
        undefined: Cases that the metric is not defined for; they count in nothing here.
        mean: Arithmetic mean.
        interval: Bootstrap interval of the mean; `None` for a single case.
        deviation: Standard deviation over the cases, with n - 1; 0 for a single one.
        lowest: The smallest value.
        quartiles: First quartile, median and third quartile.
        highest: The largest value.
    """

    region: str
    metric: str
    phantom: bool
    cases: int
    undefined: int
    mean: float
    interval: Interval | None
    deviation: float
    lowest: float
    quartiles: tuple[float, float, float]
    highest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredCase:
    """One case's numbers, whatever they are.

    Attributes:
        case: Its name.
        phantom: Whether it is synthetic.
        values: By region and metric; `None` where a metric is not defined.
    """

    case: str
    phantom: bool
    values: Mapping[str, Mapping[str, float | None]]


def summarise(cases: Sequence[ScoredCase], *, level: float = 0.95) -> tuple[MetricSummary, ...]:
    """Return the summary of each region and metric, patients first, then phantoms, each in the order of the first case.

    A metric that is defined for no case is left out.

    Args:
        cases: At least one; all with the same regions and metrics.
        level: Of the intervals.

    Raises:
        EvaluationError: If there is no case, or a value is not finite.
    """
    if not cases:
        message = "there is nothing to sum up: no case was evaluated"
        raise EvaluationError(message)
    found = []
    for phantom in (False, True):
        group = [case for case in cases if case.phantom is phantom]
        for region, metrics in cases[0].values.items():
            for metric in metrics:
                values = [case.values[region][metric] for case in group]
                defined = [value for value in values if value is not None]
                if defined:
                    undefined = len(values) - len(defined)
                    found.append(_summary(region, metric, defined, phantom=phantom, undefined=undefined, level=level))
    return tuple(found)


def _summary(  # what a summary is of, and its values
    region: str, metric: str, values: Sequence[float], *, phantom: bool, undefined: int, level: float
) -> MetricSummary:
    sample = np.asarray(values, dtype=np.float64)
    interval = mean_interval(values, level=level)
    first, median, third = (float(q) for q in np.percentile(sample, [25, 50, 75]))
    return MetricSummary(
        region=region,
        metric=metric,
        phantom=phantom,
        cases=len(sample),
        undefined=undefined,
        mean=float(sample.mean()),
        interval=interval,
        deviation=float(sample.std(ddof=1)) if len(sample) > 1 else 0.0,
        lowest=float(sample.min()),
        quartiles=(first, median, third),
        highest=float(sample.max()),
    )
