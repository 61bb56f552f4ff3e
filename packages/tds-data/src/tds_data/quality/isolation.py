"""Work in processes of their own: a task whose process dies is known by name, and the others go on.

A pool of processes breaks when one of them dies, and does not say whose task it was. So no more tasks are handed out
than there are processes, and those that were at work when a pool broke are done again, each alone.
"""

import logging
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, ParamSpec, TypeVar

from tds_data.errors import WorkersNotStarted

_T = TypeVar("_T")
_R = TypeVar("_R")
_S = TypeVar("_S")
_P = ParamSpec("_P")

DIED: Final = "its process was killed or crashed, perhaps for want of memory"
"""What is said of a task whose process died."""

_ANSWER: Final = 42
_THREAD_COUNTS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[_T, _R]):
    """How one task ended.

    Attributes:
        task: The task.
        result: What the work returned, or `None` if it did not return.
        fault: Why it did not return, in words; empty if it did.
    """

    task: _T
    result: _R | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    """What a task raised, in words: not every exception survives the way between processes."""

    words: str


def run_isolated(work: Callable[[_T], _R], tasks: Iterable[_T], *, workers: int) -> Iterator[Outcome[_T, _R]]:
    """Yield how each task ended, in the order in which they end.

    At most `workers` tasks are at work or finished and not yet taken by the caller.

    Args:
        work: A function that a new interpreter can import.
        tasks: What to call it with; each can be pickled, as can its results.
        workers: How many processes.

    Raises:
        WorkersNotStarted: If processes cannot be started at all.
    """
    waiting = deque(tasks)
    while waiting:
        suspects: list[_T] = []
        yield from _until_broken(work, waiting, suspects, workers)
        for task in suspects:
            with _pool(1) as pool:
                yield _ended(_submit(pool, _attempt, work, task), task) or Outcome(task=task, fault=DIED)


def _until_broken(
    work: Callable[[_T], _R], waiting: deque[_T], suspects: list[_T], workers: int
) -> Iterator[Outcome[_T, _R]]:
    """Yield outcomes until nothing waits or the pool breaks; whoever was at work then is a suspect."""
    working: dict[Future[_R | _Fault], _T] = {}
    with _pool(min(workers, len(waiting))) as pool:
        while working or (waiting and not suspects):
            while waiting and not suspects and len(working) < workers:
                task = waiting.popleft()
                try:
                    working[_submit(pool, _attempt, work, task)] = task
                except BrokenProcessPool:  # it broke while nobody looked
                    suspects.append(task)
            done, _ = wait(working, return_when=FIRST_COMPLETED)
            for future in done:
                task = working.pop(future)
                outcome = _ended(future, task)
                if outcome is None:
                    suspects.append(task)
                else:
                    yield outcome


def _attempt(work: Callable[[_T], _R], task: _T) -> _R | _Fault:
    try:
        return work(task)
    except Exception as error:  # noqa: BLE001  # whatever a task raises is its outcome
        return _Fault(words=f"{type(error).__name__}: {error}")


def _ended(future: Future[_R | _Fault], task: _T) -> Outcome[_T, _R] | None:
    try:
        result = future.result()
    except BrokenProcessPool:
        return None
    if isinstance(result, _Fault):
        return Outcome(task=task, fault=result.words)
    return Outcome(task=task, result=result)


def _pool(workers: int) -> ProcessPoolExecutor:
    # A forked copy of a process with threads may hang, so each worker is a new interpreter.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)
    try:
        _submit(pool, _answer).result()
    except (BrokenProcessPool, OSError) as error:
        pool.shutdown(wait=False, cancel_futures=True)
        message = (
            "worker processes cannot be started; in a script, put what it does below `if __name__ == '__main__':`, "
            "and check that memory and the number of processes allow for them"
        )
        raise WorkersNotStarted(message) from error
    return pool


def _submit(pool: ProcessPoolExecutor, work: Callable[_P, _S], *tasks: _P.args, **named: _P.kwargs) -> Future[_S]:
    with _one_thread_each():  # the pool starts its processes one by one, as tasks come
        return pool.submit(work, *tasks, **named)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that are started meanwhile do linear algebra in one thread, unless the user has said otherwise.

    Each library reads its variable when it is loaded, which may be before a worker runs anything of ours. Without this
    every worker starts as many threads as there are cores, and they wait for each other.
    """
    unset = [name for name in _THREAD_COUNTS if name not in os.environ]
    os.environ.update(dict.fromkeys(unset, "1"))
    try:
        yield
    finally:
        for name in unset:
            os.environ.pop(name, None)


def _prepare_worker() -> None:
    """Leave interruptions to the parent, which tells the workers to end, and say nothing: findings are the words."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(capture=True)


def _answer() -> int:
    return _ANSWER
