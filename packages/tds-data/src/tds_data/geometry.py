"""Orientation and resampling of voxel grids.

Resampling is separable: one small matrix per axis. An output voxel that is larger than the input's averages what it
covers (an area filter, so nothing aliases); one that is smaller interpolates linearly between voxel centres. Labels
are never interpolated: they are resampled as one indicator per region.
"""

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from tds_data.volume import Volume, VoxelArray

Shape = tuple[int, int, int]
"""Voxels along x, y, z."""


def to_canonical(volume: Volume) -> Volume:
    """Return the volume with its axes flipped and permuted to be closest to RAS+, without resampling.

    Args:
        volume: Any orientation, oblique ones too.
    """
    orientation = nib.orientations.io_orientation(volume.ras_from_voxel)
    voxels = nib.orientations.apply_orientation(volume.voxels, orientation)
    affine = volume.ras_from_voxel @ nib.orientations.inv_ornt_aff(orientation, volume.shape)
    return Volume(voxels, affine)


def from_canonical(voxels: VoxelArray, grid: Volume) -> VoxelArray:
    """Return voxels of a canonical grid in the orientation of the grid they came from.

    Args:
        voxels: Array on the grid of `to_canonical(grid)`.
        grid: The original volume.
    """
    there = nib.orientations.io_orientation(grid.ras_from_voxel)
    canonical = nib.orientations.axcodes2ornt("RAS")
    back = nib.orientations.ornt_transform(canonical, there)
    return np.asarray(nib.orientations.apply_orientation(voxels, back))


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A half-open box of voxel indices.

    Attributes:
        start: First index along each axis.
        stop: One past the last index along each axis.
    """

    start: Shape
    stop: Shape

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index expression."""
        x, y, z = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return x, y, z

    @property
    def shape(self) -> Shape:
        """Voxels along each axis."""
        x, y, z = (b - a for a, b in zip(self.start, self.stop, strict=True))
        return x, y, z


def bounding_box(mask: NDArray[np.bool_]) -> Box | None:
    """Return the smallest box around the true voxels, or `None` if there is none.

    Args:
        mask: Boolean array of shape (x, y, z).
    """
    start, stop = [], []
    for axis in range(3):
        hits = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if hits.size == 0:
            return None
        start.append(int(hits[0]))
        stop.append(int(hits[-1]) + 1)
    return Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))


def resample(voxels: NDArray[np.float32], factors: tuple[float, float, float], shape: Shape) -> NDArray[np.float32]:
    """Return voxels on a grid that shares the input's outer corner.

    Args:
        voxels: Float32 array of shape (x, y, z).
        factors: Output voxel size divided by input voxel size along each axis.
        shape: Output voxels along each axis; places beyond the input are zero when averaging and repeat the edge
            when interpolating.
    """
    # The axis that shrinks most goes first: every later product is then smaller.
    for axis in sorted(range(3), key=lambda a: shape[a] / voxels.shape[a]):
        if factors[axis] == 1.0 and shape[axis] == voxels.shape[axis]:
            continue
        matrix = _axis_matrix(voxels.shape[axis], shape[axis], factors[axis])
        voxels = np.moveaxis(np.tensordot(matrix, voxels, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(voxels)


def _axis_matrix(size_in: int, size_out: int, factor: float) -> NDArray[np.float32]:
    edges = np.arange(size_out + 1) * factor
    if factor > 1.0:
        low = np.maximum(edges[:-1, None], np.arange(size_in)[None])
        high = np.minimum(edges[1:, None], np.arange(1, size_in + 1)[None])
        return (np.clip(high - low, 0.0, None) / factor).astype(np.float32)
    centres = np.clip((edges[:-1] + edges[1:]) / 2 - 0.5, 0, size_in - 1)
    left = np.minimum(centres.astype(int), max(size_in - 2, 0))
    right = np.minimum(left + 1, size_in - 1)
    weight = centres - left
    matrix = np.zeros((size_out, size_in), dtype=np.float32)
    rows = np.arange(size_out)
    np.add.at(matrix, (rows, left), 1.0 - weight)
    np.add.at(matrix, (rows, right), weight)
    return matrix
