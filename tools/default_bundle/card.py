"""The model card's accuracy section, from what `tds evaluate --subsets` wrote.

Each figure carries the mark of its entry in the claims ledger; `ledger_entries` lists those entries.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REGIONS = ("WT", "TC", "ET")
PENDING = "These weights have not been evaluated yet."


def accuracy_section(evaluation: Path | None) -> str:
    """Return the section as Markdown, or a sentence saying that there is nothing to report.

    Args:
        evaluation: What `tds evaluate --subsets -o FILE` wrote for exactly these weights.
    """
    if evaluation is None:
        return PENDING
    document = json.loads(evaluation.read_text(encoding="utf-8"))
    lines = [
        "Dice and 95th percentile Hausdorff distance (mm) on the validation patients, on the study's own 1 mm grid:",
        "",
        "| patient | WT | TC | ET | HD95 WT | HD95 TC | HD95 ET |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_row(case["case"], short_name(case["case"]), case) for case in document["cases"]]
    lines.append(_row("mean", "mean", document["mean"]))
    lines += [
        "",
        "Mean Dice for every subset of the sequences:",
        "",
        "| sequences | WT | TC | ET |",
        "|---|---|---|---|",
    ]
    for subset in document["subsets"]:
        name = "-".join(subset["modalities"])
        figures = [_figure(subset["mean"]["dice"][r], f"subset-{name}-dice-{r.lower()}") for r in REGIONS]
        lines.append(f"| {', '.join(subset['modalities'])} | {' | '.join(figures)} |")
    return "\n".join(lines)


def ledger_entries(evaluation: Path) -> Iterator[tuple[str, str, str, float]]:
    """Yield identifier, JSON pointer, printed text and value of every figure in the section.

    Args:
        evaluation: What `tds evaluate --subsets -o FILE` wrote.
    """
    document: dict[str, Any] = json.loads(evaluation.read_text(encoding="utf-8"))
    scored = [(short_name(c["case"]), f"/cases/{i}", c) for i, c in enumerate(document["cases"])]
    for name, pointer, entry in (*scored, ("mean", "/mean", document["mean"])):
        for region in REGIONS:
            dice, distance = entry["dice"][region], entry["hd95_mm"][region]
            yield f"val-{name}-dice-{region.lower()}", f"{pointer}/dice/{region}", f"{dice:.3f}", dice
            yield f"val-{name}-hd95-{region.lower()}", f"{pointer}/hd95_mm/{region}", f"{distance:.1f}", distance
    for i, subset in enumerate(document["subsets"]):
        name = "-".join(subset["modalities"])
        for region in REGIONS:
            value = subset["mean"]["dice"][region]
            yield f"subset-{name}-dice-{region.lower()}", f"/subsets/{i}/mean/dice/{region}", f"{value:.3f}", value


def short_name(case: str) -> str:
    """Return the number at the end of a patient's label."""
    return case.rsplit("_", 1)[-1]


def _row(title: str, name: str, entry: dict[str, dict[str, float]]) -> str:
    dice = [_figure(entry["dice"][r], f"val-{name}-dice-{r.lower()}") for r in REGIONS]
    distance = [_figure(entry["hd95_mm"][r], f"val-{name}-hd95-{r.lower()}", digits=1) for r in REGIONS]
    return f"| {title} | {' | '.join(dice)} | {' | '.join(distance)} |"


def _figure(value: float, identifier: str, digits: int = 3) -> str:
    return f"{value:.{digits}f}<!-- claim: {identifier} -->"
