"""From a case of any task to the tensor and the labels that a network sees.

What `tds_data.preprocess` does for brains, for any channels and labels: axes turned to RAS, cropped to the foreground,
values made comparable, averaged (or interpolated) to the network's voxels. Channels with a window are cut to it and
spread over -1 to 1 over the whole image; the others are z-scored over their own foreground, and zero outside it.

Channels that do not share a grid, as PET and CT never do, are brought to the first channel's by their places in the
world; what only one of them shows is cut away.
"""

import itertools
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.box import Box, Shape, bounding_box
from tds_data.cache.cached_case import OUTSIDE_WINDOW
from tds_data.cache.task_case import TaskCase
from tds_data.errors import GridMismatch, VoxelError
from tds_data.geometry import resample, to_canonical
from tds_data.preprocess import FloatImage, Prepared, PreprocessConfig, foreground, network_shape, standardise
from tds_data.raw.resampling import resample_shares, resample_to
from tds_data.volume import Volume, VoxelArray

_HALF: Final = 0.5
_ROUNDING: Final = 1e-6

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedTask:
    """A case as a network sees it, and what is needed to go back.

    Attributes:
        prepared: The tensor and its place; its grid is that of the first channel that the case has.
        labels: Uint8 array of shape (x, y, z) with the task's labels; all 0 without a mask.
        notes: What was done that somebody should know, for people.
    """

    prepared: Prepared
    labels: NDArray[np.uint8]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Aligned:
    """Images and labels on one RAS grid."""

    images: dict[str, VoxelArray]
    labels: NDArray[np.uint8] | None
    box: Box  # of the first channel's whole RAS grid
    spacing_mm: tuple[float, float, float]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """What a network sees."""

    config: PreprocessConfig
    factors: tuple[float, float, float]
    shape: Shape


def prepare_task(case: TaskCase, config: PreprocessConfig) -> PreparedTask:
    """Return the network's view of a case.

    Args:
        case: Its images and mask.
        config: How to preprocess; its modalities are not looked at.

    Raises:
        VoxelError: If an image holds NaN or infinities or has no foreground.
        GridMismatch: If two images show no common place, or the mask is on none of their grids.
    """
    aligned = _align(case)
    windows = case.task.windows
    masks = {channel: _foreground(voxels, windows.get(channel), channel) for channel, voxels in aligned.images.items()}
    inner = bounding_box(np.logical_or.reduce(list(masks.values())))
    if inner is None:  # pragma: no cover  # _foreground refuses an empty image first
        message = "no foreground in any channel"
        raise VoxelError(message)
    x, y, z = (edge / s for edge, s in zip(config.voxel_mm, aligned.spacing_mm, strict=True))
    grid = _Grid(config=config, factors=(x, y, z), shape=network_shape(inner.shape, (x, y, z)))
    tensor = np.zeros((len(case.task.channels), *grid.shape), np.float32)
    for number, channel in enumerate(case.task.channels):
        if channel in aligned.images:
            voxels, mask = aligned.images[channel][inner.slices], masks.pop(channel)[inner.slices]
            tensor[number] = _values(voxels, mask, windows.get(channel), grid)
    labels = np.zeros(grid.shape, np.uint8)
    if aligned.labels is not None:
        labels = resample_to_network(aligned.labels[inner.slices], grid.factors, grid.shape)
    prepared = Prepared(
        tensor=tensor,
        grid=next(iter(case.images.values())),
        box=_within(aligned.box, inner),
        factors=grid.factors,
    )
    return PreparedTask(prepared=prepared, labels=labels, notes=aligned.notes)


def resample_to_network(
    labels: NDArray[np.uint8], factors: tuple[float, float, float], shape: Shape
) -> NDArray[np.uint8]:
    """Return labels on a network's grid: a voxel is background unless labels fill half of it, then the largest's.

    Args:
        labels: Uint8 array of shape (x, y, z).
        factors: Network voxel size divided by the grid's along each axis.
        shape: Voxels of the network's grid.
    """
    if labels.shape == shape and np.allclose(factors, 1.0, rtol=0, atol=_ROUNDING):
        return labels.copy()
    numbers = [int(n) for n in np.unique(labels) if n]
    return _largest({n: resample((labels == n).astype(np.float32), factors, shape) for n in numbers}, shape)


def _largest(shares: Mapping[int, FloatImage], shape: Shape) -> NDArray[np.uint8]:
    """Return the label with the largest share where labels fill half of a voxel together, 0 elsewhere."""
    result = np.zeros(shape, np.uint8)
    best, total = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for number, share in shares.items():
        result[share > best] = number
        np.maximum(best, share, out=best)
        total += share
    result[total < _HALF] = 0
    return result


def _values(
    voxels: VoxelArray, mask: NDArray[np.bool_], window: tuple[float, float] | None, grid: "_Grid"
) -> FloatImage:
    """Return a channel on the network's grid."""
    how = grid.config.interpolation
    if window is None:
        return resample(standardise(voxels, mask, grid.config.clip), grid.factors, grid.shape, interpolation=how)
    low, high = window
    image = np.clip(voxels, low, high).astype(np.float32, order="C")
    image -= np.float32(low)
    image *= np.float32(2 / (high - low))
    # Averages treat what lies beyond the image as 0, which is the lowest of the window here.
    return resample(image, grid.factors, grid.shape, interpolation=how) + np.float32(OUTSIDE_WINDOW)


