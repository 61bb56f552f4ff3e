"""Everything that a training run is told. One dataclass a section; the root is `TrainingConfig`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from tds_core.errors import ConfigError
from tds_core.training.config.checks import check_choice, check_positive, check_ranges
from tds_data.task import BRAIN_TUMOUR, TASKS, Task, find_task

_BELOW_ONE: Final = math.nextafter(1.0, 0.0)

Shape = tuple[int, int, int]
"""Voxels along x, y, z."""


class Heads(StrEnum):
    """What the network's outputs are: one sigmoid a region, or one softmax over background and labels."""

    REGIONS = "regions"
    CLASSES = "classes"


class Precision(StrEnum):
    """Number format of the forward pass; weights are float32 in any case."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class Device(StrEnum):
    """Where to train; `auto` takes CUDA where there is one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


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
class NetworkConfig:
    """Which network.

    Attributes:
        name: One of `tds_core.training.models.MODEL_NAMES`.
        options: What this network may be told; unknown ones are errors when it is built.
        heads: Regions by sigmoid or classes by softmax.
        deep_supervision: Whether coarser outputs are trained too, where the network has them.
        weights: Bundle folder whose weights to begin from.
    """

    name: str = "segresnet"
    options: Mapping[str, object] = field(default_factory=dict)
    heads: Heads = Heads.REGIONS
    deep_supervision: bool = False
    weights: Path | None = None


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
        sizes = [*(self.patch or ()), self.batch or 1, self.micro_batch or 1, self.steps_per_epoch]
        check_ranges(1, math.inf, **{"patch, batch, micro_batch and steps_per_epoch": min(sizes)})
        check_ranges(0, 1, foreground_share=self.foreground_share)
        check_choice("augmentation", self.augmentation, ("none", "light", "standard", "heavy"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """What is made small.

    Attributes:
        name: One of `tds_core.training.losses.LOSS_NAMES`.
        options: What this loss may be told.
        class_weights: Weight of each output channel; all alike if empty.
    """

    name: str = "dice_ce"
    options: Mapping[str, float] = field(default_factory=dict)
    class_weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserConfig:
    """How weights move.

    Attributes:
        name: `adamw` or `sgd` (with Nesterov momentum).
        learning_rate: Peak learning rate.
        weight_decay: Decoupled in AdamW, L2 in SGD.
        momentum: Of SGD.
        betas: Of AdamW.
        clip_norm: Largest gradient norm; no clipping if `None`.
        average_decay: Decay of the exponential moving average of the weights, which is what is validated and exported;
            no averaging if `None`.
    """

    name: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    momentum: float = 0.99
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float | None = 12.0
    average_decay: float | None = 0.998

    def __post_init__(self) -> None:
        check_choice("optimiser.name", self.name, ("adamw", "sgd"))
        check_positive(learning_rate=self.learning_rate, clip_norm=1.0 if self.clip_norm is None else self.clip_norm)
        check_ranges(0, math.inf, weight_decay=self.weight_decay)
        check_ranges(0, _BELOW_ONE, momentum=self.momentum, beta1=self.betas[0], beta2=self.betas[1])
        check_ranges(0, _BELOW_ONE, average_decay=self.average_decay or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate changes. All begin with a linear warm-up.

    Attributes:
        name: `polynomial`, `cosine`, `plateau` (ReduceLROnPlateau on the validation Dice) or `constant`.
        warmup_steps: Steps of the warm-up.
        power: Exponent of the polynomial decay.
        floor: Smallest learning rate, as a share of the peak.
        factor: What `plateau` multiplies the rate by.
        patience: Validations without progress before `plateau` does.
        threshold: Smallest rise of the validation Dice that counts as progress.
    """

    name: str = "polynomial"
    warmup_steps: int = 0
    power: float = 0.9
    floor: float = 0.0
    factor: float = 0.5
    patience: int = 5
    threshold: float = 1e-4

    def __post_init__(self) -> None:
        check_choice("schedule.name", self.name, ("polynomial", "cosine", "plateau", "constant"))
        check_ranges(0, math.inf, warmup_steps=self.warmup_steps, power=self.power, patience=self.patience)
        check_ranges(0, 1, floor=self.floor, factor=self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthConfig:
    """How long a run is.

    Attributes:
        epochs: Epochs of `sampling.steps_per_epoch` steps.
        validate_every: Epochs between validations.
        patience: Validations without progress after which training stops early; never if `None`.
        min_rise: Smallest rise of the validation Dice that counts as progress.
    """

    epochs: int = 200
    validate_every: int = 5
    patience: int | None = None
    min_rise: float = 1e-3

    def __post_init__(self) -> None:
        check_ranges(1, math.inf, epochs=self.epochs, validate_every=self.validate_every)
        check_ranges(1, math.inf, patience=1 if self.patience is None else self.patience)


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
        check_ranges(0, math.inf, min_lesion_ml=self.min_lesion_ml)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleConfig:
    """What becomes of the result.

    Attributes:
        export: Whether a bundle is made at the end.
        name: Name of the bundle; the run's if `None`.
        version: Its version.
        licence: SPDX identifier of the licence of the weights; what the data allow is the user's to know.
    """

    export: bool = True
    name: str | None = None
    version: str = "0.1.0"
    licence: str = "LicenseRef-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """A whole training run.

    Attributes:
        name: Of the run, in folders and trackers.
        data: Where cases come from.
        task: What is learned: a name of `TASKS`, or channels, labels and regions.
        network: Which network.
        sampling: Which patches.
        loss: What is made small.
        optimiser: How weights move.
        schedule: How the rate changes.
        length: How long.
        precision: Number format of the forward pass.
        device: Where.
        seed: Of initial weights and of every patch.
        safety: What keeps the run from being lost.
        tracking: Where it is written down.
        inference: How whole cases are predicted.
        bundle: What becomes of the result.
        plan: A file of `tds plan`; made from the data if `None` and something is left to the plan.
    """

    name: str
    data: DataConfig
    task: str | Task = BRAIN_TUMOUR.name
    network: NetworkConfig = field(default_factory=NetworkConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    length: LengthConfig = field(default_factory=LengthConfig)
    precision: Precision = Precision.BF16
    device: Device = Device.AUTO
    seed: int = 0
    safety: SafetyConfig = field(default_factory=SafetyConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    bundle: BundleConfig = field(default_factory=BundleConfig)
    plan: Path | None = None

    def __post_init__(self) -> None:
        if isinstance(self.task, str):
            check_choice("task", self.task, TASKS)
        check_ranges(0, math.inf, seed=self.seed)

    @property
    def goal(self) -> Task:
        """The task, found by its name if need be."""
        return find_task(self.task) if isinstance(self.task, str) else self.task

    @property
    def output_channels(self) -> int:
        """Channels of the network's output: the regions, or background and labels."""
        goal = self.goal
        return len(goal.regions) if self.network.heads is Heads.REGIONS else 1 + len(goal.labels)
