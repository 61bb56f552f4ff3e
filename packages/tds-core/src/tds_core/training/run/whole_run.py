"""A training run from beginning to end."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from tds_core.errors import ConfigError
from tds_core.evaluation.report import require_report
from tds_core.evaluation.summary import ScoredCase
from tds_core.training.config import TrainingConfig, parse, to_document
from tds_core.training.dints import ARCHITECTURE_NAME, DintsSearchOptions, write_search_result
from tds_core.training.distributed import World, join_world
from tds_core.training.engine import Learner, Progress, Report, RunOutcome
from tds_core.training.export import PackedBundle
from tds_core.training.run.datasets import Progress as Work
from tds_core.training.run.ending import EVALUATION_FOLDER, evaluate_bundle, is_evaluable, pack_run
from tds_core.training.run.learning import is_search
from tds_core.training.run.preparation import CONFIG_NAME, PreparedRun, prepare_run
from tds_core.training.run.training import train_prepared
from tds_core.training.tracking import (
    JournalTracker,
    RunFacts,
    SilentTracker,
    check_tracking,
    code_facts,
    machine_facts,
    open_tracker,
)
from tds_data.atomic_file import write_text

log = logging.getLogger(__name__)

RUN_NAME: Final = "run.json"
"""How the run ended, in its folder."""


def _no_work(_done: int, _total: int, _what: str) -> None:
    """Tell nobody."""


def _no_stage(_name: str) -> None:
    """Tell nobody."""


def _no_report(_progress: Progress) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Who hears of a run; each is called in the main process only.

    Attributes:
        stage: Hears what the run is doing now, in a few words.
        work: Hears how many of how many files, cases or phantoms are done.
        report: Hears how training goes.
    """

    stage: Callable[[str], None] = _no_stage
    work: Work = _no_work
    report: Report = _no_report


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What became of a run.

    Attributes:
        folder: Of the run.
        outcome: How training ended; a stopped run has neither bundle nor scores yet.
        bundle: The model, unless none was asked for or an architecture was searched.
        scores: Of the bundle on the validation cases.
        architecture: File of the architecture that a search found.
        phantom: Whether all cases are synthetic.
    """

    folder: Path
    outcome: RunOutcome
    bundle: PackedBundle | None = None
    scores: tuple[ScoredCase, ...] = field(default=())
    architecture: Path | None = None
    phantom: bool = False


def run_training(
    config: TrainingConfig, folder: Path, listeners: Listeners | None = None, *, world: World | None = None
) -> RunSummary:
    """Return what became of a run, after preparing its data, training, and packing and evaluating the model.

    A run that was begun in the folder goes on where it stood. Under torchrun all processes call this; the main one
    writes.

    Args:
        config: What to train; its paths are absolute.
        folder: Of the run; made if it is not there.
        listeners: Who hears of it.
        world: The processes, for whoever makes more than one run; joined and left here if `None`.

    Raises:
        ConfigError: If the configuration does not fit the data or the machine.
        TrainingError: If training cannot go on; what was done is kept.
        DataError: If the data cannot be used (from tds_data).
        MissingDependency: If an extra is not installed.
    """
    if world is None:
        with join_world(config.device) as joined:
            return run_training(config, folder, listeners, world=joined)
    heard = listeners if listeners is not None and world.is_main else Listeners()
    if config.bundle.export:
        require_report()  # before hours of work, not after
    check_tracking(config)
    heard.stage("preparing data")
    with world.in_turn():
        prepared = prepare_run(config, folder, heard.work, records=world.is_main)
    _check_alike(prepared, world)
    if not world.is_main:
        trained = train_prepared(prepared, folder, world=world, tracker=SilentTracker(), report=_no_report)
        return RunSummary(folder=folder, outcome=trained.outcome, phantom=prepared.cases.is_phantom)
    with _tracked(prepared, folder, world) as tracked:
        heard.stage("training")
        trained = train_prepared(prepared, folder, world=world, tracker=tracked.tracker, report=heard.report)
        tracked.status = "stopped" if trained.outcome.status == "stopped" else "finished"
        summary = _finish(prepared, folder, trained.outcome, trained.learner, heard, tracked.tracker)
    write_text(folder / RUN_NAME, json.dumps(_document(summary), indent=1, ensure_ascii=False) + "\n")
    return summary


def _check_alike(prepared: PreparedRun, world: World) -> None:
    """Refuse processes of machines with unlike data: their shares would be of different batches."""
    if len(set(world.gather(prepared.digest))) > 1:
        message = "the machines of this run have different data or splits; give them the same files"
        raise ConfigError(message)


@dataclass(slots=True, kw_only=True)
class _Tracked:
    tracker: JournalTracker
    status: str = "failed"


@contextmanager
def _tracked(prepared: PreparedRun, folder: Path, world: World) -> Iterator[_Tracked]:
    config = prepared.config
    facts = RunFacts(
        name=config.name,
        config=to_document(config),
        dataset_digest=prepared.digest,
        code=code_facts(),
        device=machine_facts(str(world.device)),
        fold=None if config.data.split.names else config.data.split.fold,
        phantom=prepared.cases.is_phantom,
        resumed=(folder / "checkpoints").is_dir(),
    )
    tracked = _Tracked(tracker=open_tracker(config, folder, facts))
    try:
        yield tracked
    finally:
        tracked.tracker.finish(tracked.status)


def _finish(  # everything that training left
    prepared: PreparedRun,
    folder: Path,
    outcome: RunOutcome,
    learner: Learner,
    heard: Listeners,
    tracker: JournalTracker,
) -> RunSummary:
    phantom = prepared.cases.is_phantom
    tracker.artefact(folder / CONFIG_NAME, "run")
    if outcome.status == "stopped":
        return RunSummary(folder=folder, outcome=outcome, phantom=phantom)
    if is_search(prepared.config):
        heard.stage("decoding the architecture")
        options = parse(DintsSearchOptions, prepared.config.network.options, "network.options.")
        write_search_result(folder, cast("Any", learner.evaluated), options)
        tracker.artefact(folder / ARCHITECTURE_NAME, "run")
        return RunSummary(folder=folder, outcome=outcome, architecture=folder / ARCHITECTURE_NAME, phantom=phantom)
    if not prepared.config.bundle.export:
        return RunSummary(folder=folder, outcome=outcome, phantom=phantom)
    heard.stage("packing the model")
    packed = pack_run(folder)
    if prepared.config.tracking.register_model is None:
        tracker.artefact(packed.folder, "bundle")
    else:
        tracker.register_bundle(packed.folder, prepared.config.tracking.register_model)
    scores: tuple[ScoredCase, ...] = ()
    if is_evaluable(prepared):
        heard.stage("evaluating")
        scores = evaluate_bundle(packed, prepared, folder, heard.work)
        tracker.artefact(folder / EVALUATION_FOLDER, "evaluation")
    return RunSummary(folder=folder, outcome=outcome, bundle=packed, scores=scores, phantom=phantom)


def _document(summary: RunSummary) -> dict[str, Any]:
    outcome, bundle = summary.outcome, summary.bundle
    return {
        "status": outcome.status,
        "reason": outcome.reason,
        "steps": outcome.step,
        "best_score": outcome.best_score,
        "best_step": outcome.best_step,
        "phantom": summary.phantom,
        "bundle_sha256": None if bundle is None else bundle.sha256,
        "bundle_notes": [] if bundle is None else list(bundle.notes),
        "architecture": None if summary.architecture is None else summary.architecture.name,
    }
