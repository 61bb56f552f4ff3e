import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from metric_shapes import Mask, pairs

from tds_core.metrics import (
    absolute_volume_error_ml,
    dice,
    iou,
    precision,
    relative_volume_error,
    sensitivity,
    specificity,
    volume_error_ml,
    volume_ml,
)

NONE, SOME, FULL = np.zeros((3, 4, 5), np.bool_), np.zeros((3, 4, 5), np.bool_), np.ones((3, 4, 5), np.bool_)
SOME[1, 1, 1:4] = True


def test_scores_of_known_counts() -> None:
    found, truth = np.zeros((4, 5, 5), np.bool_), np.zeros((4, 5, 5), np.bool_)
    found[0] = True  # 25 voxels
    truth[0, :2] = True  # 10 voxels, all of them found
    truth[1, 0] = True  # 5 voxels that were not
    assert dice(found, truth) == 20 / 40
    assert iou(found, truth) == 10 / 30
    assert sensitivity(found, truth) == 10 / 15
    assert precision(found, truth) == 10 / 25
    assert specificity(found, truth) == 70 / 85
    assert volume_ml(found, (2.0, 5.0, 1.0)) == pytest.approx(0.25)
    assert volume_error_ml(found, truth, (2.0, 5.0, 1.0)) == pytest.approx(0.1)
    assert volume_error_ml(truth, found, (2.0, 5.0, 1.0)) == pytest.approx(-0.1)
    assert absolute_volume_error_ml(truth, found, (2.0, 5.0, 1.0)) == pytest.approx(0.1)
    assert relative_volume_error(found, truth) == 10 / 15
    assert relative_volume_error(truth, found) == -10 / 25


@pytest.mark.parametrize("score", [dice, iou, sensitivity, precision])
def test_share_is_one_if_both_masks_are_empty_and_none_if_one_is(score: Callable[[Mask, Mask], float]) -> None:
    assert score(NONE, NONE) == 1.0
    assert score(NONE, SOME) == 0.0
    assert score(SOME, NONE) == 0.0
    assert score(FULL, FULL) == 1.0


def test_specificity_of_empty_and_full_masks() -> None:
    assert specificity(NONE, NONE) == 1.0
    assert specificity(NONE, SOME) == 1.0
    assert specificity(SOME, NONE) == 57 / 60
    assert specificity(FULL, FULL) == 1.0
    assert specificity(SOME, FULL) == 0.0
    assert specificity(FULL, SOME) == 0.0


def test_volume_error_of_empty_masks() -> None:
    assert volume_error_ml(NONE, NONE, (1, 1, 1)) == relative_volume_error(NONE, NONE) == 0.0
    assert volume_error_ml(NONE, SOME, (1, 1, 1)) == pytest.approx(-0.003)
    assert relative_volume_error(NONE, SOME) == -1.0
    assert relative_volume_error(SOME, NONE) == math.inf


@given(pairs)
def test_overlap_is_symmetric_and_one_only_for_equal_masks(pair: tuple[Mask, Mask]) -> None:
    found, truth = pair
    for score in (dice, iou):
        value = score(found, truth)
        assert value == score(truth, found)
        assert 0.0 <= value <= 1.0
        assert (value == 1.0) == np.array_equal(found, truth)
    assert precision(found, truth) == sensitivity(truth, found)
    overlap = iou(found, truth)
    assert dice(found, truth) == pytest.approx(2 * overlap / (1 + overlap))


@given(pairs)
def test_specificity_is_sensitivity_of_the_complements(pair: tuple[Mask, Mask]) -> None:
    found, truth = pair
    assert specificity(found, truth) == sensitivity(~found, ~truth)


@given(pairs)
def test_a_voxel_put_right_never_lowers_a_score(pair: tuple[Mask, Mask]) -> None:
    found, truth = pair
    wrong = np.argwhere(found != truth)
    if len(wrong):
        better = found.copy()
        better[tuple(wrong[0])] = truth[tuple(wrong[0])]
        for score in (dice, iou, sensitivity, specificity, precision):
            assert score(better, truth) >= score(found, truth)
