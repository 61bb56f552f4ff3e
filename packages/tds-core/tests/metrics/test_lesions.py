import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metric_oracles import element_hausdorff95, lesion_wise
from metric_shapes import Mask, Spacing, lumps, pairs, spacings
from scipy import ndimage

from tds_core.errors import EvaluationError
from tds_core.metrics import LesionRule, dice, score_lesions
from tds_core.metrics.lesions import _dilated

ONE_MM = (1.0, 1.0, 1.0)
SHAPE = (60, 24, 24)
EVERY_LESION = LesionRule(min_volume_mm3=0.0, dilation=1)


def cubes(*starts: int, size: int = 5) -> Mask:
    mask = np.zeros(SHAPE, np.bool_)
    for start in starts:
        mask[start : start + size, 4 : 4 + size, 4 : 4 + size] = True
    return mask


def test_lesions_count_alike_however_large() -> None:
    truth = cubes(2, size=10) | cubes(40)
    found = cubes(2, size=10)
    scores = score_lesions(found, truth, ONE_MM)
    assert (scores.lesions_true, scores.lesions_found, scores.lesions_missed, scores.false_lesions) == (2, 1, 1, 0)
    assert scores.dice == 0.5
    assert scores.hd95_mm == 374 / 2
    assert scores.sensitivity == 0.5
    assert scores.f1 == 2 / 3
    assert [(lesion.found, lesion.volume_ml) for lesion in scores.lesions] == [(True, 1.0), (False, 0.125)]


def test_false_lesion_counts_as_one_that_was_missed_does() -> None:
    scores = score_lesions(cubes(2, 40), cubes(2), ONE_MM)
    assert (scores.lesions_true, scores.lesions_missed, scores.false_lesions) == (1, 0, 1)
    assert scores.dice == 0.5
    assert scores.hd95_mm == 374 / 2
    assert scores.sensitivity == 1.0
    assert scores.f1 == 2 / 3


def test_false_lesion_counts_however_small() -> None:
    found = cubes(2)
    found[50, 20, 20] = True
    assert score_lesions(found, cubes(2), ONE_MM).false_lesions == 1


def test_lesion_up_to_fifty_cubic_millimetres_does_not_count_and_finding_it_is_not_wrong() -> None:
    small = np.zeros(SHAPE, np.bool_)
    small[40:45, 4:9, 4:6] = True  # 50 voxels
    scores = score_lesions(cubes(2) | small, cubes(2) | small, ONE_MM)
    assert (scores.lesions_true, scores.false_lesions, scores.dice) == (1, 0, 1.0)
    assert score_lesions(cubes(2), cubes(2) | small, ONE_MM).dice == 1.0
    small[40, 4, 6] = True  # 51
    assert score_lesions(cubes(2), cubes(2) | small, ONE_MM).lesions_missed == 1
    small[40, 4, 6] = False
    assert score_lesions(cubes(2), cubes(2) | small, (1.0, 1.0, 1.1)).lesions_missed == 1


@pytest.mark.parametrize(("gap", "lesions"), [(6, 1), (7, 2)])
def test_lesions_whose_dilations_touch_are_one(gap: int, lesions: int) -> None:
    # three steps from either side reach across a gap of six voxels, so that nothing is left between them
    truth = cubes(2, 2 + 5 + gap)
    assert score_lesions(truth, truth, ONE_MM).lesions_true == lesions


def test_part_that_lies_within_the_dilation_belongs_to_the_lesion() -> None:
    truth = cubes(10)
    near, far = np.zeros(SHAPE, np.bool_), np.zeros(SHAPE, np.bool_)
    near[17, 6, 6] = True  # the third voxel beyond
    far[18, 6, 6] = True
    found = score_lesions(truth | near, truth, ONE_MM)
    assert (found.lesions_found, found.false_lesions) == (1, 0)
    assert found.dice == dice(truth | near, truth)
    assert score_lesions(truth | far, truth, ONE_MM).false_lesions == 1
    beside = score_lesions(near, truth, ONE_MM)
    assert (beside.lesions_found, beside.dice) == (1, 0.0)
    assert beside.hd95_mm == element_hausdorff95(near, truth, ONE_MM)


def test_one_part_across_two_lesions_is_compared_with_each() -> None:
    truth = cubes(2, 30)
    found = truth.copy()
    found[2:35, 6, 6] = True
    scores = score_lesions(found, truth, ONE_MM)
    assert scores.false_lesions == 0
    expected = dice(found, cubes(2))
    assert [lesion.dice for lesion in scores.lesions] == [expected, expected]


