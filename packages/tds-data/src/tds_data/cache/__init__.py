"""Preprocessed cases on disk, read by memory map: made once, never stale, checked before use.

Names are loaded when they are first used. NumPy only: torch is not needed to build, check or read a cache.
"""

from typing import TYPE_CHECKING

from tds_data._lazy import lazy_names

if TYPE_CHECKING:
    from tds_data.cache.build import build_cache
    from tds_data.cache.cached_case import CachedCase, CaseArrays
    from tds_data.cache.case_file import ArrayPlace
    from tds_data.cache.combine import combine_caches
    from tds_data.cache.config import CacheConfig
    from tds_data.cache.index import Cache, SkippedCase, open_cache
    from tds_data.cache.policy import DamagePolicy
    from tds_data.cache.task_case import TaskCase, load_task_case, task_labels
    from tds_data.cache.task_prepare import PreparedTask, prepare_task

__all__ = [
    "ArrayPlace",
    "Cache",
    "CacheConfig",
    "CachedCase",
    "CaseArrays",
    "DamagePolicy",
    "PreparedTask",
    "SkippedCase",
    "TaskCase",
    "build_cache",
    "combine_caches",
    "load_task_case",
    "open_cache",
    "prepare_task",
    "task_labels",
]


__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "case_file": ("ArrayPlace",),
        "build": ("build_cache",),
        "cached_case": ("CachedCase", "CaseArrays"),
        "combine": ("combine_caches",),
        "config": ("CacheConfig",),
        "index": ("Cache", "SkippedCase", "open_cache"),
        "policy": ("DamagePolicy",),
        "task_case": ("TaskCase", "load_task_case", "task_labels"),
        "task_prepare": ("PreparedTask", "prepare_task"),
    },
)
