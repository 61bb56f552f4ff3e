"""Batches from a cache of preprocessed cases."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tds_core.training.distributed import World
from tds_core.training.engine.protocols import Batch
from tds_data.cache import Cache, CachedCase
from tds_data.loading import LoaderMeans, PatchBatch, PatchConfig, PatchLoader


class CacheSource:
    """This process's share of each batch; all shares together are the same for any number of processes.

    Args:
        cases: Cases, or a cache of them; those without a mask are left out.
        patches: Which patches; `batch_size` counts those of all processes.
        means: With how many workers and how much memory, in each process.
        world: The processes that share the batch.

    Raises:
        ConfigError: If there are more processes than patches in a batch.
        LoadingError: As `PatchLoader` does.
        BudgetTooSmall: If the memory allowed does not do.
    """

    def __init__(
        self, cases: Cache | Sequence[CachedCase], patches: PatchConfig, means: LoaderMeans, world: World
    ) -> None:
        world.check_batch(patches.batch_size)
        self._loader = PatchLoader(cases, patches, replace(means, part=world.rank, parts=world.size))

    @property
    def batches_per_epoch(self) -> int:
        """Optimiser steps of an epoch."""
        return len(self._loader)

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """Return the batches of an epoch in order, from batch `start` on.

        Args:
            epoch: Number of the epoch, from 0.
            start: Batches to leave out at the beginning.
        """
        # Nothing of a batch may be kept here, or its memory could not be used again.
        return map(_batch, self._loader.batches(epoch, start=start))

    def close(self) -> None:
        """End the workers."""
        self._loader.close()


def _batch(made: PatchBatch) -> Batch:
    return Batch(images=made.images, target=made.labels, cases=tuple(record.case for record in made.records))
