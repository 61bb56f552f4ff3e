"""Many cases' scores in a few numbers. Phantoms and patients are never summed up together.

An HD95 needs two masks. Where exactly one is empty it is `EMPTY_DISTANCE_MM`, which is no distance but stands in for
one, so each summary says how many of its values are such.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final

import numpy as np

from tds_core.errors import EvaluationError
from tds_core.evaluation.bootstrap import Interval, mean_interval

_DISTANCE: Final = "hd95_mm"
_VOLUMES: Final = ("volume_ml_found", "volume_ml_truth")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """One metric of one region over all cases of one kind.

    Attributes:
        region: The region.
        metric: The metric, with its unit in its name where it has one.
        phantom: Whether the cases are synthetic.
        cases: How many there are.
        undefined: Cases that the metric is not defined for; they count in nothing here.
        stand_ins: Cases whose value stands in for a distance, because exactly one of the two masks is empty.
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
    stand_ins: int = 0
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

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over the regions that it is defined for; 1 if there is none.

        Args:
            metric: Its name.
        """
        values = [value for row in self.values.values() if (value := row.get(metric)) is not None]
        return fmean(values) if values else 1.0

    def has_stand_in(self, region: str) -> bool:
        """Return whether the HD95 of a region stands in for a distance: exactly one of the two masks is empty.

        Args:
            region: The region.
        """
        row = self.values[region]
        return _DISTANCE in row and len({row.get(name) == 0 for name in _VOLUMES}) > 1


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
                    summary = _summary(region, metric, defined, phantom=phantom, level=level)
                    stand_ins = sum(case.has_stand_in(region) for case in group) if metric == _DISTANCE else 0
                    found.append(replace(summary, undefined=len(values) - len(defined), stand_ins=stand_ins))
    return tuple(found)


def _summary(region: str, metric: str, values: Sequence[float], *, phantom: bool, level: float) -> MetricSummary:
    sample = np.asarray(values, dtype=np.float64)
    interval = mean_interval(values, level=level)
    first, median, third = (float(q) for q in np.percentile(sample, [25, 50, 75]))
    return MetricSummary(
        region=region,
        metric=metric,
        phantom=phantom,
        cases=len(sample),
        undefined=0,
        mean=float(sample.mean()),
        interval=interval,
        deviation=float(sample.std(ddof=1)) if len(sample) > 1 else 0.0,
        lowest=float(sample.min()),
        quartiles=(first, median, third),
        highest=float(sample.max()),
    )
