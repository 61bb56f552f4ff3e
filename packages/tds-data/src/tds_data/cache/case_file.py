"""One case in one file: a header that says what it is made of, then plain little-endian arrays, each on its own page.

::

    8 bytes    b"TDSCASE1"
    8 bytes    length of the header, little-endian
    32 bytes   SHA-256 of the header
    header     JSON
    arrays     image int16 (channel, x, y, z), labels uint8 (x, y, z), foreground uint32

Channels are stored one after the other and voxels in C order. Smaller blocks were tried: a patch of training size is so
large beside a head that whole blocks at its edges cost more than the ends of lines do.

`foreground` holds the position in `labels`, as a flat index, of each voxel with a label, one label after the other:
those in few regions first. In a brain that is label 2, then 1, then 3, and each region is one run that reaches to the
end.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from tds_data.errors import DamagedCache

BRAIN_VERSION: Final = 1
"""Version of the files of a cache of brains and of the code that fills them; one of another version is made anew."""

TASK_VERSION: Final = 2
"""The same for caches of other tasks: the header holds the task."""

FORMAT_VERSIONS: Final = (BRAIN_VERSION, TASK_VERSION)
"""Every version that is read."""

MAGIC: Final = b"TDSCASE1"
ARRAYS: Final = {"image": "<i2", "labels": "|u1", "foreground": "<u4"}
"""The arrays of a file in their order, and their types."""

_PAGE: Final = 4096
_PREFIX_BYTES: Final = 48
_MAX_HEADER_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayPlace:
    """Where an array lies in its file.

    Attributes:
        offset: Bytes before it.
        dtype: Its type as NumPy writes it.
        shape: Its length along each axis.
        sha256: Hash of its bytes.
    """

    offset: int
    dtype: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def nbytes(self) -> int:
        """Length in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def write_case(file: IO[bytes], facts: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """Write a case and return its header's hash.

    Args:
        file: Open for writing, empty.
        facts: What the header says besides the places of the arrays; plain JSON types.
        arrays: As `ARRAYS` names them, contiguous.
    """
    data = {name: np.ascontiguousarray(arrays[name], dtype=dtype) for name, dtype in ARRAYS.items()}
    hashes = {
        name: hashlib.sha256(array.data.cast("B") if array.size else b"").hexdigest() for name, array in data.items()
    }
    places: dict[str, Any] = {}
    # Offsets are counted from the first page after the header, whose length depends on them.
    offset = 0
    for name, array in data.items():
        places[name] = {"offset": offset, "dtype": ARRAYS[name], "shape": list(array.shape), "sha256": hashes[name]}
        offset = _next_page(offset + array.nbytes)
    header = json.dumps({**facts, "arrays": places}, ensure_ascii=True, allow_nan=False).encode()
    sha256 = hashlib.sha256(header)
    file.write(MAGIC + len(header).to_bytes(8, "little") + sha256.digest() + header)
    start = _next_page(_PREFIX_BYTES + len(header))
    for name, array in data.items():
        file.seek(start + places[name]["offset"])
        file.write(array.data.cast("B") if array.size else b"")
    file.truncate(start + offset)
    return sha256.hexdigest()


def read_header(path: Path) -> tuple[dict[str, Any], dict[str, ArrayPlace], str]:
    """Return what a file's header says, where its arrays lie, and the header's hash.

    Args:
        path: A file of `write_case`.

    Raises:
        DamagedCache: If it is cut short, altered or no such file.
    """
    try:
        with path.open("rb") as file:
            prefix = file.read(_PREFIX_BYTES)
            length = int.from_bytes(prefix[8:16], "little")
            if not prefix.startswith(MAGIC) or len(prefix) < _PREFIX_BYTES or length > _MAX_HEADER_BYTES:
                raise DamagedCache(path, "it is no file of a cache, or of another version")
            header = file.read(length)
            size = file.seek(0, 2)
    except OSError as error:
        raise DamagedCache(path, error.strerror or str(error)) from error
    sha256 = hashlib.sha256(header)
    if sha256.digest() != prefix[16:48]:
        raise DamagedCache(path, "its header was altered or cut short")
    facts = json.loads(header)
    start = _next_page(_PREFIX_BYTES + length)
    places = {
        name: ArrayPlace(
            offset=start + place["offset"], dtype=place["dtype"], shape=tuple(place["shape"]), sha256=place["sha256"]
        )
        for name, place in facts.pop("arrays").items()
    }
    expected = max(_next_page(place.offset + place.nbytes) for place in places.values())
    if size != expected:
        raise DamagedCache(path, f"it has {size} bytes instead of {expected}")
    return facts, places, sha256.hexdigest()


def check_arrays(path: Path, places: Mapping[str, ArrayPlace]) -> None:
    """Compare every array with its hash, a piece at a time.

    Args:
        path: The file.
        places: What its header says.

    Raises:
        DamagedCache: If one was altered or cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            for name, place in places.items():
                if _hash(file, place) != place.sha256:
                    raise DamagedCache(path, f"its {name} were altered" if name != "image" else "its image was altered")
    except OSError as error:
        raise DamagedCache(path, error.strerror or str(error)) from error


def _hash(file: IO[bytes], place: ArrayPlace) -> str:
    sha256 = hashlib.sha256()
    file.seek(place.offset)
    left = place.nbytes
    while left:
        piece = file.read(min(left, 1 << 20))
        if not piece:
            break
        sha256.update(piece)
        left -= len(piece)
    return sha256.hexdigest()


def _next_page(offset: int) -> int:
    return -(-offset // _PAGE) * _PAGE
