"""Uneven brightness taken out by N4 (Tustison et al. 2010, IEEE TMI 29(6), 1310-1320), with SimpleITK.

The field is kept stiff. With the four levels that N4 is commonly given, it bends enough to take a large oedema for
uneven brightness and to wipe it out of the FLAIR.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tds_data.errors import GridMismatch, VoxelError
from tds_data.geometry import resample
from tds_data.preprocess import foreground
from tds_data.raw._itk import single_thread, to_itk, voxels_of
from tds_data.raw._search import coarser
from tds_data.volume import Volume

_HALF: Final = 0.5
_FEWEST_VOXELS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasConfig:
    """How the bias field is found.

    Attributes:
        voxel_mm: Edge of the voxels on which it is found; it is smooth, so they may be large.
        iterations: Iterations at each level; the field bends twice as finely at each as at the last.
        tolerance: Change of the field at which a level ends.
    """

    voxel_mm: float = 4.0
    iterations: tuple[int, ...] = (50, 50)
    tolerance: float = 1e-3


def correct_bias(volume: Volume, mask: Volume, config: BiasConfig | None = None) -> Volume:
    """Return an image divided by its bias field, float32; the mean brightness where it was found stays what it was.

    Args:
        volume: The image.
        mask: Where the field is found, non-zero inside: the brain, for fat is too bright and bone too dark to tell.
            The field is applied everywhere.
        config: How; the defaults if `None`.

    Raises:
        GridMismatch: If the mask is on another grid.
        VoxelError: If the image holds NaN or infinities or is constant, or next to nothing of it is positive there.
        GeometryError: If the axes of the image are not at right angles.
        MissingDependency: If SimpleITK is not installed.
    """
    config = config or BiasConfig()
    foreground(volume.voxels)
    if not volume.same_grid(mask):
        message = f"a mask of shape {mask.shape} is not on the grid of its image, which has shape {volume.shape}"
        raise GridMismatch(message)
    small = coarser(volume, config.voxel_mm)
    share = coarser(mask.with_voxels(mask.voxels != 0), config.voxel_mm).voxels
    inside = np.greater_equal(share, _HALF) & np.greater(small.voxels, 0)
    with single_thread() as sitk:
        field = _log_field(sitk, small, inside, config)
    x, y, z = (a / b for a, b in zip(volume.spacing_mm, small.spacing_mm, strict=True))
    field -= np.log(_mean(small.voxels, inside) / _mean(small.voxels / np.exp(field), inside))
    return volume.with_voxels(volume.voxels / np.exp(resample(field, (x, y, z), volume.shape)))


def _log_field(sitk: Any, small: Volume, inside: NDArray[np.bool_], config: BiasConfig) -> NDArray[np.float32]:  # noqa: ANN401
    count = int(np.count_nonzero(inside))
    if count < _FEWEST_VOXELS:
        message = (
            f"a bias field needs at least {_FEWEST_VOXELS} positive voxels of 4 mm to be found in; there are {count}"
        )
        raise VoxelError(message)
    image = to_itk(small)
    method = sitk.N4BiasFieldCorrectionImageFilter()
    method.SetMaximumNumberOfIterations(list(config.iterations))
    method.SetConvergenceThreshold(config.tolerance)
    method.Execute(image, sitk.Cast(to_itk(small.with_voxels(inside)), sitk.sitkUInt8))
    return voxels_of(method.GetLogBiasFieldAsImage(image))


def _mean(values: NDArray[Any], inside: NDArray[np.bool_]) -> float:
    return float(values[inside].mean(dtype=np.float64))
