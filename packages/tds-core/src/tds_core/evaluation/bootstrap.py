"""How sure a mean over a few cases is."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from tds_core.errors import EvaluationError

_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        level: Its level, such as 0.95.
        method: `bca`, `percentile` where the former is not defined, or `constant` where all values are the same.
    """

    low: float
    high: float
    level: float
    method: str


def mean_interval(
    values: Sequence[float], *, level: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval | None:
    """Return the bootstrap confidence interval of a mean over cases; `None` for a single case.

    Bias-corrected and accelerated (Efron 1987, doi 10.1080/01621459.1987.10478410). It tells how the mean would vary
    with other cases of the same kind, not with another training run, and from a handful of cases it is too narrow.

    Args:
        values: One finite number a case.
        level: Share of such intervals that hold the true mean.
        resamples: How many samples are drawn.
        seed: Of the samples: the same values always give the same interval.

    Raises:
        EvaluationError: If there is no value, one is not finite, or the level is not between 0 and 1.

    Examples:
        >>> mean_interval([0.8]) is None
        True
        >>> mean_interval([0.8, 0.8, 0.8]).method
        'constant'
    """
    sample = np.asarray(values, dtype=np.float64)
    if not sample.size or not np.isfinite(sample).all() or not 0 < level < 1:
        message = (
            f"an interval needs finite values and a level between 0 and 1; {sample.size} values and {level} were given"
        )
        raise EvaluationError(message)
    if sample.size < _FEWEST:
        return None
    if np.ptp(sample) == 0:
        return Interval(low=float(sample[0]), high=float(sample[0]), level=level, method="constant")
    for method in ("BCa", "percentile"):
        # What is not defined is seen below, and the other method taken.
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            found = stats.bootstrap(
                (sample,),
                np.mean,
                confidence_level=level,
                n_resamples=resamples,
                method=method,
                rng=np.random.default_rng(seed),
            ).confidence_interval
        if np.isfinite(found.low) and np.isfinite(found.high):
            break
    return Interval(low=float(found.low), high=float(found.high), level=level, method=method.lower())
