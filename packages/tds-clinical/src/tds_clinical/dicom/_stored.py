"""Uncompressed pixels, as they are stored (PS3.5, section 8.1.1)."""

from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np

from tds_clinical.dicom._model import PixelPlace, SliceFile
from tds_clinical.dicom._pixels import most_decoded
from tds_clinical.dicom._planes import Plane
from tds_clinical.dicom._tags import number
from tds_clinical.errors import DicomReadError
from tds_data.volume import VoxelArray

_ALLOCATED: Final = (8, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """How a pixel is stored.

    Attributes:
        allocated: Bits from one pixel to the next.
        stored: Bits of them that are the pixel's.
        high: Index of the highest of these.
        signed: Whether they are a two's complement.
    """

    allocated: int
    stored: int
    high: int
    signed: bool

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of a pixel in memory."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.allocated // 8}")

    def cut(self, pixels: VoxelArray) -> VoxelArray:
        """Return pixels without the bits that are not theirs, the sign spread over them.

        Args:
            pixels: Pixels as stored; changed in place.
        """
        above, below = self.allocated - 1 - self.high, self.high + 1 - self.stored
        if above:
            np.left_shift(pixels, above, out=pixels)
        if above + below:
            np.right_shift(pixels, above + below, out=pixels)
        return pixels


def pixel_format(file: SliceFile) -> PixelFormat:
    """Return how the pixels of a picture are stored.

    Args:
        file: The picture.

    Raises:
        DicomReadError: If that is no way to store an MR image.
    """
    allocated = number(file.header, "BitsAllocated")
    representation = number(file.header, "PixelRepresentation")
    stored = number(file.header, "BitsStored") or allocated
    if allocated not in _ALLOCATED or representation not in (0, 1) or stored is None:
        bits, sign = ("no" if value is None else f"{value:g}" for value in (allocated, representation))
        raise DicomReadError(file.path, f"its pixels have {bits} bits and sign {sign}; export it with 8, 16 or 32 bits")
    high = number(file.header, "HighBit")
    high = stored - 1 if high is None else high
    if not 1 <= stored <= high + 1 <= allocated:
        reason = f"{stored:g} bits up to bit {high:g} do not fit into {allocated:g} bits; export it again"
        raise DicomReadError(file.path, reason)
    return PixelFormat(allocated=int(allocated), stored=int(stored), high=int(high), signed=representation == 1)


def check_claim(plane: Plane, form: PixelFormat) -> None:
    """Check that a file can hold as many pixels as its header says, before memory is asked for them.

    A frame of a multi-frame image is not there without those before it.

    Args:
        plane: The picture.
        form: How its pixels are stored.

    Raises:
        DicomReadError: If it cannot.
    """
    file = plane.file
    rows, columns = plane.shape if file.tile is None else file.tile.image_shape
    claimed = rows * columns * form.dtype.itemsize * (file.frame or 1)
    try:
        stored = file.path.stat().st_size
    except OSError as error:
        raise DicomReadError(file.path, f"the file cannot be opened ({error.strerror})") from error
    place = file.pixels
    most = most_decoded(stored) if place is None else max(0, min(stored - place.offset, place.length))
    if claimed > most:
        raise _unfitting(file, claimed, stored if place is None else most)


def read_stored(
    stream: BinaryIO, place: PixelPlace, file: SliceFile, form: PixelFormat, target: VoxelArray
) -> VoxelArray:
    """Return the pixels of a picture that lie uncompressed in a stream.

    Args:
        stream: Where they lie.
        place: Where in it those of the whole file begin.
        file: The picture.
        form: How they are stored.
        target: Array of the picture's shape; filled and returned if it is of the stored type, otherwise left alone.

    Raises:
        DicomReadError: If there are fewer pixels than that, or those of one picture more than the header says.
    """
    frame = file.frame or 1
    size = target.size * form.dtype.itemsize
    frames = 1 if file.frame is None else int(number(file.header, "NumberOfFrames") or 1)
    surplus = place.length >= (frames + 1) * size
    if place.length < frame * size or surplus:
        raise _unfitting(file, size * frame, place.length)
    pixels = target if target.dtype == form.dtype else np.empty(target.shape, form.dtype)
    stream.seek(place.offset + (frame - 1) * size)
    got = _fill(stream, memoryview(pixels).cast("B"))  # type: ignore[arg-type]  # numpy arrays are buffers
    if got != size:
        raise _unfitting(file, size, got)
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


def _unfitting(file: SliceFile, expected: int, found: int) -> DicomReadError:
    reason = f"its header claims {expected} bytes of pixels, {found} are stored; it is damaged: export it again"
    return DicomReadError(file.path, reason)
