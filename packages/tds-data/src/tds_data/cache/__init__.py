"""Preprocessed cases on disk, read by memory map: made once, never stale, checked before use.

Names are loaded when they are first used. NumPy only: torch is not needed to build, check or read a cache.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tds_data.cache.build import build_cache
    from tds_data.cache.cached_case import CachedCase, CaseArrays
    from tds_data.cache.config import CacheConfig
    from tds_data.cache.index import Cache, SkippedCase, open_cache
    from tds_data.cache.policy import DamagePolicy

__all__ = [
    "Cache",
    "CacheConfig",
    "CachedCase",
    "CaseArrays",
    "DamagePolicy",
    "SkippedCase",
    "build_cache",
    "open_cache",
]

_HOMES: Final = {
    "build": ("build_cache",),
    "cached_case": ("CachedCase", "CaseArrays"),
    "config": ("CacheConfig",),
    "index": ("Cache", "SkippedCase", "open_cache"),
    "policy": ("DamagePolicy",),
}


def __getattr__(name: str) -> object:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
