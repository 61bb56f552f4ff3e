"""A whole training run: one dataclass, one section a field."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from tds_core.errors import ConfigError
from tds_core.training.config.checks import check_choice, check_ranges
from tds_core.training.config.data_sections import DataConfig, DatasetConfig, SamplingConfig, Shape, SplitConfig
from tds_core.training.config.learning_sections import (
    Device,
    Heads,
    LengthConfig,
    LossConfig,
    NetworkConfig,
    OptimiserConfig,
    Precision,
    ScheduleConfig,
)
from tds_core.training.config.running_sections import BundleConfig, InferenceConfig, SafetyConfig, TrackingConfig
from tds_data.task import BRAIN_TUMOUR, TASKS, Task, find_task

__all__ = [
    "BundleConfig",
    "DataConfig",
    "DatasetConfig",
    "Device",
    "Heads",
    "InferenceConfig",
    "LengthConfig",
    "LossConfig",
    "NetworkConfig",
    "OptimiserConfig",
    "Precision",
    "SafetyConfig",
    "SamplingConfig",
    "ScheduleConfig",
    "Shape",
    "SplitConfig",
    "TrackingConfig",
    "TrainingConfig",
]


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
        if not self.name.strip() or self.name in {".", ".."} or set(self.name) & set("/\\\0"):
            message = f"name is what folders are called: give it letters and no slash, not {self.name!r}"
            raise ConfigError(message)
        for key, names in (
            ("inference.thresholds", self.inference.thresholds),
            ("sampling.region_weights", self.sampling.region_weights),
        ):
            for name in names:
                check_choice(f"a region in {key}", name, self.goal.regions)
        count = len(self.loss.class_weights)
        if count not in {0, self.output_channels}:
            message = f"loss.class_weights has {count} weights for {self.output_channels} outputs; give one for each"
            raise ConfigError(message)

    @property
    def goal(self) -> Task:
        """The task, found by its name if need be."""
        return find_task(self.task) if isinstance(self.task, str) else self.task

    @property
    def output_channels(self) -> int:
        """Channels of the network's output: the regions, or background and labels."""
        goal = self.goal
        return len(goal.regions) if self.network.heads is Heads.REGIONS else 1 + len(goal.labels)
