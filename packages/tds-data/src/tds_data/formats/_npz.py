"""Volumes in NumPy's archive: the member `voxels` of three or four axes, and `ras_from_voxel` of shape (4, 4).

An archive with other members besides is read too. Nothing is ever unpickled.
"""

import io
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from tds_data.errors import VolumeReadError
from tds_data.formats._stored import memory_for, opened
from tds_data.formats.image_file import AffineSource, ImageFile, wrong_axes
from tds_data.formats.names import Format
from tds_data.volume import VoxelArray

_VOXELS: Final = "voxels.npy"
_AFFINE: Final = "ras_from_voxel.npy"
_AFFINE_SHAPE: Final = (4, 4)
_SPATIAL_AXES: Final = 3
_COMPRESSION_LEVEL: Final = 3
_STEP_BYTES: Final = 1 << 20
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip archive can say
_HEADER_READERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True, slots=True, kw_only=True)
class ZippedVoxels:
    """The array of one member of an archive.

    Attributes:
        path: The archive.
        shape: The length of each axis.
        dtype: The type of an element, with its byte order.
        first_axis_fastest: How its elements are ordered.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: "np.dtype[np.generic]"
    first_axis_fastest: bool

    def read(self, owner: Path) -> VoxelArray:
        """Return the array.

        Args:
            owner: The image that errors name.

        Raises:
            VolumeReadError: If it is not there as promised.
        """
        size = math.prod(self.shape) * self.dtype.itemsize
        with _member(self.path, _VOXELS) as (member, _), memory_for(owner, size):
            if _array_header(self.path, _VOXELS, member) != (self.shape, self.dtype, self.first_axis_fastest):
                raise VolumeReadError(owner, "it changed while it was read; read it again")
            data = np.empty(size, np.uint8)
            _fill(self.path, data.data, member)
        return data.view(self.dtype).reshape(self.shape, order="F" if self.first_axis_fastest else "C")


def open_npz(path: Path) -> ImageFile:
    """Return what the headers in an archive say.

    Args:
        path: A `.npz` file with `voxels` and `ras_from_voxel`.

    Raises:
        VolumeReadError: If it cannot be read, is no such archive, promises more voxels than it holds, or holds no
            volumes of plain numbers with a place.
    """
    with _member(path, _VOXELS) as (member, member_bytes):
        shape, dtype, first_axis_fastest = _array_header(path, _VOXELS, member)
    if len(shape) not in {_SPATIAL_AXES, _SPATIAL_AXES + 1}:
        raise wrong_axes(path, shape)
    if math.prod(shape) * dtype.itemsize > member_bytes:
        raise VolumeReadError(path, f"it promises {shape} voxels and holds {member_bytes} bytes; export it again")
    return ImageFile(
        path=path,
        format=Format.NPZ,
        shape=(shape[0], shape[1], shape[2]),
        volume_count=shape[_SPATIAL_AXES] if len(shape) > _SPATIAL_AXES else 1,
        stored_dtype=dtype,
        ras_from_voxel=_read_affine(path),
        affine_source=AffineSource.HEADER,
        source=ZippedVoxels(path=path, shape=shape, dtype=dtype, first_axis_fastest=first_axis_fastest),
    )


def encode_npz(voxels: VoxelArray, ras_from_voxel: NDArray[np.float64]) -> bytes:
    """Return a compressed archive that `numpy.load` reads too; the same volume gives the same bytes.

    Args:
        voxels: Array of three or four axes, of any type.
        ras_from_voxel: Affine of shape (4, 4), which is kept exactly.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION_LEVEL) as file:
        for name, array in ((_VOXELS, voxels), (_AFFINE, ras_from_voxel)):
            member = io.BytesIO()
            npy.write_array(member, np.asarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, member.getbuffer(), compresslevel=_COMPRESSION_LEVEL)
    return archive.getvalue()


@contextmanager
def _member(path: Path, name: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open one member of the archive; with it comes how many bytes it holds unpacked."""
    try:
        with opened(path, path) as file, zipfile.ZipFile(file) as archive:
            info = archive.getinfo(name)
            if info.compress_type not in _METHODS:
                raise VolumeReadError(path, "it is packed by another method than deflate; save it with NumPy")
            with archive.open(info) as member:
                yield member, info.file_size
    except KeyError as error:
        wanted = f"'{name.removesuffix('.npy')}'"
        reason = f"it holds no array {wanted}; save it with the arrays 'voxels' and 'ras_from_voxel'"
        raise VolumeReadError(path, reason) from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        reason = f"it is no sound .npz archive ({error}); copy or export it again"
        raise VolumeReadError(path, reason) from error


def _array_header(path: Path, name: str, member: IO[bytes]) -> tuple[tuple[int, ...], "np.dtype[np.generic]", bool]:
    try:
        version = npy.read_magic(member)
        shape, fortran_order, dtype = _HEADER_READERS[version](member)
    except (ValueError, KeyError) as error:
        reason = f"its array {name.removesuffix('.npy')!r} is damaged; copy or export it again"
        raise VolumeReadError(path, reason) from error
    if dtype.hasobject:
        raise VolumeReadError(path, "it holds Python objects, which are never unpickled; save plain numbers")
    return shape, dtype, fortran_order


def _read_affine(path: Path) -> NDArray[np.float64]:
    with _member(path, _AFFINE) as (member, _):
        shape, dtype, fortran_order = _array_header(path, _AFFINE, member)
        if shape != _AFFINE_SHAPE or dtype.kind not in "iuf":
            raise VolumeReadError(path, f"its 'ras_from_voxel' has shape {shape} of {dtype}; save a 4 x 4 affine")
        data = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
        _fill(path, data.data, member)
    return data.view(dtype).reshape(shape, order="F" if fortran_order else "C").astype(np.float64)


def _fill(path: Path, target: memoryview, member: IO[bytes]) -> None:
    """Fill the target from a member; zipfile looks at the checksum where the member ends."""
    position = 0
    while position < len(target):
        piece = member.read(min(_STEP_BYTES, len(target) - position))
        if not piece:
            reason = f"it promises {len(target)} bytes and {position} are there; copy or export it again"
            raise VolumeReadError(path, reason)
        target[position : position + len(piece)] = piece
        position += len(piece)
