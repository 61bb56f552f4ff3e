import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tds_core import ConfigError, TrainingError, TumorDetector, load_bundle
from tds_core.errors import CheckpointDamaged
from tds_core.training.config import TrainingConfig, load_config
from tds_core.training.distributed import World
from tds_core.training.engine import Progress
from tds_core.training.run import Listeners, RunSummary, run_training, with_absolute_paths
from tds_core.training.run.learning import initial_network
from tds_core.training.run.preparation import prepare_run
from tds_data.phantoms import PhantomSet, write_phantoms

pytest.importorskip("matplotlib")

Resolve = Callable[..., TrainingConfig]


def test_run_leaves_an_evaluated_bundle(finished: tuple[RunSummary, dict[str, list[Any]]]) -> None:
    summary, heard = finished
    assert summary.outcome.status == "finished"
    assert summary.outcome.step == 4
    assert summary.phantom
    assert summary.bundle is not None
    bundle = load_bundle(summary.folder / "bundle", trusted=[summary.bundle.sha256])
    assert bundle.identity.name == "tiny"
    assert [case.case for case in summary.scores] == list(_record(summary.folder)["datasets"][0]["validation"])
    assert (summary.folder / "evaluation" / "index.html").is_file()
    assert heard["stages"] == ["preparing data", "training", "packing the model", "evaluating"]
    assert heard["work"]
    assert any(progress.validation is not None for progress in heard["reports"])


def test_run_folder_says_how_the_result_came_about(finished: tuple[RunSummary, dict[str, list[Any]]]) -> None:
    folder = finished[0].folder
    config = load_config(folder / "config.yaml")
    assert config.sampling.patch == (16, 16, 16)
    run = json.loads((folder / "run.json").read_text())
    assert (run["status"], run["steps"], run["phantom"]) == ("finished", 4, True)
    assert finished[0].bundle is not None
    assert run["bundle_sha256"] == finished[0].bundle.sha256
    assert len(_record(folder)["digest"]) == 64
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4]


def test_bundle_of_a_run_segments_a_study(finished: tuple[RunSummary, dict[str, list[Any]]], phantoms: Path) -> None:
    assert finished[0].bundle is not None
    detector = TumorDetector(finished[0].bundle.folder, trusted=[finished[0].bundle.sha256])
    study = next(path for path in sorted(phantoms.iterdir()) if path.is_dir())
    assert detector.predict(study).report.model.name == "tiny"


def test_same_seed_gives_the_same_weights_and_another_seed_others(tiny: Resolve, tmp_path: Path) -> None:
    weights = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run_training(tiny(f"seed={seed}", "bundle.export=false"), tmp_path / name)
        newest = max((tmp_path / name / "checkpoints").glob("*.pt"))
        weights.append(torch.load(newest, weights_only=True)["learner"]["network"])
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert any(not torch.equal(weights[0][key], weights[2][key]) for key in weights[0])


