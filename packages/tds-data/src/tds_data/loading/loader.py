"""The same batches whatever the number of workers, from any position on."""

import logging
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from tds_data.cache import Cache, CachedCase, SkippedCase
from tds_data.errors import DamagedCache, LoadingError
from tds_data.loading._cases import chosen_cases
from tds_data.loading._slots import Slots
from tds_data.loading._workers import Answer, Task, WorkerPool
from tds_data.loading.augmentation.apply import Patch
from tds_data.loading.budget import MemoryPlan, plan_memory
from tds_data.loading.config import LoaderMeans, PatchConfig
from tds_data.loading.maker import PatchMaker, PatchRecord

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatchBatch:
    """Patches to train on.

    Attributes:
        images: Float32 tensor of shape (batch, channel, x, y, z), z-scores or windows; this process's share of the
            batch.
        labels: Uint8 tensor of shape (batch, x, y, z) with the task's labels.
        records: What each patch is.
    """

    images: Tensor
    labels: Tensor
    records: tuple[PatchRecord, ...]


class PatchLoader:
    """Batches of patches from a cache.

    The batches depend on cache and config alone. Any position of any epoch can be asked for directly, so a run that was
    stopped goes on with the batch that it would have had next.

    Args:
        cache: Cases, or a cache of them; those without a mask are left out.
        config: Which patches.
        means: With how many workers and how much memory.

    Raises:
        LoadingError: If no case has a mask, two share a name, they are not of one task, page-locked memory was asked
            for and there is no CUDA, or there is no patch for each share of a batch.
        BudgetTooSmall: If the memory allowed does not do.
    """

    def __init__(
        self,
        cache: Cache | Sequence[CachedCase],
        config: PatchConfig | None = None,
        means: LoaderMeans | None = None,
    ) -> None:
        self.config = config or PatchConfig()
        self._means = means or LoaderMeans()
        cases, unlabelled = chosen_cases(cache)
        if self._means.pin_memory and not torch.cuda.is_available():
            message = "pin_memory needs CUDA, and there is none; leave it out"
            raise LoadingError(message)
        self._rows = self._means.rows(self.config.batch_size)
        if not self._rows:
            message = f"a batch of {self.config.batch_size} patches cannot be shared by {self._means.parts} processes"
            raise LoadingError(message)
        self._channels = len(cases[0].modalities)
        self._skipped = {case.name: case for case in unlabelled}
        self.plan: MemoryPlan = plan_memory(cases, self.config, self._means)
        self._states = torch.frombuffer(_shared(len(cases)), dtype=torch.uint8)
        self._maker = PatchMaker(cases, self.config, self._states)
        self._pool: WorkerPool | None = None
        self._slots: Slots | None = None
        self._filled: dict[int, int] = {}
        self._run = torch.frombuffer(_shared(8), dtype=torch.int64)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.config.batches_per_epoch

    @property
    def skipped(self) -> tuple[SkippedCase, ...]:
        """Cases that were left out so far, and why."""
        return tuple(self._skipped.values())

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process numbers of the workers that run."""
        return () if self._pool is None else self._pool.pids

    def batches(self, epoch: int = 0, *, start: int = 0) -> Iterator[PatchBatch]:
        """Return the batches of an epoch, one by one.

        Tensors stay valid for as long as they are held; each that is held keeps memory from being used again, and from
        a point on batches are copied. One iterator at a time: a new one ends those before it.

        Args:
            epoch: Number of the epoch, from 0.
            start: Batches to leave out at the beginning.

        Raises:
            DamagedCache: If a case is damaged and the policy is to refuse.
            WorkerDied: If workers are ended again and again.
            LoadingError: If no sound case is left, or the epoch or the start cannot be.
        """
        if epoch < 0 or not 0 <= start <= len(self):
            message = f"an epoch has the batches 0 to {len(self) - 1}; epoch {epoch} from batch {start} was asked for"
            raise LoadingError(message)
        self._run[0] += 1
        run = int(self._run[0])
        made = (
            self._made_here(run, epoch, start) if self.plan.workers == 0 else self._made_by_workers(run, epoch, start)
        )
        return map(self._pinned, made) if self._means.pin_memory else made

    def replay(self, record: PatchRecord) -> Patch:
        """Return the identical patch once more.

        Args:
            record: Of a batch of this cache and a config of the same patch shape.

        Raises:
            LoadingError: If the cache has no such case.
            DamagedCache: If the case is damaged.
        """
        patch = self._maker.empty()
        self._maker.again(record, patch)
        return patch

    def close(self) -> None:
        """End the workers. Batches that were handed out stay valid."""
        self._run[0] += 1
        if self._pool is not None:
            self._pool.close()
            self._pool = None
            self._slots = None
            self._filled.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _made_here(self, run: int, epoch: int, start: int) -> Iterator[PatchBatch]:
        for number in range(start, len(self)):
            self._check_run(run)
            room = self._maker.empty((len(self._rows),))
            records = []
            for row, index in enumerate(self._indices(number)):
                patch = Patch(image=room.image[row], labels=room.labels[row])
                record, skipped = self._maker.make(epoch, index, patch)
                self._note(skipped)
                records.append(record)
            yield PatchBatch(images=room.image, labels=room.labels, records=tuple(records))

    def _made_by_workers(self, run: int, epoch: int, start: int) -> Iterator[PatchBatch]:
        self._check_run(run)
        pool, slots = self._ready()
        records: dict[int, PatchRecord] = {}
        upcoming = start
        for number in range(start, len(self)):
            wanted = self._indices(number)
            while True:
                self._check_run(run)
                while slots.free and upcoming < len(self):
                    slot = self._filled[upcoming] = slots.free.popleft()
                    for row, index in enumerate(self._indices(upcoming)):
                        pool.give(Task(run=run, epoch=epoch, index=index, slot=slot, row=row))
                    upcoming += 1
                if all(index in records for index in wanted):
                    break
                for answer in pool.answers():
                    self._take(answer, run, records)
            # Nothing of the batch may be kept here, or its slot would stay in use.
            yield self._handed_out(slots, number, tuple(records.pop(index) for index in wanted))

    def _indices(self, number: int) -> range:
        """Return the positions in the epoch of this share of a batch."""
        first = number * self.config.batch_size
        return range(first + self._rows.start, first + self._rows.stop)

    def _handed_out(self, slots: Slots, number: int, records: tuple[PatchRecord, ...]) -> PatchBatch:
        slot = self._filled.pop(number)
        # The last slot that is not in somebody's hands is copied from, or nothing could be made any more.
        images, labels = slots.hand_out(slot, copy=not self._filled and not slots.free)
        return PatchBatch(images=images, labels=labels, records=records)

    def _take(self, answer: Answer, run: int, records: dict[int, PatchRecord]) -> None:
        self._note(answer.skipped)
        if answer.task.run != run:
            return
        if answer.error is not None:
            raise answer.error
        if answer.record is not None:
            records[answer.task.index] = answer.record

    def _ready(self) -> tuple[WorkerPool, Slots]:
        """Return workers that have nothing to do, and slots that nothing writes to."""
        if self._pool is None or self._slots is None:
            self._slots = Slots(self.plan.slots, len(self._rows), self._channels, self.config.shape)
            self._pool = WorkerPool(self.plan.workers, _Work(self._maker, self._slots, self._run))
        while not self._pool.is_idle:  # what an earlier iterator left undone is answered at once
            for answer in self._pool.answers():
                self._note(answer.skipped)
        self._slots.free.extend(self._filled.values())
        self._filled.clear()
        return self._pool, self._slots

    def _check_run(self, run: int) -> None:
        if run != self._run[0]:
            message = "this iterator has ended, because the loader was closed or another one was begun"
            raise LoadingError(message)

    def _note(self, skipped: tuple[SkippedCase, ...]) -> None:
        for case in skipped:
            if case.name not in self._skipped:
                logger.warning("case_skipped case=%s error=%s", case.name, case.error)
                self._skipped[case.name] = case

    @staticmethod
    def _pinned(batch: PatchBatch) -> PatchBatch:
        return PatchBatch(images=batch.images.pin_memory(), labels=batch.labels.pin_memory(), records=batch.records)


class _Work:
    """What a worker does with a task."""

    def __init__(self, maker: PatchMaker, slots: Slots, run: Tensor) -> None:
        self._maker = maker
        self._slots = slots
        self._run = run

    def __call__(self, task: Task) -> Answer:
        if task.run != self._run[0]:
            return Answer(task=task)
        try:
            record, skipped = self._maker.make(task.epoch, task.index, self._slots.patch(task.slot, task.row))
        except DamagedCache as error:
            return Answer(task=task, error=error)
        except Exception as error:  # noqa: BLE001  # raised again where the batch is asked for
            return Answer(task=task, error=LoadingError(f"a patch could not be made: {type(error).__name__}: {error}"))
        return Answer(task=task, record=record, skipped=skipped)


def _shared(nbytes: int) -> mmap.mmap:
    """Return zeros that forked workers share."""
    return mmap.mmap(-1, nbytes)
