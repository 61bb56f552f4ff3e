"""Scores of the model, or of masks that exist, against experts' masks."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final
from uuid import uuid4

from tds_cli.errors import ReferenceMissing, UsageFault
from tds_cli.model import ModelRequest
from tds_cli.output import Progress, json_text, say, say_table
from tds_core.api import TumorDetector
from tds_core.errors import EvaluationError
from tds_core.evaluation import (
    CaseScores,
    Evaluation,
    ScoredCase,
    as_scored,
    case_folders,
    evaluate_case,
    mean_dice,
    score_labels,
    sequence_subsets,
    summarise,
    with_sequences,
    write_report,
)
from tds_core.evaluation.report import require_report
from tds_core.evaluation.tables import summary_row
from tds_data.atomic import atomic_folder, check_target
from tds_data.case import Case
from tds_data.discover import discover
from tds_data.errors import GridMismatch, VolumeWriteError
from tds_data.labels import read_reference
from tds_data.report import ModelIdentity
from tds_data.study_files import StudyFiles, load_case
from tds_data.vocabulary import REGIONS, Modality, Region

SCHEMA_VERSION: Final = "1.1"
"""Version of the JSON form of scores."""

_DIGITS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of one or more cases.

    Attributes:
        cases: With all sequences that each case has; never empty.
        subsets: The same cases once more for each subset of the sequences, if asked for.
        model: Which model made the masks, if one was run.
        phantoms: Names of the cases that are synthetic.
    """

    cases: tuple[CaseScores, ...]
    subsets: Mapping[tuple[Modality, ...], tuple[CaseScores, ...]]
    model: ModelIdentity | None
    phantoms: frozenset[str] = frozenset()


def find_cases(root: Path, names: Sequence[str]) -> list[StudyFiles]:
    """Return the files of each case below a folder.

    Args:
        root: Folder with one sub-folder per patient, or one patient's own.
        names: Only these sub-folders; all if empty.

    Raises:
        UsageFault: If a folder does not exist.
        StudyError: If a folder holds no study.
        ReferenceMissing: If a case has no reference mask.
    """
    for folder in (root, *(root / name for name in names)):
        if not folder.is_dir():
            message = f"there is no folder {str(folder)!r}; check the path"
            raise UsageFault(message)
    cases = [discover(folder) for folder in case_folders(root, names)]
    without = [case.name for case in cases if case.reference is None]
    if without:
        raise ReferenceMissing(without)
    return cases


def score_model(cases: Sequence[StudyFiles], request: ModelRequest, *, subsets: bool, progress: Progress) -> Scores:
    """Return the scores of a model's masks. Each case is read once, and the model stays loaded.

    Args:
        cases: With reference masks.
        request: Which model.
        subsets: Whether every subset of a case's sequences is scored too.
        progress: Hears of each case.

    Raises:
        DataError: If a case cannot be read or is refused.
        ModelError: If the model is refused.
    """
    detector = TumorDetector(request.folder, request.device, trusted=request.trusted)
    whole: list[CaseScores] = []
    parts: dict[tuple[Modality, ...], list[CaseScores]] = {}
    for number, files in enumerate(cases, start=1):
        case = load_case(files)
        for chosen in sequence_subsets(case.modalities) if subsets else (case.modalities,):
            progress(f"case {number} of {len(cases)}: {', '.join(chosen)}")
            scores = evaluate_case(detector.predict_case(with_sequences(case, chosen)))
            parts.setdefault(chosen, []).append(scores)
            if chosen == case.modalities:
                whole.append(scores)
    by_subset = {chosen: tuple(scores) for chosen, scores in parts.items()} if subsets else {}
    return Scores(cases=tuple(whole), subsets=by_subset, model=detector.bundle.identity, phantoms=_phantoms(cases))


def score_predictions(cases: Sequence[StudyFiles], folder: Path, *, progress: Progress) -> Scores:
    """Return the scores of masks that exist.

    Args:
        cases: With reference masks.
        folder: Holds `NAME.nii.gz`, `NAME.nii` or `NAME/mask.nii.gz` for each case.
        progress: Hears of each case.

    Raises:
        EvaluationError: If a case has no mask there.
        GridMismatch: If a mask is not on its reference's grid.
        DataError: If a mask cannot be read.
    """
    masks = [_prediction(folder, files.name) for files in cases]
    scores = []
    for number, (files, mask) in enumerate(zip(cases, masks, strict=True), start=1):
        progress(f"case {number} of {len(cases)}")
        scores.append(_score_mask(load_case(files), mask))
    return Scores(cases=tuple(scores), subsets={}, model=None, phantoms=_phantoms(cases))


def _phantoms(cases: Sequence[StudyFiles]) -> frozenset[str]:
    return frozenset(files.name for files in cases if files.phantom is not None)


def _prediction(folder: Path, name: str) -> Path:
    places = (folder / f"{name}.nii.gz", folder / f"{name}.nii", folder / name / "mask.nii.gz")
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        message = f"no mask of {name!r} in {folder.name!r}; name it {name}.nii.gz or {name}/mask.nii.gz"
        raise EvaluationError(message)
    return found


def _score_mask(case: Case, path: Path) -> CaseScores:
    mask = read_reference(path)
    if case.reference is None or not case.reference.same_grid(mask):
        message = f"the mask of {case.name!r} is not on its reference's grid; resample it to that grid first"
        raise GridMismatch(message)
    return score_labels(case, mask.voxels, case.reference)


