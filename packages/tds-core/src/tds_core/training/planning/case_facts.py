"""What one case is like."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_core.training.config import Shape
from tds_data.box import bounding_box
from tds_data.cache import PreparedTask, TaskCase, load_task_case, prepare_task
from tds_data.cache.cached_case import OUTSIDE_WINDOW
from tds_data.datasets import CaseEntry, Manifest
from tds_data.geometry import to_canonical
from tds_data.preprocess import PreprocessConfig, foreground
from tds_data.task import Task

_MOST_VALUES: Final = 100_000
_PERCENTILES: Final = (0.5, 50.0, 99.5)
_MM3_PER_ML: Final = 1000.0

Triple = tuple[float, float, float]
"""One number for each of x, y, z, or three percentiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """What one case is like, its axes turned to RAS.

    Attributes:
        name: Its name.
        spacing_mm: Edges of its voxels.
        whole: Voxels of the first channel that it has.
        shape: Voxels of the part that holds something in any channel.
        foreground_share: How much of that part holds something.
        intensities: Of each channel that it has, percentiles 0.5, 50 and 99.5 of what is no background.
        label_ml: Volume of each label.
        lesions_ml: Volume of each connected part of each region.
    """

    name: str
    spacing_mm: Triple
    whole: Shape
    shape: Shape
    foreground_share: float
    intensities: Mapping[str, Triple]
    label_ml: Mapping[str, float]
    lesions_ml: Mapping[str, tuple[float, ...]]


def look_at_case(manifest: Manifest, entry: CaseEntry, task: Task, others: Mapping[str, int]) -> CaseFacts:
    """Return what a case is like.

    Args:
        manifest: The data set.
        entry: One of its cases.
        task: What is learned.
        others: Label of each tissue that the task has none for.

    Raises:
        DataError: If it cannot be read (from tds_data).
    """
    case = load_task_case(manifest, entry, task, others=others)
    grid = to_canonical(next(iter(case.images.values())))
    view = prepare_task(case, PreprocessConfig(spacing_mm=grid.spacing_mm))
    voxel_ml = float(np.prod(grid.spacing_mm)) / _MM3_PER_ML
    x, y, z = view.labels.shape
    return CaseFacts(
        name=entry.name,
        spacing_mm=grid.spacing_mm,
        whole=grid.shape,
        shape=(x, y, z),
        foreground_share=_share(view, case),
        intensities={channel: _percentiles(case, channel) for channel in case.images},
        label_ml={
            label: float(np.count_nonzero(view.labels == number)) * voxel_ml
            for number, label in enumerate(task.labels, start=1)
        },
        lesions_ml={region: _parts(np.isin(view.labels, labels), voxel_ml) for region, labels in task.regions.items()},
    )


def _share(view: PreparedTask, case: TaskCase) -> float:
    there = np.zeros(view.labels.shape, np.bool_)
    for name, channel in zip(case.task.channels, view.prepared.tensor, strict=True):
        if name in case.images:
            there |= channel > OUTSIDE_WINDOW if name in case.task.windows else channel != 0
    return float(there.mean())


def _percentiles(case: TaskCase, channel: str) -> Triple:
    voxels = case.images[channel].voxels
    window = case.task.windows.get(channel)
    inside: NDArray[Any] = voxels[foreground(voxels, name=channel) if window is None else np.greater(voxels, window[0])]
    low, middle, high = np.percentile(inside[:: max(1, inside.size // _MOST_VALUES)], _PERCENTILES)
    return float(low), float(middle), float(high)


def _parts(mask: NDArray[np.bool_], voxel_ml: float) -> tuple[float, ...]:
    box = bounding_box(mask)
    if box is None:
        return ()
    numbers, count = ndimage.label(mask[box.slices], np.ones((3, 3, 3)))
    return tuple(float(n) * voxel_ml for n in np.bincount(numbers.ravel(), minlength=count + 1)[1:])
