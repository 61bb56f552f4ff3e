"""Orientation and resampling of voxel grids.

Resampling is separable: one small matrix per axis. An output voxel that is larger than the input's averages what it
covers (an area filter, so nothing aliases); one that is smaller interpolates between voxel centres, linearly if nothing
else is asked for. Labels are never interpolated: they are resampled as one indicator per region.
"""

import math
from enum import StrEnum
from typing import Any, Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.box import Box, Shape, bounding_box
from tds_data.volume import Volume, VoxelArray

__all__ = ["Box", "Interpolation", "Shape", "bounding_box", "from_canonical", "resample", "to_canonical"]

_orientations: Final[Any] = nib.orientations  # nibabel's functions carry no annotations
_SAME_SIZE: Final = 1e-6
_CUBIC: Final = 3


class Interpolation(StrEnum):
    """How values between voxel centres are found.

    `nearest` takes the closest centre, along axes whose voxels grow as well, so that no new value appears. `linear`
    stays between its neighbours. `cubic` is a B-spline through the voxels, cut to the range of the input.
    """

    NEAREST = "nearest"
    LINEAR = "linear"
    CUBIC = "cubic"


def to_canonical(volume: Volume) -> Volume:
    """Return the volume with its axes flipped and permuted to be closest to RAS+, without resampling.

    Args:
        volume: Any orientation, oblique ones too.
    """
    orientation = _orientations.io_orientation(volume.ras_from_voxel)
    voxels = _orientations.apply_orientation(volume.voxels, orientation)
    affine = volume.ras_from_voxel @ _orientations.inv_ornt_aff(orientation, volume.shape)
    return Volume(voxels, affine)


def from_canonical(voxels: VoxelArray, grid: Volume) -> VoxelArray:
    """Return voxels of a canonical grid in the orientation of the grid they came from.

    Args:
        voxels: Array on the grid of `to_canonical(grid)`.
        grid: The original volume.
    """
    there = _orientations.io_orientation(grid.ras_from_voxel)
    canonical = _orientations.axcodes2ornt("RAS")
    back = _orientations.ornt_transform(canonical, there)
    return np.asarray(_orientations.apply_orientation(voxels, back))


def resample(
    voxels: NDArray[np.float32],
    factors: tuple[float, float, float],
    shape: Shape,
    *,
    interpolation: Interpolation = Interpolation.LINEAR,
) -> NDArray[np.float32]:
    """Return voxels on a grid that shares the input's outer corner.

    Args:
        voxels: Float32 array of shape (x, y, z).
        factors: Output voxel size divided by input voxel size along each axis.
        shape: Output voxels along each axis; places beyond the input are zero when averaging and repeat the edge
            when interpolating.
        interpolation: How values are found along axes whose voxels shrink; other axes average, but for `nearest`.
    """
    image = np.ascontiguousarray(voxels, dtype=np.float32)
    low, high = (image.min(), image.max()) if interpolation is Interpolation.CUBIC else (None, None)
    # The axis that shrinks most goes first: every later product is then smaller.
    for axis in sorted(range(3), key=lambda a: shape[a] / image.shape[a]):
        if math.isclose(factors[axis], 1.0, rel_tol=_SAME_SIZE) and shape[axis] == image.shape[axis]:
            continue
        matrix = _axis_matrix(image.shape[axis], shape[axis], factors[axis], interpolation)
        image = _along_axis(matrix, image, axis)
    return image if low is None else np.clip(image, low, high)


def _along_axis(matrix: NDArray[np.float32], image: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return the product of a matrix and one axis of an image, as one matrix product.

    A product for each slice would wake the threads of the linear algebra library hundreds of times.
    """
    front = np.moveaxis(image, axis, 0)
    product = matrix @ front.reshape(front.shape[0], -1)
    return np.ascontiguousarray(np.moveaxis(product.reshape(-1, *front.shape[1:]), 0, axis))


def _axis_matrix(size_in: int, size_out: int, factor: float, interpolation: Interpolation) -> NDArray[np.float32]:
    edges: NDArray[np.float64] = np.arange(size_out + 1, dtype=np.float64) * factor
    centres = np.clip((edges[:-1] + edges[1:]) / 2 - 0.5, 0, size_in - 1)
    if interpolation is Interpolation.NEAREST:
        picked: NDArray[np.float32] = np.eye(size_in, dtype=np.float32)[np.ceil(centres - 0.5).astype(int)]
        return picked
    if factor > 1.0:
        return _averages(edges, size_in, factor)
    if interpolation is Interpolation.CUBIC:
        unit = np.eye(size_in)
        splines = [ndimage.map_coordinates(row, centres[None], order=_CUBIC, mode="nearest") for row in unit]
        return np.stack(splines, axis=1).astype(np.float32)
    return _between_neighbours(centres, size_in)


def _averages(edges: NDArray[np.float64], size_in: int, factor: float) -> NDArray[np.float32]:
    low = np.maximum(edges[:-1, None], np.arange(size_in)[None])
    high = np.minimum(edges[1:, None], np.arange(1, size_in + 1)[None])
    shares: NDArray[np.float64] = np.clip(high - low, 0.0, None) / factor
    return shares.astype(np.float32)


def _between_neighbours(centres: NDArray[np.float64], size_in: int) -> NDArray[np.float32]:
    left = np.minimum(centres.astype(int), max(size_in - 2, 0))
    right = np.minimum(left + 1, size_in - 1)
    weight = centres - left
    matrix = np.zeros((centres.size, size_in), dtype=np.float32)
    rows = np.arange(centres.size)
    np.add.at(matrix, (rows, left), 1.0 - weight)
    np.add.at(matrix, (rows, right), weight)
    return matrix
