"""Every fold trained in its turn: what all of them are worth together, and their ensemble."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tds_core.bundle import MANIFEST_NAME, load_bundle
from tds_core.errors import BundleIncompatible, ConfigError
from tds_core.evaluation.report import Evaluation
from tds_core.evaluation.summary import ScoredCase
from tds_core.training.config import TrainingConfig
from tds_core.training.export import EnsembleNaming, PackedBundle, make_ensemble
from tds_core.training.run.ending import (
    BUNDLE_FOLDER,
    EVALUATION_FOLDER,
    WATCHED,
    fresh_place,
    notes_on,
    put_in_place,
    write_evaluation,
)
from tds_core.training.run.planned import PLAN_NAME
from tds_core.training.run.preparation import CACHE_FOLDER
from tds_core.training.run.whole_run import RunSummary
from tds_data.curation import read_folds

_UNSEEN: Final = "Each case was scored by the one member that was not trained on it."
_UNMEASURED: Final = (
    "The ensemble itself has no scores: each case was trained on by all of its members but one. Measure it on patients "
    "that were kept out of all folds."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """What became of a cross-validation.

    Attributes:
        folder: Of all its runs.
        bundle: The ensemble; `None` if the folds left no bundles, or they do not fit together.
        scores: Of each case, by the member that was not trained on it.
        unscored: Why cases have no scores, by their names.
        notes: What somebody should know, for people.
    """

    folder: Path
    bundle: PackedBundle | None = None
    scores: tuple[ScoredCase, ...] = ()
    unscored: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def fold_runs(config: TrainingConfig, folder: Path) -> list[tuple[Path, TrainingConfig]]:
    """Return the run of each fold, with its folder. They share preprocessed cases, and the plan of the first.

    Args:
        config: Of all of them; its paths are absolute.
        folder: To hold all of them.

    Raises:
        ConfigError: If cases are named to validate, so that there are no folds.
        FoldError: If a file of folds cannot be read (from tds_data).
    """
    split = config.data.split
    if split.names:
        message = "a cross-validation needs folds, and data.split.names chooses cases; leave it out"
        raise ConfigError(message)
    count = split.folds if split.file is None else len(read_folds(split.file).folds)
    data = replace(config.data, cache=config.data.cache or folder / CACHE_FOLDER)
    runs = []
    for fold in range(count):
        chosen = replace(split, fold=fold, folds=max(count, split.folds))
        runs.append((folder / f"fold-{fold}", replace(config, data=replace(data, split=chosen))))
    return runs


def with_shared_plan(config: TrainingConfig, first: Path) -> TrainingConfig:
    """Return the configuration of a later fold, which takes what the first fold's plan chose: members are to fit.

    Args:
        config: Of the fold.
        first: Folder of the first fold's run.
    """
    plan = first / PLAN_NAME
    return replace(config, plan=plan) if config.plan is None and plan.is_file() else config


def close_cross_validation(config: TrainingConfig, folder: Path, runs: Sequence[RunSummary]) -> CrossValidation:
    """Return what the runs of all folds are worth together, after writing their scores and their ensemble.

    Args:
        config: Of all of them.
        folder: That holds all of them; `bundle` and `evaluation` are made in it.
        runs: Of every fold, ended.

    Raises:
        TrainingError: If the ensemble's output is not finite.
        VolumeWriteError: If something cannot be written (from tds_data).
    """
    bundles = [run.bundle for run in runs if run.bundle is not None]
    if len(bundles) < len(runs):
        return CrossValidation(folder=folder)
    scores = tuple(sorted((case for run in runs for case in run.scores), key=lambda case: case.case))
    unscored = {name: reason for run in runs for name, reason in run.unscored.items()}
    notes = (_UNSEEN, _UNMEASURED, WATCHED, *notes_on(len(scores), unscored))
    evaluation = Evaluation(
        title=f"Cross-validation of {config.name}", cases=scores, facts=_facts(bundles), notes=notes
    )
    write_evaluation(evaluation, folder / EVALUATION_FOLDER)
    try:
        ensemble = _pack(config, folder, bundles)
    except BundleIncompatible as error:
        told = (f"there is no ensemble: {error}",)
        return CrossValidation(folder=folder, scores=scores, unscored=unscored, notes=told)
    return CrossValidation(folder=folder, bundle=ensemble, scores=scores, unscored=unscored, notes=(_UNMEASURED,))


def _pack(config: TrainingConfig, folder: Path, bundles: Sequence[PackedBundle]) -> PackedBundle:
    members = [load_bundle(packed.folder, trusted=[packed.sha256]) for packed in bundles]
    fresh = fresh_place(folder / BUNDLE_FOLDER, MANIFEST_NAME)
    naming = EnsembleNaming(name=config.bundle.name or config.name, version=config.bundle.version)
    packed = make_ensemble(members, fresh, naming=naming)
    return replace(packed, folder=put_in_place(fresh, MANIFEST_NAME))


def _facts(bundles: Sequence[PackedBundle]) -> dict[str, str]:
    return {f"Fold {number}": packed.sha256 for number, packed in enumerate(bundles)}
