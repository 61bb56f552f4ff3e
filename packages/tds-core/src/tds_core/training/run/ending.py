"""What happens after the last step: the bundle, and its scores on the validation cases."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from tds_core.bundle import MANIFEST_NAME, load_bundle
from tds_core.evaluation.report import SCORES_NAME, Evaluation, write_report
from tds_core.training.export import PackedBundle, export_run
from tds_core.training.run.datasets import Progress
from tds_core.training.run.judging import Judged, judge_bundle
from tds_core.training.run.preparation import PreparedRun
from tds_data.atomic import atomic_folder

BUNDLE_FOLDER: Final = "bundle"
EVALUATION_FOLDER: Final = "evaluation"

WATCHED: Final = (
    "The cases are the run's own validation cases: schedules, early stopping and people may have looked at their "
    "scores, so figures of cases that nobody ever looked at will be lower."
)
"""What is to be said of scores of validation cases."""

_FRESH: Final = ".{}-new"
_FEW: Final = 20


def pack_run(folder: Path) -> PackedBundle:
    """Return the bundle of a run that has ended; one of an earlier end goes only when the new one is there.

    Args:
        folder: Of the run; `bundle` is made in it.

    Raises:
        TrainingError: If the network cannot be exported.
        VolumeWriteError: If it cannot be written, or something else lies in its place (from tds_data).
    """
    fresh = fresh_place(folder / BUNDLE_FOLDER, MANIFEST_NAME)
    packed = export_run(folder, fresh)
    return replace(packed, folder=put_in_place(fresh, MANIFEST_NAME))


def evaluate_bundle(packed: PackedBundle, prepared: PreparedRun, folder: Path, progress: Progress) -> Judged:
    """Return the scores of a bundle on a run's validation cases, and write them as a report.

    Args:
        packed: The model.
        prepared: The run.
        folder: Of the run; `evaluation` is made in it.
        progress: Hears of each case.

    Raises:
        MissingDependency: If the extra `report` is not installed.
        EvaluationError: If no case can be judged.
    """
    judged = judge_bundle(packed, prepared, progress)
    evaluation = Evaluation(
        title=f"Evaluation of {prepared.config.name}",
        cases=judged.scores,
        facts=_facts(packed, prepared),
        notes=(WATCHED, *notes_on(len(judged.scores), judged.unscored)),
        gallery=judged.gallery,
    )
    write_evaluation(evaluation, folder / EVALUATION_FOLDER)
    return judged


def write_evaluation(evaluation: Evaluation, place: Path) -> None:
    """Write a report, in place of an earlier one.

    Args:
        evaluation: What it says.
        place: Folder to make.

    Raises:
        VolumeWriteError: If it cannot be written, or something else lies in its place (from tds_data).
    """
    fresh = fresh_place(place, SCORES_NAME)
    with atomic_folder(fresh) as target:
        write_report(evaluation, target)
    put_in_place(fresh, SCORES_NAME)


def notes_on(count: int, unscored: Mapping[str, str]) -> Sequence[str]:
    """Return what a reader of a report must know about how many cases it is of.

    Args:
        count: Cases with scores.
        unscored: Why others have none.
    """
    notes = []
    if count < _FEW:
        notes.append("From so few cases the intervals are too narrow.")
    if unscored:
        told = "; ".join(f"{name}: {reason}" for name, reason in unscored.items())
        notes.append(f"{len(unscored)} validation cases have no scores and are in no mean. {told}")
    return notes


def fresh_place(place: Path, marker: str) -> Path:
    """Return a hidden place beside another, cleared of what a run that was killed left there.

    Args:
        place: Where something is to be in the end.
        marker: A file that only we write, by which it is known as ours.
    """
    fresh = place.with_name(_FRESH.format(place.name))
    _clear(fresh, marker)
    return fresh


def put_in_place(fresh: Path, marker: str) -> Path:
    """Move a finished folder to where it is to be, in place of an earlier one of ours, and return that place.

    Args:
        fresh: What `fresh_place` returned, made.
        marker: As there.

    Raises:
        VolumeWriteError: If something else lies there (from tds_data).
    """
    place = fresh.with_name(fresh.name.removeprefix(".").removesuffix("-new"))
    _clear(place, marker)
    with atomic_folder(place) as target:  # refuses a folder that holds something else
        target.rmdir()
        fresh.rename(target)
    return place


def _clear(place: Path, marker: str) -> None:
    if (place / marker).is_file():
        shutil.rmtree(place)


def _facts(packed: PackedBundle, prepared: PreparedRun) -> dict[str, str]:
    identity = load_bundle(packed.folder, trusted=[packed.sha256]).identity
    training = [case.phantom for case in prepared.cases.training]
    trained = f"{len(training)} cases"
    if any(training):
        trained += ", all of them PHANTOMS" if all(training) else f", {sum(training)} of them PHANTOMS"
    return {
        "Model": f"{identity.name} {identity.version} ({identity.architecture})",
        "Hash of its manifest": identity.sha256,
        "Trained on": trained,
        "Hash of the data and their split": prepared.digest,
    }
