import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="bundles are made by the extra train")
segresnet = pytest.importorskip("monai.networks.nets.segresnet")

from tds_core.training.config import (  # noqa: E402  # after it is known that training is there
    DataConfig,
    DatasetConfig,
    NetworkConfig,
    SamplingConfig,
    TrainingConfig,
    to_document,
)

Tds = Callable[..., tuple[int, str, str]]

SMALL = {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}


@pytest.fixture(scope="module")
def monai_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("monai") / "brats_small"
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    arguments = {**SMALL, "in_channels": 4, "out_channels": 3}
    inference = {
        "network_def": {"_target_": "SegResNet", **arguments},
        "preprocessing": {
            "transforms": [{"_target_": "NormalizeIntensityd", "nonzero": True, "channel_wise": True}],
        },
        "postprocessing": {"transforms": [{"_target_": "Activationsd", "sigmoid": True}]},
    }
    channels = {"0": "T1c", "1": "T1", "2": "T2", "3": "FLAIR"}
    regions = {"0": "Tumor core", "1": "Whole tumor", "2": "Enhancing tumor"}
    metadata = {
        "version": "0.1.0",
        "network_data_format": {
            "inputs": {"image": {"channel_def": channels}},
            "outputs": {"pred": {"channel_def": regions}},
        },
    }
    (folder / "configs" / "inference.json").write_text(json.dumps(inference), encoding="utf-8")
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    torch.manual_seed(0)
    torch.save(segresnet.SegResNet(spatial_dims=3, **arguments).state_dict(), folder / "models" / "model.pt")
    return folder


