"""Two processes under the real torchrun train what one trains."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tds_core.training.config import TrainingConfig, apply_overrides, parse
from tds_core.training.engine import CHECKPOINT_FOLDER, CheckpointStore
from tds_core.training.run import run_training
from tds_data.phantoms import PhantomSet, write_phantoms

pytestmark = pytest.mark.slow

Torchrun = Callable[..., subprocess.CompletedProcess[str]]

# Three patches for two processes: one has two, which it accumulates, the other has one. Three validation cases, too.
DOCUMENT: dict[str, Any] = {
    "name": "shared",
    "data": {"spacing_mm": 8.0, "workers": 1, "split": {"folds": 2}},
    "network": {"name": "segresnet", "options": {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}},
    "sampling": {"patch": [16, 16, 16], "batch": 3, "micro_batch": 1, "steps_per_epoch": 3, "augmentation": "light"},
    "schedule": {"name": "constant"},
    "optimiser": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "clip_norm": 1.0, "average_decay": 0.9},
    "length": {"validate_every": 1},
    "safety": {"checkpoint_every_steps": 2},
    "precision": "fp32",
    "device": "cpu",
    "tracking": {"mlflow": False, "tensorboard": False, "overlays": 0},
    "bundle": {"export": False},
}


@dataclass(frozen=True)
class Place:
    """A folder with a configuration, and the run of one process in `one`."""

    folder: Path
    config: Path


def state_of(run: Path) -> dict[str, Any]:
    checkpoint = CheckpointStore(run / CHECKPOINT_FOLDER).latest()
    assert checkpoint is not None
    return checkpoint.state


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_alike(run: Path, other: Path, steps: int) -> None:
    states = [state_of(folder) for folder in (run, other)]
    assert [state["run"]["step"] for state in states] == [steps, steps]
    for part in ("network", "average"):
        mine, theirs = (flat(state["learner"][part]) for state in states)
        assert mine.keys() == theirs.keys()
        assert mine
        for name, weight in mine.items():
            assert torch.allclose(weight, theirs[name], atol=1e-5, rtol=0), name
    lines = [[line for line in records(folder) if "loss" in line or "score" in line] for folder in (run, other)]
    assert len(lines[0]) == len(lines[1]) > steps
    for one, two in zip(*lines, strict=True):
        assert one.keys() == two.keys()
        assert one["step"] == two["step"]
        for key in ("loss", "score", "gradient_norm"):
            assert one.get(key, 0) == pytest.approx(two.get(key, 0), abs=1e-5)
        if "cases" in one:
            assert [case["case"] for case in one["cases"]] == [case["case"] for case in two["cases"]]


def flat(state: Any, name: str = "") -> dict[str, torch.Tensor]:
    if isinstance(state, torch.Tensor):
        return {name: state}
    inner = state.items() if isinstance(state, dict) else ()
    return {key: tensor for part, value in inner for key, tensor in flat(value, f"{name}.{part}").items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("shared")
    write_phantoms(folder / "phantoms", PhantomSet(count=6, seed=5, spacing_mm=4.0), workers=1)
    data = {**DOCUMENT["data"], "datasets": [{"path": str(folder / "phantoms")}], "cache": str(folder / "cache")}
    (folder / "config.yaml").write_text(yaml.safe_dump({**DOCUMENT, "data": data}))
    train_alone(folder / "config.yaml", folder / "one", 3)
    return Place(folder=folder, config=folder / "config.yaml")


def train_alone(config: Path, folder: Path, epochs: int) -> None:
    document = apply_overrides(yaml.safe_load(config.read_text()), [f"length.epochs={epochs}"])
    run_training(parse(TrainingConfig, document), folder)


def test_processes_that_come_and_go_and_die_give_the_result_of_one(place: Place, torchrun: Torchrun) -> None:
    folder = place.folder
    train_alone(place.config, folder / "more", 1)
    runs = [folder / "two", 3, folder / "more", 3, folder / "fewer", 2, folder / "killed", "kill3"]
    died = torchrun("train.py", place.config, *runs)
    train_alone(place.config, folder / "fewer", 3)
    for name in ("two", "more", "fewer"):
        assert_alike(folder / "one", folder / name, steps=9)
    scores = [line["cases"] for line in records(folder / "one") if "cases" in line]
    assert len(scores[0]) == 3
    # The main process alone tells.
    assert sum(line.startswith("9 ") for line in died.stdout.splitlines()) == 2

    # The second process was killed; the first did not wait for it, and the run goes on with one process or two. Whether
    # the first still says so depends on who is quicker: torchrun, which ends it, or the first itself.
    assert died.returncode != 0
    assert "SIGKILL" in died.stderr
    assert 0 < state_of(folder / "killed")["run"]["step"] < 9
    shutil.copytree(folder / "killed", folder / "alone")
    done = torchrun("train.py", place.config, folder / "killed", 3)
    assert done.returncode == 0, done.stderr
    train_alone(place.config, folder / "alone", 3)
    for name in ("killed", "alone"):
        assert_alike(folder / "one", folder / name, steps=9)
