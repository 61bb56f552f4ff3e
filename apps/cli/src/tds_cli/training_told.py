"""What is said of runs that have ended: as tables for people, as JSON for programs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from tds_cli import output

if TYPE_CHECKING:  # keeps `tds --help` quick
    from tds_core.evaluation.summary import ScoredCase
    from tds_core.training.export import PackedBundle
    from tds_core.training.run import CrossValidation, RunSummary

_DIGITS: Final = 4


def document(
    folder: Path, summaries: "Mapping[str, RunSummary]", together: "CrossValidation | None" = None
) -> dict[str, Any]:
    """Return runs as plain JSON types.

    Args:
        folder: That holds them.
        summaries: Of each run, by the name of its fold; a single one has none.
        together: What all folds are worth together, if there are folds.
    """
    told: dict[str, Any] = {
        "output": str(folder),
        "runs": [{"fold": name or None, **_run(summary)} for name, summary in summaries.items()],
    }
    if together is not None:
        told["cross_validation"] = {
            **_bundle(together.bundle),
            **_scores(together.scores, together.unscored),
            "notes": list(together.notes),
        }
    return told


def say(summaries: "Mapping[str, RunSummary]", together: "CrossValidation | None" = None) -> None:
    """Print what became of runs.

    Args:
        summaries: Of each run, by the name of its fold; a single one has none.
        together: What all folds are worth together, if there are folds.
    """
    for name, summary in summaries.items():
        output.say(f"{name + ': ' if name else ''}{summary.outcome.step} steps; {summary.outcome.reason}")
        _say_scores(summary.scores, summary.unscored)
        if summary.architecture is not None:
            output.say(f"the architecture is in {summary.architecture}")
        _say_bundle(summary.bundle, for_studies=summary.for_studies)
    if together is not None and together.scores:
        output.say()
        output.say("all folds; each case by the one member that was not trained on it")
        _say_scores(together.scores, together.unscored)
        for note in together.notes:
            output.say(f"note: {note}")
        _say_bundle(together.bundle, for_studies=all(summary.for_studies for summary in summaries.values()))
    if any(summary.phantom for summary in summaries.values()):
        output.say("PHANTOM: every case is made up; the figures say nothing of real patients.")
    output.say("Research use only.")


def _run(summary: "RunSummary") -> dict[str, Any]:
    return {
        "folder": str(summary.folder),
        "status": summary.outcome.status,
        "steps": summary.outcome.step,
        "reason": summary.outcome.reason,
        "best_score": summary.outcome.best_score,
        "phantom": summary.phantom,
        **_bundle(summary.bundle),
        "architecture": None if summary.architecture is None else str(summary.architecture),
        **_scores(summary.scores, summary.unscored),
    }


def _bundle(bundle: "PackedBundle | None") -> dict[str, Any]:
    return {
        "bundle": None if bundle is None else str(bundle.folder),
        "bundle_sha256": None if bundle is None else bundle.sha256,
    }


def _scores(scores: "Sequence[ScoredCase]", unscored: Mapping[str, str]) -> dict[str, Any]:
    return {
        "scores": [
            {"case": case.case, "phantom": case.phantom, "dice": {r: round(d, _DIGITS) for r, d in _dice(case).items()}}
            for case in scores
        ],
        "unscored": dict(unscored),
    }


def _say_scores(scores: "Sequence[ScoredCase]", unscored: Mapping[str, str]) -> None:
    if scores:
        regions = list(scores[0].values)
        rows = [[f"{case.case}{' (PHANTOM)' if case.phantom else ''}", *_figures(_dice(case))] for case in scores]
        output.say_table(["case", *(f"Dice {region}" for region in regions)], [*rows, *_mean_rows(scores, regions)])
    for name, reason in unscored.items():
        output.say(f"no score for {name}: {reason}")


def _mean_rows(scores: "Sequence[ScoredCase]", regions: Sequence[str]) -> Iterator[list[str]]:
    """Yield a mean over patients and one over phantoms, of those that there are: never one over both."""
    for phantom, word in ((False, "patients"), (True, "PHANTOMS")):
        dice = [_dice(case) for case in scores if case.phantom is phantom]
        if dice:
            means = {region: fmean(each[region] for each in dice) for region in regions}
            yield [f"mean of {len(dice)} {word}", *_figures(means)]


def _dice(case: "ScoredCase") -> dict[str, float]:
    return {region: row["dice"] or 0.0 for region, row in case.values.items()}


def _figures(dice: Mapping[str, float]) -> list[str]:
    return [f"{value:.3f}" for value in dice.values()]


def _say_bundle(bundle: "PackedBundle | None", *, for_studies: bool) -> None:
    if bundle is None:
        return
    for note in bundle.notes:
        output.say(f"note: {note}")
    if not for_studies:
        output.say(f"the model is in {bundle.folder}; its SHA-256 is {bundle.sha256}")
        return
    output.say(f"the model is in {bundle.folder}; to run it:")
    output.say(f"  tds segment STUDY -o OUT --model {bundle.folder} --trust {bundle.sha256}")
