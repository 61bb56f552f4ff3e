"""Faces and ears taken out of raw images, so that nobody is recognised by a rendering of them.

Where a face may be is known in the atlas's space: below a plane from the brow to the ear canals, and around the ears.
That region is mapped onto the image; the brain and a margin around it are left as they are. What remains, such as the
shape of the skull, may still tell something: defacing alone does not anonymise.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.errors import GridMismatch, VoxelError
from tds_data.geometry import bounding_box
from tds_data.raw.resampling import Affine
from tds_data.volume import Volume

# In the atlas's millimetres: x to the right, y to the front, z to the top.
_BROW_Y, _BROW_Z = 95.0, 2.0
_CANAL_Y, _CANAL_Z = 25.0, -40.0
_JAW_Y, _JAW_Z = -10.0, -62.0
_EAR_X: Final = 74.0
_EAR_Y: Final = (-55.0, 10.0)
_EAR_Z: Final = (-85.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaceConfig:
    """What is left of the surroundings of the brain.

    Attributes:
        margin_mm: Width of the zone around the brain that is never touched.
        fill: What takes the place of the face.
    """

    margin_mm: float = 8.0
    fill: float = 0.0


def face_region(grid: Volume, atlas_from_ras: Affine) -> NDArray[np.bool_]:
    """Return where face and ears may be, whatever is there.

    Args:
        grid: A volume whose shape and affine are wanted.
        atlas_from_ras: Matrix of shape (4, 4) from the grid's RAS+ millimetres to the atlas's.

    Returns:
        Boolean array of the grid's shape.
    """
    matrix = atlas_from_ras @ grid.ras_from_voxel
    i, j, k = (axis.astype(np.float32) for axis in np.ogrid[tuple(slice(n) for n in grid.shape)])
    x, y, z = (
        np.float32(r[0]) * i + np.float32(r[1]) * j + np.float32(r[2]) * k + np.float32(r[3]) for r in matrix[:3]
    )
    slope = (_BROW_Z - _CANAL_Z) / (_BROW_Y - _CANAL_Y)
    front = (y > _CANAL_Y) & (z < np.minimum(_CANAL_Z + slope * (y - _CANAL_Y), _BROW_Z))
    jaw = (y > _JAW_Y) & (z < _JAW_Z)
    ears = (np.abs(x) > _EAR_X) & (y > _EAR_Y[0]) & (y < _EAR_Y[1]) & (z > _EAR_Z[0]) & (z < _EAR_Z[1])
    region: NDArray[np.bool_] = front | jaw | ears
    return region


def remove_face(volume: Volume, brain: Volume, atlas_from_ras: Affine, config: DefaceConfig | None = None) -> Volume:
    """Return an image without face and ears; voxels of the brain and near it are untouched.

    Args:
        volume: The image, of any type; the type is kept.
        brain: Non-zero in the brain, on the image's grid.
        atlas_from_ras: Matrix of shape (4, 4) from the image's RAS+ millimetres to the atlas's.
        config: What is left; the defaults if `None`.

    Raises:
        GridMismatch: If the brain is on another grid.
        VoxelError: If it is empty.
    """
    config = config or DefaceConfig()
    if not volume.same_grid(brain):
        message = f"a brain mask of shape {brain.shape} is not on the grid of its image of shape {volume.shape}"
        raise GridMismatch(message)
    if not np.any(brain.voxels):
        message = "the brain mask is empty, and without it nothing protects the brain; strip the skull first"
        raise VoxelError(message)
    region = face_region(volume, atlas_from_ras)
    _spare(region, brain, config.margin_mm)
    voxels = np.where(region, np.asarray(config.fill).astype(volume.voxels.dtype), volume.voxels)
    return volume.with_voxels(voxels)


def _spare(region: NDArray[np.bool_], brain: Volume, margin_mm: float) -> None:
    """Take the brain and what is near it out of a region, in place."""
    box = bounding_box(region)
    if box is None:
        return
    widths = [int(np.ceil(margin_mm / spacing)) + 1 for spacing in brain.spacing_mm]
    spans = zip(box.start, box.stop, widths, brain.shape, strict=True)
    x, y, z = (slice(max(0, a - w), min(n, b + w)) for a, b, w, n in spans)
    inside = np.asarray(brain.voxels[x, y, z] != 0)
    if inside.any():
        away_mm = ndimage.distance_transform_edt(~inside, sampling=brain.spacing_mm)
        region[x, y, z] &= away_mm > margin_mm
