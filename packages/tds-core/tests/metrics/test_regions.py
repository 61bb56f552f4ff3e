import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from metric_oracles import element_surface_dice, hausdorff, lesion_wise
from metric_shapes import lumps
from numpy.typing import NDArray
from scipy.spatial import KDTree

from tds_core import metrics
from tds_core.errors import EvaluationError
from tds_core.metrics import LesionRule, ScoreOptions, score_masks, score_region
from tds_data import Region
from tds_data.task import BRAIN_TUMOUR, HEAD_NECK_TUMOUR, LIVER_TUMOUR, Task

SPACING = (1.0, 0.8, 1.5)
REAL = Path(os.environ.get("TDS_REAL_DATA", "")) / "brats"


def label_map(seed: int, labels: int) -> NDArray[np.uint8]:
    """Lumps within lumps."""
    field = np.zeros((40, 36, 28), np.uint8)
    for number in range(1, labels + 1):
        field[lumps(seed, share=0.3 / number)] = number
    return field


@pytest.mark.parametrize("task", [BRAIN_TUMOUR, LIVER_TUMOUR, HEAD_NECK_TUMOUR], ids=lambda task: task.name)
def test_every_region_of_a_task_is_scored_as_its_masks_are(task: Task) -> None:
    found, truth = label_map(1, len(task.labels)), label_map(2, len(task.labels))
    scores = score_masks(found, truth, SPACING, task.regions)
    assert list(scores) == list(task.regions)
    for region, labels in task.regions.items():
        one, two = np.isin(found, labels), np.isin(truth, labels)
        lesions = metrics.score_lesions(one, two, SPACING)
        expected = {
            "dice": metrics.dice(one, two),
            "iou": metrics.iou(one, two),
            "sensitivity": metrics.sensitivity(one, two),
            "specificity": metrics.specificity(one, two),
            "precision": metrics.precision(one, two),
            "volume_ml_found": metrics.volume_ml(one, SPACING),
            "volume_ml_truth": metrics.volume_ml(two, SPACING),
            "volume_error_ml": metrics.volume_error_ml(one, two, SPACING),
            "hd95_mm": metrics.hd95_mm(one, two, SPACING),
            "surface_dice": metrics.surface_dice(one, two, SPACING, tolerance_mm=1.0),
            "lesion_dice": lesions.dice,
            "lesion_hd95_mm": lesions.hd95_mm,
            "lesions_true": lesions.lesions_true,
            "lesions_found": lesions.lesions_found,
            "lesions_missed": lesions.lesions_missed,
            "lesions_false": lesions.false_lesions,
        }
        assert {**asdict(scores[region]), "calibration": 0} == pytest.approx({**expected, "calibration": 0})
        assert scores[region].calibration is None


def test_labels_of_no_region_are_not_scored() -> None:
    found, truth = label_map(1, 3), label_map(2, 3)
    scores = score_masks(found, truth, SPACING, {"core": (3,)})
    assert scores["core"] == score_region(found == 3, truth == 3, SPACING)


@pytest.mark.parametrize("dtype", [">i2", "<f4", "i8"])
def test_dtype_and_layout_of_labels_change_nothing(dtype: str) -> None:
    found, truth = label_map(1, 3), label_map(2, 3)
    scores = score_masks(found, truth, SPACING, BRAIN_TUMOUR.regions)
    again = score_masks(found.astype(dtype), np.asfortranarray(truth.astype(dtype)), SPACING, BRAIN_TUMOUR.regions)
    for region, value in scores.items():
        assert {**asdict(value), "calibration": 0} == pytest.approx({**asdict(again[region]), "calibration": 0})


def test_probabilities_are_judged_around_each_region() -> None:
    found, truth = label_map(1, 2), label_map(2, 2)
    found[:20] = truth[:20] = 0
    probabilities = {"tumour": np.where(found == 2, 0.8, 0.1).astype(np.float32)}
    options = ScoreOptions(bins=5, margin_mm=3.0)
    scores = score_masks(found, truth, SPACING, LIVER_TUMOUR.regions, probabilities=probabilities, options=options)
    assert scores["liver"].calibration is None
    box = metrics.region_of_interest(found == 2, truth == 2, SPACING, margin_mm=3.0)
    assert box is not None
    expected = metrics.calibrate(probabilities["tumour"][box.slices], (truth == 2)[box.slices], bins=5)
    assert repr(scores["tumour"].calibration) == repr(expected)
    alone = score_region(found == 2, truth == 2, SPACING, probability=probabilities["tumour"], options=options)
    assert repr(alone.calibration) == repr(expected)


def test_empty_label_maps_score_best_and_have_no_calibration() -> None:
    none = np.zeros((6, 6, 6), np.uint8)
    probabilities = {"tumour": np.full(none.shape, 0.2)}
    scores = score_masks(none, none, SPACING, LIVER_TUMOUR.regions, probabilities=probabilities)
    for value in scores.values():
        assert (value.dice, value.iou, value.sensitivity, value.specificity, value.precision) == (1, 1, 1, 1, 1)
        assert (value.surface_dice, value.hd95_mm, value.lesion_dice, value.lesion_hd95_mm) == (1, 0, 1, 0)
        assert (value.volume_ml_found, value.volume_error_ml, value.lesions_true) == (0, 0, 0)
        assert value.calibration is None