@pytest.fixture(scope="module")
def imported(monai_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The bundle of the MONAI bundle, made by the command's own function."""
    from tds_cli.model_making import MonaiRequest, import_from_monai  # noqa: PLC0415  # loads torch
    from tds_core.training.export import BundleNaming  # noqa: PLC0415  # as above

    target = tmp_path_factory.mktemp("made") / "bundle"
    request = MonaiRequest(source=monai_bundle, target=target, naming=BundleNaming(), spacing_mm=(4.0, 4.0, 4.0))
    return import_from_monai(request)


def test_imported_bundle_is_told_of_verified_and_segments(
    tds: Tds, imported: Any, phantom_folder: Path, tmp_path: Path
) -> None:
    folder, sha256 = imported["output"], imported["sha256"]
    assert any("no licence" in note for note in imported["notes"])
    assert tds("model", "verify", folder, "--trust", sha256)[0] == 0
    code, out, _ = tds("model", "show", folder, "--trust", sha256, "--json")
    assert code == 0
    assert json.loads(out)["task"]["channels"] == ["t1ce", "t1", "t2", "flair"]
    assert tds("segment", phantom_folder, "-o", tmp_path / "refused", "--model", folder)[0] == 4
    out_folder = tmp_path / "out"
    code, _, err = tds("segment", phantom_folder, "-o", out_folder, "--model", folder, "--trust", sha256)
    assert (code, err) == (0, "")
    assert json.loads((out_folder / "result.json").read_text(encoding="utf-8"))["model"]["sha256"] == sha256


def test_import_refuses_what_it_would_have_to_run(tds: Tds, monai_bundle: Path, tmp_path: Path) -> None:
    path = monai_bundle / "configs" / "inference.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"init_filters": 8', '"init_filters": "$8"'), encoding="utf-8")
    try:
        code, _, err = tds("model", "import", monai_bundle, "-o", tmp_path / "bundle")
    finally:
        path.write_text(text, encoding="utf-8")
    assert code == 4
    assert "is the expression '$8'" in err
    assert not (tmp_path / "bundle").exists()


def test_import_passes_on_what_the_bundle_does_not_say(tds: Tds, monai_bundle: Path, tmp_path: Path) -> None:
    told = ("--name", "told", "--licence", "MIT", "--spacing", "4", "--patch", "8,16,8", "--orientation", "RAS")
    code, out, err = tds("model", "import", monai_bundle, "-o", tmp_path / "bundle", *told)
    assert (code, err) == (0, "")
    sha256 = out.splitlines()[-1].split()[-1]
    assert f"use it with --model {tmp_path / 'bundle'} --trust {sha256}" in out
    shown = json.loads(tds("model", "show", tmp_path / "bundle", "--trust", sha256, "--json")[1])
    assert (shown["name"], shown["licence"], shown["inference"]["patch"]) == ("told", "MIT", [8, 16, 8])


@pytest.mark.parametrize(
    "options", [("--patch", "8,8"), ("--patch", "8,8,0"), ("--patch", "a"), ("--patch", "8.5"), ("--spacing", "-1")]
)
def test_numbers_that_cannot_be_are_faults_of_the_command_line(
    tds: Tds, monai_bundle: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    code, _, err = tds("model", "import", monai_bundle, "-o", tmp_path / "bundle", *options)
    assert code == 2
    assert options[0] in err


def test_ensemble_of_one_bundle_twice_is_refused_and_untrusted_ones_too(
    tds: Tds, imported: Any, tmp_path: Path
) -> None:
    folder, sha256 = imported["output"], imported["sha256"]
    assert tds("model", "ensemble", folder, folder, "-o", tmp_path / "pair")[0] == 4
    code, _, err = tds("model", "ensemble", folder, folder, "-o", tmp_path / "pair", "--trust", sha256)
    assert code == 4
    assert "was given twice" in err


def test_run_is_exported_and_joins_an_ensemble(tds: Tds, tmp_path: Path) -> None:
    made = []
    for seed in (0, 1):
        run = tmp_path / f"run-{seed}"
        write_run(run, seed)
        code, out, err = tds("model", "export", run, "-o", tmp_path / f"bundle-{seed}", "--licence", "MIT", "--json")
        assert (code, err) == (0, "")
        made.append(json.loads(out))
    folders = [entry["output"] for entry in made]
    trust = [word for entry in made for word in ("--trust", entry["sha256"])]
    shares = ("--share", "1", "--share", "3", "--name", "pair")
    code, out, err = tds("model", "ensemble", *folders, "-o", tmp_path / "pair", *trust, *shares, "--json")
    assert (code, err) == (0, "")
    sha256 = json.loads(out)["sha256"]
    assert tds("model", "verify", tmp_path / "pair", "--trust", sha256)[0] == 0


def test_folder_without_a_run_is_a_fault_of_the_command_line(tds: Tds, tmp_path: Path) -> None:
    code, _, err = tds("model", "export", tmp_path, "-o", tmp_path / "bundle")
    assert code == 2
    assert "there is no run of tds train" in err


def test_without_the_extra_the_way_to_install_it_is_told(
    tds: Tds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    for name in [n for n in sys.modules if n.startswith(("tds_core.training", "tds_cli.model_making"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, err = tds("model", "export", tmp_path, "-o", tmp_path / "bundle")
    assert code == 1
    assert "pip install 'tds-cli[train]'" in err


def write_run(folder: Path, seed: int) -> None:
    """Write what `tds train` leaves of a run of one step."""
    import yaml  # noqa: PLC0415  # only here

    from tds_core.training.distributed import World  # noqa: PLC0415  # loads torch
    from tds_core.training.engine import CHECKPOINT_FOLDER, CheckpointStore  # noqa: PLC0415  # as above
    from tds_core.training.engine.matching import shapes  # noqa: PLC0415  # as above
    from tds_core.training.models import build_network  # noqa: PLC0415  # as above
    from tds_core.training.run.learning import supervised_learner  # noqa: PLC0415  # as above

    config = TrainingConfig(
        name=f"run-{seed}",
        data=DataConfig(datasets=(DatasetConfig(phantoms=2),), spacing_mm=4.0),
        network=NetworkConfig(options=SMALL),
        sampling=SamplingConfig(patch=(16, 16, 16), batch=1),
    )
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(to_document(config)), encoding="utf-8")
    entry = {"label": "", "manifest_sha256": "ab", "phantoms": 2, "training": ["a"], "validation": ["b"]}
    (folder / "data.json").write_text(json.dumps({"digest": "cd", "datasets": [entry]}), encoding="utf-8")
    torch.manual_seed(seed)
    network = build_network(config.network, in_channels=4, out_channels=3, patch=(16, 16, 16))
    learner = supervised_learner(config, network, World())
    state = {
        "learner": learner.state_dict(),
        "network": shapes(learner.network),
        "stopping": {"best_step": None},
    }
    CheckpointStore(folder / CHECKPOINT_FOLDER).save(state, step=1)
