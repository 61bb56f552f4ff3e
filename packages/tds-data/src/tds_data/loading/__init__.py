"""Patches for training, from a cache of preprocessed cases. Needs the extra `torch`.

Names are loaded when they are first used.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from tds_data._lazy import lazy_names
from tds_data.errors import MissingDependency

if TYPE_CHECKING:
    from tds_data.loading.augmentation.apply import Patch, augment, augment_batch, replay
    from tds_data.loading.augmentation.config import HEAVY, LIGHT, PRESETS, STANDARD, AugmentConfig, Preset
    from tds_data.loading.augmentation.record import AugmentRecord
    from tds_data.loading.budget import MemoryPlan
    from tds_data.loading.config import LoaderMeans, PatchConfig
    from tds_data.loading.dataset import PatchDataset
    from tds_data.loading.loader import PatchBatch, PatchLoader
    from tds_data.loading.maker import PatchRecord

__all__ = [
    "HEAVY",
    "LIGHT",
    "PRESETS",
    "STANDARD",
    "AugmentConfig",
    "AugmentRecord",
    "LoaderMeans",
    "MemoryPlan",
    "Patch",
    "PatchBatch",
    "PatchConfig",
    "PatchDataset",
    "PatchLoader",
    "PatchRecord",
    "Preset",
    "augment",
    "augment_batch",
    "replay",
]


if find_spec("torch") is None:
    raise MissingDependency("torch", "torch")


__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "augmentation.apply": ("Patch", "augment", "augment_batch", "replay"),
        "augmentation.config": ("HEAVY", "LIGHT", "PRESETS", "STANDARD", "AugmentConfig", "Preset"),
        "augmentation.record": ("AugmentRecord",),
        "budget": ("MemoryPlan",),
        "config": ("LoaderMeans", "PatchConfig"),
        "dataset": ("PatchDataset",),
        "loader": ("PatchBatch", "PatchLoader"),
        "maker": ("PatchRecord",),
    },
)
