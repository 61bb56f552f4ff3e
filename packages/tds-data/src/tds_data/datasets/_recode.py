"""NIfTI files with other voxels and the same header: volumes taken apart or put together, labels renumbered.

The stored numbers, the scaling and the rest of the header go from file to file unchanged wherever that is possible, so
that no rounding creeps in.
"""

import gzip
import io
import logging
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from tds_data.datasets.schemes import renumber, whole_numbers
from tds_data.errors import ConversionRefused, VolumeReadError
from tds_data.formats._unpack import GZIP_MAGIC
from tds_data.volume import VoxelArray

_Header: TypeAlias = Any  # nibabel's header classes carry no annotations
_HEADERS: Final[dict[int, Any]] = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_HEADER_BYTES: Final = 544
_SPATIAL_AXES: Final = 3
_SAME_PLACE_MM: Final = 1e-4
_EXACT_IN_DOUBLE: Final = 2**53

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stored:
    """What a NIfTI file holds, as it is stored.

    Attributes:
        header: nibabel's header.
        extensions: The bytes between header and voxels.
        numbers: Array of the file's shape and stored type, not scaled.
    """

    header: _Header
    extensions: bytes
    numbers: VoxelArray


def unpack(data: bytes, path: Path, limit: int = -1) -> bytes:
    """Return what gzip data holds, or other data as it is.

    Args:
        data: A whole file.
        path: Named in errors.
        limit: How many bytes to return at most.

    Raises:
        VolumeReadError: If the gzip data is damaged.
    """
    if not data.startswith(GZIP_MAGIC):
        return data if limit < 0 else data[:limit]
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            return stream.read(limit)
    except (OSError, EOFError, zlib.error) as error:
        raise VolumeReadError(path, f"its gzip data is damaged ({error}); copy it again") from error


def parse(data: bytes, path: Path) -> Stored:
    """Return what a NIfTI file holds.

    Args:
        data: The file's bytes, packed or not.
        path: Named in errors.

    Raises:
        VolumeReadError: If the file is damaged or no NIfTI file.
    """
    header = _header(unpack(data, path, _HEADER_BYTES), path)
    try:
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = header.get_data_dtype()
        start = int(header.get_data_offset()) or int(header.single_vox_offset)  # as `open_image` has it
        header["vox_offset"] = start
        header.get_slope_inter()
    except (HeaderDataError, KeyError, ValueError, OverflowError) as error:
        raise VolumeReadError(path, f"its NIfTI header is damaged: {error}") from error
    wanted = math.prod(shape) * dtype.itemsize
    if start < 0 or min(shape, default=0) <= 0 or dtype.kind not in "iuf":
        raise VolumeReadError(path, f"its header promises {shape} voxels of type {dtype}; export it again")
    plain = unpack(data, path, start + wanted + 1)  # one more makes gzip check its sum
    if len(plain) < start + wanted:
        raise VolumeReadError(path, f"its header promises {wanted} bytes, and {max(len(plain) - start, 0)} are there")
    numbers = np.frombuffer(plain, dtype=dtype, count=math.prod(shape), offset=start).reshape(shape, order="F")
    size = int(header["sizeof_hdr"])
    return Stored(header=header, extensions=plain[size : max(start, size)], numbers=numbers)


def build(stored: Stored) -> bytes:
    """Return a NIfTI file, not packed.

    Args:
        stored: What it is to hold.
    """
    return bytes(stored.header.binaryblock) + stored.extensions + stored.numbers.tobytes(order="F")


def affine(stored: Stored) -> NDArray[np.float64]:
    """Return the affine that a file's header gives: its sform, else its qform, else one of the voxel sizes.

    Args:
        stored: What `parse` returned.
    """
    header = stored.header.copy()
    header.check_fix(logger=logger)  # as `open_image` does it: a sign of 0 in the qform means 1
    place: NDArray[np.float64] = header.get_best_affine()
    return place


def split(stored: Stored, index: int, path: Path) -> Stored:
    """Return one volume of a four-dimensional file.

    Args:
        stored: What the file holds.
        index: Position along the fourth axis.
        path: Named in errors.

    Raises:
        VolumeReadError: If there is no such volume.
    """
    shape = stored.numbers.shape
    if len(shape) != _SPATIAL_AXES + 1 or index >= shape[_SPATIAL_AXES]:
        raise VolumeReadError(path, f"it has shape {shape}, and volume {index} of its fourth axis was asked for")
    return _with_numbers(stored, stored.numbers[..., index])


def stack(parts: Sequence[Stored], names: Sequence[str]) -> Stored:
    """Return one four-dimensional file of several; the header is the first one's.

    Files of one stored type and scaling are joined as they are. Others are joined by value, in a type that holds each
    value exactly.

    Args:
        parts: Three-dimensional files.
        names: What each is called, for errors.

    Raises:
        ConversionRefused: If they do not share a grid, or no type holds all values.
    """
    first = parts[0]
    for part, name in zip(parts[1:], names[1:], strict=True):
        shift = _shift_mm(first, part)
        if shift > _SAME_PLACE_MM:
            apart = f"lie {shift:.3g} mm apart" if math.isfinite(shift) else "differ in shape"
            message = (
                f"{names[0]!r} and {name!r} {apart} and cannot share one 4D file; resample them to one grid first, or "
                "convert to brats or bids, where each file keeps its grid"
            )
            raise ConversionRefused(message)
    if len({(part.numbers.dtype, _scaling(part)) for part in parts}) == 1:
        return _with_numbers(first, np.stack([_spatial(part.numbers) for part in parts], axis=-1))
    return _by_value(first, _joined([_values(part) for part in parts]))


