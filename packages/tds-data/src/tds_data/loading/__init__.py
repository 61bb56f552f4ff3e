"""Patches for training, from a cache of preprocessed cases. Needs the extra `torch`.

Names are loaded when they are first used.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

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

_HOMES: Final = {
    "augmentation.apply": ("Patch", "augment", "augment_batch", "replay"),
    "augmentation.config": ("HEAVY", "LIGHT", "PRESETS", "STANDARD", "AugmentConfig", "Preset"),
    "augmentation.record": ("AugmentRecord",),
    "budget": ("MemoryPlan",),
    "config": ("LoaderMeans", "PatchConfig"),
    "dataset": ("PatchDataset",),
    "loader": ("PatchBatch", "PatchLoader"),
    "maker": ("PatchRecord",),
}

if find_spec("torch") is None:
    raise MissingDependency("torch", "torch")


def __getattr__(name: str) -> object:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