def test_region_missing_on_one_side_scores_worst() -> None:
    some = np.zeros((12, 12, 12), np.uint8)
    some[2:8, 2:8, 2:8] = 1
    for found, truth in ((some, some * 0), (some * 0, some)):
        value = score_masks(found, truth, (1, 1, 1), {"all": (1,)}, options=ScoreOptions(empty_mm=400.0))["all"]
        assert (value.dice, value.iou, value.sensitivity, value.precision, value.surface_dice) == (0, 0, 0, 0, 0)
        assert (value.hd95_mm, value.lesion_dice, value.lesion_hd95_mm) == (400.0, 0.0, 374.0)


def test_options_reach_the_scores() -> None:
    found, truth = label_map(1, 2) > 0, label_map(2, 2) > 0
    options = ScoreOptions(tolerance_mm=4.0, lesions=LesionRule(dilation=1, penalty_mm=200.0))
    scores = score_region(found, truth, SPACING, options=options)
    lesions = metrics.score_lesions(found, truth, SPACING, rule=options.lesions)
    assert scores.surface_dice == metrics.surface_dice(found, truth, SPACING, tolerance_mm=4.0)
    assert scores.lesion_hd95_mm == pytest.approx(lesions.hd95_mm)


@pytest.mark.parametrize(
    "values", [{"tolerance_mm": -1.0}, {"empty_mm": float("inf")}, {"margin_mm": float("nan")}, {"bins": 0}]
)
def test_options_that_make_no_sense_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(EvaluationError, match=next(iter(values))):
        ScoreOptions(**values)  # type: ignore[arg-type]  # one of the fields


def test_arrays_that_do_not_fit_are_refused() -> None:
    labels = label_map(1, 2)
    with pytest.raises(EvaluationError, match="cannot be compared"):
        score_masks(labels, labels[1:], SPACING, LIVER_TUMOUR.regions)
    with pytest.raises(EvaluationError, match="not bool"):
        score_region(labels, labels, SPACING)  # type: ignore[arg-type]  # what a caller may do by mistake
    with pytest.raises(EvaluationError, match="'tumour' have the shape"):
        score_masks(labels, labels, SPACING, LIVER_TUMOUR.regions, probabilities={"tumour": np.zeros((2, 2, 2))})
    with pytest.raises(EvaluationError, match="probabilities of spleen"):
        score_masks(labels, labels, SPACING, LIVER_TUMOUR.regions, probabilities={"spleen": np.zeros(labels.shape)})


def test_regions_of_a_brain_tumour_are_scored_one_by_one() -> None:
    found = np.array([[[0, 1, 2, 3, 3, 0]]], np.uint8)
    truth = np.array([[[0, 3, 2, 3, 0, 0]]], np.uint8)
    expected = {Region.WT: 6 / 7, Region.TC: 4 / 5, Region.ET: 2 / 4}
    assert metrics.region_dice(found, truth) == pytest.approx(expected)
    distances = metrics.region_hd95_mm(found, truth, (1, 1, 2))
    assert distances[Region.ET] == pytest.approx(hausdorff(found == 3, truth == 3, (1, 1, 2), 95))
    assert set(distances) == set(Region)


def real_pairs() -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Masks of patients against those of others, and moved ones, all in one space."""
    files = sorted(REAL.glob("BraTS2021_*/*_seg.nii.gz"))[:4]
    maps = [np.asanyarray(nib.load(file).dataobj) for file in files]
    maps = [np.where(labels == 4, 3, labels).astype(np.uint8) for labels in maps]
    for number, truth in enumerate(maps):
        yield f"other-{number}", maps[number - 1], truth
    yield "moved", np.roll(maps[0], (2, -1, 3), (0, 1, 2)), maps[0]


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="TDS_REAL_DATA holds no brats")
def test_real_pairs_agree_with_the_oracles() -> None:
    for name, found, truth in real_pairs():
        scores = score_masks(found, truth, (1.0, 1.0, 1.0), {"ET": (3,), "WT": (1, 2, 3)})
        for region, labels in (("ET", (3,)), ("WT", (1, 2, 3))):
            one, two = np.isin(found, labels), np.isin(truth, labels)
            box = np.s_[20:220, 20:220, :]  # nothing lies outside; the oracles are slow
            assert not (one | two)[0:20].any(), name
            one, two = one[box], two[box]
            expected = element_surface_dice(one, two, (1, 1, 1), 1.0)
            assert scores[region].surface_dice == pytest.approx(expected, abs=1e-6), name
            lesions = lesion_wise(one, two, (1, 1, 1))
            value = scores[region]
            counts = (value.lesions_found, value.lesions_missed, value.lesions_false)
            assert (value.lesion_dice, value.lesion_hd95_mm, *counts) == pytest.approx(lesions, abs=1e-6), name
            assert value.hd95_mm == pytest.approx(tree_hd95(one, two), abs=1e-6), name


def tree_hd95(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    from metric_oracles import surface  # noqa: PLC0415  # beside the test that needs it

    a, b = surface(found), surface(truth)
    there, back = KDTree(b).query(a)[0], KDTree(a).query(b)[0]
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def test_a_region_that_holds_the_background_is_refused() -> None:
    labels = label_map(1, 1)
    with pytest.raises(EvaluationError, match="all hold the label 0"):
        score_masks(labels, labels, SPACING, {"all": (0, 1)})
