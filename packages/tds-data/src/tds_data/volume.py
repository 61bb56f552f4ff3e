"""Voxels with a place in the world."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.errors import GeometryError, VoxelError

FloatArray = NDArray[np.floating]
"""An array of any floating type."""
VoxelArray = NDArray[np.generic]
"""An array of any numeric voxel type."""

_MIN_DETERMINANT_MM3: Final = 1e-9
_AFFINE_TOLERANCE_MM: Final = 1e-2
_SPATIAL_AXES: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Immutable voxels and their affine.

    Attributes:
        voxels: Array of shape (x, y, z), any numeric dtype; made read-only.
        ras_from_voxel: Float64 affine of shape (4, 4) from voxel indices to RAS+ millimetres; made read-only.

    Raises:
        VoxelError: If the array is not three-dimensional, has an empty axis or does not hold real numbers.
        GeometryError: If the affine is not finite, not invertible or not an affine.

    Examples:
        >>> import numpy as np
        >>> volume = Volume(np.zeros((4, 5, 6), np.uint8), np.diag([1.0, 1.0, 2.0, 1.0]))
        >>> volume.spacing_mm
        (1.0, 1.0, 2.0)
    """

    voxels: VoxelArray
    ras_from_voxel: NDArray[np.float64]

    def __post_init__(self) -> None:
        voxels = np.asarray(self.voxels).view()
        if voxels.ndim != _SPATIAL_AXES or 0 in voxels.shape:
            message = f"a volume has three non-empty axes; this array has shape {voxels.shape}"
            raise VoxelError(message)
        if voxels.dtype.kind not in "biuf":
            message = f"voxels are integers, floats or booleans; these are of type {voxels.dtype}"
            raise VoxelError(message)
        affine = np.array(self.ras_from_voxel, dtype=np.float64)
        _check_affine(affine)
        voxels.flags.writeable = False
        affine.flags.writeable = False
        object.__setattr__(self, "voxels", voxels)
        object.__setattr__(self, "ras_from_voxel", affine)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each axis."""
        x, y, z = self.voxels.shape
        return x, y, z

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along each axis, in millimetres."""
        x, y, z = np.linalg.norm(self.ras_from_voxel[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.ras_from_voxel[:3, :3]))) / 1000.0

    def with_voxels(self, voxels: VoxelArray) -> "Volume":
        """Return other voxels of the same shape on this grid.

        Args:
            voxels: Array of this volume's shape.

        Raises:
            VoxelError: If the shape differs.
        """
        if voxels.shape != self.voxels.shape:
            message = f"voxels of shape {voxels.shape} do not fit a grid of shape {self.voxels.shape}"
            raise VoxelError(message)
        return Volume(voxels, self.ras_from_voxel)

    def same_grid(self, other: "Volume", *, tolerance_mm: float = _AFFINE_TOLERANCE_MM) -> bool:
        """Tell whether both volumes put every voxel at the same place.

        Args:
            other: The volume to compare with.
            tolerance_mm: Largest distance between corresponding corners that still counts as equal.
        """
        if self.shape != other.shape:
            return False
        return corner_shift_mm(self.shape, self.ras_from_voxel, other.ras_from_voxel) <= tolerance_mm


def corner_shift_mm(shape: tuple[int, int, int], first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return how far apart two affines place the corner voxels of a grid, at most, in millimetres.

    Args:
        shape: Number of voxels along each axis.
        first: Affine of shape (4, 4) from voxels to millimetres.
        second: The other one.
    """
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    difference = (first - second)[:3]
    moved = difference[:, :3] @ corners + difference[:, 3:]
    return float(np.linalg.norm(moved, axis=0).max())


def _check_affine(affine: NDArray[np.float64]) -> None:
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        message = f"an affine is a finite 4 x 4 matrix; this one has shape {affine.shape} or holds NaN"
        raise GeometryError(message)
    if not np.allclose(affine[3], (0, 0, 0, 1)):
        message = f"the last row of an affine is 0 0 0 1; this one is {affine[3].tolist()}"
        raise GeometryError(message)
    if abs(np.linalg.det(affine[:3, :3])) < _MIN_DETERMINANT_MM3:
        message = "the affine is singular: it folds the volume flat; re-export the image with its geometry"
        raise GeometryError(message)
