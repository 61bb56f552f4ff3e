"""What a run of the default bundle's training is told: its own data and patches, and sections that all runs share."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from tds_core.training.config import DataConfig as SharedDataConfig
from tds_core.training.config import (
    DatasetConfig,
    Device,
    LengthConfig,
    LossConfig,
    NetworkConfig,
    OptimiserConfig,
    Precision,
    SafetyConfig,
    ScheduleConfig,
    SplitConfig,
    TrackingConfig,
    TrainingConfig,
    parse,
    read_document,
)
from tds_core.training.config import SamplingConfig as SharedSamplingConfig
from tds_core.training.config.checks import check_multiple, check_positive, check_ranges
from tds_core.windows import MULTIPLE


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where training data lies and how it is split.

    Attributes:
        cases: Folder with one sub-folder of named NIfTI files per patient.
        validation: Names of the sub-folders that are never trained on.
        lesion_cubes: NPZ file of real lesion cubes (`x`, `scale`, `y`, `case`, `spacing_mm`), or none.
        tumour_shapes: NPZ file of whole-head label maps (`seg`, `case`, `spacing_mm`), or none.
        exclude: Identifiers in `case` of the NPZ files that belong to validation patients.
        phantoms: How many synthetic patients to add.
        spacing_mm: Edge of the isotropic voxels that the network sees, millimetres.
    """

    cases: Path
    validation: tuple[str, ...]
    lesion_cubes: Path | None = None
    tumour_shapes: Path | None = None
    exclude: tuple[str, ...] = ()
    phantoms: int = 0
    spacing_mm: float = 2.0

    def __post_init__(self) -> None:
        check_ranges(0, math.inf, phantoms=self.phantoms)
        check_positive(spacing_mm=self.spacing_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """How patches are drawn and changed.

    Attributes:
        patch: Voxels along each axis of a patch; a multiple of 8.
        batch: Patches in a step.
        steps_per_epoch: Optimiser steps of an epoch.
        phantom_share: Share of patches drawn from phantoms.
        cube_share: Share of patches that get real lesions of other patients.
        shape_share: Share of patches that get a synthetic tumour of a real shape.
        foreground_share: Share of patches centred on a tumour voxel.
        thick_slice_share: Probability that a sequence is turned into thick slices.
        keep_all_share: Probability that no sequence is dropped; otherwise one to three are.
    """

    patch: int = 64
    batch: int = 2
    steps_per_epoch: int = 300
    phantom_share: float = 0.1
    cube_share: float = 0.45
    shape_share: float = 0.15
    foreground_share: float = 0.6
    thick_slice_share: float = 0.1
    keep_all_share: float = 0.5

    def __post_init__(self) -> None:
        check_multiple("patch", self.patch, MULTIPLE)
        check_ranges(1, math.inf, batch=self.batch, steps_per_epoch=self.steps_per_epoch)
        check_ranges(
            0,
            1,
            phantom_share=self.phantom_share,
            cube_share=self.cube_share,
            shape_share=self.shape_share,
            foreground_share=self.foreground_share,
            thick_slice_share=self.thick_slice_share,
            keep_all_share=self.keep_all_share,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureConfig:
    """A whole training run on mixtures.

    Attributes:
        data: Where the data lies.
        name: Of the run.
        sampling: How patches are drawn.
        network: Which network.
        loss: What is made small.
        optimiser: How weights move.
        schedule: How the rate changes.
        length: How long.
        precision: Number format of the forward pass.
        device: Where.
        seed: Of initial weights and of every patch.
        safety: What keeps the run from being lost.
    """

    data: DataConfig
    name: str = "tds-default"
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    length: LengthConfig = field(default_factory=LengthConfig)
    precision: Precision = Precision.BF16
    device: Device = Device.AUTO
    seed: int = 0
    safety: SafetyConfig = field(default_factory=SafetyConfig)

    def __post_init__(self) -> None:
        check_ranges(0, math.inf, seed=self.seed)

    @property
    def training(self) -> TrainingConfig:
        """The same run as the engine is told of it."""
        data, sampling = self.data, self.sampling
        return TrainingConfig(
            name=self.name,
            data=SharedDataConfig(
                datasets=(DatasetConfig(path=data.cases),),
                split=SplitConfig(names=data.validation),
                spacing_mm=data.spacing_mm,
            ),
            sampling=SharedSamplingConfig(
                patch=(sampling.patch, sampling.patch, sampling.patch),
                batch=sampling.batch,
                steps_per_epoch=sampling.steps_per_epoch,
                foreground_share=sampling.foreground_share,
                augmentation="none",  # patches come changed
            ),
            network=self.network,
            loss=self.loss,
            optimiser=self.optimiser,
            schedule=self.schedule,
            length=self.length,
            precision=self.precision,
            device=self.device,
            seed=self.seed,
            safety=self.safety,
            tracking=TrackingConfig(mlflow=False, tensorboard=False, overlays=0),
        )


def load_config(path: Path) -> MixtureConfig:
    """Return the training run that a YAML file describes.

    Args:
        path: The file; `~` and environment variables in it are not expanded.

    Raises:
        ConfigError: If the file cannot be read, a key is unknown or a value is of the wrong kind.
    """
    return parse(MixtureConfig, read_document(path))