def relabel(stored: Stored, table: Mapping[int, int], scheme: str) -> Stored | None:
    """Return a mask with other numbers for the same tissues, or `None` if none of its numbers changes.

    Args:
        stored: What the mask's file holds.
        table: The new number of each old one, without those that have no place.
        scheme: What the old numbering is called, for errors.

    Raises:
        LabelError: If a voxel is no whole number or its number is not in the table.
    """
    old = whole_numbers(_values(stored))
    new = renumber(old, table, scheme)
    if np.array_equal(old, new):
        return None
    dtype = stored.numbers.dtype
    if _scaling(stored) is None and np.array_equal(new.astype(dtype), new):
        return _with_numbers(stored, new.astype(dtype))
    return _by_value(stored, new.astype(np.min_scalar_type(int(new.max()))))


def _header(data: bytes, path: Path) -> _Header:
    sizes = {int.from_bytes(data[:4], "little"), int.from_bytes(data[:4], "big")}
    kind = next((_HEADERS[size] for size in sizes if size in _HEADERS), None)
    if kind is None:
        raise VolumeReadError(path, "it is no NIfTI file, whatever its name says; convert the image to NIfTI first")
    try:
        return kind(data[: kind.template_dtype.itemsize], check=False)
    except (WrapStructError, ValueError) as error:
        raise VolumeReadError(path, f"its NIfTI header is damaged: {error}") from error


def _with_numbers(stored: Stored, numbers: VoxelArray) -> Stored:
    header = stored.header.copy()
    header.set_data_dtype(numbers.dtype)
    header.set_data_shape(numbers.shape)
    if numbers.ndim > _SPATIAL_AXES:
        header["pixdim"][_SPATIAL_AXES + 1] = 1.0
    # A header in the other byte order than this machine's keeps it.
    ordered = numbers.astype(numbers.dtype.newbyteorder(header.endianness), copy=False)
    return Stored(header=header, extensions=stored.extensions, numbers=ordered)


def _by_value(stored: Stored, numbers: VoxelArray) -> Stored:
    result = _with_numbers(stored, numbers)
    result.header["scl_slope"], result.header["scl_inter"] = 1.0, 0.0
    return result


def _scaling(stored: Stored) -> tuple[float, float] | None:
    slope, intercept = stored.header.get_slope_inter()
    return None if slope is None or (slope, intercept or 0.0) == (1.0, 0.0) else (float(slope), float(intercept or 0.0))


def _values(stored: Stored) -> VoxelArray:
    """Return what `read_volume` gives: stored numbers, or float32 where they are scaled."""
    numbers = stored.numbers.astype(stored.numbers.dtype.newbyteorder("="), copy=False)
    scaling = _scaling(stored)
    if scaling is None:
        return _spatial(numbers)
    # As `read_volume` does it: up to 16 bits float32 is exact, wider types are scaled in double precision first.
    wide = np.float32 if numbers.dtype.itemsize <= np.dtype(np.int16).itemsize else np.float64
    scaled: NDArray[np.floating] = numbers.astype(wide)
    scaled *= scaling[0]
    scaled += scaling[1]
    return _spatial(scaled.astype(np.float32, copy=False))


def _spatial(numbers: VoxelArray) -> VoxelArray:
    while numbers.ndim > _SPATIAL_AXES and numbers.shape[-1] == 1:
        numbers = numbers[..., 0]
    return numbers


def _joined(arrays: Sequence[VoxelArray]) -> VoxelArray:
    dtype = np.result_type(*(array.dtype for array in arrays))
    if dtype.kind == "f":
        for array in arrays:
            if array.dtype.kind in "iu" and array.dtype.itemsize > 4 and np.abs(array).max() > _EXACT_IN_DOUBLE:  # noqa: PLR2004
                message = "no type holds both these 64-bit integers and these floats exactly; convert one of them first"
                raise ConversionRefused(message)
    return np.stack([array.astype(dtype) for array in arrays], axis=-1)


def _shift_mm(first: Stored, second: Stored) -> float:
    """Return how far a corner of one file's grid is from the same corner of the other's."""
    shape = _spatial(first.numbers).shape
    if shape != _spatial(second.numbers).shape:
        return math.inf
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(_SPATIAL_AXES, -1)
    difference = (affine(first) - affine(second))[:_SPATIAL_AXES]
    moved = difference[:, :_SPATIAL_AXES] @ corners + difference[:, _SPATIAL_AXES:]
    return float(np.linalg.norm(moved, axis=0).max())
