"""A model card that says what is known, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tds_data.report import RESEARCH_USE_NOTICE

_UNKNOWN: Final = "unknown"
_ORIGINS: Final = {
    "training": "Trained with `tds train`",
    "monai": "Imported from a MONAI bundle",
    "ensemble": "An ensemble of other bundles",
}
_WEIGHTS: Final[Mapping[Any, str]] = {
    "last": ": the weights that the run ended with",
    "best": ": of all the weights that were validated, those with the best score",
}
_PHANTOM_WARNING: Final = (
    "**It was trained on synthetic patients (phantoms) only. How it does on patients is unknown; it shows that the "
    "software works, and must not be used to look at patients.**"
)


def card_text(document: Mapping[str, Any]) -> str:
    """Return the model card of a bundle.

    Args:
        document: Content of `bundle.yaml`, format 2.
    """
    sections = [
        _head(document),
        _origin(document["provenance"]),
        _scores(document),
        _limits(document),
        _reproduction(document),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(document: Mapping[str, Any]) -> str:
    task, before = document["task"], document["preprocessing"]
    heads = "one sigmoid a region" if document["heads"] == "regions" else "one softmax over background and labels"
    patch = document["inference"]["patch"]
    windows = "whole images" if patch is None else f"windows of {_product(patch)} voxels"
    rows = {
        "task": f"{task['name']}: {', '.join(task['regions'])} from {', '.join(task['channels'])}",
        "network": f"{document['architecture']['name']}, {heads}",
        "input": f"voxels of {_product(_edges(before['spacing_mm']))} mm; {before['normalisation']}; {windows}",
        "output": "labels " + ", ".join(f"{n} {name}" for n, name in enumerate(task["labels"], start=1)),
        "weights": f"{document['precision']['weights']}",
        "licence of the weights": document["licence"],
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    notice = f"**{RESEARCH_USE_NOTICE}** Its masks are proposals for a person to check."
    lines = [f"# {document['name']} {document['version']}", notice]
    if _phantoms(document["provenance"]) == "all":
        lines.append(_PHANTOM_WARNING)
    return "\n\n".join([*lines, f"| | |\n|---|---|\n{table}"])


def _origin(provenance: Mapping[str, Any]) -> str:
    lines = [f"## Where it comes from\n\n{_ORIGINS.get(provenance['origin'], provenance['origin'])}."]
    data = provenance.get("data") or []
    if data:
        head = "| data set | training cases | validation cases | synthetic cases | licence |\n|---|---|---|---|---|"
        lines.append("\n".join([head, *(_data_row(entry) for entry in data)]))
    if provenance.get("steps"):
        which = _WEIGHTS.get(provenance.get("weights"), "")
        lines.append(f"{provenance['steps']} optimiser steps{which}.")
    lines += list(provenance.get("notes", ()))
    if provenance.get("members"):
        lines.append(
            "\n".join(f"- {m['name']} {m['version']} (`{m['sha256']}`), {m['licence']}" for m in provenance["members"])
        )
    if not data and provenance["origin"] == "training":
        lines.append("What it was trained on was not recorded.")
    return "\n\n".join(lines)


def _data_row(entry: Mapping[str, Any]) -> str:
    licence = entry.get("licence") or _UNKNOWN
    return f"| {entry['name']} | {entry['training']} | {entry['validation']} | {entry['phantoms']} | {licence} |"


def _scores(document: Mapping[str, Any]) -> str:
    validation = document["provenance"].get("validation") or {}
    cases: Sequence[Mapping[str, Any]] = validation.get("cases") or ()
    if not cases:
        return "## How well it does\n\nNot measured with these weights."
    regions = list(document["task"]["regions"])
    parts = [
        "## How well it does",
        "Dice of each validation case on the network's own grid, before lesions are dropped. No case was trained on.",
    ]
    if validation.get("chosen"):
        parts.append("The weights were chosen among those of other steps by these scores, which flatters them.")
    for phantom, title in ((False, "Patients"), (True, "PHANTOMS, which are no patients")):
        chosen = [case for case in cases if bool(case["phantom"]) is phantom]
        if chosen:
            parts.append(f"{title}:\n\n{_table(chosen, regions)}")
    return "\n\n".join(parts)


def _table(cases: Sequence[Mapping[str, Any]], regions: Sequence[str]) -> str:
    rows = [f"| case | {' | '.join(regions)} |", "|---" * (len(regions) + 1) + "|"]
    rows += [_row(case["case"], [case["dice"][r] for r in regions]) for case in cases]
    means = [sum(case["dice"][r] for case in cases) / len(cases) for r in regions]
    return "\n".join([*rows, _row(f"mean of {len(cases)}", means)])


def _row(title: str, scores: Sequence[float]) -> str:
    return f"| {title} | {' | '.join(f'{score:.3f}' for score in scores)} |"


def _limits(document: Mapping[str, Any]) -> str:
    provenance = document["provenance"]
    points = []
    if _phantoms(provenance) == "all":
        points.append("Patients: it has never seen one.")
    if _phantoms(provenance) == "some":
        points.append("Some of its training cases are synthetic.")
    measured = [c for c in (provenance.get("validation") or {}).get("cases") or () if not c["phantom"]]
    points.append(f"It was measured on {len(measured)} patients here; expect others to differ.")
    points.append("Scanners, sequences, ages and diseases that were not in the training data: unknown.")
    points.append("Its probabilities are not calibrated: intervals of volumes show its doubt and are no confidence.")
    edges = _product(_edges(document["preprocessing"]["spacing_mm"]))
    points.append(f"The mask is made on voxels of {edges} mm: borders finer than that are not resolved.")
    return "## Where it must not be trusted\n\n" + "\n".join(f"- {point}" for point in points)


def _reproduction(document: Mapping[str, Any]) -> str:
    provenance = document["provenance"]
    versions = provenance.get("versions") or {}
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    config = " The whole configuration is in `bundle.yaml`." if provenance.get("config") else ""
    digest = f" Data: SHA-256 `{provenance['data_sha256']}`." if provenance.get("data_sha256") else ""
    paper = document["architecture"].get("paper")
    return "## Made with\n\n" + f"{said or _UNKNOWN}.{config}{digest}" + (f"\n\nNetwork: {paper}." if paper else "")


def _phantoms(provenance: Mapping[str, Any]) -> str:
    return str(provenance.get("phantoms", _UNKNOWN))


def _edges(spacing: float | Sequence[float]) -> list[float]:
    return [spacing] * 3 if isinstance(spacing, int | float) else list(spacing)


def _product(edges: Sequence[float]) -> str:
    return " x ".join(f"{edge:g}" for edge in edges)
