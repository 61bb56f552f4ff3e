"""Volumes on other grids, through any affine between their worlds.

Each target voxel is the mean of as many points, spread evenly over it, as source voxels fit along it, so that nothing
aliases where voxels grow; one point at its centre is enough where they shrink. Where both grids have the same points,
values are copied. Unlike `tds_data.geometry.resample` this needs no parallel axes, and takes longer.
"""

import itertools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.errors import LabelError
from tds_data.geometry import Box, Interpolation, Shape, bounding_box
from tds_data.preprocess import region_labels
from tds_data.vocabulary import REGION_LABELS, REGIONS, Label, Region
from tds_data.volume import Volume, VoxelArray

Affine = NDArray[np.float64]
"""A matrix of shape (4, 4)."""

MAJORITY: Final = 0.5
"""A voxel belongs to a region that fills at least this share of it."""

_ORDERS: Final = {Interpolation.NEAREST: 0, Interpolation.LINEAR: 1, Interpolation.CUBIC: 3}
_ROUNDING: Final = 1e-6  # voxels
_SLACK: Final = 0.1  # a step that is hardly longer than n voxels needs no more than n points
_MAX_POINTS: Final = 16  # along one axis
_SPLINE_REACH: Final = 12  # voxels after which a spline has forgotten a value


def resample_to(
    volume: Volume,
    grid: Volume,
    grid_from_volume: Affine | None = None,
    *,
    interpolation: Interpolation = Interpolation.LINEAR,
) -> Volume:
    """Return an image on another grid; zero where the grid reaches beyond it.

    Args:
        volume: The image.
        grid: A volume whose shape and affine are wanted; its voxels are not looked at.
        grid_from_volume: Matrix of shape (4, 4) from the image's RAS+ millimetres to the grid's; the identity if
            `None`.
        interpolation: `nearest` takes one value for each voxel and keeps the type; the others average as the module
            says and give float32. `cubic` is cut to the range of the image.
    """
    matrix = _source_from_target(volume, grid, grid_from_volume)
    if interpolation is Interpolation.NEAREST:
        voxels = volume.voxels.astype(np.uint8) if volume.voxels.dtype == bool else volume.voxels
        picked = _sample(voxels, matrix, grid.shape, interpolation).astype(volume.voxels.dtype, copy=False)
        return grid.with_voxels(picked)
    image = volume.voxels.astype(np.float32, copy=False)
    result = _averaged(image, matrix, grid.shape, interpolation)
    if interpolation is Interpolation.CUBIC:
        result = np.clip(result, min(image.min(), 0), max(image.max(), 0))
    return grid.with_voxels(result)


def resample_shares(
    mask: NDArray[np.bool_], source: Volume, grid: Volume, grid_from_source: Affine
) -> NDArray[np.float32]:
    """Return the share of each voxel of a grid that a mask fills, float32 in [0, 1].

    Args:
        mask: Boolean array of the source's shape.
        source: Where the mask lies.
        grid: A volume whose shape and affine are wanted.
        grid_from_source: Matrix of shape (4, 4) from the source's RAS+ millimetres to the grid's.
    """
    shares = np.zeros(grid.shape, np.float32)
    box = bounding_box(mask)
    if box is None:
        return shares
    matrix = _source_from_target(source, grid, grid_from_source)
    place = _reached(box, matrix, grid.shape)
    inner = matrix.copy()
    inner[:3, 3] += matrix[:3, :3] @ place.start - box.start
    if min(place.shape) > 0:
        shares[place.slices] = _averaged(mask[box.slices].astype(np.float32), inner, place.shape, Interpolation.LINEAR)
    return shares


