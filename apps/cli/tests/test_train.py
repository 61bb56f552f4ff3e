import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("torch", reason="the extra train is not installed")
pytest.importorskip("monai")
pytest.importorskip("onnx")
pytest.importorskip("matplotlib")

from tds_cli.training import TrainRequest, train_and_tell
from tds_core import load_bundle
from tds_data.phantoms import PhantomSet, write_phantoms

Tds = Callable[..., tuple[int, str, str]]

RECIPE: dict[str, Any] = {
    "name": "tiny",
    "data": {"datasets": [{"path": "set"}], "spacing_mm": 8.0, "workers": 0, "split": {"folds": 2}},
    "network": {"name": "segresnet", "options": {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}},
    "sampling": {"patch": [16, 16, 16], "batch": 1, "steps_per_epoch": 2, "augmentation": "none"},
    "length": {"epochs": 2, "validate_every": 1},
    "safety": {"checkpoint_every_steps": 1},
    "precision": "fp32",
    "device": "cpu",
    "tracking": {"mlflow": False, "tensorboard": False, "overlays": 0},
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe beside three phantoms of 4 mm voxels."""
    folder = tmp_path_factory.mktemp("recipes")
    write_phantoms(folder / "set", PhantomSet(count=3, seed=5, spacing_mm=4.0), workers=1)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    return folder / "tiny.yaml"


@pytest.fixture(scope="module")
def ended(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has ended."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    request = TrainRequest(
        config=recipe, folder=folder, settings=("data.cache=cache",), resume=False, fold=None, all_folds=False
    )
    train_and_tell(request, as_json=False)
    return folder


@pytest.fixture
def copied(ended: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(ended, tmp_path / "copied"))


CACHED = ("--set", "data.cache=cache")


def test_recipe_becomes_an_evaluated_model(tds: Tds, recipe: Path, ended: Path) -> None:
    code, out, _ = tds("train", recipe, "-o", ended, "--resume", *CACHED)
    assert code == 0
    assert "all 4 steps are done" in out
    sha256 = out.split("--trust ")[1].split()[0]
    assert load_bundle(ended / "bundle", trusted=[sha256]).identity.name == "tiny"
    assert "(PHANTOM)" in out
    assert "PHANTOMS" in out
    assert "PHANTOM: every case is made up" in out
    assert "Research use only." in out
    assert {"bundle", "checkpoints", "config.yaml", "data.json", "evaluation", "metrics.jsonl", "run.json"} <= {
        path.name for path in ended.iterdir()
    }


def test_json_tells_the_same(tds: Tds, recipe: Path, ended: Path) -> None:
    code, out, err = tds("train", recipe, "-o", ended, "--resume", *CACHED, "--json")
    document = json.loads(out)
    (run,) = document["runs"]
    assert code == 0
    assert document["output"] == str(ended)
    assert (run["fold"], run["status"], run["steps"], run["phantom"]) == (None, "finished", 4, True)
    assert load_bundle(Path(run["bundle"]), trusted=[run["bundle_sha256"]])
    assert [case["phantom"] for case in run["scores"]] == [True] * len(run["scores"])
    assert set(run["scores"][0]["dice"]) == {"WT", "TC", "ET"}
    assert all(json.loads(line) for line in err.splitlines())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["lenght.epochs=2"], "unknown key 'lenght'; did you mean 'length'?"),
        (["length.epoch=2"], "unknown key 'length.epoch'; did you mean 'epochs'?"),
        (["length.epochs"], "write KEY=VALUE"),
        (["data.datasets.0.path=absent"], "there is no data set at"),
        (["network.name=segresnett"], "did you mean 'segresnet'?"),
        (["sampling.patch=[17, 16, 16]"], "a patch of [17, 16, 16] does not fit the network 'segresnet'"),
        (["network.options.filters=8"], "unknown key 'network.options.filters'; did you mean 'init_filters'?"),
        (["network.weights=nowhere"], "there is no bundle with readable weights"),
        (["loss.name=dicece"], "'dicece'; did you mean 'dice_ce'?"),
        (["data.split.names=[nobody]"], "no case is called nobody"),
    ],
)
def test_configuration_that_cannot_be_is_a_usage_error(
    tds: Tds, recipe: Path, tmp_path: Path, settings: list[str], message: str
) -> None:
    arguments = [word for setting in settings for word in ("--set", setting)]
    code, out, err = tds("train", recipe, "-o", tmp_path / "run", *CACHED, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not list((tmp_path / "run").glob("*"))  # found out before anything is prepared


def test_gpu_that_is_not_there_is_told_before_anything_is_done(
    tds: Tds, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, err = tds("train", recipe, "-o", tmp_path / "run", "--set", "device=cuda")
    assert code == 2
    assert "device: cuda was asked for, but" in err
    assert not (tmp_path / "run").exists()


def test_recipe_that_is_not_there_is_told_with_where_to_find_one(tds: Tds, tmp_path: Path) -> None:
    code, _, err = tds("train", tmp_path / "absent.yaml", "-o", tmp_path / "run")
    assert code == 2
    assert "there is no configuration at" in err
    assert "examples/recipes" in err


def test_folder_that_holds_something_is_left_alone(tds: Tds, recipe: Path, copied: Path, tmp_path: Path) -> None:
    code, _, err = tds("train", recipe, "-o", copied)
    assert code == 2
    assert "holds a run; add --resume to go on with it" in err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    for more in ([], ["--resume"]):
        code, _, err = tds("train", recipe, "-o", tmp_path / "other", *more)
        assert code == 2
        assert "holds other things (thesis.txt); name another folder" in err
    code, _, err = tds("train", recipe, "-o", tmp_path / "other" / "thesis.txt")
    assert code == 2
    assert "is a file; name a folder" in err
    code, _, err = tds("train", recipe, "-o", tmp_path / "none", "--resume")
    assert code == 2
    assert "there is no run in" in err


def test_missing_extra_is_named(tds: Tds, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("tds_cli.training.find_spec", lambda name: None if name == "monai" else find(name))
    code, _, err = tds("train", recipe, "-o", tmp_path / "run")
    assert code == 1
    assert "'monai'" in err
    assert "tds-cli[train]" in err


def test_other_configuration_does_not_go_on(tds: Tds, recipe: Path, copied: Path) -> None:
    before = (copied / "config.yaml").read_bytes()
    code, _, err = tds("train", recipe, "-o", copied, "--resume", *CACHED, "--set", "network.options.init_filters=16")
    assert code == 1
    assert "network.options.init_filters was 8, is 16" in err
    assert (copied / "config.yaml").read_bytes() == before


def test_torn_checkpoints_are_told_and_nothing_is_lost(tds: Tds, recipe: Path, copied: Path) -> None:
    for path in (copied / "checkpoints").glob("*.pt"):
        path.write_bytes(path.read_bytes()[:-100])
    logs = {copied / "tracking" / "journal.jsonl", copied / "checkpoints" / ".lock"}
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file() and path not in logs}
    code, out, err = tds("train", recipe, "-o", copied, "--resume", *CACHED)
    assert (code, out) == (1, "")
    assert "checkpoints of this run are damaged" in err
    assert "bring them back from a copy" in err
    assert {path: path.read_bytes() for path in before} == before


def test_single_fold_is_chosen(tds: Tds, recipe: Path, tmp_path: Path) -> None:
    quick = ("--set", "bundle.export=false", "--set", "length.epochs=1")
    code, out, _ = tds("train", recipe, "-o", tmp_path / "run", "--fold", "1", *CACHED, *quick)
    assert code == 0
    assert "2 steps" in out
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["data"]["split"]["fold"] == 1
    for fold, message in (("2", "fold must be between 0 and 1, not 2"), ("-1", "'-1'"), ("some", "'some' was given")):
        code, _, err = tds("train", recipe, "-o", tmp_path / "other", "--fold", fold)
        assert code == 2
        assert message in err


def test_all_folds_end_in_an_ensemble_and_scores_of_every_case(tds: Tds, recipe: Path, tmp_path: Path) -> None:
    quick = ("--set", "length.epochs=1", "--set", "sampling.steps_per_epoch=1")
    code, out, _ = tds("train", recipe, "-o", tmp_path / "cv", "--fold", "all", *CACHED, *quick, "--json")
    assert code == 0
    document = json.loads(out)
    assert [run["fold"] for run in document["runs"]] == ["fold 0", "fold 1"]
    together = document["cross_validation"]
    assert sorted(case["case"] for case in together["scores"]) == ["phantom-0005", "phantom-0006", "phantom-0007"]
    bundle = load_bundle(tmp_path / "cv" / "bundle", trusted=[together["bundle_sha256"]])
    assert len(bundle.use.members) == 2
    assert (tmp_path / "cv" / "evaluation" / "index.html").is_file()
    code, out, _ = tds("train", recipe, "-o", tmp_path / "cv", "--fold", "all", "--resume", *CACHED, *quick)
    assert code == 0
    assert "fold 0: 1 steps" in out
    assert "mean of 3 PHANTOMS" in out
    assert f"--model {tmp_path / 'cv' / 'bundle'} --trust" in out
    assert "The ensemble itself has no scores" in out


def test_signal_outside_of_the_steps_says_how_to_go_on_too(
    tds: Tds, recipe: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pack(_: Path) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setattr("tds_core.training.run.whole_run.pack_run", pack)
    before = (copied / "bundle" / "manifest.json").read_bytes()
    arguments = ("train", recipe, "-o", copied, "--resume", *CACHED, "--set", "inference.mirror=[0]")
    code, out, err = tds(*arguments, "--json")
    assert code == 143
    assert json.loads(out)["error"]["code"] == "training-stopped"
    assert "stopped while packing the model; what was done before is kept" in err
    assert "--resume" in err
    assert (copied / "bundle" / "manifest.json").read_bytes() == before
    monkeypatch.undo()
    code, _, _ = tds(*arguments)
    assert code == 0
    assert (copied / "bundle" / "manifest.json").read_bytes() != before


def test_sigterm_keeps_a_checkpoint_and_says_how_to_go_on(recipe: Path, tmp_path: Path, tds: Tds) -> None:
    long = ("--set", "length.epochs=100000", "--set", "length.validate_every=100000", "--set", "bundle.export=false")
    arguments = ["train", str(recipe), "-o", str(tmp_path / "run"), *CACHED, *long]
    program = "import sys; from tds_cli.main import run; sys.exit(run(sys.argv[1:]))"
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        _wait_for(tmp_path / "run" / "checkpoints", "checkpoint-00000002-*.pt", process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert out == ""
    assert "training stopped after step" in err
    assert "--resume" in err
    done = json.loads((tmp_path / "run" / "run.json").read_text())["steps"]
    ends = ("--set", f"length.epochs={done // 2 + 1}", "--set", "bundle.export=false")
    code, out, _ = tds("train", recipe, "-o", tmp_path / "run", "--resume", *CACHED, *ends)
    assert code == 0
    assert f"{2 * (done // 2 + 1)} steps" in out


def _wait_for(folder: Path, pattern: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 300
    while not (folder.is_dir() and list(folder.glob(pattern))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
