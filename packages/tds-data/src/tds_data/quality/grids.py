"""What speaks against a voxel grid, and grids of one study that differ."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from tds_data.quality.codes import flag
from tds_data.report import QualityFlag
from tds_data.volume import Volume, corner_shift_mm

SPACING_LIMITS_MM: Final = (0.2, 8.0)
"""Voxel edges outside this range are refused."""
THICK_SLICES_MM: Final = 3.5
"""Voxel edges above this are warned of."""
ANISOTROPY_LIMIT: Final = 3.0
"""Longest voxel edge divided by the shortest, above which a warning is given."""
MIN_EXTENT_MM: Final = 60.0
"""A field of view shorter than this along an axis is refused."""


def grid_flags(grid: Volume, *, subject: str | None = None) -> Iterator[QualityFlag]:
    """Yield what speaks against a grid.

    Args:
        grid: Only its shape and affine are looked at.
        subject: The sequence it is the grid of, if not every one's.
    """
    spacing = grid.spacing_mm
    shown = " x ".join(f"{s:.3g}" for s in spacing) + " mm"
    low, high = SPACING_LIMITS_MM
    if min(spacing) < low or max(spacing) > high:
        message = f"voxel edges must lie between {low} and {high} mm; check the header or use a finer series"
        yield flag("EXTREME-SPACING", message, shown, subject=subject)
    elif max(spacing) > THICK_SLICES_MM:
        message = f"slices thicker than {THICK_SLICES_MM} mm hide small lesions and blur volumes"
        yield flag("THICK-SLICES", message, shown, subject=subject)
    if max(spacing) / min(spacing) > ANISOTROPY_LIMIT:
        message = "voxels are much longer in one direction; volumes and diameters are less certain along it"
        yield flag("ANISOTROPIC", message, shown, subject=subject)
    extent = [n * s for n, s in zip(grid.shape, spacing, strict=True)]
    if min(extent) < MIN_EXTENT_MM:
        message = f"the field of view is shorter than {MIN_EXTENT_MM:.0f} mm along an axis; use a whole-head series"
        yield flag("TOO-SMALL", message, " x ".join(f"{e:.0f}" for e in extent) + " mm", subject=subject)


def mismatch_flags(volumes: Mapping[str, Volume]) -> Iterator[QualityFlag]:
    """Yield each volume of a study that is not on the first one's grid.

    Args:
        volumes: Sequences, and the mask, by name.
    """
    first = next(iter(volumes), None)
    for name, volume in volumes.items():
        grid = volumes[first or name]
        if volume.shape != grid.shape:
            message = f"{name} and {first} have different numbers of voxels; bring all sequences to one grid first"
            yield flag("SHAPE-MISMATCH", message, f"{_shape(volume)}, not {_shape(grid)}", subject=name)
        elif not volume.same_grid(grid):
            message = f"{name} and {first} put their voxels at different places; bring all sequences to one grid first"
            yield flag("AFFINE-MISMATCH", message, _difference(volume, grid), subject=name)


def _shape(volume: Volume) -> str:
    return " x ".join(map(str, volume.shape))


def _difference(volume: Volume, grid: Volume) -> str:
    moved = f"up to {corner_shift_mm(grid.shape, volume.ras_from_voxel, grid.ras_from_voxel):.3g} mm apart"
    handed = [np.linalg.det(v.ras_from_voxel[:3, :3]) > 0 for v in (volume, grid)]
    return moved if handed[0] == handed[1] else f"{moved}, mirrored"