def _foreground(voxels: VoxelArray, window: tuple[float, float] | None, channel: str) -> NDArray[np.bool_]:
    """Return where something is: above the window's lowest value, or apart from the background."""
    found = foreground(voxels, name=channel)
    if window is None:
        return found
    mask: NDArray[np.bool_] = np.greater(voxels, window[0])
    if not mask.any():
        message = (
            f"{channel} is {voxels.max():g} at most and its window begins at {window[0]:g}, so that nothing is left "
            "of it; check the rescale slope and intercept of the image, or the window"
        )
        raise VoxelError(message)
    return mask


def _align(case: TaskCase) -> _Aligned:
    canonical = {channel: to_canonical(volume) for channel, volume in case.images.items()}
    (first, grid), *_ = canonical.items()
    apart = {channel: volume for channel, volume in canonical.items() if not grid.same_grid(volume)}
    box = Box(start=(0, 0, 0), stop=grid.shape)
    for channel, volume in apart.items():
        box = _common(box, _shown(volume, grid), (first, channel))
    part = _cut(grid, box)
    images = {
        channel: resample_to(volume, part).voxels if channel in apart else volume.voxels[box.slices]
        for channel, volume in canonical.items()
    }
    notes = tuple(_note(first, channel, grid, box) for channel in apart)
    labels, lost = None, 0
    if case.reference is not None:
        labels, lost = _labels(to_canonical(case.reference), grid, box, tuple(apart.values()))
    if lost:
        notes = (*notes, f"{lost} voxels with a label lie where not every channel has an image, and were cut away")
    for note in notes:
        logger.info("task_case_aligned case=%s note=%s", case.name, note)
    return _Aligned(images=images, labels=labels, box=box, spacing_mm=grid.spacing_mm, notes=notes)


def _note(first: str, channel: str, grid: Volume, box: Box) -> str:
    away = 1 - math.prod(box.shape) / math.prod(grid.shape)
    return f"{channel} has another grid than {first} and was resampled to it; {away:.0%} of {first} was cut away"


def _labels(mask: Volume, grid: Volume, box: Box, others: tuple[Volume, ...]) -> tuple[NDArray[np.uint8], int]:
    """Return the labels on the common grid, and how many voxels of a label were cut away."""
    if grid.same_grid(mask):
        inside = np.asarray(mask.voxels[box.slices], np.uint8)
        return inside, int(np.count_nonzero(mask.voxels)) - int(np.count_nonzero(inside))
    if not any(other.same_grid(mask) for other in others):
        message = (
            f"the mask ({mask.shape}, voxels of {_edges(mask)} mm) is on the grid of none of the images; "
            "resample it to the grid of the image that it was drawn on"
        )
        raise GridMismatch(message)
    part = _cut(grid, box)
    numbers = [int(n) for n in np.unique(mask.voxels) if n]
    shares = {n: resample_shares(mask.voxels == n, mask, part, np.eye(4)) for n in numbers}
    return _largest(shares, part.shape), 0


def _edges(volume: Volume) -> str:
    return " x ".join(f"{edge:.3g}" for edge in volume.spacing_mm)


def _shown(volume: Volume, grid: Volume) -> Box:
    """Return the voxels of a grid whose centres lie in the box around what an image shows; may be empty."""
    corners = np.array(list(itertools.product(*((-0.5, n - 0.5) for n in volume.shape))))
    there = np.linalg.solve(grid.ras_from_voxel, volume.ras_from_voxel)
    places = corners @ there[:3, :3].T + there[:3, 3]
    low = np.ceil(places.min(axis=0) - _ROUNDING).astype(int).tolist()
    high = (np.floor(places.max(axis=0) + _ROUNDING).astype(int) + 1).tolist()
    return Box(start=(low[0], low[1], low[2]), stop=(high[0], high[1], high[2]))


def _common(one: Box, other: Box, names: tuple[str, str]) -> Box:
    x, y, z = (max(a, b) for a, b in zip(one.start, other.start, strict=True))
    i, j, k = (min(a, b) for a, b in zip(one.stop, other.stop, strict=True))
    if x >= i or y >= j or z >= k:
        message = (
            f"{names[0]} and {names[1]} show no common place; check that both are of one patient and one session, and "
            "that neither lost its position when it was converted"
        )
        raise GridMismatch(message)
    return Box(start=(x, y, z), stop=(i, j, k))


def _within(outer: Box, inner: Box) -> Box:
    x, y, z = (a + b for a, b in zip(outer.start, inner.start, strict=True))
    i, j, k = (a + b for a, b in zip(outer.start, inner.stop, strict=True))
    return Box(start=(x, y, z), stop=(i, j, k))


def _cut(grid: Volume, box: Box) -> Volume:
    affine = grid.ras_from_voxel.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array(box.start)
    return Volume(grid.voxels[box.slices], affine)
