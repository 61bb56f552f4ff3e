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
from tds_data.errors import DamagedCache
from tds_data.vocabulary import Label, Modality, Region

FOREGROUND_ORDER: Final = (Label.ED, Label.NCR, Label.ET)
"""The order of labels in the list of foreground voxels."""

_FIRST_OF_REGION: Final = {Region.WT: Label.ED, Region.TC: Label.NCR, Region.ET: Label.ET}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseArrays:
    """The arrays of a case, as memory maps: what is not looked at is not read.

    Attributes:
        image: Int16 array of shape (channel, x, y, z); times `CachedCase.scale` it is z-scores.
        labels: Uint8 array of shape (x, y, z) with labels 0 to 3.
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
        modalities: The sequences, in the order of the channels.
        present: Whether the case has each of them; a channel without is all zero.
        shape: Voxels along x, y, z.
        scale: The z-score that one step of the image stands for.
        labelled: Whether there is an expert's mask.
        counts: Voxels of each label 1 to 3.
        lesion_box: The part that holds every voxel with a label, if there is one.
        header_sha256: Hash of the file's header, which holds the hashes of the arrays.
    """

    path: Path
    name: str
    patient: str
    phantom: bool
    modalities: tuple[Modality, ...]
    present: tuple[bool, ...]
    shape: Shape
    scale: float
    labelled: bool
    counts: Mapping[Label, int]
    lesion_box: Box | None
    header_sha256: str
    _places: Mapping[str, ArrayPlace]

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

    def region_voxels(self, region: Region) -> int:
        """Return how many voxels a region has.

        Args:
            region: WT, TC or ET.
        """
        return sum(self.counts[label] for label in FOREGROUND_ORDER[_run_start(region) :])

    def region_voxel(self, foreground: NDArray[np.uint32], region: Region, number: int) -> Shape:
        """Return the position of one voxel of a region.

        Args:
            foreground: This case's `CaseArrays.foreground`.
            region: WT, TC or ET.
            number: 0 to `region_voxels(region)` - 1.
        """
        before = sum(self.counts[label] for label in FOREGROUND_ORDER[: _run_start(region)])
        x, y, z = np.unravel_index(int(foreground[before + number]), self.shape)
        return int(x), int(y), int(z)


def read_case(path: Path) -> tuple[CachedCase, Mapping[str, Any]]:
    """Return the case that a file holds and what its header says about its making.

    Args:
        path: A file of a cache. Its arrays are not looked at.

    Raises:
        DamagedCache: If the file is cut short, altered or no such file.
    """
    facts, places, header_sha256 = read_header(path)
    x, y, z = facts["shape"]
    box = facts["lesion_box"]
    case = CachedCase(
        path=path,
        name=facts["name"],
        patient=facts["patient"],
        phantom=facts["phantom"],
        modalities=tuple(Modality(m) for m in facts["modalities"]),
        present=tuple(facts["present"]),
        shape=(x, y, z),
        scale=facts["scale"],
        labelled=facts["labelled"],
        counts=MappingProxyType({label: facts["counts"][label.name] for label in FOREGROUND_ORDER}),
        lesion_box=None if box is None else Box(start=tuple(box[0]), stop=tuple(box[1])),
        header_sha256=header_sha256,
        _places=MappingProxyType(places),
    )
    return case, facts


def _view(mapping: mmap.mmap, place: ArrayPlace) -> NDArray[Any]:
    count = math.prod(place.shape)
    return np.frombuffer(mapping, place.dtype, count=count, offset=place.offset).reshape(place.shape)


def _run_start(region: Region) -> int:
    return FOREGROUND_ORDER.index(_FIRST_OF_REGION[region])
