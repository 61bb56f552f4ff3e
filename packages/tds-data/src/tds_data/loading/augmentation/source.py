"""Where a patch is cut from: a case of a cache, or tensors that are at hand."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tds_data.box import Box, Shape
from tds_data.cache import CachedCase, CaseArrays

Mirrored = tuple[bool, bool, bool]
"""Whether each of x, y, z is mirrored."""


class VoxelSource(Protocol):
    """Something that patches can be cut from."""

    @property
    def shape(self) -> Shape:
        """Voxels along x, y, z."""
        ...

    @property
    def lesion_box(self) -> Box | None:
        """A part that holds every voxel with a label, or none if there is no such voxel."""
        ...

    @property
    def label_numbers(self) -> tuple[int, ...]:
        """The labels that may occur, rising."""
        ...

    @property
    def windowed(self) -> tuple[int, ...]:
        """Numbers of the channels that are -1, not 0, where the image ends."""
        ...

    def read_image(self, box: Box, mirrored: Mirrored, out: Tensor) -> None:
        """Copy a part of the image.

        Args:
            box: The part, inside.
            mirrored: Along which axes it is mirrored.
            out: Float32 tensor of shape (channel, x, y, z) of the part; any strides.
        """
        ...

    def read_labels(self, box: Box, mirrored: Mirrored, out: Tensor) -> None:
        """Copy a part of the labels.

        Args:
            box: The part, inside.
            mirrored: Along which axes it is mirrored.
            out: Uint8 tensor of shape (x, y, z) of the part; any strides.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseSource:
    """A case of a cache; only the pages that a part lies on are read.

    Attributes:
        case: The case.
        arrays: Its arrays.
    """

    case: CachedCase
    arrays: CaseArrays

    @property
    def shape(self) -> Shape:
        """Voxels along x, y, z."""
        return self.case.shape

    @property
    def lesion_box(self) -> Box | None:
        """The smallest part that holds every voxel with a label."""
        return self.case.lesion_box

    @property
    def label_numbers(self) -> tuple[int, ...]:
        """The labels that occur, rising."""
        return tuple(sorted(label for label, count in self.case.counts.items() if count))

    @property
    def windowed(self) -> tuple[int, ...]:
        """Numbers of the channels with a window that the case has."""
        return self.case.windowed

    def read_image(self, box: Box, mirrored: Mirrored, out: Tensor) -> None:
        """Copy a part of the image as z-scores or windows; see `VoxelSource`."""
        steps = self.arrays.image[:, *_slices(box, mirrored)]
        # One pass: widen, scale, mirror and store.
        np.multiply(steps, np.float32(self.case.scale), out=out.numpy(), dtype=np.float32)

    def read_labels(self, box: Box, mirrored: Mirrored, out: Tensor) -> None:
        """Copy a part of the labels; see `VoxelSource`."""
        np.copyto(out.numpy(), self.arrays.labels[_slices(box, mirrored)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TensorSource:
    """Tensors on any device.

    Attributes:
        image: Float32 tensor of shape (channel, x, y, z).
        labels: Uint8 tensor of shape (x, y, z).
        windowed: Numbers of the channels that are -1, not 0, where the image ends.
    """

    image: Tensor
    labels: Tensor
    windowed: tuple[int, ...] = ()

    @property
    def shape(self) -> Shape:
        """Voxels along x, y, z."""
        x, y, z = self.labels.shape
        return x, y, z

    @property
    def lesion_box(self) -> Box | None:
        """Everything: to look for less would make a GPU wait."""
        return Box(start=(0, 0, 0), stop=self.shape)

    @property
    def label_numbers(self) -> tuple[int, ...]:
        """All up to the largest that occurs."""
        return tuple(range(1, int(self.labels.max()) + 1))

    def read_image(self, box: Box, mirrored: Mirrored, out: Tensor) -> None:
        """Copy a part of the image; see `VoxelSource`."""
        part = self.image[:, *box.slices]
        out.copy_(part.flip(_flipped(mirrored, first=1)) if any(mirrored) else part)

    def read_labels(self, box: Box, mirrored: Mirrored, out: Tensor) -> None:
        """Copy a part of the labels; see `VoxelSource`."""
        part = self.labels[box.slices]
        out.copy_(part.flip(_flipped(mirrored, first=0)) if any(mirrored) else part)


def _slices(box: Box, mirrored: Mirrored) -> tuple[slice, slice, slice]:
    x, y, z = (
        slice(b - 1, a - 1 if a else None, -1) if flip else slice(a, b)
        for a, b, flip in zip(box.start, box.stop, mirrored, strict=True)
    )
    return x, y, z


def _flipped(mirrored: Mirrored, *, first: int) -> list[int]:
    return [first + axis for axis, flip in enumerate(mirrored) if flip]


def tensor_source(image: Tensor, labels: Tensor, windowed: tuple[int, ...] = ()) -> TensorSource:
    """Return tensors as a source.

    Args:
        image: Float32 tensor of shape (channel, x, y, z).
        labels: Integer tensor of shape (x, y, z).
        windowed: Numbers of the channels that are -1, not 0, where the image ends.
    """
    return TensorSource(image=image, labels=labels.to(torch.uint8), windowed=windowed)
