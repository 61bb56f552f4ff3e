"""Memory that is used again: fresh pages cost more than most of what is computed on them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Workspace:
    """Scratch tensors on one device, by name.

    Args:
        device: Where they live.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._buffers: dict[tuple[str, torch.dtype], Tensor] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """Return a contiguous tensor of any content; the next call with its name may give the same memory.

        Args:
            name: What it is for.
            shape: Length along each axis.
            dtype: Type of its elements.
        """
        size = math.prod(shape)
        buffer = self._buffers.get((name, dtype))
        if buffer is None or buffer.numel() < size:
            buffer = torch.empty(size, dtype=dtype, device=self.device)
            self._buffers[name, dtype] = buffer
        return buffer[:size].view(shape)

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return sum(buffer.numel() * buffer.element_size() for buffer in self._buffers.values())


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread inside the block: sums then round the same in a worker, in the main process and later."""
    before = torch.get_num_threads()
    if before != 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before != 1:
            torch.set_num_threads(before)
