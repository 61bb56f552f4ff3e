"""Training processes that are killed, with everything that delivers: nothing is faked here."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

# MLflow 3 uses what SQLAlchemy 2.1 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

STEPS = 60
FINISH_S = 120.0
TRAINER = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from tds_core.training.config import DataConfig, DatasetConfig, TrackingConfig, TrainingConfig
from types import SimpleNamespace as Overlay  # importing the real one would take longer than the run
from tds_core.training.tracking import FinishLimits, RunFacts, open_tracker

folder, kill_at, wait_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
config = TrainingConfig(name="demo", data=DataConfig(datasets=(DatasetConfig(phantoms=2),)))
checkpoint = folder / "step"
done = int(checkpoint.read_text()) if checkpoint.exists() else 0
facts = RunFacts(name="demo", config={"a": 1}, dataset_digest="d", resumed=done > 0)
tracker = open_tracker(config, folder, facts, limits=FinishLimits(finished_s=FINISH_S))
if done:
    tracker.event(done, "resumed", {})
for step in range(done + 1, STEPS + 1):
    tracker.metrics(step, {"train/loss": 1.0 / step, "speed/steps_per_s": time.monotonic()})
    if step % 20 == 0:
        tracker.metrics(step, {"validation/score": step / 100})
        tracker.overlays(step, (Overlay(name="case-0-axial", pixels=np.full((4, 4, 3), step, np.uint8)),))
        checkpoint.write_text(str(step))
    if step == kill_at:
        time.sleep(wait_s)
        os.kill(os.getpid(), signal.SIGKILL)
tracker.finish("finished")
""".replace("STEPS", str(STEPS)).replace("FINISH_S", str(FINISH_S))


def train(folder: Path, kill_at: int = 0, wait_s: float = 0.0) -> int:
    command = [sys.executable, "-c", TRAINER, str(folder), str(kill_at), str(wait_s)]
    return subprocess.run(command, check=False, timeout=300).returncode  # noqa: S603  # our own interpreter


def one_run(store: str) -> Run:
    client = MlflowClient(store)
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return run


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_tells_the_same_as_an_undisturbed_one(run_folder: Path, store: str) -> None:
    assert train(run_folder, kill_at=33, wait_s=8.0) == -signal.SIGKILL  # some of it delivered
    assert train(run_folder, kill_at=51) == -signal.SIGKILL  # hardly anything of it
    start = time.monotonic()
    assert train(run_folder) == 0
    assert time.monotonic() - start < FINISH_S  # it ended because all was delivered
    run, client = one_run(store), MlflowClient(store)
    assert run.info.status == "FINISHED"
    losses = client.get_metric_history(run.info.run_id, "train/loss")
    assert sorted((m.step, m.value) for m in losses) == [(n, 1.0 / n) for n in range(1, STEPS + 1)]
    assert len(client.get_metric_history(run.info.run_id, "speed/steps_per_s")) == STEPS
    scores = client.get_metric_history(run.info.run_id, "validation/score")
    assert sorted((m.step, m.value) for m in scores) == [(20, 0.2), (40, 0.4), (60, 0.6)]
    board = EventAccumulator(str(run_folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0}).Reload()
    assert [e.step for e in board.Scalars("train/loss")] == list(range(1, STEPS + 1))
    assert [e.step for e in board.Scalars("validation/score")] == [20, 40, 60]
    assert [e.step for e in board.Images("overlays/case-0-axial")] == [20, 40, 60]


@pytest.mark.slow
def test_the_process_that_delivers_ends_soon_after_a_training_that_was_killed(run_folder: Path, store: str) -> None:
    assert train(run_folder, kill_at=10) == -signal.SIGKILL
    deadline = time.monotonic() + 90
    while deliverers(run_folder) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert deliverers(run_folder) == []
    assert len(MlflowClient(store).get_metric_history(one_run(store).info.run_id, "train/loss")) == 10


def deliverers(folder: Path) -> list[int]:
    """Return the processes of this machine that deliver a run."""
    if not Path("/proc").is_dir():
        pytest.skip("processes are looked up in /proc")
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"tds_core.training.tracking" in words and os.fsencode(folder) in words:
                found.append(int(entry.name))
    return found
