"""Worker processes that make patches, and are replaced when they die.

Each has a pipe of its own and a list of the tasks it was given, so that what a dead one has not answered can be given
to its successor: nothing is lost, and nothing is made twice that was answered before.
"""

import gc
import logging
import multiprocessing
import os
import signal
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

import torch

from tds_data.cache import SkippedCase
from tds_data.errors import DataError, LoadingError, WorkerDied
from tds_data.loading.maker import PatchRecord

_ATTEMPTS: Final = 3
_DEPTH: Final = 32
"""Tasks that a worker is given at a time: few enough for its pipe, many enough for long steps of the main process."""
_LOOK_FOR_PARENT_S: Final = 2.0
_STOP_S: Final = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A patch to make.

    Attributes:
        run: Number of the pass that it belongs to.
        epoch: Number of the epoch.
        index: Position in the epoch.
        slot: Where to put it.
        row: Which patch of the slot it is.
    """

    run: int
    epoch: int
    index: int
    slot: int
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a task.

    Attributes:
        task: Which.
        record: What was made, if it was.
        skipped: Cases that turned out to be damaged.
        error: Why it was not made, if it was not.
    """

    task: Task
    record: PatchRecord | None = None
    skipped: tuple[SkippedCase, ...] = ()
    error: DataError | None = None


Work = Callable[[Task], Answer]
"""Makes a patch; called in the worker."""


@dataclass(slots=True, eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection
    tasks: deque[Task] = field(default_factory=deque)


class WorkerPool:
    """Processes that work on tasks.

    Args:
        count: How many.
        work: What each does with a task.

    Raises:
        LoadingError: If the system cannot fork processes.
    """

    def __init__(self, count: int, work: Work) -> None:
        if "fork" not in multiprocessing.get_all_start_methods():
            message = "worker processes need a system that forks, such as Linux; use workers=0 here"
            raise LoadingError(message)
        self._work = work
        self._deaths: dict[Task, int] = {}
        self._workers: list[_Worker] = []
        self._waiting: deque[Task] = deque()
        for _ in range(count):
            self._workers.append(self._start())

    @property
    def pids(self) -> tuple[int, ...]:
        """Process numbers of the workers."""
        return tuple(worker.process.pid or 0 for worker in self._workers)

    @property
    def is_idle(self) -> bool:
        """Whether every task was answered."""
        return not self._waiting and not any(worker.tasks for worker in self._workers)

    def give(self, task: Task) -> None:
        """Hand a task to the worker that has the fewest.

        Args:
            task: What to do.
        """
        self._waiting.append(task)
        self._feed()

    def answers(self) -> Iterator[Answer]:
        """Wait until at least one answer is there or a worker died, and give the answers.

        Raises:
            WorkerDied: If a worker died too often over the same task.
        """
        handles: list[Connection | int] = [worker.connection for worker in self._workers]
        told = wait([*handles, *(worker.process.sentinel for worker in self._workers)])
        for worker in [w for w in self._workers if w.connection in told or w.process.sentinel in told]:
            alive = worker.process.is_alive()
            yield from self._received(worker)
            if not alive:
                self._replace(worker)
        self._feed()

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            with suppress(OSError):  # it is dead
                worker.connection.send(None)  # another loader's workers may hold the pipe open
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(_STOP_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()
        self._workers = []

    def _feed(self) -> None:
        while self._waiting:
            worker = min(self._workers, key=lambda w: len(w.tasks))
            if len(worker.tasks) >= _DEPTH:
                return
            worker.tasks.append(self._waiting.popleft())
            self._send(worker, worker.tasks[-1])

    def _received(self, worker: _Worker) -> Iterator[Answer]:
        try:
            while worker.connection.poll():
                answer: Answer = worker.connection.recv()
                worker.tasks.remove(answer.task)
                self._deaths.pop(answer.task, None)
                yield answer
        except (EOFError, OSError):  # it died, perhaps in the middle of an answer
            return

    def _replace(self, dead: _Worker) -> None:
        dead.process.join()
        exit_code = dead.process.exitcode
        logger.warning("worker_died exit_code=%s tasks=%d", exit_code, len(dead.tasks))
        if dead.tasks:
            first = dead.tasks[0]
            self._deaths[first] = self._deaths.get(first, 0) + 1
            if self._deaths[first] >= _ATTEMPTS:
                raise WorkerDied(exit_code, _ATTEMPTS)
        dead.connection.close()
        dead.process.close()
        successor = self._start()
        successor.tasks.extend(dead.tasks)
        self._workers[self._workers.index(dead)] = successor
        for task in successor.tasks:
            self._send(successor, task)

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        inherited = [ours, *(worker.connection for worker in self._workers)]
        process = context.Process(
            target=_serve, args=(theirs, inherited, self._work, os.getpid()), daemon=True, name="patches"
        )
        with warnings.catch_warnings():
            # Threads of this process are no danger: the child runs on one thread and touches none of their locks.
            warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
            process.start()
        theirs.close()
        return _Worker(process=process, connection=ours)

    def _send(self, worker: _Worker, task: Task) -> None:
        try:
            worker.connection.send(task)
        except OSError:  # it is dead; whoever waits for answers will notice and replace it
            logger.info("task_not_taken index=%d", task.index)


def _serve(connection: Connection, inherited: list[Connection], work: Work, parent: int) -> None:
    """Answer tasks until the main process says `None`, closes the pipe or is gone."""
    for other in inherited:
        other.close()  # or the pipe would stay open when the main process has gone
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # exit ends workers by it, and waits for them
    gc.freeze()  # to look through inherited objects would copy the pages that they share
    torch.set_num_threads(1)
    try:
        while True:
            while not connection.poll(_LOOK_FOR_PARENT_S):
                if os.getppid() != parent:
                    return
            task = connection.recv()
            if task is None:
                return
            connection.send(work(task))
    except (EOFError, OSError):
        return
