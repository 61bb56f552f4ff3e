"""Several volumes as one array, without losing a value."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from tds_data.errors import GridMismatch, VoxelError
from tds_data.volume import Volume, VoxelArray

_CANDIDATES: Final = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


def stack(volumes: Sequence[Volume]) -> VoxelArray:
    """Return the voxels of volumes along a fourth axis, in a type that holds every value of each exactly.

    Args:
        volumes: At least one, on one grid.

    Returns:
        Array of shape (x, y, z, volume) with the first axis fastest.

    Raises:
        VoxelError: If there is none, or no type holds all values.
        GridMismatch: If they are on different grids.
    """
    if not volumes:
        message = "there is no volume to write; give at least one"
        raise VoxelError(message)
    for index, volume in enumerate(volumes):
        if not volumes[0].same_grid(volume):
            message = f"volume {index} is on another grid than the first; resample all to one grid before stacking"
            raise GridMismatch(message)
    dtype = common_dtype([volume.voxels for volume in volumes])
    stacked = np.empty((*volumes[0].shape, len(volumes)), dtype, order="F")
    for index, volume in enumerate(volumes):
        stacked[..., index] = volume.voxels
    return stacked


def common_dtype(arrays: Sequence[VoxelArray]) -> "np.dtype[np.generic]":
    """Return a type of up to 8 bytes that holds every value of some arrays exactly.

    The type that NumPy promotes them to, if it does, else the first of uint8, int8, uint16, int16, uint32, int32,
    float32 and float64 that does. Booleans count as uint8.

    Args:
        arrays: At least one array of numbers.

    Raises:
        VoxelError: If none does.
    """
    plain = [array.astype(np.uint8) if array.dtype == bool else array for array in arrays]
    promoted = np.result_type(*[array.dtype for array in plain]).newbyteorder("=")
    for candidate in (promoted, *map(np.dtype, _CANDIDATES)):
        if candidate.name in _CANDIDATES and all(_holds(candidate, array) for array in plain):
            return candidate
    types = ", ".join(sorted({str(array.dtype) for array in arrays}))
    message = f"no type holds every value of voxels of {types} exactly; convert them to one type, or write them apart"
    raise VoxelError(message)


def _holds(dtype: "np.dtype[np.generic]", array: VoxelArray) -> bool:
    if np.can_cast(array.dtype, dtype, "safe") and not (dtype.kind == "f" and array.dtype.kind in "iu"):
        return True
    if dtype.kind in "iu" and array.dtype.kind in "iu":
        limits = np.iinfo(dtype.name)
        return limits.min <= int(array.min()) and int(array.max()) <= limits.max
    with np.errstate(all="ignore"):
        converted = array.astype(dtype)
        back = converted.astype(array.dtype)
    return np.array_equal(back, array, equal_nan=array.dtype.kind == "f")