def test_stopped_run_goes_on_and_ends_as_if_nothing_had_happened(tiny: Resolve, tmp_path: Path) -> None:
    config = tiny("bundle.export=false")
    run_training(config, tmp_path / "whole")

    def stop(progress: Progress) -> None:
        if progress.step == 1 or progress.validation is not None:
            os.kill(os.getpid(), signal.SIGTERM)

    quick = tiny("bundle.export=false", "safety.checkpoint_every_steps=1")
    stopped = run_training(quick, tmp_path / "cut", Listeners(report=stop))
    assert stopped.outcome.status == "stopped"
    assert stopped.bundle is None
    assert stopped.signal_name == "SIGTERM"
    assert "(SIGTERM)" in json.loads((tmp_path / "cut" / "run.json").read_text())["reason"]
    assert run_training(quick, tmp_path / "cut").outcome.status == "finished"
    assert (tmp_path / "cut" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_run_whose_data_have_changed_does_not_go_on(tiny: Resolve, phantoms: Path, tmp_path: Path) -> None:
    shutil.copytree(phantoms, tmp_path / "data")
    config = tiny(f"data.datasets.0.path={tmp_path / 'data'}", "bundle.export=false")
    run_training(config, tmp_path / "run")
    write_phantoms(tmp_path / "more", PhantomSet(count=1, seed=77, spacing_mm=4.0), workers=1)
    (tmp_path / "data" / "manifest.json").unlink(missing_ok=True)
    shutil.move(tmp_path / "more" / "phantom-0077", tmp_path / "data")
    with pytest.raises(TrainingError, match="the data or their split have changed since this run began"):
        run_training(config, tmp_path / "run")


@pytest.fixture
def copied(finished: tuple[RunSummary, dict[str, list[Any]]], tmp_path: Path) -> Path:
    """The folder of a run that has ended, to be changed."""
    return Path(shutil.copytree(finished[0].folder, tmp_path / "copied"))


def test_run_that_has_ended_is_not_packed_and_evaluated_again(
    finished: tuple[RunSummary, dict[str, list[Any]]], tiny: Resolve, copied: Path
) -> None:
    stages: list[str] = []
    again = run_training(tiny(), copied, Listeners(stage=stages.append))
    assert stages == ["preparing data", "training"]
    assert again.bundle is not None
    assert finished[0].bundle is not None
    assert (again.bundle.sha256, again.bundle.folder) == (finished[0].bundle.sha256, copied / "bundle")
    for before, after in zip(finished[0].scores, again.scores, strict=True):
        assert after.values["WT"]["dice"] == pytest.approx(before.values["WT"]["dice"], abs=1e-6)
    (copied / "evaluation" / "scores.json").write_text("{}")
    run_training(tiny(), copied, Listeners(stage=stages.append))
    assert stages[-2:] == ["packing the model", "evaluating"]


def test_earlier_bundle_gives_way_to_one_with_other_settings_and_not_before(
    tiny: Resolve, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (copied / "bundle" / "manifest.json").read_bytes()
    config = tiny("inference.mirror=[0]")
    with monkeypatch.context() as patched:
        patched.setattr("tds_core.training.run.ending.export_run", _fail)
        with pytest.raises(TrainingError, match="no space for a graph"):
            run_training(config, copied)
    assert (copied / "bundle" / "manifest.json").read_bytes() == before
    again = run_training(config, copied)
    assert again.bundle is not None
    assert load_bundle(copied / "bundle", trusted=[again.bundle.sha256]).postprocess.mirror == (0,)
    assert not list(copied.glob(".*new"))


def test_other_configuration_is_refused_before_it_replaces_the_one_of_the_run(tiny: Resolve, copied: Path) -> None:
    before = (copied / "config.yaml").read_bytes()
    with pytest.raises(TrainingError, match=r"optimiser.learning_rate was 0.001, is 0.5"):
        run_training(tiny("optimiser.learning_rate=0.5"), copied)
    assert (copied / "config.yaml").read_bytes() == before
    (copied / "config.yaml").write_text("{")  # each checkpoint holds it, too
    with pytest.raises(TrainingError, match=r"optimiser.learning_rate was 0.001, is 0.5"):
        run_training(tiny("optimiser.learning_rate=0.5"), copied)


def test_torn_checkpoints_end_a_run_and_lose_nothing(tiny: Resolve, copied: Path) -> None:
    newest, *older = sorted((copied / "checkpoints").glob("*.pt"), reverse=True)
    newest.write_bytes(newest.read_bytes()[:1000])
    assert run_training(tiny(), copied).outcome.status == "finished"  # from the one before
    for path in (copied / "checkpoints").glob("*.pt"):
        path.write_bytes(path.read_bytes()[:1000])
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.suffix in {".pt", ".json", ".yaml"}}
    with pytest.raises(CheckpointDamaged, match="checkpoints of this run are damaged"):
        run_training(tiny(), copied)
    assert older
    assert {path: path.read_bytes() for path in before} == before


def test_run_begins_with_the_weights_of_a_bundle(
    finished: tuple[RunSummary, dict[str, list[Any]]], tiny: Resolve, tmp_path: Path
) -> None:
    summary = finished[0]
    assert summary.bundle is not None
    begun = initial_network(tiny(f"network.weights={summary.bundle.folder}", "seed=99"), World())
    fresh = initial_network(tiny("seed=99"), World())
    first = next(iter(fresh.state_dict()))
    assert not torch.equal(begun.state_dict()[first], fresh.state_dict()[first])
    with pytest.raises(TrainingError, match="holds another network; take its network's name and options"):
        initial_network(tiny(f"network.weights={summary.bundle.folder}", "network.options.init_filters=16"), World())
    with pytest.raises(ConfigError, match="there is no bundle with readable weights"):
        initial_network(tiny(f"network.weights={tmp_path}"), World())


def test_region_that_the_task_has_not_is_refused_early(tiny: Resolve, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a region in sampling.region_weights cannot be 'tumour'; known are WT"):
        run_training(tiny("sampling.region_weights={tumour: 2.0}"), tmp_path)


def test_paths_start_from_the_configuration_file(tiny: Resolve, tmp_path: Path) -> None:
    config = tiny("data.datasets.0.path=cases", "data.cache=/kept", "network.weights=../bundle")
    placed = with_absolute_paths(config, tmp_path / "recipes")
    assert placed.data.datasets[0].path == tmp_path / "recipes" / "cases"
    assert placed.data.cache == Path("/kept")
    assert placed.network.weights == tmp_path / "bundle"
    again = with_absolute_paths(placed, Path("/elsewhere"))
    assert again == replace(placed, plan=None)


def _fail(*_: object) -> None:
    message = "no space for a graph"
    raise TrainingError(message)


def _record(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((folder / "data.json").read_text())
    return document


def test_what_is_left_open_is_planned_and_the_plan_can_be_changed(tiny: Resolve, tmp_path: Path) -> None:
    config = tiny("sampling.patch=null", "sampling.batch=null", "data.spacing_mm=null")
    prepared = prepare_run(config, tmp_path, lambda _done, _total, _what: None)
    planned = prepared.config
    assert planned.sampling.patch is not None
    assert planned.sampling.batch is not None
    assert planned.data.spacing_mm == (4.0, 4.0, 4.0)
    document = yaml.safe_load((tmp_path / "plan.yaml").read_text())
    assert set(document["reasons"]) >= {"spacing_mm", "patch", "batch"}
    document["patch"] = [32, 32, 32]
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(document))
    again = prepare_run(config, tmp_path, lambda _done, _total, _what: None)
    assert again.config.sampling.patch == (32, 32, 32)
