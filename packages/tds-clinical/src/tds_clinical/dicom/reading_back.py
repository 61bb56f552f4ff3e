"""DICOM Segmentations back as masks: our own, edited ones, and those of other software.

Nothing here knows how `tds_clinical.dicom.writing` writes; only the standard is common to both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset

from tds_clinical.codes import LABEL_CODES, Code
from tds_clinical.dicom._quiet import quiet_pydicom
from tds_clinical.dicom._segmentation_grid import SegmentationGrid, read_grid
from tds_clinical.dicom._segmentation_pixels import open_segmentation, read_frames
from tds_clinical.dicom._tags import number, text
from tds_clinical.errors import ClinicalError, DicomReadError, ResultsDisagree
from tds_data.vocabulary import Label
from tds_data.volume import Volume, corner_shift_mm

_BACKGROUND: Final = ("DCM", "125040")
_ON_GRID_MM: Final = 0.05
_MOST_NUMBERS: Final = 1 << 16
_LABEL_OF_CODE: Final = {(code.scheme, code.value): label for label, code in LABEL_CODES.items()} | {
    ("SRT", "M-54000"): Label.NCR,  # the same concepts in SNOMED RT, which older software writes
    ("SRT", "M-36300"): Label.ED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSegment:
    """A segment as a file describes it.

    Attributes:
        number: Segment Number.
        name: Segment Label.
        category: Segmented Property Category, `None` if absent.
        kind: Segmented Property Type, `None` if absent.
        label: The label that it is, by what the caller said or else by its type; `None` if neither knows it.
        algorithm: Segment Algorithm Type: `AUTOMATIC`, `SEMIAUTOMATIC` or `MANUAL`; empty if absent.
        tracking_id: Tracking ID, empty if absent.
        tracking_uid: Tracking UID, empty if absent.
        voxels: How many voxels it has.
    """

    number: int
    name: str
    category: Code | None
    kind: Code | None
    label: Label | None
    algorithm: str
    tracking_id: str
    tracking_uid: str
    voxels: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadOptions:
    """How a segmentation is read.

    Attributes:
        labels: Which label each segment is, by its number; goes before what the file says.
        onto: A volume whose grid the result gets; without one it spans the slices that the file holds.
        threshold: From which fraction on, above 0 and at most 1, a voxel of a fractional segmentation belongs to its
            segment; without one such files are refused.
    """

    labels: Mapping[int, Label] | None = None
    onto: Volume | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.0 < self.threshold <= 1.0:
            message = f"a threshold lies above 0 and at most at 1; this one is {self.threshold}"
            raise ValueError(message)


def read_segmentation(path: Path, options: ReadOptions | None = None) -> tuple[Volume, tuple[ReadSegment, ...]]:
    """Return the mask that a DICOM Segmentation holds, and its segments.

    Args:
        path: A segmentation of type `BINARY`, `LABELMAP` or, with a threshold, `FRACTIONAL`.
        options: How to read; by default the type of each segment says which label it is.

    Returns:
        Uint8 labels 0 to 3 in RAS+ millimetres, `voxels[i, j, k]` being column `i` of row `j` of slice `k`; and the
        segments by rising number, without the background.

    Raises:
        DicomReadError: If the file is damaged, no segmentation, fractional without a threshold, or irregular; if two
            segments overlap; if a segment that has voxels is none of the labels.
        ResultsDisagree: If the file does not lie on the grid that it is to be brought onto.
    """
    numbers, segments = read_segment_numbers(path, options)
    table = np.zeros(max((segment.number for segment in segments), default=0) + 1, np.uint8)
    for segment in segments:
        if segment.label is not None:
            table[segment.number] = segment.label
        elif segment.voxels:
            meaning = "no type" if segment.kind is None else f"the type {segment.kind.meaning!r}"
            reason = f"segment {segment.number} has {meaning}, which is none of our labels; say which label it is"
            raise DicomReadError(path, reason)
    return numbers.with_voxels(table[numbers.voxels]), segments


def read_segment_numbers(path: Path, options: ReadOptions | None = None) -> tuple[Volume, tuple[ReadSegment, ...]]:
    """Return the number of the segment that each voxel belongs to, and the segments, whatever they are.

    Args:
        path: As for `read_segmentation`.
        options: As for `read_segmentation`; segments need no label.

    Returns:
        Uint16 numbers, 0 outside segments, in RAS+ millimetres; and the segments by rising number.

    Raises:
        DicomReadError: As `read_segmentation`, except that segments may be anything.
        ResultsDisagree: As `read_segmentation`.
    """
    chosen = options or ReadOptions()
    try:
        with quiet_pydicom():
            numbers, segments = _read(path, chosen)
    except ClinicalError:
        raise
    except Exception as error:  # nested elements are parsed when they are asked for, and damaged ones fail in many ways
        raise DicomReadError(path, f"an element of it is damaged ({type(error).__name__}); export it again") from error
    return (numbers if chosen.onto is None else _brought_onto(numbers, chosen.onto)), segments


def _read(path: Path, options: ReadOptions) -> tuple[Volume, tuple[ReadSegment, ...]]:
    dataset = open_segmentation(path)
    items = _segment_items(path, dataset)
    grid = read_grid(path, dataset, options.onto)
    numbers = _segment_numbers(path, dataset, grid, options.threshold)
    counts = np.zeros(_MOST_NUMBERS, np.int64)
    for picture in numbers.transpose(2, 1, 0):  # one by one, because counting takes eight bytes for each voxel
        counts += np.bincount(picture.ravel(), minlength=_MOST_NUMBERS)
    unknown = sorted(set(np.flatnonzero(counts).tolist()) - {0, *items})
    if unknown:
        raise DicomReadError(
            path, f"it has voxels of segment {unknown[0]}, which it does not describe; export it again"
        )
    known = options.labels or {}
    segments = tuple(_segment(n, item, known.get(n), int(counts[n])) for n, item in sorted(items.items()))
    return Volume(numbers, grid.ras_from_voxel), segments


def _segment_items(path: Path, dataset: Dataset) -> dict[int, Dataset]:
    """Return the items of the segments by their number, without a label map's background."""
    found: dict[int, Dataset] = {}
    background = number(dataset, "PixelPaddingValue") if text(dataset, "SegmentationType") == "LABELMAP" else None
    for item in dataset.get("SegmentSequence") or []:
        value = number(item, "SegmentNumber")
        if value is None or int(value) in found or not 0 <= value < _MOST_NUMBERS:
            raise DicomReadError(path, "its segments are not numbered, each by a number of its own; export it again")
        if value != background:
            found[int(value)] = item
    zero = found.pop(0, None)
    if zero is not None and _key(_code(zero, "SegmentedPropertyTypeCodeSequence")) != _BACKGROUND:
        reason = "its number 0 is a segment and not the background; number the segments from 1 and export it again"
        raise DicomReadError(path, reason)
    return found


