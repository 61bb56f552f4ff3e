"""Preprocessed cases of a run, on the sides of its split."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tds_core.errors import ConfigError, TrainingError
from tds_core.training.config import TrainingConfig
from tds_core.training.run.datasets import Progress, SplitDataset
from tds_data.cache import CacheConfig, CachedCase, build_cache, combine_caches
from tds_data.preprocess import PreprocessConfig

_MARK_DIGITS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCases:
    """What a run learns from, and what it is measured on.

    Attributes:
        training: Preprocessed cases that are trained on.
        validation: Preprocessed cases that are only measured.
    """

    training: tuple[CachedCase, ...]
    validation: tuple[CachedCase, ...]

    @property
    def is_phantom(self) -> bool:
        """Whether every case is synthetic."""
        return all(case.phantom for case in (*self.training, *self.validation))


def cache_cases(config: TrainingConfig, datasets: Sequence[SplitDataset], folder: Path, progress: Progress) -> RunCases:
    """Return the cases of a run, preprocessing those that are not there yet.

    Args:
        config: With a spacing.
        datasets: Those of the run, split.
        folder: Where caches are kept; each data set has a folder of its own in it.
        progress: Hears of each case.

    Raises:
        ConfigError: If the configuration has no spacing.
        DataError: If a case cannot be preprocessed or the disk is full (from tds_data).
        TrainingError: If a side of the split is empty once cases without a mask are left out.
    """
    if config.data.spacing_mm is None:
        message = "the run has no voxel size; set data.spacing_mm, or let a plan choose it"
        raise ConfigError(message)
    caches = {}
    for part in datasets:
        what = CacheConfig(
            task=config.goal,
            preprocess=PreprocessConfig(spacing_mm=config.data.spacing_mm, clip=config.data.clip),
            others=part.config.others,
        )
        workers = max(1, config.data.workers)
        # Runs with other data or another voxel size may share the folder, and must not clear away each other's cases.
        mark = hashlib.sha256(f"{part.manifest.digest} {what.digest}".encode()).hexdigest()[:_MARK_DIGITS]
        target = folder / f"cases-{mark}"
        caches[part.label or target.name] = build_cache(part.manifest, target, what, workers=workers, progress=progress)
    by_name = {case.name: case for case in combine_caches(caches) if case.labelled}
    training, validation = (
        tuple(
            by_name[full]
            for part in datasets
            for name in getattr(part, side)
            if (full := part.full_name(name)) in by_name
        )
        for side in ("training", "validation")
    )
    if not training or not validation:
        message = f"{len(training)} cases are left to train on and {len(validation)} to validate with; both need one"
        raise TrainingError(message)
    return RunCases(training=training, validation=validation)
