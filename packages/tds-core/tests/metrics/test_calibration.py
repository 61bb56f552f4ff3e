import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from metric_oracles import expected_calibration_error
from numpy.typing import NDArray

from tds_core.errors import EvaluationError
from tds_core.metrics import Calibration, calibrate, pool_calibration, region_of_interest

cases = st.tuples(*[st.integers(1, 5)] * 3).flatmap(
    lambda shape: st.tuples(hnp.arrays(np.float64, shape, elements=st.floats(0, 1)), hnp.arrays(np.bool_, shape))
)


def block(*values: float) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64).reshape(1, 1, -1)


def truth_of(*values: int) -> NDArray[np.bool_]:
    return np.array(values, dtype=np.bool_).reshape(1, 1, -1)


def test_known_reliability() -> None:
    result = calibrate(block(0.1, 0.3, 0.9, 0.9), truth_of(0, 1, 1, 0), bins=2)
    assert result.counts == (2, 2)
    assert result.confidence == pytest.approx((0.2, 0.9))
    assert result.frequency == pytest.approx((0.5, 0.5))
    assert result.expected_error == pytest.approx((2 * 0.3 + 2 * 0.4) / 4)
    assert result.maximum_error == pytest.approx(0.4)
    assert result.brier == pytest.approx((0.1**2 + 0.7**2 + 0.1**2 + 0.9**2) / 4)


def test_certain_and_right_is_without_error_and_certain_and_wrong_is_the_worst() -> None:
    truth = truth_of(0, 1, 1, 0)
    right, wrong = calibrate(truth.astype(np.float32), truth), calibrate((~truth).astype(np.float32), truth)
    assert (right.expected_error, right.maximum_error, right.brier) == (0.0, 0.0, 0.0)
    assert (wrong.expected_error, wrong.maximum_error, wrong.brier) == (1.0, 1.0, 1.0)


def test_probability_on_an_edge_belongs_to_the_bin_below_and_zero_to_the_first() -> None:
    assert calibrate(block(0.0, 0.25, 0.5, 1.0), truth_of(0, 0, 0, 0), bins=4).counts == (2, 1, 0, 1)


def test_empty_bin_is_not_a_number_and_no_error() -> None:
    result = calibrate(block(0.1), truth_of(0), bins=3)
    assert math.isnan(result.confidence[1])
    assert math.isnan(result.frequency[2])
    assert result.maximum_error == pytest.approx(0.1)


@given(cases, st.integers(1, 20))
def test_error_agrees_with_the_definition(case: tuple[NDArray[np.float64], NDArray[np.bool_]], bins: int) -> None:
    probability, truth = case
    result = calibrate(probability, truth, bins=bins)
    assert sum(result.counts) == truth.size
    assert result.expected_error <= result.maximum_error + 1e-12
    assert result.expected_error >= 0.0
    assert result.maximum_error <= 1.0
    assert result.brier == pytest.approx(((probability - truth) ** 2).mean())
    edges = np.abs(probability * bins - np.round(probability * bins))
    if not ((edges > 0) & (edges < 1e-9)).any():  # where rounding may choose the other bin
        assert result.expected_error == pytest.approx(expected_calibration_error(probability, truth, bins), abs=1e-9)


@given(cases)
def test_pooled_parts_are_the_whole(case: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> None:
    probability, truth = case
    parts = [calibrate(probability[i : i + 1], truth[i : i + 1]) for i in range(len(truth))]
    pooled, whole = pool_calibration(parts), calibrate(probability, truth)
    assert pooled.counts == whole.counts
    np.testing.assert_allclose(pooled.confidence, whole.confidence)
    np.testing.assert_allclose(pooled.frequency, whole.frequency)
    assert pooled.brier == pytest.approx(whole.brier)


def test_parts_that_do_not_fit_are_not_pooled() -> None:
    one, other = calibrate(block(0.1), truth_of(0), bins=2), calibrate(block(0.1), truth_of(0), bins=3)
    for parts in ([], [one, other]):
        with pytest.raises(EvaluationError, match="cannot be pooled"):
            pool_calibration(parts)


@pytest.mark.parametrize(
    ("probability", "truth", "bins", "message"),
    [
        (block(0.1, 0.2), truth_of(0), 5, r"shape \(1, 1, 2\)"),
        (block(0.1), block(1.0), 5, "a float64 reference"),
        (block(), truth_of(), 5, "a voxel at least"),
        (block(0.1), truth_of(0), 0, "in 0 bins"),
        (block(1.2), truth_of(0), 5, "from 1.2 to 1.2"),
        (block(-0.1), truth_of(0), 5, "from -0.1"),
        (block(math.nan), truth_of(0), 5, "from nan"),
    ],
)
def test_what_is_no_probability_is_refused(
    probability: NDArray[np.float64], truth: NDArray[np.bool_], bins: int, message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        calibrate(probability, truth, bins=bins)


def test_region_of_interest_reaches_ten_millimetres_beyond_both_masks_and_stays_in_the_grid() -> None:
    found, truth = np.zeros((40, 40, 40), np.bool_), np.zeros((40, 40, 40), np.bool_)
    assert region_of_interest(found, truth, (1, 1, 1)) is None
    found[20, 20, 2] = truth[22, 20, 39] = True
    box = region_of_interest(found, truth, (1.0, 2.0, 3.0))
    assert box is not None
    assert (box.start, box.stop) == ((10, 15, 0), (33, 26, 40))


def test_far_background_does_not_hide_an_error() -> None:
    truth = np.zeros((60, 60, 60), np.bool_)
    truth[28:32, 28:32, 28:32] = True
    probability = np.where(np.roll(truth, 3, axis=0), 0.9, 0.0)
    box = region_of_interest(probability > 0.5, truth, (1, 1, 1), margin_mm=2)
    assert box is not None
    everywhere, here = calibrate(probability, truth), calibrate(probability[box.slices], truth[box.slices])
    assert isinstance(here, Calibration)
    assert here.expected_error > 20 * everywhere.expected_error
