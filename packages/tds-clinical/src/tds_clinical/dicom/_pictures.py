"""The pixels of pictures, as the numbers that they stand for.

Uncompressed pixels are taken from their place in the file as they are; only compressed and deflated files, and the rare
big-endian image of 8 bits, are parsed and decoded again. Only Rescale Slope and Rescale Intercept are applied
(PS3.3, section C.11.1): never the private scale factors of some vendors, nor a real world value mapping.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from pydicom.uid import UID

from tds_clinical.dicom._dataset import read_dataset
from tds_clinical.dicom._model import SliceFile, Tile
from tds_clinical.dicom._pixels import decode_pixels, most_decoded
from tds_clinical.dicom._planes import Plane
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
_ALLOCATED: Final = (8, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """How a pixel is stored (PS3.5, section 8.1.1)."""

    allocated: int
    stored: int
    high: int
    signed: bool

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return np.dtype(f"{'i' if self.signed else 'u'}{self.allocated // 8}")

    def cut(self, pixels: VoxelArray) -> VoxelArray:
        """Return pixels without the bits that are not theirs, the sign spread over them; may change its argument."""
        above, below = self.allocated - 1 - self.high, self.high + 1 - self.stored
        if above:
            np.left_shift(pixels, above, out=pixels)
        if above + below:
            np.right_shift(pixels, above + below, out=pixels)
        return pixels


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
    formats = [_format(plane.file) for plane in planes]
    scales = [_scale(plane.file) for plane in planes]
    plain = all(scale == (1.0, 0.0) for scale in scales)
    dtype = np.result_type(*{form.dtype for form in formats}) if plain else np.dtype(np.float32)
    for plane, form in zip(planes, formats, strict=True):
        _check_claim(plane, form)
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


_Target = tuple[Plane, _Format, VoxelArray]


def _read_file(targets: Sequence[_Target]) -> Iterator[VoxelArray]:
    plane, form, _ = targets[0]
    place = plane.file.pixels
    if place is None or (form.allocated == _ALLOCATED[0] and not place.is_little_endian):
        yield from _decode(targets)
        return
    path = plane.file.path
    try:
        with path.open("rb", buffering=0) as stream:
            if plane.file.tile is not None:
                whole = _read_stored(stream, plane, form, plane.file.tile.image_shape, None)
                yield from (_tile(whole, one.shape, one.file.tile) for one, _, _ in targets if one.file.tile)
                return
            for one, one_form, target in targets:
                yield _read_stored(stream, one, one_form, one.shape, target)
    except OSError as error:
        raise DicomReadError(path, f"the file cannot be opened ({error.strerror})") from error


def _read_stored(
    stream: BinaryIO, plane: Plane, form: _Format, shape: tuple[int, int], target: VoxelArray | None
) -> VoxelArray:
    place = plane.file.pixels
    frame = plane.file.frame or 1
    size = shape[0] * shape[1] * form.dtype.itemsize
    if place is None or place.length < frame * size:
        raise _unfitting(plane.file, size * frame, 0 if place is None else place.length)
    if plane.file.frame is None and place.length >= 2 * size:
        raise _unfitting(plane.file, size, place.length)
    direct = target is not None and target.dtype == form.dtype
    pixels = target if target is not None and direct else np.empty(shape, form.dtype)
    stream.seek(place.offset + (frame - 1) * size)
    got = _fill(stream, memoryview(pixels).cast("B"))  # type: ignore[arg-type]  # numpy arrays are buffers
    if got != size:
        raise _unfitting(plane.file, size, got)
    if not place.is_little_endian:
        pixels.byteswap(inplace=True)
    return form.cut(pixels)


def _fill(stream: BinaryIO, target: memoryview) -> int:
    filled = 0
    while filled < len(target):
        got = stream.readinto(target[filled:])  # type: ignore[attr-defined]  # an unbuffered file can
        if not got:
            break
        filled += got
    return filled


def _decode(targets: Sequence[_Target]) -> Iterator[VoxelArray]:
    plane = targets[0][0]
    path = plane.file.path
    dataset = read_dataset(path, tags=_PIXEL_TAGS, pixels=True)
    decoded = decode_pixels(path, dataset)
    syntax = UID(text(dataset.file_meta, "TransferSyntaxUID"))
    stored_as_is = not (syntax.is_transfer_syntax and syntax.is_compressed)
    for one, form, _ in targets:
        picture = decoded
        if one.file.frame is not None and decoded.ndim == _FRAMES_AXES:
            picture = decoded[one.file.frame - 1] if one.file.frame <= len(decoded) else decoded
        shape = one.shape if one.file.tile is None else one.file.tile.image_shape
        if picture.shape != shape:
            reason = f"its pixels have shape {picture.shape}, its header says {shape}; export it again"
            raise DicomReadError(path, reason)
        picture = form.cut(picture.astype(form.dtype)) if stored_as_is else picture
        yield picture if one.file.tile is None else _tile(picture, one.shape, one.file.tile)


_FRAMES_AXES: Final = 3


def _tile(whole: VoxelArray, shape: tuple[int, int], tile: Tile) -> VoxelArray:
    rows, columns = shape
    down, right = divmod(tile.index, whole.shape[1] // columns)
    return whole[down * rows : (down + 1) * rows, right * columns : (right + 1) * columns]


def _format(file: SliceFile) -> _Format:
    allocated = number(file.header, "BitsAllocated")
    representation = number(file.header, "PixelRepresentation")
    stored = number(file.header, "BitsStored") or allocated
    if allocated not in _ALLOCATED or representation not in (0, 1) or stored is None:
        reason = (
            f"its pixels have {_said(allocated)} bits and sign {_said(representation)}; export it with 8, 16 or 32 bits"
        )
        raise DicomReadError(file.path, reason)
    high = number(file.header, "HighBit")
    high = stored - 1 if high is None else high
    if not 1 <= stored <= high + 1 <= allocated:
        reason = f"{stored:g} bits up to bit {high:g} do not fit into {allocated:g} bits; export it again"
        raise DicomReadError(file.path, reason)
    return _Format(allocated=int(allocated), stored=int(stored), high=int(high), signed=representation == 1)


def _check_claim(plane: Plane, form: _Format) -> None:
    # Before memory is asked for: a damaged header may claim any size.
    file = plane.file
    rows, columns = plane.shape if file.tile is None else file.tile.image_shape
    claimed = rows * columns * form.dtype.itemsize
    try:
        stored = file.path.stat().st_size
    except OSError as error:
        raise DicomReadError(file.path, f"the file cannot be opened ({error.strerror})") from error
    if claimed > (most_decoded(stored) if file.pixels is None else min(stored, file.pixels.length)):
        raise _unfitting(file, claimed, stored if file.pixels is None else file.pixels.length)


def _said(value: float | None) -> str:
    return "no" if value is None else f"{value:g}"


def _scale(file: SliceFile) -> tuple[float, float]:
    slope, intercept = number(file.header, "RescaleSlope"), number(file.header, "RescaleIntercept")
    if slope == 0.0:
        raise DicomReadError(file.path, "its rescale slope is 0, which erases the image; export it again")
    return 1.0 if slope is None else slope, 0.0 if intercept is None else intercept


def _unfitting(file: SliceFile, expected: int, found: int) -> DicomReadError:
    reason = f"its header claims {expected} bytes of pixels, {found} are stored; it is damaged: export it again"
    return DicomReadError(file.path, reason)
