"""Patches of two groups of patients, side by side in each batch: what a search needs to judge fairly."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from tds_core.errors import ConfigError
from tds_core.training.engine.protocols import Batch, BatchSource

T = TypeVar("T")


class PairedSource:
    """Batches whose patches come in turn from two sources.

    `SearchLearner` moves weights with the patches of the first and the architecture with those of the second. With
    sources of different patients, what the weights know by heart cannot pass for a good architecture.

    Args:
        weights: Source of every second patch, from the first.
        architecture: Source of the others; gives as many patches and batches.

    Raises:
        ConfigError: If their epochs are not of the same length.
    """

    def __init__(self, weights: BatchSource, architecture: BatchSource) -> None:
        self._weights, self._architecture = weights, architecture
        if weights.batches_per_epoch != architecture.batches_per_epoch:
            message = (
                f"the two sources of a search have {weights.batches_per_epoch} and {architecture.batches_per_epoch} "
                "batches an epoch; they need as many as each other"
            )
            raise ConfigError(message)

    @property
    def batches_per_epoch(self) -> int:
        """Optimiser steps of an epoch."""
        return self._weights.batches_per_epoch

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """Return the batches of an epoch in order, from batch `start` on.

        Args:
            epoch: Number of the epoch, from 0.
            start: Batches to leave out at the beginning.
        """
        ours = self._weights.batches(epoch, start=start)
        theirs = self._architecture.batches(epoch, start=start)
        for first, second in zip(ours, theirs, strict=True):
            yield Batch(images=_in_turn(first.images, second.images), target=_in_turn(first.target, second.target))

    def close(self) -> None:
        """End the workers of both."""
        try:
            self._weights.close()
        finally:
            self._architecture.close()


def split_patients(patients: Sequence[T], seed: int) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """Return two halves of some things, drawn at random, each in the order that it came in.

    Args:
        patients: Two at least, in an order that is the same in each run.
        seed: Of the draw.

    Raises:
        ConfigError: If there are fewer than two.

    Examples:
        >>> split_patients("abcd", 0)
        (('a', 'c'), ('b', 'd'))
    """
    count = len(patients)
    if count < 2:  # noqa: PLR2004  # two halves
        message = f"a search needs two patients at least to train on, there are {count}; add cases"
        raise ConfigError(message)
    first = set(np.random.default_rng(seed).permutation(count)[: (count + 1) // 2].tolist())
    ours = tuple(patient for number, patient in enumerate(patients) if number in first)
    return ours, tuple(patient for number, patient in enumerate(patients) if number not in first)


def _in_turn(first: Tensor, second: Tensor) -> Tensor:
    return torch.stack((first, second), 1).flatten(0, 1)
