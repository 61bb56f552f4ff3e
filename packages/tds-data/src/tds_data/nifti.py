"""NIfTI files in and out.

Headers are interpreted by nibabel. The bytes are read and unpacked here, in steps that release the interpreter's lock,
so that the sequences of a study are read side by side (`read_many`). No more is unpacked than a header promises.
"""

import logging
import math
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias
from uuid import uuid4

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from tds_data.errors import GeometryError, VolumeReadError, VolumeWriteError, VoxelError
from tds_data.volume import Volume, VoxelArray

NIFTI_SUFFIXES: Final = (".nii.gz", ".nii")
"""What the names of NIfTI files end with."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_FORMAT: Final = 31  # zlib's number for a gzip container with the largest window
_Header: TypeAlias = Any  # nibabel's header classes carry no annotations
_HEADERS: Final[dict[int, Any]] = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_HEADER_BYTES: Final = 544
_SPATIAL_AXES: Final = 3
_COMPRESSION_LEVEL: Final = 3
_MAX_READERS: Final = 4
_MM_PER_UNIT: Final = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # by NIfTI's codes: unknown, metre, millimetre, micron
_UNIT_CODES: Final = 8  # the three low bits of xyzt_units; the others are about time
_UNPACK_STEP: Final = 1 << 16
_PADDING: Final = re.compile(rb"\0*")
_WRITABLE: Final = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")

logger = logging.getLogger(__name__)


def is_nifti_name(path: Path) -> bool:
    """Tell whether a file is named as NIfTI files are.

    Args:
        path: Only its name is looked at.
    """
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def nifti_stem(path: Path) -> str:
    """Return a file's name without `.nii` or `.nii.gz`.

    Args:
        path: Only its name is looked at.

    Examples:
        >>> nifti_stem(Path("scan.nii.gz"))
        'scan'
    """
    suffix = next((s for s in NIFTI_SUFFIXES if path.name.lower().endswith(s)), "")
    return path.name.removesuffix(path.name[len(path.name) - len(suffix) :])


def read_volume(path: Path) -> Volume:
    """Return the volume that a NIfTI file holds.

    The affine is the sform if its code is set, else the qform, else one made of the voxel sizes, with a logged
    warning. Voxels keep their stored type unless the header scales them, which gives float32. Axes of length one
    beyond the third are dropped.

    Args:
        path: A `.nii` or `.nii.gz` file.

    Raises:
        VolumeReadError: If the file is missing, damaged, not NIfTI, not three-dimensional, complex or coloured, or if
            its affine cannot be used.
    """
    header, shape, data = _open(path)
    if len(shape) != _SPATIAL_AXES:
        raise VolumeReadError(path, f"it has shape {shape}, not three axes; {_advice(shape)}")
    return _volume(path, _voxels(path, header, data, shape), header)


def read_volumes(path: Path) -> list[Volume]:
    """Return the volumes of a four-dimensional NIfTI file, in the order of its fourth axis.

    Args:
        path: A `.nii` or `.nii.gz` file; a three-dimensional one gives a list of one.

    Raises:
        VolumeReadError: As `read_volume`, and for five axes or more.
    """
    header, shape, data = _open(path)
    if len(shape) not in {_SPATIAL_AXES, _SPATIAL_AXES + 1}:
        raise VolumeReadError(path, f"it has shape {shape}, neither three nor four axes; {_advice(shape)}")
    voxels = _voxels(path, header, data, shape)
    stack = voxels[..., None] if voxels.ndim == _SPATIAL_AXES else voxels
    return [_volume(path, stack[..., index], header) for index in range(stack.shape[_SPATIAL_AXES])]


def read_many(paths: Iterable[Path]) -> list[Volume]:
    """Return the volumes of several files, read side by side, in the order given.

    Args:
        paths: Files for `read_volume`.

    Raises:
        VolumeReadError: As `read_volume`, for the first file in order that cannot be read.
    """
    with ThreadPoolExecutor(_MAX_READERS, thread_name_prefix="nifti") as pool:
        return list(pool.map(read_volume, paths))


def read_shape(path: Path) -> tuple[int, ...]:
    """Return the length of each axis from the header alone, without trailing axes of length one beyond the third.

    Args:
        path: A `.nii` or `.nii.gz` file.

    Raises:
        VolumeReadError: If the file is missing or not NIfTI.
    """
    start = _read_bytes(path, limit=1 << 16)
    if start.startswith(_GZIP_MAGIC):
        start = _gunzip(path, start, _HEADER_BYTES)
    return _parse_header(path, start)[1]


def write_volume(path: Path, volume: Volume) -> None:
    """Write a volume as NIfTI, whole or not at all.

    The affine is stored as the sform and, if it holds no shear, as the qform, both with code 1 (scanner). The same
    volume always gives the same bytes. The file is written beside its target and then renamed.

    Args:
        path: Target ending in `.nii` or `.nii.gz`, in a folder that exists; an existing file is replaced.
        volume: Booleans are stored as uint8.

    Raises:
        VolumeWriteError: If the name does not end so, or the file cannot be written.
        VoxelError: If NIfTI readers do not commonly know the voxels' type.
    """
    if not is_nifti_name(path):
        raise VolumeWriteError(path, "a NIfTI file's name ends in .nii or .nii.gz")
    data = _encode(volume)
    if path.name.lower().endswith(".gz"):
        data = zlib.compress(data, _COMPRESSION_LEVEL, _GZIP_FORMAT)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}-{uuid4().hex[:8]}")
    try:
        try:
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise VolumeWriteError(path, error.strerror or str(error)) from error


def _encode(volume: Volume) -> bytes:
    voxels = volume.voxels.astype(np.uint8) if volume.voxels.dtype == bool else volume.voxels
    if voxels.dtype.name not in _WRITABLE:
        message = f"voxels of type {voxels.dtype} cannot be stored; convert them to one of {', '.join(_WRITABLE)}"
        raise VoxelError(message)
    voxels = voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)
    header = _HEADERS[348](endianness="<")
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape)
    header.set_xyzt_units("mm")
    header.set_zooms(volume.spacing_mm)
    header.set_sform(volume.ras_from_voxel, code=1)
    try:
        header.set_qform(volume.ras_from_voxel, code=1, strip_shears=False)
    except HeaderDataError:
        header.set_qform(None, code=0)
        header.set_zooms(volume.spacing_mm)
    header["scl_slope"], header["scl_inter"] = 1.0, 0.0
    header["vox_offset"] = header.single_vox_offset
    header["magic"] = header.single_magic
    no_extensions = b"\0\0\0\0"
    return bytes(header.binaryblock) + no_extensions + voxels.tobytes(order="F")


def _open(path: Path) -> tuple[_Header, tuple[int, ...], bytes]:
    data = _read_bytes(path)
    if not data.startswith(_GZIP_MAGIC):
        return *_parse_header(path, data), data
    header, shape = _parse_header(path, _gunzip(path, data, _HEADER_BYTES))
    start, length, _ = _extent(path, header, shape)
    return header, shape, _gunzip(path, data, start + length + 1)  # one more tells whether anything follows


def _read_bytes(path: Path, limit: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit)
    except OSError as error:
        raise VolumeReadError(path, f"{error.strerror or error}; check the path and its permissions") from error
    if not data:
        raise VolumeReadError(path, "the file is empty; copy or export it again")
    return data


def _gunzip(path: Path, data: bytes, limit: int) -> bytes:
    """Return the first bytes that gzip data holds: all of them if they are fewer than the limit, checksums included."""
    parts: list[bytes] = []
    size = position = 0
    stream = zlib.decompressobj(_GZIP_FORMAT)
    while size < limit and position < len(data):
        if stream.eof:  # block-wise compressors write several members one after the other
            if size == limit - 1 or not data.startswith(_GZIP_MAGIC, position):
                break
            stream = zlib.decompressobj(_GZIP_FORMAT)
        step = data[position : position + _UNPACK_STEP]
        try:
            parts.append(stream.decompress(step, min(limit - size, sys.maxsize)))  # a header may promise anything
        except zlib.error as error:
            raise VolumeReadError(path, f"its gzip data is damaged ({error}); copy it again") from error
        size += len(parts[-1])
        position += len(step) - len(stream.unused_data) - len(stream.unconsumed_tail)
        if stream.eof:
            padding = _PADDING.match(data, position)
            position = padding.end() if padding else position
    if size < limit and not stream.eof:
        raise VolumeReadError(path, "its gzip data ends early; the file is truncated, copy or download it again")
    return b"".join(parts)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        with np.errstate(all="ignore"):  # what overflows is found in the values
            yield
    except (VolumeReadError, GeometryError, VoxelError):
        raise
    except (HeaderDataError, WrapStructError, ValueError, OverflowError) as error:
        raise VolumeReadError(path, f"its NIfTI header is damaged: {error}") from error


def _parse_header(path: Path, data: bytes) -> tuple[_Header, tuple[int, ...]]:
    sizes = {int.from_bytes(data[:4], "little"), int.from_bytes(data[:4], "big")}
    kind = next((_HEADERS[size] for size in sizes if size in _HEADERS), None)
    if kind is None:
        raise VolumeReadError(path, "it is no NIfTI file, whatever its name says; convert the image to NIfTI first")
    with _damage_named(path):
        header = kind(data[: kind.template_dtype.itemsize], check=True)
        header.get_data_dtype()
        shape = _trimmed(header)
    if not header["magic"].item().startswith(b"n+"):
        raise VolumeReadError(path, "it is half of an image pair (.hdr and .img); convert it to a single .nii.gz")
    return header, shape


def _trimmed(header: _Header) -> tuple[int, ...]:
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > _SPATIAL_AXES and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _advice(shape: tuple[int, ...]) -> str:
    if len(shape) < _SPATIAL_AXES:
        return "a single slice cannot be segmented, export the whole series"
    return "split it into one file per sequence"


def _extent(path: Path, header: _Header, shape: tuple[int, ...]) -> tuple[int, int, np.dtype[Any]]:
    """Return where the voxels start, how many bytes they take, and their type."""
    dtype: np.dtype[Any] = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > np.dtype(np.float64).itemsize:
        label = nib.nifti1.data_type_codes.label[int(header["datatype"])]
        raise VolumeReadError(path, f"its voxels are of type {label}; convert them to plain integers or floats")
    with _damage_named(path):
        start = int(header.get_data_offset())
    if start < 0 or min(shape, default=0) <= 0:
        reason = f"its header promises {shape} voxels from byte {start} on, which cannot be; copy or export it again"
        raise VolumeReadError(path, reason)
    return start, math.prod(shape) * dtype.itemsize, dtype


def _voxels(path: Path, header: _Header, data: bytes, shape: tuple[int, ...]) -> VoxelArray:
    start, wanted, dtype = _extent(path, header, shape)
    found = max(len(data) - start, 0)
    if found < wanted:
        reason = f"its header promises {shape} voxels, {wanted} bytes, and {found} are there; copy or export it again"
        raise VolumeReadError(path, reason)
    stored = np.frombuffer(data, dtype=dtype, count=math.prod(shape), offset=start).reshape(shape, order="F")
    with _damage_named(path):
        return _scaled(stored.astype(dtype.newbyteorder("="), copy=False), header)


def _scaled(voxels: VoxelArray, header: _Header) -> VoxelArray:
    slope, intercept = header.get_slope_inter()
    if slope is None or (slope, intercept or 0.0) == (1.0, 0.0):
        return voxels
    # Up to 16 bits float32 is exact; wider types are scaled in double precision first.
    wide = np.float32 if voxels.dtype.itemsize <= np.dtype(np.int16).itemsize else np.float64
    scaled: NDArray[np.floating] = voxels.astype(wide)
    scaled *= slope
    scaled += intercept or 0.0
    return scaled.astype(np.float32, copy=False)


def _volume(path: Path, voxels: VoxelArray, header: _Header) -> Volume:
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        logger.warning("nifti_without_orientation file=%s: left and right are assumed from the voxel order", path.name)
    code = int(header["xyzt_units"]) % _UNIT_CODES
    factor = _MM_PER_UNIT.get(code, 1.0)
    if code not in _MM_PER_UNIT:
        logger.warning("nifti_unit_unknown file=%s code=%d: millimetres are assumed", path.name, code)
    elif factor != 1.0:
        logger.warning("nifti_unit_converted file=%s factor=%g", path.name, factor)
    try:
        with _damage_named(path):
            return Volume(voxels, np.diag([factor, factor, factor, 1.0]) @ header.get_best_affine())
    except (GeometryError, VoxelError) as error:
        raise VolumeReadError(path, str(error)) from error
