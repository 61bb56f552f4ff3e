"""Masks of any task against experts': regions come from the task, and no model is run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tds_cli.errors import UsageFault
from tds_cli.output import Progress
from tds_cli.scoring import Scores, check_grid, find_prediction
from tds_core.evaluation import Gallery, JudgedCase, as_scored, score_labels
from tds_data.cache import load_task_case
from tds_data.cache.task_case import TaskCase
from tds_data.datasets import CaseEntry, Manifest, index_dataset, read_manifest
from tds_data.datasets.schemes import whole_numbers
from tds_data.errors import LabelError, LayoutNotRecognised
from tds_data.formats.images import read_image
from tds_data.formats.names import image_stem, is_image_name
from tds_data.sequence_names import phantom_of
from tds_data.task import Task
from tds_data.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An expert's mask that is read when it is needed.

    Attributes:
        name: Of the case.
        phantom: Whether it is synthetic.
        load: Reads it, with an image on its grid, if there is one.
    """

    name: str
    phantom: bool
    load: Callable[[], tuple[Volume, Volume | None]]


def find_references(data: Path, names: Sequence[str], task: Task) -> list[Reference]:
    """Return the experts' masks of a data set, or those that lie in a folder by themselves.

    Args:
        data: A manifest, the folder of a data set in a layout that is known, or a folder of `NAME.nii.gz`.
        names: Only these cases; all that have a mask if empty.
        task: What the masks show.

    Raises:
        UsageFault: If there is nothing there, or no such case.
        DataError: If the data set cannot be read.
    """
    if not data.exists():
        message = f"there is no data set at {str(data)!r}; check the path"
        raise UsageFault(message)
    found = _of_manifest(read_manifest(data), task) if data.is_file() else _of_folder(data, task)
    if not found:
        message = f"there is no expert's mask in {data.name!r}; give a data set with masks, or a folder of label maps"
        raise UsageFault(message)
    absent = sorted(set(names) - {reference.name for reference in found})
    if absent:
        message = f"no case with a mask is called {', '.join(absent)}; names look like {found[0].name!r}"
        raise UsageFault(message)
    return [reference for reference in found if not names or reference.name in names]


def score_label_maps(
    references: Sequence[Reference], folder: Path, task: Task, *, pictures: bool, progress: Progress
) -> Scores:
    """Return the scores of masks that exist.

    Args:
        references: At least one.
        folder: Holds `NAME.nii.gz` or `NAME/mask.nii.gz` for each, with the task's labels.
        task: What the masks show.
        pictures: Whether the worst cases are pictured.
        progress: Hears of each case.

    Raises:
        EvaluationError: If a case has no mask there.
        GridMismatch: If a mask is not on its reference's grid.
        DataError: If a mask cannot be read, or holds a label that the task has not.
    """
    places = [find_prediction(folder, reference.name) for reference in references]
    gallery, scores = Gallery(task=task), []
    for number, (reference, place) in enumerate(zip(references, places, strict=True), start=1):
        progress(f"case {number} of {len(references)}")
        truth, image = reference.load()
        found = _read_labels(place, task)
        check_grid(reference.name, found, truth)
        scored = score_labels(found.voxels, truth, task, case=reference.name)
        scores.append(scored)
        if pictures:
            numbers = as_scored(reference.name, scored, phantom=reference.phantom)
            gallery.consider(numbers, JudgedCase(found=found, truth=truth, image=image))
    return Scores(
        cases=tuple(scores),
        subsets={},
        model=None,
        phantoms=frozenset(reference.name for reference in references if reference.phantom),
        task=task,
        gallery=gallery.entries(),
    )


def _of_folder(folder: Path, task: Task) -> list[Reference]:
    try:
        manifest = index_dataset(folder)
    except LayoutNotRecognised:
        files = sorted(path for path in folder.iterdir() if path.is_file() and is_image_name(path))
        return [_of_file(path, task) for path in files]
    return _of_manifest(manifest, task)


def _of_manifest(manifest: Manifest, task: Task) -> list[Reference]:
    return [
        Reference(name=entry.name, phantom=entry.phantom, load=partial(_load_entry, manifest, entry, task))
        for entry in manifest.cases
        if entry.mask is not None
    ]


def _load_entry(manifest: Manifest, entry: CaseEntry, task: Task) -> tuple[Volume, Volume | None]:
    case: TaskCase = load_task_case(manifest, entry, task)
    if case.reference is None:  # pragma: no cover  # entries without a mask are left out
        message = f"{entry.name!r} has no mask"
        raise LabelError(message)
    truth = case.reference
    return truth, next((image for image in case.images.values() if image.same_grid(truth)), None)


def _of_file(path: Path, task: Task) -> Reference:
    return Reference(
        name=image_stem(path),
        phantom=phantom_of(path) is not None,
        load=lambda: (_read_labels(path, task), None),
    )


def _read_labels(path: Path, task: Task) -> Volume:
    volume = read_image(path)
    numbers = whole_numbers(volume.voxels)
    if numbers.min() < 0 or numbers.max() > len(task.labels):
        strange = [int(n) for n in np.unique(numbers) if not 0 <= n <= len(task.labels)]
        message = (
            f"{path.name!r} holds the labels {', '.join(map(str, strange[:5]))}; the task {task.name!r} has 0 for the "
            f"background and {', '.join(f'{n} {name}' for n, name in enumerate(task.labels, start=1))}"
        )
        raise LabelError(message)
    return volume.with_voxels(numbers.astype(np.uint8))
