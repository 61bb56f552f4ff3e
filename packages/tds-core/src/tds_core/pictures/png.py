"""PNG files from arrays, the same bytes on every machine with the same zlib."""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_BITS: Final = 8
_RGB: Final = 2
_LEVEL: Final = 6


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a picture as a PNG file (ISO/IEC 15948).

    Args:
        pixels: Uint8 array of shape (row, column, 3), red, green and blue.
    """
    rows, columns, _ = pixels.shape
    header = struct.pack(">IIBBBBB", columns, rows, _BITS, _RGB, 0, 0, 0)
    unfiltered = np.zeros((rows, 1 + 3 * columns), dtype=np.uint8)  # each row begins with the number of its filter
    unfiltered[:, 1:] = pixels.reshape(rows, 3 * columns)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(unfiltered.tobytes(), _LEVEL)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
