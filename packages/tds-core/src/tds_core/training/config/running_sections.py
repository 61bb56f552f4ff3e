"""What a run is told about everything around learning: safety, tracking, inference, the bundle."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tds_core.errors import ConfigError
from tds_core.training.config.checks import check_choice, check_positive, check_ranges

_AXES: Final = frozenset({0, 1, 2})


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyConfig:
    """What keeps a run from being lost.

    Attributes:
        checkpoint_every_steps: Optimiser steps between checkpoints; each validation makes one too.
        keep: Checkpoints that are kept besides the best.
        max_ram_bytes: Most memory of the host that the process may take; what the machine or container has if `None`.
        max_vram_bytes: The same on the GPU.
        vram_target_bytes: What the plan fits a step into.
        nan_retries: How often a loss that is not finite goes back to the last good state with a lower rate.
        nan_rate_factor: What the rate is multiplied by then.
        min_free_disk_bytes: Training pauses while the disk of the run folder has less than this.
        disk_pause_s: Seconds between looks at a full disk.
        disk_patience_s: Seconds after which a full disk ends the run cleanly, with what was done kept.
    """

    checkpoint_every_steps: int = 250
    keep: int = 2
    max_ram_bytes: int | None = None
    max_vram_bytes: int | None = None
    vram_target_bytes: int = 8 * 1024**3
    nan_retries: int = 3
    nan_rate_factor: float = 0.5
    min_free_disk_bytes: int = 512 * 1024**2
    disk_pause_s: float = 30.0
    disk_patience_s: float = 24 * 3600.0

    def __post_init__(self) -> None:
        check_ranges(1, math.inf, checkpoint_every_steps=self.checkpoint_every_steps, keep=self.keep)
        check_ranges(0, math.inf, nan_retries=self.nan_retries, min_free_disk_bytes=self.min_free_disk_bytes)
        check_positive(nan_rate_factor=self.nan_rate_factor, disk_pause_s=self.disk_pause_s)
        check_ranges(0, 1, nan_rate_factor=self.nan_rate_factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingConfig:
    """Where a run is written down besides its folder.

    Attributes:
        mlflow: Whether to track with MLflow.
        mlflow_uri: Server or store; a SQLite file `mlflow.db` beside the run folder if `None`.
        experiment: MLflow experiment.
        register_model: Name in MLflow's model registry to register the bundle under; not registered if `None`.
        tensorboard: Whether to write TensorBoard events.
        overlays: How many validation cases are pictured, the same slices at each validation.
    """

    mlflow: bool = True
    mlflow_uri: str | None = None
    experiment: str = "tds"
    register_model: str | None = None
    tensorboard: bool = True
    overlays: int = 3

    def __post_init__(self) -> None:
        check_ranges(0, math.inf, overlays=self.overlays)


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceConfig:
    """How whole cases are predicted, in validation and by the bundle.

    Attributes:
        overlap: Share of a patch that neighbouring windows share.
        mirror: Axes (0 x, 1 y, 2 z) that are mirrored in turn at the end; not in validation during training.
        thresholds: Smallest probability that counts as inside, per region; 0.5 where none is given.
        min_lesion_ml: Lesions smaller than this are dropped by the bundle, millilitres.
    """

    overlap: float = 0.5
    mirror: tuple[int, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    min_lesion_ml: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(0, 0.9, overlap=self.overlap)
        check_ranges(0, 1, **dict(self.thresholds))
        if len(set(self.mirror)) < len(self.mirror) or set(self.mirror) - _AXES:
            message = f"mirror names axes, each once: 0 for x, 1 for y, 2 for z; {list(self.mirror)} was given"
            raise ConfigError(message)
        check_ranges(0, math.inf, min_lesion_ml=self.min_lesion_ml)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleConfig:
    """What becomes of the result.

    Attributes:
        export: Whether a bundle is made at the end.
        name: Name of the bundle; the run's if `None`.
        version: Its version.
        licence: SPDX identifier of the licence of the weights; what the data allow is the user's to know.
        weights: `last`, `best` by validation score, which makes that score optimistic, or `auto`: the best of a run
            that stops early by its score, else the last.
    """

    export: bool = True
    name: str | None = None
    version: str = "0.1.0"
    licence: str = "LicenseRef-unknown"
    weights: str = "auto"

    def __post_init__(self) -> None:
        check_choice("bundle.weights", self.weights, ("auto", "best", "last"))
