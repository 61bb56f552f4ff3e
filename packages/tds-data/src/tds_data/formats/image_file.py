"""An image whose header was read and whose voxels were not yet."""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.errors import GeometryError, VolumeReadError
from tds_data.formats._stored import VoxelSource, memory_for
from tds_data.formats.names import Format
from tds_data.volume import Volume, VoxelArray

_SPATIAL_AXES: Final = 3
_MAX_ITEM_BYTES: Final = 8
_SHORT_BYTES: Final = 2


class AffineSource(StrEnum):
    """Which part of a header an image's place comes from."""

    SFORM = "sform"
    QFORM = "qform"
    HEADER = "header"
    ASSUMED = "assumed"


def wrong_axes(path: Path, shape: tuple[int, ...]) -> VolumeReadError:
    """Return the error for an image of too few or too many axes.

    Args:
        path: The file.
        shape: The length of each axis.
    """
    if len(shape) < _SPATIAL_AXES:
        return VolumeReadError(path, f"it has shape {shape}, not three axes; export the whole series")
    return VolumeReadError(
        path, f"it has shape {shape}, neither three nor four axes; split it into one file per sequence"
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageFile:
    """What an image's header says. The voxels stay in the file until they are asked for.

    Attributes:
        path: The file that was opened.
        format: Its format.
        shape: Number of voxels along each of the three axes in space.
        volume_count: How many volumes it holds along a fourth axis; 1 without one.
        stored_dtype: The type of a stored value, with its byte order.
        ras_from_voxel: Float64 affine of shape (4, 4) from voxel indices to RAS+ millimetres.
        scaling: Slope and intercept that the stored values are scaled by, or `None`.
        affine_source: Which part of the header the affine comes from: `sform` or `qform` of NIfTI, the `header` of
            another format, or `assumed` where the header says nothing on left and right: the format's convention.
        form_disagreement_mm: How far the sform and the qform of a NIfTI file place a corner of the image from each
            other; infinite if the qform is unusable, and `None` if the file does not have both.
        volume_axis: Which of the stored axes counts volumes, or `None`.
        source: Where the voxels lie.

    Raises:
        VolumeReadError: If an axis is empty, the values are not real numbers of up to 8 bytes, or the affine is not
            finite or not invertible.
    """

    path: Path
    format: Format
    shape: tuple[int, int, int]
    volume_count: int = 1
    stored_dtype: "np.dtype[np.generic]"
    ras_from_voxel: NDArray[np.float64]
    scaling: tuple[float, float] | None = None
    affine_source: AffineSource
    form_disagreement_mm: float | None = None
    volume_axis: int | None = None
    source: VoxelSource = field(repr=False)

    def __post_init__(self) -> None:
        if min(*self.shape, self.volume_count) < 1:
            counts = (*self.shape, self.volume_count)
            raise VolumeReadError(self.path, f"its header promises {counts} voxels, which cannot be; export it again")
        if self.stored_dtype.kind not in "biuf" or self.stored_dtype.itemsize > _MAX_ITEM_BYTES:
            reason = f"its voxels are of type {self.stored_dtype}; convert them to plain integers or floats"
            raise VolumeReadError(self.path, reason)
        try:
            affine = self.grid.ras_from_voxel
        except GeometryError as error:
            raise VolumeReadError(self.path, str(error)) from error
        object.__setattr__(self, "ras_from_voxel", affine)

    @property
    def dtype(self) -> "np.dtype[np.generic]":
        """The type of the voxels that `read` returns: as stored, or float32 where they are scaled."""
        return np.dtype(np.float32) if self.scaling else self.stored_dtype.newbyteorder("=")

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along each axis, in millimetres."""
        return self.grid.spacing_mm

    @property
    def size_bytes(self) -> int:
        """How much memory the voxels of all volumes take once they are read."""
        return math.prod(self.shape) * self.volume_count * self.dtype.itemsize

    @property
    def grid(self) -> Volume:
        """A volume of zeros at the image's place, which takes no memory: to compare grids before reading."""
        return Volume(np.broadcast_to(np.uint8(0), self.shape), self.ras_from_voxel)

    def read(self) -> Volume:
        """Return the only volume.

        Raises:
            VolumeReadError: If the voxels cannot be read, or there are several volumes.
        """
        if self.volume_count > 1:
            shape = (*self.shape, self.volume_count)
            reason = (
                f"it has shape {shape}, not three axes; read all its volumes, or split it into one file per sequence"
            )
            raise VolumeReadError(self.path, reason)
        return self.read_all()[0]

    def read_all(self) -> list[Volume]:
        """Return every volume, in the order of the fourth axis; a list of one if there is none.

        Raises:
            VolumeReadError: If the voxels cannot be read.
        """
        stored = self.source.read(self.path)
        with memory_for(self.path, self.size_bytes):
            if self.volume_axis is not None:
                stored = np.moveaxis(stored, self.volume_axis, -1)
            stack = stored.reshape((*self.shape, self.volume_count), order="F")
            return [self._volume(stack[..., index]) for index in range(self.volume_count)]

    def _volume(self, stored: VoxelArray) -> Volume:
        voxels = stored.astype(self.stored_dtype.newbyteorder("="), copy=False)
        if not (voxels.flags.f_contiguous or voxels.flags.c_contiguous):
            voxels = np.asfortranarray(voxels)
        return Volume(self._scaled(voxels), self.ras_from_voxel)

    def _scaled(self, voxels: VoxelArray) -> VoxelArray:
        if self.scaling is None:
            return voxels
        # Up to 16 bits float32 is exact; wider types are scaled in double precision first.
        wide = np.float32 if voxels.dtype.itemsize <= _SHORT_BYTES else np.float64
        slope, intercept = self.scaling
        with np.errstate(all="ignore"):  # what overflows is found in the values
            scaled: NDArray[np.floating] = voxels.astype(wide)
            scaled *= slope
            scaled += intercept
            return scaled.astype(np.float32, copy=False)
