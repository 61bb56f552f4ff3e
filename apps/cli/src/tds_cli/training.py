"""What `tds train` does: one run, or one for each fold and their ensemble, and what it tells."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tds_cli import output
from tds_cli.errors import TrainingStopped, UsageFault
from tds_cli.training_progress import training_progress
from tds_core.errors import MissingDependency

if TYPE_CHECKING:
    from tds_core.evaluation.summary import ScoredCase
    from tds_core.training.config import TrainingConfig
    from tds_core.training.distributed import World
    from tds_core.training.run import RunSummary

_RUNS: Final = Path("runs")
_NEEDED: Final = ("torch", "monai", "onnx", "safetensors")
_DIGITS: Final = 4


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
    with join_world(config.device) as world:
        if world.is_main:
            _check_folder(folder, resume=request.resume)
        if request.all_folds:
            summaries = _train_folds(config, folder, world, as_json=as_json)
        else:
            summaries = {"": _train(config, folder, world, as_json=as_json)}
    if not world.is_main:
        return
    if as_json:
        output.say_json(_document(folder, summaries))
        return
    for name, summary in summaries.items():
        _say(name, summary)


def _require_extra() -> None:
    absent = next((name for name in _NEEDED if find_spec(name) is None), None)
    if absent is not None:
        raise MissingDependency(absent, "train")


def _check_folder(folder: Path, *, resume: bool) -> None:
    begun = folder.is_dir() and any(folder.iterdir())
    if begun and not resume:
        message = (
            f"{str(folder)!r} holds something; add --resume to go on with a run in it, or name another folder with -o"
        )
        raise UsageFault(message)
    if resume and not begun:
        message = f"there is no run in {str(folder)!r} to go on with; leave out --resume to begin one"
        raise UsageFault(message)


def _train(config: "TrainingConfig", folder: Path, world: "World", *, as_json: bool) -> "RunSummary":
    from tds_core.training.run import Listeners, run_training  # noqa: PLC0415  # loads torch

    if world.is_main:
        with training_progress(steps_per_epoch=config.sampling.steps_per_epoch, as_json=as_json) as view:
            heard = Listeners(stage=view.stage, work=view.work, report=view.report)
            summary = run_training(config, folder, heard, world=world)
    else:
        summary = run_training(config, folder, world=world)
    if summary.outcome.status == "stopped":
        raise TrainingStopped(summary.outcome.step, summary.outcome.reason)
    return summary


def _train_folds(config: "TrainingConfig", folder: Path, world: "World", *, as_json: bool) -> dict[str, "RunSummary"]:
    """Train one fold after the other; they share preprocessed cases."""
    if config.data.split.names:
        message = "--fold all needs folds; leave data.split.names out"
        raise UsageFault(message)
    data = replace(config.data, cache=config.data.cache or folder / "cache")
    summaries = {}
    for fold in range(config.data.split.folds):
        one = replace(config, data=replace(data, split=replace(data.split, fold=fold)))
        summaries[f"fold {fold}"] = _train(one, folder / f"fold-{fold}", world, as_json=as_json)
    return summaries


def _document(folder: Path, summaries: Mapping[str, "RunSummary"]) -> dict[str, Any]:
    return {
        "output": str(folder),
        "runs": [
            {
                "fold": name or None,
                "folder": str(summary.folder),
                "status": summary.outcome.status,
                "steps": summary.outcome.step,
                "reason": summary.outcome.reason,
                "best_score": summary.outcome.best_score,
                "phantom": summary.phantom,
                "bundle": None if summary.bundle is None else str(summary.bundle.folder),
                "bundle_sha256": None if summary.bundle is None else summary.bundle.sha256,
                "architecture": None if summary.architecture is None else str(summary.architecture),
                "scores": [_entry(case) for case in summary.scores],
            }
            for name, summary in summaries.items()
        ],
    }


def _entry(case: "ScoredCase") -> dict[str, Any]:
    dice = {region: round(row["dice"] or 0.0, _DIGITS) for region, row in case.values.items()}
    return {"case": case.case, "phantom": case.phantom, "dice": dice}


def _say(name: str, summary: "RunSummary") -> None:
    outcome = summary.outcome
    output.say(f"{name + ': ' if name else ''}{outcome.step} steps; {outcome.reason}")
    if summary.scores:
        regions = list(summary.scores[0].values)
        rows = [
            [case.case, *(f"{case.values[region]['dice'] or 0.0:.3f}" for region in regions)] for case in summary.scores
        ]
        output.say_table(["case", *(f"Dice {region}" for region in regions)], rows)
    if summary.phantom:
        output.say("PHANTOM: every case is made up; the figures say nothing of real patients.")
    if summary.architecture is not None:
        output.say(f"the architecture is in {summary.architecture}")
    if summary.bundle is not None:
        for note in summary.bundle.notes:
            output.say(f"note: {note}")
        output.say(f"the model is in {summary.bundle.folder}; to run it:")
        output.say(f"  tds segment STUDY -o OUT --model {summary.bundle.folder} --trust {summary.bundle.sha256}")
    output.say("Research use only.")
