"""A training run from beginning to end."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from tds_core.bundle import NetworkUse
from tds_core.errors import ConfigError
from tds_core.evaluation.report import require_report
from tds_core.evaluation.summary import ScoredCase
from tds_core.training.config import TrainingConfig, parse, to_document
from tds_core.training.dints import ARCHITECTURE_NAME, DintsSearchOptions, write_search_result
from tds_core.training.distributed import World, join_world
from tds_core.training.engine import Learner, Progress, Report, RunOutcome
from tds_core.training.export import PackedBundle
from tds_core.training.run.datasets import Progress as Work
from tds_core.training.run.earlier import RUN_NAME, Ended, earlier_end, made_from
from tds_core.training.run.ending import EVALUATION_FOLDER, evaluate_bundle, pack_run
from tds_core.training.run.learning import check_learning, is_search
from tds_core.training.run.preparation import PreparedRun, prepare_run
from tds_core.training.run.training import TrainedRun, train_prepared
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
        signal_name: The signal that stopped it, such as `SIGTERM`; empty if none did.
        bundle: The model, unless none was asked for or an architecture was searched.
        scores: Of the bundle on the validation cases.
        unscored: Why validation cases have no scores, by their names.
        architecture: File of the architecture that a search found.
        phantom: Whether all cases are synthetic.
        for_studies: Whether the bundle is for brain tumours, so that studies can be segmented with it.
    """

    folder: Path
    outcome: RunOutcome
    signal_name: str = ""
    bundle: PackedBundle | None = None
    scores: tuple[ScoredCase, ...] = field(default=())
    unscored: Mapping[str, str] = field(default_factory=dict)
    architecture: Path | None = None
    phantom: bool = False
    for_studies: bool = True


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
    check_learning(config, world)
    check_tracking(config)
    heard.stage("preparing data")
    with world.in_turn():
        prepared = prepare_run(config, folder, heard.work, records=world.is_main)
    _check_alike(prepared, world)
    if not world.is_main:
        trained = train_prepared(prepared, folder, world=world, tracker=SilentTracker(), report=_no_report)
        return _summary(prepared, folder, trained)
    with _tracked(prepared, folder, world) as tracked:
        heard.stage("training")
        trained = train_prepared(prepared, folder, world=world, tracker=tracked.tracker, report=heard.report)
        stopped = trained.outcome.status == "stopped"
        summary = _summary(prepared, folder, trained)
        if not stopped:
            summary = _finish(prepared, summary, trained.learner, heard, tracked.tracker)
        tracked.status = "stopped" if stopped else "finished"
    text = json.dumps(_document(prepared, summary), indent=1, ensure_ascii=False)
    write_text(folder / RUN_NAME, text + "\n")
    return summary


def _check_alike(prepared: PreparedRun, world: World) -> None:
    """Refuse processes of machines with unlike data or plans: their shares would be of different batches."""
    if len(set(world.gather(f"{prepared.digest} {prepared.config.sampling} {prepared.config.network}"))) > 1:
        message = "the machines of this run have different data, splits or plans; give them the same files"
        raise ConfigError(message)


def _summary(prepared: PreparedRun, folder: Path, trained: TrainedRun) -> RunSummary:
    return RunSummary(
        folder=folder,
        outcome=trained.outcome,
        signal_name=trained.signal_name,
        phantom=prepared.cases.is_phantom,
        for_studies=NetworkUse(task=prepared.config.goal).is_brain_tumour,
    )


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
    except Exception:
        raise
    except BaseException:  # a signal while the model was packed or evaluated
        tracked.status = "stopped"
        raise
    finally:
        tracked.tracker.finish(tracked.status)


def _finish(
    prepared: PreparedRun, summary: RunSummary, learner: Learner, heard: Listeners, tracker: JournalTracker
) -> RunSummary:
    """Return the summary with everything that comes of a run whose training has ended."""
    if is_search(prepared.config):
        heard.stage("decoding the architecture")
        options = parse(DintsSearchOptions, prepared.config.network.options, "network.options.")
        write_search_result(summary.folder, cast("Any", learner.evaluated), options)
        tracker.artefact(summary.folder / ARCHITECTURE_NAME, "run")
        return replace(summary, architecture=summary.folder / ARCHITECTURE_NAME)
    if not prepared.config.bundle.export:
        return summary
    ended = earlier_end(summary.folder, made_from(prepared, summary.outcome.step))
    if ended is None:
        ended = _end(prepared, summary.folder, heard, tracker)
    return replace(summary, bundle=ended.bundle, scores=ended.judged.scores, unscored=ended.judged.unscored)


def _end(prepared: PreparedRun, folder: Path, heard: Listeners, tracker: JournalTracker) -> Ended:
    heard.stage("packing the model")
    packed = pack_run(folder)
    if prepared.config.tracking.register_model is None:
        tracker.artefact(packed.folder, "bundle")
    else:
        tracker.register_bundle(packed.folder, prepared.config.tracking.register_model)
    heard.stage("evaluating")
    judged = evaluate_bundle(packed, prepared, folder, heard.work)
    tracker.artefact(folder / EVALUATION_FOLDER, "evaluation")
    return Ended(bundle=packed, judged=judged)


def _document(prepared: PreparedRun, summary: RunSummary) -> dict[str, Any]:
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
        "unscored": dict(summary.unscored),
        "architecture": None if summary.architecture is None else summary.architecture.name,
        "made_from": made_from(prepared, outcome.step),
    }
