from dataclasses import replace
from pathlib import Path

import pytest

from tds_core import Bundle, CaseScores, Engine, EvaluationError, evaluate_case, segment
from tds_core.evaluation import case_folders, mean_dice, sequence_subsets, with_sequences
from tds_core.inference import Segmentation
from tds_core.metrics import dice, hd95_mm
from tds_data import MODALITIES, REGIONS, Case, Modality, Region


@pytest.fixture
def result(phantom: Case, bundle: Bundle, bright: Engine) -> Segmentation:
    return segment(phantom, bundle=bundle, engine=bright)


def scores(name: str, value: float) -> CaseScores:
    regions = dict.fromkeys(REGIONS, value)
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
