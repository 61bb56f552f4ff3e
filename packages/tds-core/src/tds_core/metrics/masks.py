"""Masks of regions, and pairs of masks cut down to where they are true."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_core.errors import EvaluationError
from tds_data.vocabulary import REGION_LABELS, Region

Mask = NDArray[np.bool_]
"""A boolean array of shape (x, y, z)."""

Spacing = tuple[float, float, float]
"""Voxel size along each axis, millimetres."""

_BYTE: Final = 256


def region_mask(labels: NDArray[np.generic], region: Region) -> Mask:
    """Return where a label map holds a region.

    Args:
        labels: Array of labels 0 to 3.
        region: The region.
    """
    return label_mask(labels, tuple(int(label) for label in REGION_LABELS[region]))


def label_mask(labels: NDArray[np.generic], numbers: Collection[int]) -> Mask:
    """Return where a label map holds one of some labels.

    Args:
        labels: Array of labels of any dtype and byte order.
        numbers: The labels.
    """
    if labels.dtype != np.uint8 or not all(0 <= number < _BYTE for number in numbers):
        return np.isin(labels, list(numbers))
    lookup = np.zeros(_BYTE, dtype=np.bool_)
    lookup[list(numbers)] = True
    mask: Mask = lookup[labels]
    return mask


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskPair:
    """Two masks of one grid, cut to the box around both, with a margin of false voxels.

    Attributes:
        found: The mask to judge, C-contiguous; its axes may stand in another order than the original's.
        truth: The reference, of the same shape.
        spacing_mm: Voxel size along each of these axes.
        margin: False voxels before and after the box along each axis.
        voxels: Voxels of the whole grid.
    """

    found: Mask
    truth: Mask
    spacing_mm: Spacing
    margin: tuple[int, int, int]
    voxels: int

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, millilitres."""
        return math.prod(self.spacing_mm) / 1000.0

    def swapped(self) -> "MaskPair":
        """Return the pair with the reference as the mask to judge."""
        return MaskPair(
            found=self.truth, truth=self.found, spacing_mm=self.spacing_mm, margin=self.margin, voxels=self.voxels
        )


def pair_masks(
    found: Mask, truth: Mask, spacing_mm: Spacing = (1.0, 1.0, 1.0), *, margin: tuple[int, int, int] = (1, 1, 1)
) -> MaskPair:
    """Return two masks cut to the box around both.

    Args:
        found: The mask to judge, in any memory layout.
        truth: The reference, of the same shape.
        spacing_mm: Voxel size along each axis; the axes must be orthogonal.
        margin: False voxels to leave around the box along each axis, at least 1.

    Raises:
        EvaluationError: If the masks are not boolean, not of three axes or of different shapes, or a voxel has no size.
    """
    check_masks(found, truth, spacing_mm)
    order = sorted(range(3), key=lambda axis: -abs(truth.strides[axis]))
    found, truth = found.transpose(order), truth.transpose(order)
    box = _union_box(found, truth)
    x, y, z = (spacing_mm[axis] for axis in order)
    before, along, across = (margin[axis] for axis in order)
    margins = (before, along, across)
    return MaskPair(
        found=_framed(found[box], margins),
        truth=_framed(truth[box], margins),
        spacing_mm=(x, y, z),
        margin=margins,
        voxels=truth.size,
    )


def check_masks(found: NDArray[np.generic], truth: NDArray[np.generic], spacing_mm: Spacing) -> None:
    """Refuse what cannot be compared.

    Args:
        found: The mask to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis.

    Raises:
        EvaluationError: If the masks are not boolean, not of three axes or of different shapes, or a voxel has no size.
    """
    for name, mask in (("found", found), ("truth", truth)):
        if mask.dtype != np.bool_:
            message = f"the mask {name!r} is of {mask.dtype}, not bool; make masks of labels with label_mask"
            raise EvaluationError(message)
    if found.shape != truth.shape or truth.ndim != 3:  # noqa: PLR2004  # three axes
        message = f"masks of shape {found.shape} and {truth.shape} cannot be compared; give two of one (x, y, z)"
        raise EvaluationError(message)
    if sum(0.0 < size < math.inf for size in spacing_mm) != found.ndim:
        message = f"voxels of {tuple(spacing_mm)} mm have no volume; give three sizes above zero"
        raise EvaluationError(message)


def _union_box(found: Mask, truth: Mask) -> tuple[slice, slice, slice]:
    """Return the box around both masks; it is empty if they are."""
    slabs: Mask = np.logical_or.reduce(found, axis=0) | np.logical_or.reduce(truth, axis=0)
    y, z = (_extent(np.logical_or.reduce(slabs, axis=axis)) for axis in (1, 0))
    return _extent(np.logical_or.reduce(found[:, y, z] | truth[:, y, z], axis=(1, 2))), y, z


def _extent(hits: NDArray[np.bool_]) -> slice:
    places = np.flatnonzero(hits)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def _framed(mask: Mask, margin: tuple[int, int, int]) -> Mask:
    framed = np.zeros([size + 2 * m for size, m in zip(mask.shape, margin, strict=True)], dtype=np.bool_)
    framed[tuple(slice(m, m + size) for size, m in zip(mask.shape, margin, strict=True))] = mask
    return framed
