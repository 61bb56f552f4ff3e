"""What a data set is like: voxels, extents, intensities, tissues. Everything that a plan rests on."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tds_core.errors import ConfigError
from tds_core.training.planning.case_facts import CaseFacts, look_at_case
from tds_data.datasets import CaseEntry, Manifest
from tds_data.errors import DataError, UnusableCase
from tds_data.task import Task

Progress = Callable[[int, int, str], None]
"""Hears how much of how much is done, and of what."""

MOST_CASES: Final = 100
"""Cases that are looked at; of more, every so many."""

_DIGITS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A data set to be planned for.

    Attributes:
        manifest: The data set.
        others: Label of each tissue that the task has none for.
    """

    manifest: Manifest
    others: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What a data set is like.

    Attributes:
        task: What is learned from it.
        cases: What each case that was looked at is like.
        labelled: Cases that have a mask; only such are looked at.
        unlabelled: Cases without.
        phantoms: How many of the labelled cases are synthetic.
    """

    task: Task
    cases: tuple[CaseFacts, ...]
    labelled: int
    unlabelled: int = 0
    phantoms: int = 0

    @property
    def spacings_mm(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Edges of the voxels of each case along x, y, z, in millimetres; float64 of shape (case, 3)."""
        return np.array([case.spacing_mm for case in self.cases], np.float64)

    def shapes_at(self, spacing_mm: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the voxels of each case's foreground at a voxel size; float64 of shape (case, 3).

        Args:
            spacing_mm: Edges along x, y, z.
        """
        shapes = np.array([case.shape for case in self.cases], np.float64)
        voxels: np.ndarray[Any, np.dtype[np.float64]] = np.ceil(shapes * self.spacings_mm / np.array(spacing_mm) - 1e-6)
        return np.asarray(np.maximum(voxels, 1.0), np.float64)

    @property
    def empty_labels(self) -> tuple[str, ...]:
        """Labels that none of the cases that were looked at has."""
        return tuple(label for label in self.task.labels if not any(case.label_ml[label] > 0 for case in self.cases))

    @property
    def missing_channels(self) -> tuple[str, ...]:
        """Channels that none of the cases has."""
        return tuple(name for name in self.task.channels if not any(name in case.intensities for case in self.cases))

    def to_dict(self) -> dict[str, Any]:
        """Return a summary as plain YAML values."""
        spacings = self.spacings_mm
        shapes = np.array([case.shape for case in self.cases])
        return {
            "labelled": self.labelled,
            "unlabelled": self.unlabelled,
            "phantoms": self.phantoms,
            "looked_at": len(self.cases),
            "spacing_mm": {
                name: [_short(n) for n in np.percentile(spacings, q, axis=0)]
                for name, q in (("least", 0), ("median", 50), ("most", 100))
            },
            "foreground_voxels": {
                name: [int(n) for n in np.percentile(shapes, q, axis=0)]
                for name, q in (("least", 0), ("median", 50), ("most", 100))
            },
            "foreground_share": _short(np.median([case.foreground_share for case in self.cases])),
            "intensities": {name: self._intensities(name) for name in self.task.channels},
            "labels": {label: self._label(label) for label in self.task.labels},
            "regions": {region: self._region(region) for region in self.task.regions},
        }

    def _intensities(self, channel: str) -> dict[str, Any]:
        found = [case.intensities[channel] for case in self.cases if channel in case.intensities]
        low, middle, high = (_short(np.median([f[i] for f in found])) if found else None for i in range(3))
        return {"cases": len(found), "percentile_0_5": low, "median": middle, "percentile_99_5": high}

    def _label(self, label: str) -> dict[str, Any]:
        volumes = [case.label_ml[label] for case in self.cases if case.label_ml[label] > 0]
        return {"cases": len(volumes), "median_ml": _short(np.median(volumes)) if volumes else None}

    def _region(self, region: str) -> dict[str, Any]:
        per_case = [case.lesions_ml[region] for case in self.cases]
        every = [volume for volumes in per_case for volume in volumes]
        counts = [len(volumes) for volumes in per_case if volumes]
        return {
            "cases": len(counts),
            "median_parts": int(np.median(counts)) if counts else 0,
            "smallest_ml": _short(min(every)) if every else None,
            "median_ml": _short(np.median(every)) if every else None,
        }


def take_fingerprint(
    sources: Sequence[Source], task: Task, *, most: int = MOST_CASES, workers: int = 2, progress: Progress | None = None
) -> Fingerprint:
    """Return what data sets are like together.

    Args:
        sources: The data sets.
        task: What is to be learned.
        most: How many cases to look at; of more, every so many are taken, which are the same each time.
        workers: Cases in work at the same time.
        progress: Hears of each case.

    Raises:
        ConfigError: If no case has a mask.
        UnusableCase: If a case cannot be read (from tds_data).
    """
    entries = [(source, entry) for source in sources for entry in source.manifest.cases]
    labelled = [(source, entry) for source, entry in entries if entry.mask is not None]
    if not labelled:
        message = f"none of the {len(entries)} cases has a mask, so there is nothing to learn from or to plan for"
        raise ConfigError(message)
    chosen = [labelled[i] for i in np.unique(np.linspace(0, len(labelled) - 1, min(most, len(labelled))).astype(int))]
    done: list[CaseFacts] = []

    def look(pair: tuple[Source, CaseEntry]) -> CaseFacts:
        source, entry = pair
        try:
            return look_at_case(source.manifest, entry, task, source.others)
        except (DataError, OSError) as error:
            raise UnusableCase(entry.name, str(error)) from error

    with ThreadPoolExecutor(workers, thread_name_prefix="plan") as pool:
        for facts in pool.map(look, chosen):
            done.append(facts)
            if progress is not None:
                progress(len(done), len(chosen), facts.name)
    return Fingerprint(
        task=task,
        cases=tuple(done),
        labelled=len(labelled),
        unlabelled=len(entries) - len(labelled),
        phantoms=sum(entry.phantom for _, entry in labelled),
    )


def _short(value: float | np.floating[Any]) -> float:
    return float(f"{float(value):.{_DIGITS}g}")
