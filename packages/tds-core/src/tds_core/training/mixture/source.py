"""Patches of mixtures by number: what the engine trains on."""

import os
import sys
from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tds_core.training.engine.protocols import Batch
from tds_core.training.mixture.augment import Sources, draw_patch
from tds_core.training.mixture.config import SamplingConfig

_AHEAD: Final = 4


class PatchStream(Dataset[tuple[Tensor, Tensor]]):
    """Patches by number: patch `i` is the same whatever the number of workers, and after a resumed run.

    Args:
        sources: What to draw from.
        config: How to draw.
        seed: Seed of the stream.
        length: Number of patches.
        start: Number of the first patch.
    """

    def __init__(self, sources: Sources, config: SamplingConfig, *, seed: int, length: int, start: int = 0) -> None:
        self._sources, self._config, self._seed = sources, config, seed
        self._length, self._start = length, start

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self._seed, self._start + index])
        return draw_patch(self._sources, self._config, rng)


class MixtureSource:
    """Batches of mixtures for one process; their targets are shares of WT, TC and ET.

    Args:
        sources: What to draw from.
        config: How to draw.
        seed: Of every patch.
        workers: Processes that draw; 0 draws in this one.
    """

    def __init__(self, sources: Sources, config: SamplingConfig, *, seed: int, workers: int) -> None:
        self._sources, self._config, self._seed, self._workers = sources, config, seed, workers

    @property
    def batches_per_epoch(self) -> int:
        """Optimiser steps of an epoch."""
        return self._config.steps_per_epoch

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """Return the batches of an epoch in order, from batch `start` on.

        Args:
            epoch: Number of the epoch, from 0.
            start: Batches to leave out at the beginning.
        """
        steps, size = self._config.steps_per_epoch, self._config.batch
        stream = PatchStream(
            self._sources,
            self._config,
            seed=self._seed,
            length=(steps - start) * size,
            start=(epoch * steps + start) * size,
        )
        loader = DataLoader(
            stream,
            batch_size=size,
            num_workers=self._workers,
            prefetch_factor=_AHEAD if self._workers else None,
            worker_init_fn=_make_worker_modest,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else it would draw from the global one
        )
        for images, regions in loader:
            yield Batch(images=images, target=regions)

    def close(self) -> None:
        """Do nothing: workers end with their epoch."""


def _make_worker_modest(_: int) -> None:
    torch.set_num_threads(1)
    if sys.platform != "win32":
        # The trainer's threads wait for each other: a loader that takes a core from one stalls them all.
        os.nice(10)
