"""Scores as tables, JSON and a page. Patients and phantoms are never averaged together."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final
from uuid import uuid4

from tds_cli.errors import UsageFault
from tds_cli.output import json_text, say, say_table
from tds_cli.scoring import Scores
from tds_core.evaluation import CaseScores, Evaluation, mean_dice, summarise, write_report
from tds_core.evaluation.report import require_report
from tds_core.evaluation.tables import summary_row
from tds_core.metrics import EMPTY_DISTANCE_MM
from tds_data.atomic import atomic_folder, check_target
from tds_data.errors import VolumeWriteError

SCHEMA_VERSION: Final = "1.2"
"""Version of the JSON form of scores."""

_DIGITS: Final = 4


def as_document(scores: Scores) -> dict[str, Any]:
    """Return scores as plain JSON types, rounded to four digits.

    Args:
        scores: At least one case's.
    """
    model = scores.model
    identity = None if model is None else {"name": model.name, "version": model.version, "sha256": model.sha256}
    return {
        "schema_version": SCHEMA_VERSION,
        "task": scores.task.name,
        "model": identity,
        "cases": [_entry(case, scores) for case in scores.cases],
        **_means(scores.cases, scores.phantoms, distances=True),
        "subsets": [
            {
                "modalities": [str(m) for m in chosen],
                **_means(cases, scores.phantoms, distances=False),
                "cases": [_entry(case, scores) for case in cases],
            }
            for chosen, cases in scores.subsets.items()
        ],
        "summary": [_rounded(summary_row(summary)) for summary in summarise(scores.scored)],
    }


def say_scores(scores: Scores) -> None:
    """Print scores as tables.

    Args:
        scores: At least one case's.
    """
    regions = list(scores.task.regions)
    rows = [_row(_marked(case.case, scores.phantoms), case.dice, case.hd95_mm) for case in scores.cases]
    for kind, cases in _kinds(scores.cases, scores.phantoms):
        rows.append(_row(f"mean of {_count(kind, len(cases))}", mean_dice(cases), _mean_hd95_mm(cases)))
    say_table(["case", *(f"Dice {r}" for r in regions), *(f"HD95 {r}" for r in regions)], rows)
    if scores.subsets:
        say()
        say_table(["sequences", *(f"Dice {r}" for r in regions), "cases"], list(_subset_rows(scores)))
    for summary in summarise(scores.scored):
        if summary.stand_ins:
            kind = "phantom" if summary.phantom else "patient"
            share = f"{summary.stand_ins} of {_count(kind, summary.cases)}"
            say(f"HD95 {summary.region}: {EMPTY_DISTANCE_MM:.2f} stands in for {share}, of whom one mask is empty.")
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
    """Write scores as a page, tables, plots and pictures, whole or not at all.

    Args:
        folder: To be made.
        scores: At least one case's.

    Raises:
        VolumeWriteError: If it cannot be written.
    """
    model = scores.model
    facts = {"Task": scores.task.name}
    if model is not None:
        facts |= {"Model": f"{model.name} {model.version}", "Hash of its manifest": model.sha256}
    evaluation = Evaluation(
        title="Evaluation" if model is None else f"Evaluation of {model.name}",
        cases=scores.scored,
        facts=facts,
        gallery=scores.gallery,
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


def _entry(case: CaseScores, scores: Scores) -> dict[str, Any]:
    return {
        "case": case.case,
        "phantom": case.case in scores.phantoms,
        "modalities": [str(m) for m in case.modalities],
        "dice": _rounded(case.dice),
        "hd95_mm": _rounded(case.hd95_mm),
        "regions": {region: _rounded(row) for region, row in scores.numbers(case).values.items()},
    }


def _kinds(cases: Sequence[CaseScores], phantoms: frozenset[str]) -> Iterator[tuple[str, list[CaseScores]]]:
    for kind in ("patient", "phantom"):
        of_kind = [case for case in cases if (case.case in phantoms) is (kind == "phantom")]
        if of_kind:
            yield kind, of_kind


def _means(cases: Sequence[CaseScores], phantoms: frozenset[str], *, distances: bool) -> dict[str, Any]:
    """Return the mean over patients, or over phantoms if there are no patients; if there are both, phantoms apart."""
    first, *others = [_mean(kind, of_kind, distances=distances) for kind, of_kind in _kinds(cases, phantoms)]
    return {"mean": first, "phantom_mean": others[0] if others else None}


def _mean(kind: str, cases: Sequence[CaseScores], *, distances: bool) -> dict[str, Any]:
    means = {"dice": _rounded(mean_dice(cases))}
    if distances:
        means["hd95_mm"] = _rounded(_mean_hd95_mm(cases))
    return {"kind": kind, "cases": len(cases), **means}


def _mean_hd95_mm(cases: Sequence[CaseScores]) -> dict[str, float]:
    return {region: fmean(case.hd95_mm[region] for case in cases) for region in cases[0].hd95_mm}


def _subset_rows(scores: Scores) -> Iterator[list[str]]:
    for chosen, all_cases in scores.subsets.items():
        for kind, cases in _kinds(all_cases, scores.phantoms):
            name = " ".join(chosen) + (" (PHANTOMS)" if kind == "phantom" else "")
            yield [name, *(f"{dice:.3f}" for dice in mean_dice(cases).values()), str(len(cases))]


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): round(value, _DIGITS) if isinstance(value, float) else value for name, value in row.items()}


def _row(name: str, dice: Mapping[str, float], hd95_mm: Mapping[str, float]) -> list[str]:
    return [name, *(f"{value:.3f}" for value in dice.values()), *(f"{value:.1f}" for value in hd95_mm.values())]


def _marked(name: str, phantoms: frozenset[str]) -> str:
    return f"{name} (PHANTOM)" if name in phantoms else name


def _count(kind: str, count: int) -> str:
    word = "PHANTOM" if kind == "phantom" else kind
    return f"{count} {word}{'' if count == 1 else 'S' if word.isupper() else 's'}"
