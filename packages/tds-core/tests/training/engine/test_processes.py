import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tds_core.training.engine import CheckpointStore

SCRIPT = Path(__file__).parent / "training_process.py"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a system that forks")


def run_script(root: Path, *arguments: str) -> str:
    command = [sys.executable, str(SCRIPT), str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own script
    assert done.returncode == 0, done.stderr
    return done.stdout


def newest(folder: Path) -> dict[str, Any]:
    checkpoint = CheckpointStore(folder / "checkpoints").latest()
    assert checkpoint is not None
    return checkpoint.state


@pytest.mark.slow
def test_run_that_is_killed_twenty_times_ends_where_the_undisturbed_one_does(
    tmp_path: Path, same: Callable[[object, object], bool]
) -> None:
    told = json.loads(run_script(tmp_path, "kill", "20"))
    straight, killed = newest(tmp_path / "straight"), newest(tmp_path / "killed")
    assert straight["run"]["step"] == told["steps"]
    for part in ("learner", "schedule", "run", "stopping", "finite", "metrics_bytes", "config"):
        assert same(killed[part], straight[part]), part
    metrics = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("straight", "killed")]
    assert metrics[0] == metrics[1]
    assert len({json.loads(line).get("loss") for line in metrics[0].splitlines()} - {None}) == told["steps"]
    events = [json.loads(line) for line in (tmp_path / "killed" / "events.jsonl").read_text().splitlines()]
    resumed = [event["step"] for event in events if event["event"] == "resumed"]
    assert len(resumed) >= told["kills"] // 2
    assert resumed == sorted(resumed)
    assert not list((tmp_path / "killed" / "checkpoints").glob("*.partial"))


@pytest.mark.slow
def test_two_processes_make_the_steps_of_one(tmp_path: Path) -> None:
    run_script(tmp_path, "share")
    one, two = newest(tmp_path / "one"), newest(tmp_path / "two")
    assert one["run"]["step"] == two["run"]["step"] == 10
    losses = [
        [
            json.loads(line)["loss"]
            for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()
            if "rate" in line
        ]
        for name in ("one", "two")
    ]
    assert len(losses[0]) == len(losses[1]) == 10
    assert max(abs(a - b) for a, b in zip(*losses, strict=True)) < 1e-5
    for name, weight in one["learner"]["network"].items():
        assert torch.allclose(weight, two["learner"]["network"][name], atol=1e-5), name
