"""What a training run is told: read from YAML, checked, written beside each run with every default filled in."""

from collections.abc import Sequence
from pathlib import Path

from tds_core.errors import ConfigError
from tds_core.training.config.overrides import apply_overrides
from tds_core.training.config.reading import parse, read_document, to_document
from tds_core.training.config.schema import (
    BundleConfig,
    DataConfig,
    DatasetConfig,
    Device,
    Heads,
    InferenceConfig,
    LengthConfig,
    LossConfig,
    NetworkConfig,
    OptimiserConfig,
    Precision,
    SafetyConfig,
    SamplingConfig,
    ScheduleConfig,
    Shape,
    SplitConfig,
    TrackingConfig,
    TrainingConfig,
)
from tds_data.task import BRAIN_TUMOUR, HEAD_NECK_TUMOUR, LIVER_TUMOUR, TASKS, Task, find_task

__all__ = [
    "BRAIN_TUMOUR",
    "HEAD_NECK_TUMOUR",
    "LIVER_TUMOUR",
    "TASKS",
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
    "Task",
    "TrackingConfig",
    "TrainingConfig",
    "apply_overrides",
    "find_task",
    "load_config",
    "parse",
    "read_document",
    "to_document",
]


def load_config(path: Path, settings: Sequence[str] = ()) -> TrainingConfig:
    """Return the training run that a YAML file describes.

    Args:
        path: The file; `~` and environment variables in it are not expanded.
        settings: `KEY=VALUE` each, applied before anything is checked.

    Raises:
        ConfigError: If the file cannot be read, a key is unknown or a value cannot be.
    """
    if not path.is_file():
        message = f"there is no configuration at {str(path)!r}; check the path, or copy one of examples/recipes"
        raise ConfigError(message)
    return parse(TrainingConfig, apply_overrides(read_document(path), settings))
