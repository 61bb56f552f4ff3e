"""From labels to what output channels should say, at any resolution."""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from tds_core.errors import TrainingError
from tds_core.training.config import Heads
from tds_data.task import Task

_LABEL_AXES: Final = 4
_SHARE_AXES: Final = 5


def region_targets(labels: Tensor, task: Task) -> Tensor:
    """Return the regions of a task as float32 of 0 and 1, shape (batch, region, x, y, z).

    Args:
        labels: Whole numbers of shape (batch, x, y, z), 0 to the task's last label.
        task: Whose regions.

    Raises:
        TrainingError: If there is a label that the task does not have.
    """
    _check_labels(labels, task)
    table = torch.zeros(len(task.regions), len(task.labels) + 1, device=labels.device)
    for index, members in enumerate(task.regions.values()):
        table[index, list(members)] = 1
    return table[:, labels.long()].movedim(0, 1).contiguous()


def class_targets(labels: Tensor, task: Task) -> Tensor:
    """Return background and labels of a task as float32 of 0 and 1, shape (batch, class, x, y, z).

    Args:
        labels: Whole numbers of shape (batch, x, y, z), 0 to the task's last label.
        task: Whose labels.

    Raises:
        TrainingError: If there is a label that the task does not have.
    """
    _check_labels(labels, task)
    numbers = torch.arange(len(task.labels) + 1, device=labels.device).reshape(1, -1, 1, 1, 1)
    return (labels[:, None] == numbers).float()


def channel_targets(target: Tensor, task: Task, heads: Heads) -> Tensor:
    """Return what each output channel should say, float32 of shape (batch, channel, x, y, z).

    Args:
        target: Labels of shape (batch, x, y, z), or shares of regions in [0, 1] of shape (batch, region, x, y, z).
        task: What is learned.
        heads: What the outputs are.

    Raises:
        TrainingError: If a label is unknown, shares are given to class heads or their number is not the task's.
    """
    if target.ndim == _LABEL_AXES:
        return region_targets(target, task) if heads is Heads.REGIONS else class_targets(target, task)
    if heads is Heads.CLASSES or target.ndim != _SHARE_AXES or target.shape[1] != len(task.regions):
        wanted = f" or shares (batch, {len(task.regions)}, x, y, z)" if heads is Heads.REGIONS else ""
        message = (
            f"a target of shape {tuple(target.shape)} cannot teach {heads.value}; give labels (batch, x, y, z){wanted}"
        )
        raise TrainingError(message)
    return target.float()


def shrink(target: Tensor, shape: torch.Size) -> Tensor:
    """Return a target at a coarser resolution: each voxel holds the mean of those it covers.

    Args:
        target: Shape (batch, channel, x, y, z).
        shape: Voxels along x, y, z that are wanted, each a divisor of what there is.
    """
    if target.shape[2:] == shape:
        return target
    return functional.adaptive_avg_pool3d(target, (shape[0], shape[1], shape[2]))


def _check_labels(labels: Tensor, task: Task) -> None:
    highest = int(labels.max())
    if highest > len(task.labels):
        message = f"there is a label {highest}, but task {task.name!r} has 0 to {len(task.labels)}"
        raise TrainingError(message)