def _segment(number: int, item: Dataset, said: Label | None, voxels: int) -> ReadSegment:
    kind = _code(item, "SegmentedPropertyTypeCodeSequence")
    return ReadSegment(
        number=number,
        name=text(item, "SegmentLabel"),
        category=_code(item, "SegmentedPropertyCategoryCodeSequence"),
        kind=kind,
        label=_LABEL_OF_CODE.get(_key(kind)) if said is None else said,
        algorithm=text(item, "SegmentAlgorithmType"),
        tracking_id=text(item, "TrackingID"),
        tracking_uid=text(item, "TrackingUID"),
        voxels=voxels,
    )


def _code(item: Dataset, keyword: str) -> Code | None:
    for code in item.get(keyword) or []:
        return Code(text(code, "CodeValue"), text(code, "CodingSchemeDesignator"), text(code, "CodeMeaning"))
    return None


def _key(code: Code | None) -> tuple[str, str]:
    return ("", "") if code is None else (code.scheme, code.value)


def _segment_numbers(
    path: Path, dataset: FileDataset, grid: SegmentationGrid, threshold: float | None
) -> NDArray[np.uint16]:
    columns, rows, count = grid.shape
    slices = np.zeros((count, rows, columns), np.uint16)
    for index, frame in zip(grid.slice_of_frame, read_frames(path, dataset, threshold), strict=True):
        shown = frame != 0
        both = shown & (slices[index] != 0) & (slices[index] != frame)
        if both.any():
            first, second = sorted({int(slices[index][both][0]), int(frame[both][0])})
            reason = (
                f"its segments {first} and {second} overlap, and a voxel has one label only; "
                "take the overlap out of one of them"
            )
            raise DicomReadError(path, reason)
        slices[index][shown] = frame[shown]
    return slices.transpose(2, 1, 0)


def _brought_onto(numbers: Volume, onto: Volume) -> Volume:
    """Return the numbers on another grid of the same voxels: turned, mirrored in storage, or with more slices."""
    voxel_from_voxel = np.linalg.inv(onto.ras_from_voxel) @ numbers.ras_from_voxel
    exact = np.rint(voxel_from_voxel)
    exact[3] = (0, 0, 0, 1)
    turned = np.abs(exact[:3, :3])
    permutes = bool((turned.sum(axis=0) == 1).all() and (turned.sum(axis=1) == 1).all())
    off_mm = corner_shift_mm(numbers.shape, onto.ras_from_voxel @ exact, numbers.ras_from_voxel)
    found = np.argwhere(numbers.voxels)
    places = (found @ exact[:3, :3].T + exact[:3, 3]).astype(int)
    inside = bool(((places >= 0) & (places < onto.shape)).all())
    if not permutes or off_mm > _ON_GRID_MM or not inside:
        message = (
            f"the segmentation ({numbers.shape} voxels) does not lie on the voxels of the volume ({onto.shape}); "
            "give the series that it was drawn on"
        )
        raise ResultsDisagree(message)
    voxels = np.zeros(onto.shape, np.uint16)
    voxels[tuple(places.T)] = numbers.voxels[tuple(found.T)]
    return onto.with_voxels(voxels)