def resample_labels(labels: Volume, grid: Volume, grid_from_labels: Affine | None = None) -> Volume:
    """Return a tumour mask on another grid: each region by the share of a voxel that it fills, at least half.

    Args:
        labels: Labels 0 to 3, or a mask of 0 and 1.
        grid: A volume whose shape and affine are wanted.
        grid_from_labels: Matrix of shape (4, 4) from the mask's RAS+ millimetres to the grid's; the identity if `None`.

    Raises:
        LabelError: If the mask holds anything else.
    """
    _check_labels(labels.voxels)
    matrix = np.eye(4) if grid_from_labels is None else grid_from_labels
    inside: dict[Region, NDArray[np.bool_]] = {}
    last: NDArray[np.bool_] | None = None
    for region in REGIONS:
        filled = np.isin(labels.voxels, list(REGION_LABELS[region]))
        if last is not None and np.array_equal(filled, last):  # as in masks of one label
            inside[region] = inside[REGIONS[len(inside) - 1]]
        else:
            inside[region] = resample_shares(filled, labels, grid, matrix) >= MAJORITY
        last = filled
    return grid.with_voxels(region_labels(inside))


def _check_labels(voxels: VoxelArray) -> None:
    strange = np.setdiff1d(voxels, [int(label) for label in Label])
    if strange.size:
        shown = ", ".join(f"{value:g}" for value in strange[:5])
        message = f"a tumour mask holds labels 0 to 3; this one also holds {shown}; take the nearest label instead"
        raise LabelError(message)


def _source_from_target(volume: Volume, grid: Volume, grid_from_volume: Affine | None) -> Affine:
    between = np.eye(4) if grid_from_volume is None else grid_from_volume
    matrix = np.linalg.solve(between @ volume.ras_from_voxel, grid.ras_from_voxel).astype(np.float64)
    whole = np.rint(matrix)
    # Rounding errors must not push the outermost voxels out of the image, nor blur grids that coincide.
    return np.where(np.abs(matrix - whole) < _ROUNDING, whole, matrix)


def _reached(box: Box, matrix: Affine, shape: Shape) -> Box:
    """Return the target voxels that a box of source voxels may touch; empty if there are none."""
    corners = np.array(list(itertools.product(*zip(box.start, box.stop, strict=True)))) - 0.5
    back = np.linalg.inv(matrix)
    # Half a source voxel further out is where linear interpolation ends, and half a target voxel where averaging does.
    reach = 0.5 * np.abs(back[:3, :3]).sum(axis=1) + 1
    places = corners @ back[:3, :3].T + back[:3, 3]
    low = np.clip(np.floor(places.min(axis=0) - reach), 0, shape).astype(int)
    high = np.clip(np.ceil(places.max(axis=0) + reach) + 1, low, shape).astype(int)
    (x, y, z), (a, b, c) = low.tolist(), high.tolist()
    return Box(start=(x, y, z), stop=(a, b, c))


def _averaged(
    image: NDArray[np.float32], matrix: Affine, shape: Shape, interpolation: Interpolation
) -> NDArray[np.float32]:
    counts = [_points_along(matrix[:3, axis]) for axis in range(3)]
    if interpolation is Interpolation.CUBIC:
        # The spline knows of the zeros around the image.
        image = ndimage.spline_filter(np.pad(image, _SPLINE_REACH), order=3, output=np.float32, mode="mirror")
        matrix = matrix.copy()
        matrix[:3, 3] += _SPLINE_REACH
    total = np.zeros(shape, np.float32)
    for point in itertools.product(*(range(n) for n in counts)):
        shifted = matrix.copy()
        shifted[:3, 3] += matrix[:3, :3] @ [(p + 0.5) / n - 0.5 for p, n in zip(point, counts, strict=True)]
        np.add(total, _sample(image, shifted, shape, interpolation), out=total)
    return total / np.float32(math.prod(counts))


def _points_along(step: NDArray[np.float64]) -> int:
    """Return how many source voxels one step to the next target voxel passes."""
    return min(_MAX_POINTS, max(1, math.ceil(float(np.linalg.norm(step)) - _SLACK)))


def _sample(image: VoxelArray, matrix: Affine, shape: Shape, interpolation: Interpolation) -> VoxelArray:
    sampled: VoxelArray = ndimage.affine_transform(
        image,
        matrix[:3, :3],
        matrix[:3, 3],
        output_shape=shape,
        order=_ORDERS[interpolation],
        mode="grid-constant",
        prefilter=False,
    )
    return sampled
