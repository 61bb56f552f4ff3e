from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from tds_core import (
    BundleAltered,
    BundleIncompatible,
    TrainingError,
    load_bundle,
    open_model,
    predict,
    segment,
    verify_golden,
)
from tds_core.bundle import CARD_NAME, DESCRIPTION_NAME, GOLDEN_NAME, GRAPH_NAME, WEIGHTS_NAME, write_manifest
from tds_core.training.config import Heads, Precision
from tds_core.training.export import PackedBundle, export_bundle, read_weights, round_to_half
from tds_core.training.export.card import card_text
from tds_core.training.export.runs import without_paths
from tds_core.training.validation import PredictionConfig, predict_image
from tds_core.windows import lay_windows
from tds_data import Case
from tds_data.errors import VolumeWriteError
from tds_data.testing import draw_brain


def document(packed: PackedBundle) -> dict[str, Any]:
    text: dict[str, Any] = yaml.safe_load((packed.folder / DESCRIPTION_NAME).read_text(encoding="utf-8"))
    return text


def test_bundle_gives_what_the_validator_saw(brain: PackedBundle, making: Any) -> None:
    config, bundle = making.config(), making.opened(brain)
    tensor = np.random.default_rng(0).normal(size=(4, 50, 44, 38)).astype(np.float32)
    found = predict(open_model(bundle), tensor, bundle.postprocess.mirror, use=bundle.use)
    how = PredictionConfig(
        plan=bundle.use.windows,
        heads=Heads.REGIONS,
        task=config.goal,
        precision=Precision.FP32,
        device=torch.device("cpu"),
        mirror=(0,),
    )
    network = round_to_half(making.network(config))
    np.testing.assert_allclose(found, predict_image(network, torch.from_numpy(tensor), how).numpy(), atol=1e-3)
    small = replace(bundle.use, windows=replace(bundle.use.windows, whole_voxels=0))
    assert len(lay_windows((50, 44, 38), small.windows).starts) > 1
    windowed = predict(open_model(bundle), tensor, use=small)
    how = replace(how, plan=small.windows, mirror=())
    np.testing.assert_allclose(windowed, predict_image(network, torch.from_numpy(tensor), how).numpy(), atol=1e-3)


def test_bundle_of_a_fixed_network_with_softmax_heads_gives_what_the_validator_saw(
    liver: PackedBundle, making: Any
) -> None:
    bundle = making.opened(liver)
    assert bundle.use.windows.fixed
    config = making.liver_config()
    tensor = np.random.default_rng(0).uniform(-1, 1, (1, 40, 30, 34)).astype(np.float32)
    found = predict(open_model(bundle), tensor, use=bundle.use)
    how = PredictionConfig(
        plan=bundle.use.windows,
        heads=Heads.CLASSES,
        task=config.goal,
        precision=Precision.FP32,
        device=torch.device("cpu"),
    )
    network = round_to_half(making.network(config))
    expected = predict_image(network, torch.from_numpy(tensor), how).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert found.shape == (2, 40, 30, 34)
    assert (found[0] >= found[1]).all()  # a liver holds its tumours


@pytest.fixture(scope="module")
def case() -> Case:
    return draw_brain(shape=(30, 37, 32), spacing_mm=6.0)


def test_bundle_segments_a_study(case: Case, brain: PackedBundle, making: Any) -> None:
    result = segment(case, bundle=making.opened(brain))
    assert result.report.model.name == "small-brain-tumour"
    assert result.mask.same_grid(case.grid)


def test_model_of_another_task_is_refused_for_studies_and_told_why(
    case: Case, liver: PackedBundle, making: Any
) -> None:
    with pytest.raises(BundleIncompatible, match=r"for the task 'liver-tumour' \(liver, tumour in ct\)"):
        segment(case, bundle=making.opened(liver))


def test_golden_case_is_given_again(brain: PackedBundle, liver: PackedBundle, making: Any) -> None:
    for packed in (brain, liver):
        bundle = making.opened(packed)
        verify_golden(bundle, open_model(bundle))
    assert document(liver)["golden"]["source"] == "shapes"


def test_golden_case_finds_other_weights_out_even_where_no_mask_differs(
    brain: PackedBundle, brain_twin: PackedBundle, making: Any
) -> None:
    bundle, other = making.opened(brain), making.opened(brain_twin)
    with pytest.raises(BundleAltered, match=r"golden\.npz"):
        verify_golden(bundle, open_model(other))


