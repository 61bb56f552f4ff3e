"""What a loader takes for its cases."""

from collections import Counter
from collections.abc import Sequence

from tds_data.cache import Cache, CachedCase, SkippedCase
from tds_data.errors import LoadingError


def chosen_cases(source: Cache | Sequence[CachedCase]) -> tuple[tuple[CachedCase, ...], tuple[SkippedCase, ...]]:
    """Return the cases that can be learned from, and those that cannot.

    Args:
        source: A cache, or cases of one or several.

    Raises:
        LoadingError: If no case has a mask, two share a name, or they are not of one task.
    """
    every = source.cases if isinstance(source, Cache) else tuple(source)
    cases = tuple(case for case in every if case.labelled)
    if not cases:
        message = f"none of the {len(every)} cases of the cache has a mask; there is nothing to learn from"
        raise LoadingError(message)
    twice = [name for name, count in Counter(case.name for case in every).items() if count > 1]
    if twice:
        message = f"{len(twice)} names of cases occur twice, {twice[0]!r} among them; join caches with combine_caches"
        raise LoadingError(message)
    _check_task(cases)
    skipped = tuple(
        SkippedCase(name=case.name, error="NoMask", reason="the case has no mask")
        for case in every
        if not case.labelled
    )
    return cases, skipped


def _check_task(cases: Sequence[CachedCase]) -> None:
    first = cases[0]
    for case in cases:
        if (case.modalities, case.task) != (first.modalities, first.task):
            message = (
                f"{first.name!r} is of the task {first.task.name!r} with {', '.join(first.modalities)} and "
                f"{case.name!r} of {case.task.name!r} with {', '.join(case.modalities)}; cache both for one task"
            )
            raise LoadingError(message)
