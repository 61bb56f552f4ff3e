"""Training of a prepared run: its parts are built, driven and closed."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tds_core.training.distributed import World
from tds_core.training.engine import (
    BatchSize,
    Events,
    Learner,
    Report,
    RunOutcome,
    RunParts,
    Tracker,
    build_guards,
    fit,
)
from tds_core.training.guards import StopRequest
from tds_core.training.run.learning import make_learner, open_source
from tds_core.training.run.preparation import PreparedRun
from tds_core.training.schedules import RateSchedule
from tds_core.training.validation import SlidingWindowValidator


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedRun:
    """A run that has ended, for now or for good.

    Attributes:
        outcome: How.
        learner: With the last weights.
        signal_name: The signal that any process heard, such as `SIGTERM`, if the run was stopped by one; else empty.
    """

    outcome: RunOutcome
    learner: Learner
    signal_name: str = ""


def train_prepared(
    prepared: PreparedRun, folder: Path, *, world: World, tracker: Tracker, report: Report
) -> TrainedRun:
    """Train until the end, or until asked to stop; go on from the newest checkpoint in the folder.

    Args:
        prepared: The run.
        folder: Of the run.
        world: All processes.
        tracker: Listens, in the main process.
        report: Hears how far the run is.

    Raises:
        ConfigError: If something of the configuration cannot be.
        TrainingError: As `fit` does.
        DataError: If patches cannot be made (from tds_data).
    """
    config = prepared.config
    with ExitStack() as stack:
        source = open_source(config, prepared.cases, world)
        stack.callback(source.close)
        learner = make_learner(config, world)
        stop = stack.enter_context(StopRequest())
        parts = RunParts(
            identity={"data": prepared.digest},
            learner=learner,
            source=source,
            validator=SlidingWindowValidator(
                prepared.cases.validation, config, world.device, world, overlays=config.tracking.overlays
            ),
            schedule=RateSchedule(
                config.schedule,
                peak=config.optimiser.learning_rate,
                total_steps=config.length.epochs * config.sampling.steps_per_epoch,
            ),
            tracker=tracker,
            folder=folder,
            device=world.device,
            world=world,
            guards=build_guards(
                config.safety,
                BatchSize(batch=config.sampling.batch or 1, micro_batch=config.sampling.micro_batch),
                folder=folder,
                stop=stop,
                world=world,
                events=Events(tracker, folder if world.is_main else None),
            ),
        )
        outcome = fit(config, parts, report=report)
    heard = world.gather(stop.signal_name) if outcome.status == "stopped" else []
    return TrainedRun(outcome=outcome, learner=learner, signal_name=next((name for name in heard if name), ""))
