"""What a run is told about learning: network, loss, optimiser, schedule, length."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from tds_core.training.config.checks import check_choice, check_positive, check_ranges

_BELOW_ONE: Final = math.nextafter(1.0, 0.0)


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
        check_ranges(0, math.inf, threshold=self.threshold)
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
        check_ranges(0, math.inf, min_rise=self.min_rise)
