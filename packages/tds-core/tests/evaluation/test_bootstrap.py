import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tds_core import EvaluationError
from tds_core.evaluation import mean_interval


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_interval_lies_within_the_values_and_is_the_same_again(values: list[float], seed: int) -> None:
    interval = mean_interval(values, resamples=199, seed=seed)
    assert interval is not None
    assert min(values) - 1e-12 <= interval.low <= interval.high <= max(values) + 1e-12
    assert mean_interval(values, resamples=199, seed=seed) == interval


def test_interval_of_many_normal_values_is_that_of_the_t_distribution() -> None:
    values = np.random.default_rng(0).normal(0.8, 0.1, 400)
    interval = mean_interval(values.tolist())
    low, high = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-4)
    assert interval.method == "bca"


def test_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        interval = mean_interval(rng.beta(8, 2, 40).tolist(), resamples=399)
        assert interval is not None
        held += interval.low <= 0.8 <= interval.high
    assert 180 <= held <= 199


def test_one_case_has_no_interval() -> None:
    assert mean_interval([0.5]) is None


def test_interval_of_equal_values_is_that_value() -> None:
    interval = mean_interval([0.5, 0.5])
    assert interval is not None
    assert (interval.low, interval.high, interval.method) == (0.5, 0.5, "constant")


def test_percentiles_serve_where_the_better_interval_is_not_defined() -> None:
    interval = mean_interval([0.0, 2.2466373003669473e-301])
    assert interval is not None
    assert interval.method == "percentile"


@pytest.mark.parametrize(("values", "level"), [([], 0.95), ([0.1, float("nan")], 0.95), ([0.1, 0.2], 1.0)])
def test_what_has_no_interval_is_refused(values: list[float], level: float) -> None:
    with pytest.raises(EvaluationError, match="finite values and a level between 0 and 1"):
        mean_interval(values, level=level)
