"""Slices off a regular grid, brought onto one."""

import numpy as np
from numpy.typing import NDArray

from tds_clinical.dicom._layout import Layout
from tds_data.volume import VoxelArray


def resampled(slices: VoxelArray, layout: Layout) -> NDArray[np.float32]:
    """Return slices resampled to a grid, linearly along each axis, with 0 where no slice reaches.

    Args:
        slices: Stored slices, shape (planes, rows, columns).
        layout: Where they lie and the grid to bring them to.

    Returns:
        Shape (slices, rows, columns) of the grid.
    """
    columns, rows, count = layout.shape
    shifted = np.stack(
        [
            _moved(_moved(stored.astype(np.float32), down, rows).T, right, columns).T
            for stored, (down, right) in zip(slices, layout.shifts, strict=True)
        ]
    )
    box = np.empty((count, rows, columns), np.float32)
    for index in range(count):
        above = int(np.clip(np.searchsorted(layout.depths, index, side="right"), 1, len(shifted) - 1))
        low, high = layout.depths[above - 1 : above + 1]
        weight = np.float32(min(max((index - low) / (high - low), 0.0), 1.0))
        box[index] = shifted[above - 1] * (1 - weight) + shifted[above] * weight
    return box


def _moved(picture: NDArray[np.float32], by: float, length: int) -> NDArray[np.float32]:
    """Return a picture moved along its first axis by part of a pixel, in a frame of another length."""
    whole = int(np.floor(by))
    part = np.float32(by - whole)
    moved = np.zeros((length + 1, picture.shape[1]), np.float32)
    moved[whole : whole + len(picture)] += (1 - part) * picture
    moved[whole + 1 : whole + 1 + len(picture)] += part * picture
    return moved[:length]
