from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tds_core import Bundle, CaseScores, Engine, EvaluationError, evaluate_case, segment
from tds_core.evaluation import as_scored, case_folders, mean_dice, score_labels, sequence_subsets, with_sequences
from tds_core.inference import InferenceOptions, Segmentation
from tds_core.metrics import EMPTY_DISTANCE_MM, dice, hd95_mm
from tds_data import MODALITIES, REGIONS, Case, Modality, Region, Volume
from tds_data.task import LIVER_TUMOUR


@pytest.fixture
def result(phantom: Case, bundle: Bundle, bright: Engine) -> Segmentation:
    return segment(phantom, bundle=bundle, engine=bright)


def scores(name: str, value: float) -> CaseScores:
    regions = dict.fromkeys(map(str, REGIONS), value)
    return CaseScores(case=name, modalities=MODALITIES, dice=regions, hd95_mm=regions)


def test_scores_are_those_of_mask_against_reference(result: Segmentation, phantom: Case) -> None:
    scored = evaluate_case(result)
    assert phantom.reference is not None
    found, truth = result.mask.voxels > 0, phantom.reference.voxels > 0
    assert scored.case == phantom.name
    assert scored.modalities == MODALITIES
    assert 0 < scored.dice[Region.WT] < 1
    assert scored.dice[Region.WT] == dice(found, truth)
    assert scored.hd95_mm[Region.WT] == hd95_mm(found, truth, (3.0, 3.0, 3.0))


def test_case_without_a_reference_cannot_be_scored(result: Segmentation) -> None:
    blind = replace(result, case=replace(result.case, reference=None))
    with pytest.raises(EvaluationError, match="has no reference mask; add one"):
        evaluate_case(blind)


def test_probabilities_that_were_kept_are_judged(phantom: Case, bundle: Bundle, bright: Engine) -> None:
    kept = segment(phantom, bundle=bundle, engine=bright, options=InferenceOptions(keep_probabilities=True))
    assert kept.probabilities is not None
    assert {p.shape for p in kept.probabilities.values()} == {phantom.grid.shape}
    scored = evaluate_case(kept)
    calibration = scored.regions["WT"].calibration
    assert calibration is not None
    values = as_scored("a", scored, phantom=True).values
    assert values["WT"]["calibration_error"] == calibration.expected_error


def test_region_that_neither_mask_has_leaves_its_calibration_undefined() -> None:
    empty = np.zeros((4, 4, 4), np.uint8)
    nowhere = {region: np.zeros(empty.shape, np.float32) for region in LIVER_TUMOUR.regions}
    scored = score_labels(empty, Volume(empty, np.eye(4)), LIVER_TUMOUR, case="a", probabilities=nowhere)
    assert as_scored("a", scored, phantom=False).values["tumour"]["calibration_error"] is None


def test_masks_of_another_task_have_its_regions() -> None:
    truth = np.zeros((12, 12, 12), np.uint8)
    truth[2:10, 2:10, 2:10] = 1
    truth[4:8, 4:8, 4:8] = 2
    found = np.where(truth == 2, np.uint8(1), truth)
    scored = score_labels(found, Volume(truth, np.diag([1, 1, 3, 1])), LIVER_TUMOUR, case="a", modalities=("ct",))
    assert scored.dice == {"liver": 1.0, "tumour": 0.0}
    assert scored.hd95_mm == {"liver": 0.0, "tumour": EMPTY_DISTANCE_MM}
    assert mean_dice([scored]) == scored.dice
    values = as_scored("a", scored, phantom=False).values["tumour"]
    assert values["volume_ml_truth"] == pytest.approx(64 * 3 / 1000)
    assert values["precision"] == 0.0
    assert "calibration_error" not in values


def test_mean_is_over_cases_and_needs_one() -> None:
    assert mean_dice([scores("a", 0.5), scores("b", 0.8)])[Region.TC] == pytest.approx(0.65)
    with pytest.raises(EvaluationError, match="nothing to average"):
        mean_dice([])


def test_four_sequences_have_fifteen_subsets_the_whole_first() -> None:
    subsets = list(sequence_subsets(MODALITIES))
    assert len(set(subsets)) == len(subsets) == 15
    assert subsets[0] == MODALITIES
    assert [len(s) for s in subsets] == sorted((len(s) for s in subsets), reverse=True)


def test_case_is_cut_to_the_sequences_asked_for(phantom: Case) -> None:
    cut = with_sequences(phantom, (Modality.FLAIR, Modality.T1))
    assert cut.modalities == (Modality.T1, Modality.FLAIR)
    assert cut.reference is phantom.reference
    with pytest.raises(EvaluationError, match="has no t2"):
        with_sequences(cut, (Modality.T1, Modality.T2))


def test_folders_of_patients_are_found_and_missing_ones_named(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").write_text("", encoding="utf-8")
    assert case_folders(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert case_folders(tmp_path, ["b"]) == [tmp_path / "b"]
    assert case_folders(tmp_path / "a") == [tmp_path / "a"]
    (tmp_path / "a" / "sub").mkdir()
    (tmp_path / "a" / "p_flair.nii.gz").touch()
    assert case_folders(tmp_path / "a") == [tmp_path / "a"]
    (tmp_path / "b" / "anat").mkdir()
    assert case_folders(tmp_path / "b") == [tmp_path / "b"]
    with pytest.raises(EvaluationError, match="no folder c, d in"):
        case_folders(tmp_path, ["a", "c", "d"])
    with pytest.raises(EvaluationError, match="is not a folder"):
        case_folders(tmp_path / "absent")
