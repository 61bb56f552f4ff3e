"""What a run is told about its data: sources, split, patches."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tds_core.errors import ConfigError
from tds_core.training.config.checks import check_choice, check_positive, check_ranges

Shape = tuple[int, int, int]
"""Voxels along x, y, z."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetConfig:
    """One source of cases: a folder or manifest, or phantoms. Give exactly one of `path` and `phantoms`.

    Attributes:
        path: Folder that `tds data index` recognises, or a manifest; relative paths start from the configuration file.
        phantoms: How many synthetic patients to make (brain tumours only).
        first_seed: Seed of the first phantom; the next ones count up.
        phantom_spacing_mm: Edge of a phantom's voxels, millimetres.
        others: Label, 0 to the task's last, of each tissue that the task has none for, such as `{RC: 0}`.
    """

    path: Path | None = None
    phantoms: int | None = None
    first_seed: int = 0
    phantom_spacing_mm: float = 1.0
    others: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.path is None) == (self.phantoms is None):
            message = "a data set is a path or a number of phantoms; give exactly one of the two"
            raise ConfigError(message)
        check_ranges(1, math.inf, phantoms=1 if self.phantoms is None else self.phantoms)
        check_ranges(0, math.inf, first_seed=self.first_seed)
        check_positive(phantom_spacing_mm=self.phantom_spacing_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """Which cases are only measured. A patient is never on both sides.

    Attributes:
        fold: Number of the fold that validates, from 0.
        folds: How many folds there are.
        file: A file of `tds data folds` to take folds from; made by patient and tumour volume if none is named.
        names: Cases that validate instead of a fold.
        seed: Of the folds that are made.
    """

    fold: int = 0
    folds: int = 5
    file: Path | None = None
    names: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(2, math.inf, folds=self.folds)
        check_ranges(0, self.folds - 1, fold=self.fold)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where cases come from and how they reach the network.

    Attributes:
        datasets: One or more sources.
        split: Which cases validate.
        spacing_mm: Edge of the voxels that the network sees, or three along x, y, z; from the plan if `None`.
        clip: Largest absolute z-score.
        cache: Folder of preprocessed cases; `cache` in the run folder if `None`.
        workers: Processes that make patches; 0 makes them in the training process.
        max_loader_bytes: Most memory that the workers and their batches take.
    """

    datasets: tuple[DatasetConfig, ...]
    split: SplitConfig = field(default_factory=SplitConfig)
    spacing_mm: float | tuple[float, float, float] | None = None
    clip: float = 6.0
    cache: Path | None = None
    workers: int = 2
    max_loader_bytes: int | None = None

    def __post_init__(self) -> None:
        if not self.datasets:
            message = "there is nothing to learn from: name at least one data set in data.datasets"
            raise ConfigError(message)
        edges = self.spacing_mm if isinstance(self.spacing_mm, tuple) else (self.spacing_mm,)
        check_positive(spacing_mm=min((e for e in edges if e is not None), default=1.0), clip=self.clip)
        check_ranges(0, math.inf, workers=self.workers)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """Which patches are drawn.

    Attributes:
        patch: Voxels along x, y, z; from the plan if `None`.
        batch: Patches of one optimiser step, over all processes; from the plan if `None`.
        micro_batch: Patches that go through the network at once; all of a process's share if `None`. The rest is
            accumulated.
        steps_per_epoch: Optimiser steps of an epoch.
        foreground_share: Share of patches that are centred on a lesion.
        region_weights: How often each region is chosen then; all alike if empty.
        augmentation: `none`, `light`, `standard` or `heavy`.
    """

    patch: Shape | None = None
    batch: int | None = None
    micro_batch: int | None = None
    steps_per_epoch: int = 250
    foreground_share: float = 0.5
    region_weights: Mapping[str, float] = field(default_factory=dict)
    augmentation: str = "standard"

    def __post_init__(self) -> None:
        sizes = {"batch": self.batch, "micro_batch": self.micro_batch, "steps_per_epoch": self.steps_per_epoch}
        sizes |= dict(zip(("patch x", "patch y", "patch z"), self.patch or (), strict=False))
        check_ranges(1, math.inf, **{name: size for name, size in sizes.items() if size is not None})
        check_ranges(0, 1, foreground_share=self.foreground_share)
        check_ranges(0, math.inf, **dict(self.region_weights))
        if self.region_weights and not any(self.region_weights.values()):
            message = "region_weights are all 0, so that no lesion could be chosen; give one region more"
            raise ConfigError(message)
        check_choice("augmentation", self.augmentation, ("none", "light", "standard", "heavy"))
