"""A case of a cache, read by memory map."""

import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tds_data.box import Box, Shape
from tds_data.cache.case_file import ArrayPlace, check_arrays, read_header
from tds_data.errors import DamagedCache, TaskError
from tds_data.task import BRAIN_TUMOUR, Task

OUTSIDE_WINDOW: Final = -1.0
"""The value of a channel with a window where its image ends: the lowest of the window."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseArrays:
    """The arrays of a case, as memory maps: what is not looked at is not read.

    Attributes:
        image: Int16 array of shape (channel, x, y, z); times `CachedCase.scale` it is z-scores or windows.
        labels: Uint8 array of shape (x, y, z) with the task's labels.
        foreground: Uint32 flat indices into `labels` of every voxel that is not 0.
    """

    image: NDArray[np.int16]
    labels: NDArray[np.uint8]
    foreground: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CachedCase:
    """One preprocessed case of a cache.

    Attributes:
        path: Its file.
        name: The case's name in the manifest.
        patient: Shared by all cases of one person.
        phantom: Whether it is synthetic.
        modalities: Names of the channels, in order.
        present: Whether the case has each of them; a channel without is all zero.
        shape: Voxels along x, y, z.
        scale: The value that one step of the image stands for.
        labelled: Whether there is an expert's mask.
        counts: Voxels of each label by its number, those in few regions first.
        lesion_box: The part that holds every voxel with a label, if there is one.
        header_sha256: Hash of the file's header, which holds the hashes of the arrays.
        task: What the labels and regions are.
        notes: What was done in making it that somebody should know, for people.
    """

    path: Path
    name: str
    patient: str
    phantom: bool
    modalities: tuple[str, ...]
    present: tuple[bool, ...]
    shape: Shape
    scale: float
    labelled: bool
    counts: Mapping[int, int]
    lesion_box: Box | None
    header_sha256: str
    _places: Mapping[str, ArrayPlace]
    task: Task = BRAIN_TUMOUR
    notes: tuple[str, ...] = ()

    @property
    def outside(self) -> tuple[float, ...]:
        """What each channel is where the image ends: 0, but -1 in a channel with a window that the case has."""
        return tuple(
            OUTSIDE_WINDOW if there and channel in self.task.windows else 0.0
            for channel, there in zip(self.modalities, self.present, strict=True)
        )

    @property
    def windowed(self) -> tuple[int, ...]:
        """Numbers of the channels with a window that the case has."""
        return tuple(number for number, value in enumerate(self.outside) if value)

    def arrays(self) -> CaseArrays:
        """Return the arrays; they are unmapped when the last of them is let go.

        Raises:
            DamagedCache: If the file is gone, of another length or cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise DamagedCache(self.path, getattr(error, "strerror", None) or str(error)) from error
        needed = max(place.offset + place.nbytes for place in self._places.values())
        if len(mapping) < needed:
            raise DamagedCache(self.path, f"it has {len(mapping)} bytes, less than its {needed}")
        views = {name: _view(mapping, place) for name, place in self._places.items()}
        return CaseArrays(
            image=views["image"],
            labels=views["labels"],
            foreground=views["foreground"],
        )

    def verify(self) -> None:
        """Compare header and arrays with their hashes.

        Raises:
            DamagedCache: If anything differs.
        """
        _, places, header_sha256 = read_header(self.path)
        if header_sha256 != self.header_sha256:
            raise DamagedCache(self.path, "another case lies in its place")
        check_arrays(self.path, places)

    def region_voxels(self, region: str) -> int:
        """Return how many voxels a region has.

        Args:
            region: One of the task's.
        """
        inside = self.task.regions[region]
        return sum(count for label, count in self.counts.items() if label in inside)

    def region_voxel(self, foreground: NDArray[np.uint32], region: str, number: int) -> Shape:
        """Return the position of one voxel of a region.

        Args:
            foreground: This case's `CaseArrays.foreground`.
            region: One of the task's.
            number: 0 to `region_voxels(region)` - 1.
        """
        inside = self.task.regions[region]
        before, left = 0, number
        for label, count in self.counts.items():
            if label in inside:
                if left < count:
                    break
                left -= count
            before += count
        x, y, z = np.unravel_index(int(foreground[before + left]), self.shape)
        return int(x), int(y), int(z)


def foreground_order(task: Task) -> tuple[int, ...]:
    """Return the order of labels in the list of foreground voxels: those in few regions first.

    Args:
        task: What the labels are.

    Examples:
        >>> foreground_order(BRAIN_TUMOUR)
        (2, 1, 3)
    """
    regions = [set(labels) for labels in task.regions.values()]
    return tuple(sorted(range(1, len(task.labels) + 1), key=lambda n: (sum(n in region for region in regions), n)))


def read_case(path: Path) -> tuple[CachedCase, Mapping[str, Any]]:
    """Return the case that a file holds and what its header says about its making.

    Args:
        path: A file of a cache. Its arrays are not looked at.

    Raises:
        DamagedCache: If the file is cut short, altered or no such file.
    """
    facts, places, header_sha256 = read_header(path)
    try:
        task = Task.from_dict(facts["task"]) if "task" in facts else BRAIN_TUMOUR
    except TaskError as error:
        raise DamagedCache(path, f"its task cannot be read ({error})") from error
    x, y, z = facts["shape"]
    box = facts["lesion_box"]
    case = CachedCase(
        path=path,
        name=facts["name"],
        patient=facts["patient"],
        phantom=facts["phantom"],
        modalities=tuple(facts["modalities"]),
        present=tuple(facts["present"]),
        shape=(x, y, z),
        scale=facts["scale"],
        labelled=facts["labelled"],
        counts=MappingProxyType({n: facts["counts"][task.labels[n - 1]] for n in foreground_order(task)}),
        lesion_box=None if box is None else Box(start=tuple(box[0]), stop=tuple(box[1])),
        header_sha256=header_sha256,
        _places=MappingProxyType(places),
        task=task,
        notes=tuple(facts.get("notes", ())),
    )
    return case, facts


def _view(mapping: mmap.mmap, place: ArrayPlace) -> NDArray[Any]:
    count = math.prod(place.shape)
    return np.frombuffer(mapping, place.dtype, count=count, offset=place.offset).reshape(place.shape)