def test_golden_case_keeps_probabilities(brain: PackedBundle, tmp_path: Path, making: Any) -> None:
    bundle = making.opened(brain)
    with np.load(bundle.folder / GOLDEN_NAME) as archive:
        arrays = dict(archive)
    assert arrays["probabilities"].std() > 0
    for name, change, message in (
        ("moved", arrays["probabilities"] ^ 16, "differ by up to"),
        ("cut", arrays["probabilities"][:, 1:], "keeps probabilities of shape"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        for file in bundle.folder.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        np.savez(folder / GOLDEN_NAME, **{**arrays, "probabilities": change})
        altered = load_bundle(folder, trusted=[write_manifest(folder, version=2)])
        with pytest.raises(BundleAltered, match=message):
            verify_golden(altered, open_model(altered))


def test_weights_are_stored_once_as_halves_and_read_back(liver: PackedBundle, making: Any) -> None:
    rounded = round_to_half(making.network(making.liver_config())).state_dict()
    read = read_weights(liver.folder)
    assert read.keys() == rounded.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in rounded.items())
    halves = 2 * sum(tensor.numel() for tensor in rounded.values())
    assert (liver.folder / WEIGHTS_NAME).stat().st_size < halves * 1.1 + 20_000  # with the names of the tensors
    assert document(liver)["precision"]["weights"] == "float16"


def test_description_says_how_the_model_is_run_and_where_it_comes_from(brain: PackedBundle) -> None:
    told = document(brain)
    assert told["format"] == 2
    assert told["task"]["channels"] == ["t1", "t1ce", "t2", "flair"]
    assert told["inference"]["patch"] == [32, 32, 32]
    assert told["inference"]["multiple"] == [2, 2, 2]
    assert told["postprocessing"] == {
        "thresholds": {"WT": 0.4, "TC": 0.5, "ET": 0.5},
        "min_lesion_ml": 0.05,
        "mirror": [0],
    }
    assert [label["code"] for label in told["labels"]] == ["6574001", "79654002", "C113842"]
    provenance = told["provenance"]
    assert provenance["phantoms"] == "all"
    assert provenance["validation"]["cases"][0] == {
        "case": "phantom-1",
        "phantom": True,
        "dice": {"WT": 0.125, "TC": 0.125, "ET": 0.125},
    }
    assert provenance["versions"]["torch"] == metadata.version("torch")
    assert "secret" not in (brain.folder / DESCRIPTION_NAME).read_text(encoding="utf-8")


def test_card_of_a_model_from_phantoms_says_so(brain: PackedBundle) -> None:
    card = (brain.folder / CARD_NAME).read_text(encoding="utf-8")
    assert "Research use only" in card
    assert "synthetic patients (phantoms) only" in card
    assert "PHANTOMS, which are no patients" in card
    assert "Patients:\n\n|" not in card
    assert "| phantom-1 | 0.125 | 0.125 | 0.125 |" in card
    assert "which flatters them" in card
    assert "measured on 0 patients" in card


def test_card_of_a_model_from_patients_says_so(brain_twin: PackedBundle) -> None:
    card = (brain_twin.folder / CARD_NAME).read_text(encoding="utf-8")
    assert "phantom" not in card.lower()
    assert "Patients:\n\n| case | WT | TC | ET |" in card
    assert "| set | 2 | 1 | 0 | CC0-1.0 |" in card
    assert "measured on 1 patients" in card


def test_model_without_scores_claims_none(making: Any) -> None:
    told = {
        "name": "x",
        "version": "1",
        "licence": "MIT",
        "task": making.config().goal.to_dict(),
        "heads": "regions",
        "inference": {"patch": None},
        "preprocessing": {"spacing_mm": [1.0, 1.0, 3.0], "normalisation": "z-score"},
        "architecture": {"name": "segresnet"},
        "precision": {"weights": "float32"},
        "provenance": {"origin": "training"},
    }
    card = card_text(told)
    assert "Not measured with these weights" in card
    assert "What it was trained on was not recorded" in card
    assert "1 x 1 x 3 mm" in card


def test_weights_that_halves_would_change_are_stored_whole(tmp_path: Path, making: Any) -> None:
    config = making.config()
    network = making.network(config)
    with torch.no_grad():
        network.get_parameter("convInit.conv.weight").mul_(1e8)  # every output passes a norm before it counts
    packed = export_bundle(network, config, tmp_path / "bundle", facts=making.facts())
    assert "not finite in half precision" in packed.notes[0]
    assert document(packed)["precision"]["weights"] == "float32"
    assert torch.equal(
        dict(read_weights(packed.folder))["convInit.conv.weight"], network.state_dict()["convInit.conv.weight"]
    )
    bundle = making.opened(packed)
    verify_golden(bundle, open_model(bundle))


def test_diverged_network_leaves_no_bundle(tmp_path: Path, making: Any) -> None:
    config = making.config()
    network = making.network(config)
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match="not finite; the run diverged"):
        export_bundle(network, config, tmp_path / "bundle", facts=making.facts())
    assert not list(tmp_path.iterdir())


def test_bundle_does_not_replace_what_is_there(tmp_path: Path, making: Any) -> None:
    (tmp_path / "note.txt").write_text("mine")
    config = making.config()
    with pytest.raises(VolumeWriteError, match="holds other things"):
        export_bundle(making.network(config), config, tmp_path, facts=making.facts())
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]


def test_paths_of_a_configuration_are_cut_to_their_names(making: Any) -> None:
    config = making.config(weights=Path("/home/someone/secret/start"))
    config = replace(
        config,
        plan=Path("/secret/plan.yaml"),
        tracking=replace(config.tracking, mlflow_uri="http://someone:password@tracking"),
    )
    told = without_paths(config)
    assert told["data"]["datasets"][0]["path"] == "BraTS"
    assert (told["plan"], told["network"]["weights"]) == ("plan.yaml", "start")
    assert not {"secret", "password"} & set(str(told).replace("/", " ").replace(":", " ").split())


def test_graph_holds_no_weights(brain: PackedBundle, liver: PackedBundle) -> None:
    for packed in (brain, liver):
        assert (packed.folder / GRAPH_NAME).stat().st_size < 100_000
