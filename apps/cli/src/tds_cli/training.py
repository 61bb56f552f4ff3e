"""What `tds train` does: one run, or one for each fold and what they are worth together."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tds_cli import output, training_told
from tds_cli.errors import Stopped, TrainingStopped, UsageFault
from tds_cli.training_progress import training_progress
from tds_core.errors import MissingDependency

if TYPE_CHECKING:
    from tds_core.training.config import TrainingConfig
    from tds_core.training.distributed import World
    from tds_core.training.run import CrossValidation, Listeners, RunSummary

_RUNS: Final = Path("runs")
_NEEDED: Final = ("torch", "monai", "onnx", "safetensors")
_MARKS: Final = ("config.yaml", "data.json", "plan.yaml", "checkpoints", "cache", "fold-0")
"""What a run folder holds, some of it from the first moments on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """What is asked of `tds train`.

    Attributes:
        config: The recipe.
        folder: Of the run; `runs/NAME` if `None`.
        settings: Changes to the recipe, `KEY=VALUE` each.
        resume: Whether a run in the folder goes on.
        fold: Which fold validates, if not the one of the recipe.
        all_folds: Whether each fold is trained.
    """

    config: Path
    folder: Path | None
    settings: tuple[str, ...]
    resume: bool
    fold: int | None
    all_folds: bool


def train_and_tell(request: TrainRequest, *, as_json: bool) -> None:
    """Train, and print what came of it. Of the processes that torchrun starts only the main one says anything.

    Args:
        request: What to train.
        as_json: Whether a program reads along.

    Raises:
        UsageFault: If the folder holds a run that is not to go on, or there is none to go on with.
        TrainingStopped: If a signal stopped the run; it can go on.
        MissingDependency: If the extra `train` is not installed.
        CoreError: As `run_training` does.
        DataError: As `run_training` does.
    """
    _require_extra()
    from tds_core.training.config import load_config  # noqa: PLC0415  # loads torch
    from tds_core.training.distributed import join_world  # noqa: PLC0415  # as above
    from tds_core.training.run import with_absolute_paths  # noqa: PLC0415  # as above

    settings = [*request.settings, *([] if request.fold is None else [f"data.split.fold={request.fold}"])]
    config = with_absolute_paths(load_config(request.config, settings), request.config.resolve().parent)
    folder = (request.folder or _RUNS / config.name).resolve()
    together: CrossValidation | None = None
    with join_world(config.device) as world:
        if world.is_main:
            _check_folder(folder, resume=request.resume)
        if request.all_folds:
            summaries, together = _train_folds(config, folder, world, as_json=as_json)
        else:
            summaries = {"": _train(config, folder, world, as_json=as_json)}
    if not world.is_main:
        return
    if as_json:
        output.say_json(training_told.document(folder, summaries, together))
    else:
        training_told.say(summaries, together)


def _require_extra() -> None:
    absent = next((name for name in _NEEDED if find_spec(name) is None), None)
    if absent is not None:
        raise MissingDependency(absent, "train")


def _check_folder(folder: Path, *, resume: bool) -> None:
    if folder.exists() and not folder.is_dir():
        message = f"{str(folder)!r} is a file; name a folder for the run with -o"
        raise UsageFault(message)
    holds = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    is_run = any((folder / mark).exists() for mark in _MARKS)
    if holds and not is_run:
        message = f"{str(folder)!r} holds other things ({', '.join(holds[:3])}); name another folder with -o"
        raise UsageFault(message)
    if holds and not resume:
        message = f"{str(folder)!r} holds a run; add --resume to go on with it, or name another folder with -o"
        raise UsageFault(message)
    if resume and not folder.is_dir():
        message = f"there is no run in {str(folder)!r} to go on with; leave out --resume to begin one"
        raise UsageFault(message)


def _train(config: "TrainingConfig", folder: Path, world: "World", *, as_json: bool) -> "RunSummary":
    from tds_core.training.run import run_training  # noqa: PLC0415  # loads torch

    if not world.is_main:
        summary = run_training(config, folder, world=world)
    else:
        with _listening(config, folder, as_json=as_json) as listeners:
            summary = run_training(config, folder, listeners, world=world)
    outcome = summary.outcome
    if outcome.status == "stopped":
        message = f"training stopped after step {outcome.step}: {outcome.reason}; everything up to there is kept"
        raise TrainingStopped(message, summary.signal_name)
    return summary


@contextmanager
def _listening(config: "TrainingConfig", folder: Path, *, as_json: bool) -> Iterator["Listeners"]:
    """Give who hears of a run, and say where it stood if a signal ends it outside the steps of training."""
    from tds_core.training.run import Listeners  # noqa: PLC0415  # loads torch

    doing = "beginning"

    with training_progress(steps_per_epoch=config.sampling.steps_per_epoch, as_json=as_json) as view:

        def stage(name: str) -> None:
            nonlocal doing
            doing = name
            view.stage(name)

        try:
            yield Listeners(stage=stage, work=view.work, report=view.report)
        except (Stopped, KeyboardInterrupt) as error:
            number = error.signal_number if isinstance(error, Stopped) else signal.SIGINT
            message = f"stopped while {doing}; what was done before is kept in {str(folder)!r}"
            raise TrainingStopped(message, signal.Signals(number).name) from error


def _train_folds(
    config: "TrainingConfig", folder: Path, world: "World", *, as_json: bool
) -> "tuple[dict[str, RunSummary], CrossValidation | None]":
    """Train one fold after the other, then say what they are worth together."""
    from tds_core.training.run import (  # noqa: PLC0415  # loads torch
        close_cross_validation,
        fold_runs,
        with_shared_plan,
    )

    summaries = {}
    runs = fold_runs(config, folder)
    for number, (place, one) in enumerate(runs):
        chosen = with_shared_plan(one, runs[0][0]) if number else one
        summaries[f"fold {number}"] = _train(chosen, place, world, as_json=as_json)
    if not world.is_main:
        return summaries, None
    return summaries, close_cross_validation(config, folder, list(summaries.values()))
