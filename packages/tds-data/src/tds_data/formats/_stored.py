"""Where the voxels of an image lie, and getting them from there."""

import io
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from tds_data.errors import VolumeReadError
from tds_data.formats._inflate import Container
from tds_data.formats._unpack import MAX_DEFLATE_RATIO, DamagedStream, TruncatedStream, unpack_into
from tds_data.volume import VoxelArray

_COPY_AGAIN: Final = "copy or export it again"
_KIB: Final = 1024
_GIB: Final = 1 << 30


class VoxelSource(Protocol):
    """Where voxels come from."""

    def read(self, owner: Path) -> VoxelArray:
        """Return the stored array, axes and type as they are in the file; errors name the owner."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVoxels:
    """An array in a file, its first axis fastest.

    Attributes:
        path: The file that holds it, which may be another one than the header's.
        shape: The length of each axis.
        dtype: The type of an element, with its byte order.
        container: What the array is packed in, if it is.
        offset: Bytes of the file before the array or, if it is packed, before what is packed.
        skip: Unpacked bytes before the array; 0 if it is not packed.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: "np.dtype[np.generic]"
    container: Container | None
    offset: int
    skip: int = 0

    @property
    def size_bytes(self) -> int:
        """How many bytes the array takes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, owner: Path) -> VoxelArray:
        """Return the array.

        Args:
            owner: The image that errors name.

        Raises:
            VolumeReadError: If it is not there as promised.
        """
        with opened(self.path, owner) as file, memory_for(owner, self.size_bytes):
            file_bytes = os.fstat(file.fileno()).st_size
            file.seek(min(self.offset, file_bytes))
            if self.container is None:
                found = self._raw(file, file_bytes - self.offset)
            else:
                found = self._unpacked(file, file_bytes, self.container, owner)
        if isinstance(found, int):
            what = f"{self.shape} voxels, {self.size_bytes} bytes, and {found} are there"
            raise VolumeReadError(owner, f"its header promises {what}; {_COPY_AGAIN}")
        return found.view(self.dtype).reshape(self.shape, order="F")

    def _raw(self, file: io.BufferedReader, there: int) -> VoxelArray | int:
        if there < self.size_bytes:
            return max(there, 0)
        voxels = np.empty(self.size_bytes, np.uint8)
        found = file.readinto(voxels.data)
        return voxels if found == self.size_bytes else found

    def _unpacked(
        self, file: io.BufferedReader, file_bytes: int, container: Container, owner: Path
    ) -> VoxelArray | int:
        if self.size_bytes + self.skip > file_bytes * MAX_DEFLATE_RATIO:
            raise VolumeReadError(
                owner, f"its header promises {self.shape} voxels, more than can lie in the file; {_COPY_AGAIN}"
            )
        voxels = np.empty(self.size_bytes, np.uint8)
        with unpacking(owner, container):
            found = unpack_into(voxels.data, file, container, skip=self.skip)
        return voxels if found >= self.size_bytes else found


@contextmanager
def opened(path: Path, owner: Path) -> Iterator[io.BufferedReader]:
    """Open a file for reading bytes.

    Args:
        path: The file.
        owner: The image that errors name.

    Raises:
        VolumeReadError: If there is no such regular file, or it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise VolumeReadError(owner, "it is no regular file but a folder, a device or a pipe; check the path")
        with path.open("rb") as file:
            yield file
    except OSError as error:
        which = "" if path == owner else f" (its data file {path.name!r})"
        reason = f"{error.strerror or error}{which}; check the path and its permissions"
        raise VolumeReadError(owner, reason) from error


@contextmanager
def unpacking(owner: Path, container: Container) -> Iterator[None]:
    """Translate what is wrong with packed data.

    Args:
        owner: The image that errors name.
        container: What they are packed in.
    """
    what = f"its {container.name.lower()} data"
    try:
        yield
    except TruncatedStream as error:
        reason = f"{what} end early; the file is truncated, copy or download it again"
        raise VolumeReadError(owner, reason) from error
    except DamagedStream as error:
        raise VolumeReadError(owner, f"{what} are damaged; {_COPY_AGAIN}") from error


@contextmanager
def memory_for(owner: Path, size_bytes: int) -> Iterator[None]:
    """Translate what memory cannot hold.

    Args:
        owner: The image that errors name.
        size_bytes: What is wanted.
    """
    try:
        yield
    except MemoryError as error:
        reason = f"its voxels take {size_bytes / _GIB:.1f} GiB, more memory than there is; crop or resample it first"
        raise VolumeReadError(owner, reason) from error


def read_start(path: Path, size_bytes: int) -> bytes:
    """Return the first bytes of a file, not unpacked.

    Args:
        path: The file.
        size_bytes: How many; fewer come from a shorter file.

    Raises:
        VolumeReadError: If it cannot be read or is empty.
    """
    with opened(path, path) as file:
        start = file.read(size_bytes)
    if not start:
        raise VolumeReadError(path, f"the file is empty; {_COPY_AGAIN}")
    return start