def test_empty_masks() -> None:
    none, some = np.zeros(SHAPE, np.bool_), cubes(2)
    both = score_lesions(none, none, ONE_MM)
    assert (both.dice, both.hd95_mm, both.sensitivity, both.f1) == (1.0, 0.0, 1.0, 1.0)
    for found, truth in ((none, some), (some, none)):
        scores = score_lesions(found, truth, ONE_MM)
        assert (scores.dice, scores.hd95_mm, scores.sensitivity, scores.f1) == (0.0, 374.0, 0.0, 0.0)


def test_nothing_but_lesions_too_small_to_count_is_as_good_as_none() -> None:
    small = np.zeros(SHAPE, np.bool_)
    small[3, 3, 3] = True
    for found in (small, np.zeros(SHAPE, np.bool_)):
        scores = score_lesions(found, small, ONE_MM)
        assert (scores.dice, scores.hd95_mm, scores.lesions_true) == (1.0, 0.0, 0)


@pytest.mark.parametrize(("field", "value"), [("dilation", -1), ("min_volume_mm3", -0.1), ("penalty_mm", float("nan"))])
def test_rule_that_makes_no_sense_is_refused(field: str, value: float) -> None:
    with pytest.raises(EvaluationError, match=field):
        LesionRule(**{field: value})


@given(pairs, spacings, st.integers(0, 2))
def test_small_masks_agree_with_the_definition(pair: tuple[Mask, Mask], spacing: Spacing, steps: int) -> None:
    found, truth = pair
    scores = score_lesions(found, truth, spacing, rule=LesionRule(dilation=steps, min_volume_mm3=2.0, penalty_mm=99.0))
    expected = lesion_wise(found, truth, spacing, steps=steps, smallest_mm3=2.0, penalty=99.0)
    counts = scores.lesions_found, scores.lesions_missed, scores.false_lesions
    assert (scores.dice, scores.hd95_mm, *counts) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_lumps_agree_with_the_definition(seed: int) -> None:
    found, truth = lumps(seed, share=0.04), lumps(seed + 10, share=0.03) | (lumps(seed, share=0.02))
    scores = score_lesions(found, truth, (1.0, 1.0, 1.5), rule=LesionRule(dilation=1))
    expected = lesion_wise(found, truth, (1.0, 1.0, 1.5), steps=1)
    counts = scores.lesions_found, scores.lesions_missed, scores.false_lesions
    assert scores.lesions_true > 3
    assert (scores.dice, scores.hd95_mm, *counts) == pytest.approx(expected, abs=1e-9)


@given(pairs, st.permutations(range(3)), st.integers(0, 2))
def test_scores_do_not_depend_on_how_the_grid_lies(pair: tuple[Mask, Mask], order: list[int], axis: int) -> None:
    found, truth = (np.pad(np.flip(mask, axis).transpose(order), ((2, 1), (0, 0), (0, 3))) for mask in pair)
    scores, moved = (score_lesions(*masks, ONE_MM, rule=EVERY_LESION) for masks in (pair, (found, truth)))
    assert (scores.dice, scores.hd95_mm) == pytest.approx((moved.dice, moved.hd95_mm))
    assert scores.false_lesions == moved.false_lesions
    assert 0.0 <= scores.dice <= 1.0
    assert 0.0 <= scores.hd95_mm <= 374.0


@given(pairs)
def test_a_mask_agrees_with_itself(pair: tuple[Mask, Mask]) -> None:
    mask, _ = pair
    scores = score_lesions(mask, mask, ONE_MM, rule=LesionRule(min_volume_mm3=0.0, dilation=2))
    assert (scores.lesions_missed, scores.false_lesions) == (0, 0)
    assert scores.dice == pytest.approx(1.0)
    assert scores.hd95_mm == 0.0


@pytest.mark.parametrize("steps", range(4))
def test_dilation_is_that_of_faces_and_edges(steps: int) -> None:
    mask = np.random.default_rng(steps).random((24, 20, 22)) > 0.995
    grow = ndimage.generate_binary_structure(3, 2)
    expected = ndimage.binary_dilation(mask, grow, iterations=steps) if steps else mask
    np.testing.assert_array_equal(_dilated(mask, steps), expected)
