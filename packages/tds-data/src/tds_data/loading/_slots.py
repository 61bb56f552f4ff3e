"""Batches in memory that workers and the main process share, handed out without a copy.

The memory is anonymous and inherited by forked workers: it has no name that could be left behind, and does not count
against the size of `/dev/shm`, which containers keep small. A batch that is handed out gives its slot back when the
last tensor on it is let go.
"""

import math
import mmap
import weakref
from collections import deque

import numpy as np
import torch
from torch import Tensor

from tds_data.box import Shape
from tds_data.loading.augmentation.apply import Patch

_PAGE = 4096


class Slots:
    """Room for a number of batches.

    Args:
        count: How many.
        batch_size: Patches in each.
        channels: Channels of a patch.
        shape: Voxels of a patch.
    """

    def __init__(self, count: int, batch_size: int, channels: int, shape: Shape) -> None:
        self._image_shape = (batch_size, channels, *shape)
        self._label_shape = (batch_size, *shape)
        self._image_bytes = _pages(math.prod(self._image_shape) * 4)
        self._slot_bytes = self._image_bytes + _pages(math.prod(self._label_shape))
        self._memory = mmap.mmap(-1, count * self._slot_bytes)
        self._count = count
        self.free: deque[int] = deque(range(count))

    def patch(self, slot: int, row: int) -> Patch:
        """Return one patch of a slot, to be written.

        Args:
            slot: Which slot.
            row: Which patch.
        """
        image, labels = self._arrays(slot)
        return Patch(image=torch.from_numpy(image[row]), labels=torch.from_numpy(labels[row]))

    def hand_out(self, slot: int, *, copy: bool) -> tuple[Tensor, Tensor]:
        """Return a slot's batch: images and labels.

        Args:
            slot: Which slot.
            copy: Whether to copy it and free the slot now, instead of when the tensors are let go.
        """
        image, labels = self._arrays(slot)
        if copy:
            copies = torch.from_numpy(image.copy()), torch.from_numpy(labels.copy())
            self.free.append(slot)
            return copies
        in_use = [2]

        def let_go() -> None:
            in_use[0] -= 1
            if not in_use[0]:
                self.free.append(slot)

        for array in (image, labels):
            weakref.finalize(array, let_go).atexit = False
        return torch.from_numpy(image), torch.from_numpy(labels)

    def _arrays(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        at = slot * self._slot_bytes
        image = np.frombuffer(self._memory, np.float32, math.prod(self._image_shape), at)
        labels = np.frombuffer(self._memory, np.uint8, math.prod(self._label_shape), at + self._image_bytes)
        return image.reshape(self._image_shape), labels.reshape(self._label_shape)


def _pages(nbytes: int) -> int:
    return -(-nbytes // _PAGE) * _PAGE
