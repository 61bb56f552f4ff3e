"""Several data sets as one training set."""

from collections.abc import Mapping
from dataclasses import replace

from tds_data.cache.cached_case import CachedCase
from tds_data.cache.index import Cache
from tds_data.errors import CacheError


def combine_caches(caches: Mapping[str, Cache]) -> tuple[CachedCase, ...]:
    """Return the cases of several caches, under names and patients that say which they are from.

    Two data sets may well number their patients alike, and these are then different people. That one person is in both
    under different names cannot be known from names: `tds_data.curation.find_leaks` looks at the images.

    Args:
        caches: Each under a name of its own, such as the data set's; made for one task and one voxel size. The cases
            of a single one keep their names.

    Raises:
        CacheError: If there is no cache, a name cannot be, or they were not made for one task.

    Examples:
        >>> combine_caches({})
        Traceback (most recent call last):
        ...
        tds_data.errors.CacheError: there is no cache to combine; give at least one
    """
    if not caches:
        message = "there is no cache to combine; give at least one"
        raise CacheError(message)
    for name, cache in caches.items():
        _check(name, cache, next(iter(caches.values())))
    if len(caches) == 1:
        return next(iter(caches.values())).cases
    return tuple(
        replace(case, name=f"{name}+{case.name}", patient=f"{name}+{case.patient}")
        for name, cache in caches.items()
        for case in cache.cases
    )


def _check(name: str, cache: Cache, first: Cache) -> None:
    if not name or "+" in name:
        message = f"a data set that is combined with others has a name without '+'; {name!r} will not do"
        raise CacheError(message)
    one, other = first.cases[0], cache.cases[0]
    if (one.modalities, one.task) != (other.modalities, other.task):
        message = (
            f"the cache of {name!r} is of the task {other.task.name!r} with {', '.join(other.modalities)}, the first "
            f"one of {one.task.name!r} with {', '.join(one.modalities)}; make both for one task"
        )
        raise CacheError(message)
