"""Work on many files, side by side."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Final, TypeVar

Progress = Callable[[int, int, str], None]
"""Hears how many of how many are done, and what it is about."""

_T = TypeVar("_T")
_R = TypeVar("_R")
_MAX_WORKERS: Final = 8


def default_workers() -> int:
    """Return how many files are worked on at a time when nothing is said: one for each core, at most eight."""
    return min(_MAX_WORKERS, os.cpu_count() or 1)


def run_all(
    work: Callable[[_T], _R],
    items: Sequence[_T],
    *,
    workers: int | None,
    progress: Progress | None,
    what: str,
) -> list[_R]:
    """Return what the work gives for each item, in order.

    An error or an interruption drops what has not begun. Of several errors the one of the first item is raised, so that
    the same data always fails alike.

    Args:
        work: Called in threads.
        items: What to work on.
        workers: How many at a time; `None` for `default_workers`.
        progress: Told after each item.
        what: Told to `progress`.
    """
    with ThreadPoolExecutor(workers or default_workers(), thread_name_prefix="datasets") as pool:
        futures: list[Future[_R]] = [pool.submit(work, item) for item in items]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                if future.exception() is not None:
                    break
                if progress is not None:
                    progress(done, len(items), what)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        failed = next((f for f in futures if not f.cancelled() and f.exception() is not None), None)
        return [failed.result()] if failed is not None else [future.result() for future in futures]
