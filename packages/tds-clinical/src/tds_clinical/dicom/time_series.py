"""Volumes of one series, stacked along a fourth axis."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tds_clinical.dicom._model import SeriesFiles
from tds_clinical.dicom.volume import read_series
from tds_clinical.errors import GeometryNotSupported
from tds_data.volume import VoxelArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeSeries:
    """Volumes on one grid.

    Attributes:
        voxels: Array of shape (x, y, z, volumes); read-only.
        ras_from_voxel: Affine of every volume, shape (4, 4), RAS+ millimetres.
        labels: Each volume in words.
    """

    voxels: VoxelArray
    ras_from_voxel: NDArray[np.float64]
    labels: tuple[str, ...]


def read_time_series(volumes: Sequence[SeriesFiles], *, resample: bool = False) -> TimeSeries:
    """Return volumes as one array: the time points of a series, its echoes or its diffusion weightings.

    Args:
        volumes: At least one volume, in the order of the fourth axis; those of one series come from `scan_folder` in
            the order of what tells them apart.
        resample: As for `read_series`.

    Raises:
        ClinicalError: As `read_series`.
        GeometryNotSupported: If the volumes do not share one grid.
    """
    first, *others = (read_series(volume, resample=resample) for volume in volumes)
    for volume, other in zip(volumes[1:], others, strict=True):
        if not first.same_grid(other):
            reason = f"it does not lie on the grid of {volumes[0].label}; read them one by one"
            raise GeometryNotSupported(volume.label, reason)
    stacked = np.stack([first.voxels, *(other.voxels for other in others)], axis=-1)
    stacked.flags.writeable = False
    return TimeSeries(
        voxels=stacked, ras_from_voxel=first.ras_from_voxel, labels=tuple(volume.label for volume in volumes)
    )
