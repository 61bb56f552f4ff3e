"""What is known of a run: read from its folder, told in its bundle."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import yaml

from tds_core.errors import TrainingError
from tds_core.training.engine.protocols import CaseDice
from tds_core.training.export.choosing import BEST

_DATA_NAME: Final = "data.json"
_PLAN_NAME: Final = "plan.yaml"
_METRICS_NAME: Final = "metrics.jsonl"
_PACKAGES: Final = ("tds-core", "tds-data", "torch", "monai", "onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """One source of cases.

    Attributes:
        name: What it is called; never a path.
        training: Cases that were trained on.
        validation: Cases that were only measured.
        phantoms: Synthetic cases in it.
        licence: What its manifest says.
        manifest_sha256: Hash of its manifest.
    """

    name: str
    training: int
    validation: int
    phantoms: int
    licence: str | None = None
    manifest_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFacts:
    """How a network came to be.

    Attributes:
        steps: Optimiser steps behind its weights.
        datasets: What it was trained on and measured with.
        data_sha256: Hash of all of them and of the split.
        validation: Scores of these weights on validation cases.
        which: `last`, `best` by validation score, or `None` if nobody knows.
        chosen_by_validation: Whether these weights were chosen among others by those scores.
        plan: What the plan chose, if there was one.
    """

    steps: int
    datasets: tuple[DatasetFacts, ...] = ()
    data_sha256: str | None = None
    validation: tuple[CaseDice, ...] = ()
    which: str | None = None
    chosen_by_validation: bool = False
    plan: Mapping[str, Any] | None = field(default=None)

    @property
    def phantoms(self) -> str:
        """Whether `all`, `some` or `none` of the cases are synthetic; `unknown` if nothing is known of them."""
        total = sum(d.training + d.validation for d in self.datasets)
        synthetic = sum(d.phantoms for d in self.datasets)
        if not total:
            return "unknown"
        return "none" if not synthetic else "all" if synthetic >= total else "some"


def read_facts(folder: Path, *, step: int, which: str) -> TrainingFacts:
    """Return what a run folder says of the weights of one step.

    Args:
        folder: Of a run.
        step: Optimiser steps behind the weights.
        which: `last`, or `best` if they were chosen by their score.

    Raises:
        TrainingError: If its record of data cannot be read.
    """
    try:
        data = json.loads((folder / _DATA_NAME).read_text(encoding="utf-8"))
        datasets = tuple(_dataset(number, entry) for number, entry in enumerate(data["datasets"], start=1))
        digest = str(data["digest"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{_DATA_NAME} of the run {folder.name!r} cannot be read; a bundle says what a model was trained on"
        raise TrainingError(message) from error
    validations = _validations(folder / _METRICS_NAME)
    return TrainingFacts(
        steps=step,
        datasets=datasets,
        data_sha256=digest,
        validation=validations.get(step, ()),
        which=which,
        chosen_by_validation=which == BEST and len(validations) > 1,
        plan=_plan(folder / _PLAN_NAME),
    )


def code_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}}


def _dataset(number: int, entry: Mapping[str, Any]) -> DatasetFacts:
    return DatasetFacts(
        name=entry["label"] or f"dataset-{number}",
        training=len(entry["training"]),
        validation=len(entry["validation"]),
        phantoms=int(entry["phantoms"]),
        licence=entry.get("licence"),
        manifest_sha256=entry["manifest_sha256"],
    )


def _validations(path: Path) -> dict[int, tuple[CaseDice, ...]]:
    """Return the scores of each step that was validated."""
    found: dict[int, tuple[CaseDice, ...]] = {}
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:  # the last line of a run that was killed
            continue
        if "cases" in record:
            cases = (CaseDice(case=c["case"], phantom=c["phantom"], dice=c["dice"]) for c in record["cases"])
            found[int(record["step"])] = tuple(cases)
    return found


def _plan(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document if isinstance(document, dict) else None