def as_document(scores: Scores) -> dict[str, Any]:
    """Return scores as plain JSON types, rounded to four digits.

    Args:
        scores: At least one case's.
    """
    model = scores.model
    identity = None if model is None else {"name": model.name, "version": model.version, "sha256": model.sha256}
    return {
        "schema_version": SCHEMA_VERSION,
        "model": identity,
        "cases": [_entry(case, scores.phantoms) for case in scores.cases],
        "mean": {"dice": _rounded(mean_dice(scores.cases)), "hd95_mm": _rounded(_mean_hd95_mm(scores.cases))},
        "subsets": [
            {
                "modalities": [str(m) for m in chosen],
                "mean": {"dice": _rounded(mean_dice(cases))},
                "cases": [_entry(case, scores.phantoms) for case in cases],
            }
            for chosen, cases in scores.subsets.items()
        ],
        "summary": [_rounded_row(summary_row(summary)) for summary in summarise(_scored(scores))],
    }


def say_scores(scores: Scores) -> None:
    """Print scores as tables.

    Args:
        scores: At least one case's.
    """
    heads = ["case", *(f"Dice {r}" for r in REGIONS), *(f"HD95 {r}" for r in REGIONS)]
    rows = [_row(case.case, case.dice, case.hd95_mm) for case in scores.cases]
    rows.append(_row("mean", mean_dice(scores.cases), _mean_hd95_mm(scores.cases)))
    say_table(heads, rows)
    if scores.subsets:
        say()
        heads = ["sequences", *(f"Dice {r}" for r in REGIONS), "cases"]
        say_table(
            heads,
            [
                [" ".join(chosen), *(f"{v:.3f}" for v in mean_dice(cases).values()), str(len(cases))]
                for chosen, cases in scores.subsets.items()
            ],
        )
    if scores.phantoms:
        say(f"PHANTOM: {', '.join(sorted(scores.phantoms))}: made-up patients; their figures say nothing of real ones.")
    say("HD95 in millimetres. Research use only.")


def check_artefact(path: Path) -> None:
    """Refuse early a file that could not be written.

    Args:
        path: The file.

    Raises:
        UsageFault: If it is a folder, or its own folder does not exist.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        message = f"cannot write {str(path)!r}: it is a folder or lies in none; name a file in a folder that exists"
        raise UsageFault(message)


def check_report(folder: Path, protected: Sequence[Path]) -> None:
    """Refuse early a folder that the report could not be made in, and a report without what draws it.

    Args:
        folder: To be made.
        protected: Folders that it may not lie in or hold.

    Raises:
        VolumeWriteError: If it holds something or cannot be made.
        MissingDependency: If the extra `report` of tds-core is not installed.
    """
    require_report()
    check_target(folder, protected=protected)


def write_evaluation(folder: Path, scores: Scores) -> None:
    """Write scores as a page, tables and plots, whole or not at all.

    Args:
        folder: To be made.
        scores: At least one case's.

    Raises:
        VolumeWriteError: If it cannot be written.
    """
    model = scores.model
    facts = {} if model is None else {"Model": f"{model.name} {model.version}", "Hash of its manifest": model.sha256}
    evaluation = Evaluation(
        title="Evaluation" if model is None else f"Evaluation of {model.name}",
        cases=_scored(scores),
        facts=facts,
    )
    with atomic_folder(folder) as target:
        write_report(evaluation, target)


def write_artefact(path: Path, document: Mapping[str, Any]) -> None:
    """Write scores as a JSON file, whole or not at all.

    Args:
        path: The file; replaced if it exists.
        document: What `as_document` returned.

    Raises:
        VolumeWriteError: If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}-{uuid4().hex[:8]}")
    try:
        try:
            partial.write_text(json_text(document), encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise VolumeWriteError(path, f"{error.strerror}; choose a file that you may write") from error


def _entry(scores: CaseScores, phantoms: frozenset[str]) -> dict[str, Any]:
    return {
        "case": scores.case,
        "phantom": scores.case in phantoms,
        "modalities": [str(m) for m in scores.modalities],
        "dice": _rounded(scores.dice),
        "hd95_mm": _rounded(scores.hd95_mm),
        "regions": {region: _rounded_row(row) for region, row in _case(scores, phantoms).values.items()},
    }


def _scored(scores: Scores) -> tuple[ScoredCase, ...]:
    return tuple(_case(case, scores.phantoms) for case in scores.cases)


def _case(scores: CaseScores, phantoms: frozenset[str]) -> ScoredCase:
    return as_scored(scores.case, scores.regions, phantom=scores.case in phantoms)


def _rounded_row(row: Mapping[str, str | float | None]) -> dict[str, str | float | None]:
    return {name: round(value, _DIGITS) if isinstance(value, float) else value for name, value in row.items()}


def _mean_hd95_mm(cases: Sequence[CaseScores]) -> dict[Region, float]:
    return {r: fmean(case.hd95_mm[r] for case in cases) for r in REGIONS}


def _rounded(values: Mapping[Region, float]) -> dict[str, float]:
    return {str(r): round(values[r], _DIGITS) for r in REGIONS}


def _row(name: str, dice: Mapping[Region, float], hd95_mm: Mapping[Region, float]) -> list[str]:
    return [name, *(f"{dice[r]:.3f}" for r in REGIONS), *(f"{hd95_mm[r]:.1f}" for r in REGIONS)]
