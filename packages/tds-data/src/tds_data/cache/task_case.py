"""From a manifest's entry to a case of any task: its images as they are, its mask in the task's labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from tds_data.datasets.load import read_entry
from tds_data.datasets.manifest import CaseEntry, Manifest
from tds_data.datasets.schemes import LabelScheme, find_scheme, renumber, tissue_named, whole_numbers
from tds_data.errors import DatasetError, LabelError
from tds_data.task import Task
from tds_data.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskCase:
    """A case of a task.

    Attributes:
        name: Its name in the manifest.
        task: What is learned from it.
        images: One volume for each of the task's channels that the case has, in the task's order, each on its own
            grid; never empty.
        reference: Mask with the task's labels as uint8, if there is one, on the grid of one of the images.
    """

    name: str
    task: Task
    images: Mapping[str, Volume]
    reference: Volume | None = None

    def __post_init__(self) -> None:
        ordered = {channel: self.images[channel] for channel in _channels_there(self.task, self.images)}
        object.__setattr__(self, "images", MappingProxyType(ordered))


def load_task_case(
    manifest: Manifest, entry: CaseEntry, task: Task, *, others: Mapping[str, int] | None = None
) -> TaskCase:
    """Return a case of a task; images that the task does not look at are not read.

    Args:
        manifest: The data set.
        entry: One of its cases.
        task: What is learned.
        others: The label, 0 to the task's last, that each tissue without one in the task becomes.

    Raises:
        DatasetError: If the case has none of the task's channels, or a file holds fewer images than the manifest says.
        ManifestError: If a path leaves the root.
        VolumeReadError: If a file cannot be read.
        LabelError: If the mask holds something outside its scheme, or a tissue that the task has no label for.
    """
    images, mask = read_entry(manifest, entry, _channels_there(task, entry.images))
    scheme = find_scheme(manifest.scheme, manifest.labels)
    reference = None if mask is None else task_labels(mask, scheme, task, others=others)
    return TaskCase(name=entry.name, task=task, images=images, reference=reference)


def task_labels(mask: Volume, scheme: LabelScheme, task: Task, *, others: Mapping[str, int] | None = None) -> Volume:
    """Return a mask with the labels of a task as uint8.

    Labels of the task and tissues of the scheme are the same if they have the same name, or the same name in the words
    of `tds_data.datasets.schemes` (`tumor` is `tumour`).

    Args:
        mask: Whole numbers of any type.
        scheme: How the mask numbers tissues.
        task: What the labels are to be.
        others: The label, 0 to the task's last, that each tissue without one in the task becomes.

    Raises:
        LabelError: If a voxel is no whole number or outside the scheme, or a tissue present has no label and `others`
            does not say what it becomes.
    """
    known = label_numbers(task)
    targets = {tissue: known.get(tissue_named(tissue), -1) for tissue in scheme.values}
    chosen = others or {}
    wrong = {tissue: number for tissue, number in chosen.items() if not 0 <= number <= len(task.labels)}
    if wrong:
        message = f"the labels of the task {task.name!r} are 0 to {len(task.labels)}; {wrong} was given"
        raise LabelError(message)
    targets |= {tissue: number for tissue, number in chosen.items() if targets.get(tissue) == -1}
    numbers = whole_numbers(mask.voxels)
    homeless = [t for t, v in scheme.values.items() if targets[t] == -1 and (numbers == v).any()]
    if homeless:
        message = (
            f"the mask holds {', '.join(homeless)}, which the task {task.name!r} has no label for (it has "
            f"{', '.join(task.labels)}); say what it becomes, such as others={{{homeless[0]!r}: 0}} for background"
        )
        raise LabelError(message)
    table = {value: max(targets[tissue], 0) for tissue, value in scheme.values.items()}
    return mask.with_voxels(renumber(numbers, table, scheme.name).astype(np.uint8))


def label_numbers(task: Task) -> dict[str, int]:
    """Return the number of each label by its name in the words of `tds_data.datasets.schemes`.

    Args:
        task: The task.
    """
    return {tissue_named(label): number for number, label in enumerate(task.labels, start=1)}


def _channels_there(task: Task, images: Mapping[str, object]) -> list[str]:
    there = [channel for channel in task.channels if channel in images]
    if not there:
        message = (
            f"the task {task.name!r} looks at {', '.join(task.channels)}, and the case has "
            f"{', '.join(images) or 'no image'}; choose another task or name its channels"
        )
        raise DatasetError(message)
    return there
