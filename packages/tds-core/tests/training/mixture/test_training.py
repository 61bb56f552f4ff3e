from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tds_core.errors import CheckpointMismatch
from tds_core.training.config import to_document
from tds_core.training.distributed import World
from tds_core.training.engine import (
    Batch,
    BatchSize,
    CheckpointStore,
    Events,
    RunOutcome,
    RunParts,
    build_guards,
    fit,
)
from tds_core.training.guards import StopRequest
from tds_core.training.mixture.augment import Sources
from tds_core.training.mixture.config import MixtureConfig
from tds_core.training.mixture.source import MixtureSource
from tds_core.training.mixture.validation import WholeHeadValidator
from tds_core.training.run.learning import initial_network, supervised_learner
from tds_core.training.schedules import RateSchedule
from tds_core.training.tracking import SilentTracker


def train(config: MixtureConfig, sources: Sources, folder: Path, *, stop_at: int | None = None) -> RunOutcome:
    training, world = config.training, World()
    stop = StopRequest()
    tracker = SilentTracker()

    class Watched(MixtureSource):
        def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
            for number, batch in enumerate(super().batches(epoch, start=start), start=2 * epoch + start):
                if number == stop_at:
                    stop.request("test")
                yield batch

    parts = RunParts(
        learner=supervised_learner(training, initial_network(training, world), world),
        source=Watched(sources, config.sampling, seed=config.seed, workers=0),
        validator=WholeHeadValidator(sources.patients[1:]),
        schedule=RateSchedule(config.schedule, peak=config.optimiser.learning_rate, total_steps=4),
        tracker=tracker,
        folder=folder,
        device=world.device,
        world=world,
        guards=build_guards(
            config.safety,
            BatchSize(batch=2, micro_batch=2),
            folder=folder,
            stop=stop,
            world=world,
            events=Events(tracker, folder),
        ),
        identity={"mixture": to_document(config)},
    )
    return fit(training, parts, report=lambda _: None)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = CheckpointStore(folder / "checkpoints").latest()
    assert checkpoint is not None
    average: dict[str, torch.Tensor] = checkpoint.state["learner"]["average"]["network"]
    return average


def test_mixtures_are_trained_on_by_the_engine_and_a_stopped_run_goes_on_to_the_same_weights(
    config: MixtureConfig, sources: Sources, tmp_path: Path
) -> None:
    outcome = train(config, sources, tmp_path / "straight")
    assert (outcome.status, outcome.step) == ("finished", 4)
    assert outcome.best_score is not None
    assert train(config, sources, tmp_path / "stopped", stop_at=1).step == 2
    assert train(config, sources, tmp_path / "stopped").step == 4
    straight, stopped = weights(tmp_path / "straight"), weights(tmp_path / "stopped")
    assert straight.keys() == stopped.keys()
    assert all(torch.equal(straight[name], stopped[name]) for name in straight)


def test_other_patches_are_another_run(config: MixtureConfig, sources: Sources, tmp_path: Path) -> None:
    train(config, sources, tmp_path)
    other = replace(config, sampling=replace(config.sampling, cube_share=0.1))
    with pytest.raises(CheckpointMismatch, match=r"identity\.mixture\.sampling\.cube_share was 0\.4, is 0\.1"):
        train(other, sources, tmp_path)
