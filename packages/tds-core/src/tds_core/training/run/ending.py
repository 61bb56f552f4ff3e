"""What happens after the last step: the bundle, and its scores on the validation cases as a hospital would see them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tds_core.api import TumorDetector
from tds_core.bundle import MANIFEST_NAME, Bundle
from tds_core.evaluation import as_scored, evaluate_case
from tds_core.evaluation.gallery import Gallery, JudgedCase
from tds_core.evaluation.report import SCORES_NAME, Evaluation, require_report, write_report
from tds_core.evaluation.summary import ScoredCase
from tds_core.training.export import PackedBundle, export_run
from tds_core.training.run.datasets import Progress
from tds_core.training.run.preparation import PreparedRun
from tds_data.atomic import atomic_folder
from tds_data.datasets import load_entry
from tds_data.task import BRAIN_TUMOUR
from tds_data.vocabulary import Modality

BUNDLE_FOLDER: Final = "bundle"
EVALUATION_FOLDER: Final = "evaluation"

_FEW: Final = 20
_SHOWN: Final = (Modality.FLAIR, Modality.T1CE, Modality.T2, Modality.T1)


def pack_run(folder: Path) -> PackedBundle:
    """Return the bundle of a run that has ended, in place of one that an earlier end of it left.

    Args:
        folder: Of the run; `bundle` is made in it.

    Raises:
        TrainingError: If the network cannot be exported.
        VolumeWriteError: If it cannot be written, or something else lies in its place (from tds_data).
    """
    _clear(folder / BUNDLE_FOLDER, MANIFEST_NAME)
    return export_run(folder, folder / BUNDLE_FOLDER)


def evaluate_bundle(
    packed: PackedBundle, prepared: PreparedRun, folder: Path, progress: Progress
) -> tuple[ScoredCase, ...]:
    """Return the scores of a bundle on a run's validation cases, and write them as a report.

    The cases go the whole way of `tds segment`, quality gate and native grid included.

    Args:
        packed: The model.
        prepared: The run.
        folder: Of the run; `evaluation` is made in it.
        progress: Hears of each case.

    Raises:
        MissingDependency: If the extra `report` is not installed.
        DataError: If a case cannot be read or is refused (from tds_data).
    """
    require_report()
    detector = TumorDetector(packed.folder, trusted=[packed.sha256])
    gallery = Gallery(task=prepared.config.goal)
    scored = tuple(_scored(detector, prepared, progress, gallery))
    evaluation = Evaluation(
        title=f"Evaluation of {prepared.config.name}",
        cases=scored,
        facts=_facts(detector.bundle, prepared),
        notes=_notes(prepared),
        gallery=gallery.entries(),
    )
    _clear(folder / EVALUATION_FOLDER, SCORES_NAME)
    with atomic_folder(folder / EVALUATION_FOLDER) as target:
        write_report(evaluation, target)
    return scored


def _scored(
    detector: TumorDetector, prepared: PreparedRun, progress: Progress, gallery: Gallery
) -> Iterator[ScoredCase]:
    total = sum(len(part.validation) for part in prepared.datasets)
    done = 0
    for part in prepared.datasets:
        entries = {entry.name: entry for entry in part.manifest.cases}
        for name in part.validation:
            entry = entries[name]
            case = load_entry(part.manifest, entry, others=part.config.others)
            found = detector.predict_case(case)
            scored = as_scored(part.full_name(name), evaluate_case(found), phantom=entry.phantom)
            done += 1
            progress(done, total, f"evaluated {scored.case}")
            if case.reference is not None:
                image = next(case.images[m] for m in _SHOWN if m in case.images)
                gallery.consider(scored, JudgedCase(found=found.mask, truth=case.reference, image=image))
            yield scored


def _clear(place: Path, marker: str) -> None:
    """Remove what an earlier end of the same run has made, known by a file that only we write."""
    if (place / marker).is_file():
        shutil.rmtree(place)


def is_evaluable(prepared: PreparedRun) -> bool:
    """Return whether whole studies of the run's task can be segmented.

    Args:
        prepared: The run.
    """
    return prepared.config.goal == BRAIN_TUMOUR


def _facts(bundle: Bundle, prepared: PreparedRun) -> dict[str, str]:
    identity = bundle.identity
    training = sum(len(part.training) for part in prepared.datasets)
    return {
        "Model": f"{identity.name} {identity.version} ({identity.architecture})",
        "Hash of its manifest": identity.sha256,
        "Trained on": f"{training} cases" + (", all of them PHANTOMS" if prepared.cases.is_phantom else ""),
        "Hash of the data and their split": prepared.digest,
    }


def _notes(prepared: PreparedRun) -> tuple[str, ...]:
    watched = (
        "The cases are the run's own validation cases: schedules, early stopping and people may have looked at their "
        "scores, so figures of cases that nobody ever looked at will be lower."
    )
    few = "From so few cases the intervals are too narrow." if len(prepared.cases.validation) < _FEW else ""
    return tuple(note for note in (watched, few) if note)
