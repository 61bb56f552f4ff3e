"""Gradients in large pieces: a message for each would take long."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import torch
from torch import Tensor

_BUCKET_BYTES: Final = 64 * 1024**2


def sum_in_buckets(gradients: Iterable[Tensor], add: Callable[[Tensor], object]) -> None:
    """Replace gradients by their sums over processes.

    Args:
        gradients: In the same order in every process.
        add: Replaces a flat tensor by its sum.
    """
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        add(flat)
        start = 0
        for gradient in bucket:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()


def _buckets(gradients: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Return gradients of one type and device that fit a bucket, in order; a larger one has a bucket of its own."""
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        same = bool(bucket) and (gradient.dtype, gradient.device) == (bucket[0].dtype, bucket[0].device)
        if bucket and (not same or size + gradient.nbytes > _BUCKET_BYTES):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.nbytes
    if bucket:
        yield bucket
