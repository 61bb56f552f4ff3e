"""Slices that are empty inside the head, and slices that occur twice."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from tds_data.quality.codes import flag
from tds_data.quality.sampling import SampledImage
from tds_data.report import QualityFlag, Severity
from tds_data.volume import VoxelArray

REFUSED_SHARE: Final = 0.1
"""A sequence that lacks this share of its head's slices or more is refused."""

_orientations: Final[Any] = nib.orientations  # nibabel's functions carry no annotations
_PLANES: Final = {"L": "sagittal", "R": "sagittal", "A": "coronal", "P": "coronal", "S": "axial", "I": "axial"}
_SAMPLES_PER_AXIS: Final = 40  # within a slice
_HEAD_SHARE: Final = 0.25  # the head's slices run from the first to the last that is filled by so much of the fullest
_EMPTY_SHARE: Final = 0.02  # and an empty one by less than so much
_MIN_FILLED: Final = 50  # sampled voxels of the head; two slices with fewer may be equal by chance
_SHOWN: Final = 5


def slice_flags(sequence: SampledImage) -> Iterator[QualityFlag]:
    """Yield the slices that are missing and the slices that are the same, along each axis of the array.

    Args:
        sequence: A usable image.
    """
    axes = _orientations.aff2axcodes(sequence.volume.ras_from_voxel)
    for axis, code in enumerate(axes):
        rows = _rows(sequence.volume.voxels, axis)
        filled = np.count_nonzero(rows != sequence.background, axis=1)
        yield from _missing(sequence.name, _PLANES[code], rows, filled)
        yield from _duplicated(sequence, axis, _PLANES[code], rows, filled)


def _rows(voxels: VoxelArray, axis: int) -> VoxelArray:
    """Return every slice along an axis, thinned out, as a row."""
    every = [slice(None, None, max(1, n // _SAMPLES_PER_AXIS)) for n in voxels.shape]
    every[axis] = slice(None)
    thinned = np.moveaxis(voxels[tuple(every)], axis, 0)
    return thinned.reshape(thinned.shape[0], -1)


def _missing(name: str, plane: str, rows: VoxelArray, filled: NDArray[np.intp]) -> Iterator[QualityFlag]:
    head = np.flatnonzero(filled >= _HEAD_SHARE * filled.max())
    first, last = int(head[0]), int(head[-1])
    flat = rows.min(axis=1) == rows.max(axis=1)
    empty = np.flatnonzero(flat | (filled < _EMPTY_SHARE * filled.max()))
    lost = [int(index) for index in empty if first <= index <= last]
    if not lost:
        return
    share = len(lost) / (last - first + 1)
    message = f"{name} has {plane} slices without an image inside the head (counted from 0); convert the series again"
    severity = Severity.ERROR if share >= REFUSED_SHARE else Severity.WARNING
    yield flag("MISSING-SLICES", message, _listed(lost, plane), subject=name, severity=severity)


def _duplicated(
    sequence: SampledImage, axis: int, plane: str, rows: VoxelArray, filled: NDArray[np.intp]
) -> Iterator[QualityFlag]:
    alike: dict[bytes, list[int]] = defaultdict(list)
    for index in np.flatnonzero(filled >= _MIN_FILLED):
        alike[rows[index].tobytes()].append(int(index))
    slices = np.moveaxis(sequence.volume.voxels, axis, 0)
    groups = (group for group in alike.values() if len(group) > 1 and rows[group[0]].min() != rows[group[0]].max())
    twice = sorted(b for group in groups for a, b in pairwise(group) if np.array_equal(slices[a], slices[b]))
    if twice:
        message = f"{sequence.name} has {plane} slices that are copies of others (counted from 0); convert it again"
        yield flag("DUPLICATED-SLICES", message, _listed(twice, plane), subject=sequence.name)


def _listed(indices: list[int], plane: str) -> str:
    shown = ", ".join(map(str, indices[:_SHOWN])) + (", ..." if len(indices) > _SHOWN else "")
    word = "slice" if len(indices) == 1 else "slices"
    return f"{len(indices)} {plane} {word}: {shown}"
