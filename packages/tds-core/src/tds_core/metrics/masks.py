"""Masks of regions, and pairs of masks cut down to where they are true."""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tds_core.errors import EvaluationError
from tds_data.vocabulary import REGION_LABELS, Region

Mask = NDArray[np.bool_]
"""A boolean array of shape (x, y, z)."""

Spacing = tuple[float, float, float]
"""Voxel size along each axis, millimetres."""


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
    mask = np.zeros_like(labels, dtype=np.bool_)
    for number in numbers:
        mask |= labels == number
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
    order, box = memory_order(truth), union_box(found, truth)
    x, y, z = (spacing_mm[axis] for axis in order)
    before, between, beside = (margin[axis] for axis in order)
    margins = (before, between, beside)
    return MaskPair(
        found=_framed(found[box].transpose(order), margins),
        truth=_framed(truth[box].transpose(order), margins),
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
    check_shapes(found, truth, spacing_mm)


def check_shapes(found: NDArray[np.generic], truth: NDArray[np.generic], spacing_mm: Spacing) -> None:
    """Refuse arrays that do not fit.

    Args:
        found: The mask or labels to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis.

    Raises:
        EvaluationError: If they are not of three axes or of different shapes, or a voxel has no size.
    """
    if found.shape != truth.shape or truth.ndim != 3:  # noqa: PLR2004  # three axes
        message = f"arrays of shape {found.shape} and {truth.shape} cannot be compared; give two of one (x, y, z)"
        raise EvaluationError(message)
    if sum(0.0 < size < math.inf for size in spacing_mm) != found.ndim:
        message = f"voxels of {tuple(spacing_mm)} mm have no volume; give three sizes above zero"
        raise EvaluationError(message)


def memory_order(array: NDArray[np.generic]) -> tuple[int, int, int]:
    """Return the axes of an array, the one whose neighbours lie closest in memory last.

    Args:
        array: Array of three axes.
    """
    x, y, z = sorted(range(3), key=lambda axis: -abs(array.strides[axis]))
    return x, y, z


def union_box(found: NDArray[np.generic], truth: NDArray[np.generic]) -> tuple[slice, slice, slice]:
    """Return the box around what is not zero in either array; it is empty if nothing is.

    Args:
        found: Array of shape (x, y, z).
        truth: Array of the same shape.
    """
    x, y, z = (_extent(a | b) for a, b in zip(_hits(found), _hits(truth), strict=True))
    return x, y, z


def _hits(array: NDArray[np.generic]) -> tuple[Mask, Mask, Mask]:
    """Return for each axis where along it there is anything, reading the array in the order of memory."""
    order = memory_order(array)
    lying = array.transpose(order)
    plane = np.logical_or.reduce(lying, axis=0)
    hits = (
        np.logical_or.reduce(lying, axis=(1, 2)),
        np.logical_or.reduce(plane, axis=1),
        np.logical_or.reduce(plane, axis=0),
    )
    x, y, z = (hits[order.index(axis)] for axis in range(3))
    return x, y, z


def _extent(hits: NDArray[np.bool_]) -> slice:
    places = np.flatnonzero(hits)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def _framed(mask: Mask, margin: tuple[int, int, int]) -> Mask:
    framed = np.zeros([size + 2 * m for size, m in zip(mask.shape, margin, strict=True)], dtype=np.bool_)
    framed[tuple(slice(m, m + size) for size, m in zip(mask.shape, margin, strict=True))] = mask
    return framed
