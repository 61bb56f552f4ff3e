"""The frames of a DICOM Segmentation, each with the segment that it shows (PS3.3, section C.8.20)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset

from tds_clinical.dicom._dataset import read_dataset
from tds_clinical.dicom._pixels import decode_pixels
from tds_clinical.dicom._tags import number, text
from tds_clinical.errors import DicomReadError

_SEGMENTATIONS: Final = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
_THREE_AXES: Final = 3


def open_segmentation(path: Path) -> FileDataset:
    """Return a segmentation with its pixels, whose frames, rows and columns are there.

    Args:
        path: The file.

    Raises:
        DicomReadError: If it is damaged or no segmentation.
    """
    dataset = read_dataset(path, pixels=True)
    if text(dataset, "SOPClassUID") not in _SEGMENTATIONS:
        raise DicomReadError(path, "it is no DICOM Segmentation; give the SEG object")
    frames = number(dataset, "NumberOfFrames") or 0
    described = len(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    if frames < 1 or frames != described or not number(dataset, "Rows") or not number(dataset, "Columns"):
        reason = f"it says {frames:.0f} frames and describes {described}, or has no matrix size; export it again"
        raise DicomReadError(path, reason)
    return dataset


def read_frames(path: Path, dataset: FileDataset, threshold: float | None) -> Iterator[NDArray[np.uint16]]:
    """Yield each frame as numbers of segments.

    Args:
        path: The file, for messages.
        dataset: What `open_segmentation` returned.
        threshold: From which fraction on a voxel of a fractional segmentation belongs to its segment.

    Yields:
        Uint16 arrays of shape (rows, columns), 0 outside.

    Raises:
        DicomReadError: If the type is unknown, fractional without a threshold, or the pixels are damaged.
    """
    kind = text(dataset, "SegmentationType")
    least = _least_value(path, dataset, kind, threshold)
    pixels = decode_pixels(path, dataset)
    stored = pixels if pixels.ndim == _THREE_AXES else pixels[None]
    for index, frame in enumerate(stored):
        if kind == "LABELMAP":
            yield _without_padding(dataset, frame)
        else:
            yield (frame >= least).astype(np.uint16) * np.uint16(_segment_of(path, dataset, index))


def _least_value(path: Path, dataset: Dataset, kind: str, threshold: float | None) -> float:
    """Return the stored value from which on a voxel belongs to a frame's segment."""
    if kind in {"BINARY", "LABELMAP"}:
        return 1.0
    if kind != "FRACTIONAL":
        raise DicomReadError(
            path, f"its type is {kind or 'missing'}; binary ones, label maps and fractions can be read"
        )
    if threshold is None:
        reason = "it is fractional, so that voxels belong to segments in part only; give a threshold, such as 0.5"
        raise DicomReadError(path, reason)
    return threshold * (number(dataset, "MaximumFractionalValue") or 255.0)


def _without_padding(dataset: Dataset, frame: NDArray[np.generic]) -> NDArray[np.uint16]:
    numbers = frame.astype(np.uint16)
    background = number(dataset, "PixelPaddingValue")
    if background:
        numbers[numbers == int(background)] = 0
    return numbers


def _segment_of(path: Path, dataset: Dataset, index: int) -> int:
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for item in (dataset.PerFrameFunctionalGroupsSequence[index], *shared):
        for identification in item.get("SegmentIdentificationSequence") or []:
            segment = number(identification, "ReferencedSegmentNumber")
            if segment is not None:
                return int(segment)
    raise DicomReadError(path, f"frame {index + 1} does not say which segment it shows; export it again")
