"""The pixels of pictures, as the numbers that they stand for.

Uncompressed pixels are taken from their place in the file as they are; only what is compressed is decoded. Only Rescale
Slope and Rescale Intercept are applied (PS3.3, section C.11.1): never the private scale factors of some vendors, nor a
real world value mapping.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian

from tds_clinical.dicom._dataset import read_dataset
from tds_clinical.dicom._model import PixelPlace, SliceFile, Tile
from tds_clinical.dicom._pixels import decode_pixels
from tds_clinical.dicom._planes import Plane
from tds_clinical.dicom._stored import PixelFormat, check_claim, pixel_format, read_stored
from tds_clinical.dicom._tags import number, text
from tds_clinical.errors import DicomReadError
from tds_data.volume import VoxelArray

_PIXEL_TAGS: Final = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
)
_BYTE: Final = 8
_FRAMES_AXES: Final = 3
_LARGEST_STORED: Final = 2.0**32
_LARGEST: Final = float(np.finfo(np.float32).max)

_Target = tuple[Plane, PixelFormat, VoxelArray]


def read_pictures(planes: Sequence[Plane]) -> VoxelArray:
    """Return the pixels of planes of one shape.

    Args:
        planes: Where the pictures lie; at least one.

    Returns:
        Shape (planes, rows, columns). Pixels keep the stored integer type unless a rescale slope or intercept applies
        to one of them, then they are float32.

    Raises:
        DicomReadError: If a file is damaged, has fewer or more pixels than its header says, or cannot be decoded.
    """
    formats = [pixel_format(plane.file) for plane in planes]
    scales = [_scale(plane.file) for plane in planes]
    plain = all(scale == (1.0, 0.0) for scale in scales)
    dtype = np.result_type(*{form.dtype for form in formats}) if plain else np.dtype(np.float32)
    for plane, form in zip(planes, formats, strict=True):
        check_claim(plane, form)
    pictures = np.empty((len(planes), *planes[0].shape), dtype)
    members: dict[Path, list[int]] = defaultdict(list)
    for index, plane in enumerate(planes):
        members[plane.file.path].append(index)
    for indices in members.values():
        targets = [(planes[index], formats[index], pictures[index]) for index in indices]
        for index, pixels in zip(indices, _read_file(targets), strict=True):
            if not plain:
                slope, intercept = scales[index]
                pictures[index] = pixels.astype(np.float64) * slope + intercept
            elif not np.shares_memory(pixels, pictures[index]):
                pictures[index] = pixels
    return pictures


def _read_file(targets: Sequence[_Target]) -> Iterator[VoxelArray]:
    plane, form, _ = targets[0]
    path, place = plane.file.path, plane.file.pixels
    if place is None or (form.allocated == _BYTE and not place.is_little_endian):
        yield from _read_parsed(targets)
        return
    try:
        with path.open("rb", buffering=0) as stream:
            yield from _read_stream(stream, place, targets)
    except OSError as error:
        raise DicomReadError(path, f"the file cannot be opened ({error.strerror})") from error


def _read_stream(stream: BinaryIO, place: PixelPlace, targets: Sequence[_Target]) -> Iterator[VoxelArray]:
    plane, form, _ = targets[0]
    if plane.file.tile is not None:
        whole = read_stored(stream, place, plane.file, form, np.empty(plane.file.tile.image_shape, form.dtype))
        yield from (_tile(whole, one.shape, one.file.tile) for one, _, _ in targets)
        return
    for one, one_form, target in targets:
        yield read_stored(stream, place, one.file, one_form, target)


def _read_parsed(targets: Sequence[_Target]) -> Iterator[VoxelArray]:
    path = targets[0][0].file.path
    dataset = read_dataset(path, tags=_PIXEL_TAGS, pixels=True)
    syntax = UID(text(dataset.file_meta, "TransferSyntaxUID"))
    if syntax.is_transfer_syntax and not syntax.is_compressed:
        content = _uncompressed(dataset, syntax)
        place = PixelPlace(offset=0, length=len(content), is_little_endian=syntax != ExplicitVRBigEndian)
        yield from _read_stream(BytesIO(content), place, targets)
        return
    frames = int(number(dataset, "NumberOfFrames") or 1)
    one_by_one = len(targets) < frames and targets[0][0].file.frame is not None
    decoded = None if one_by_one else decode_pixels(path, dataset)
    for plane, _, _ in targets:
        file = plane.file
        shape = plane.shape if file.tile is None else file.tile.image_shape
        if decoded is None:
            picture = decode_pixels(path, dataset, frame=file.frame)
        else:
            within = file.frame is not None and decoded.ndim == _FRAMES_AXES and file.frame <= len(decoded)
            picture = decoded[(file.frame or 1) - 1] if within else decoded
        if picture.shape != shape:
            reason = f"its pixels have shape {picture.shape}, its header says {shape}; export it again"
            raise DicomReadError(path, reason)
        yield _tile(picture, plane.shape, file.tile)


def _uncompressed(dataset: Dataset, syntax: UID) -> bytes:
    content = bytes(dataset.get("PixelData") or b"")
    in_words = syntax == ExplicitVRBigEndian and dataset["PixelData"].VR == "OW"
    if in_words and number(dataset, "BitsAllocated") == _BYTE:
        # Pixels of one byte stand in words of two, the first one in the lower half (PS3.5, section 8.1.1).
        return np.frombuffer(content[: len(content) // 2 * 2], np.uint16).byteswap().tobytes()
    return content


def _tile(whole: VoxelArray, shape: tuple[int, int], tile: Tile | None) -> VoxelArray:
    if tile is None:
        return whole
    rows, columns = shape
    down, right = divmod(tile.index, whole.shape[1] // columns)
    return whole[down * rows : (down + 1) * rows, right * columns : (right + 1) * columns]


def _scale(file: SliceFile) -> tuple[float, float]:
    slope, intercept = number(file.header, "RescaleSlope"), number(file.header, "RescaleIntercept")
    slope, intercept = 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
    if slope == 0.0:
        raise DicomReadError(file.path, "its rescale slope is 0, which erases the image; export it again")
    if abs(slope) * _LARGEST_STORED + abs(intercept) > _LARGEST:
        reason = (
            f"its rescale slope {slope:g} and intercept {intercept:g} lead beyond single precision; export it again"
        )
        raise DicomReadError(file.path, reason)
    return slope, intercept
