"""The search behind registration: two images at several voxel sizes, and SimpleITK's optimiser on them.

Matrices in here are `moving_from_fixed`, the direction in which an optimiser samples; all are RAS+ millimetres.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tds_data.errors import RegistrationFailed
from tds_data.geometry import bounding_box, resample
from tds_data.preprocess import foreground
from tds_data.raw._itk import from_itk_transform, to_itk, to_itk_transform
from tds_data.raw.resampling import Affine
from tds_data.volume import Volume

_MARGIN_MM: Final = 8.0
_LOW_PERCENT: Final = 0.1
_HIGH_PERCENT: Final = 99.8
_STRIDE: Final = 3
_FEWEST: Final = 4  # voxels along an axis that is made coarser
_STEP_MM: Final = 1.0
_MIN_STEP_MM: Final = 2e-3
_ITERATIONS: Final = 150


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """Two images at every level, from coarse to fine.

    Attributes:
        sitk: SimpleITK, held to one thread.
        levels: Fixed and moving image of each level.
        centre_mm: What is turned about, RAS+ millimetres, shape (3,).
        samples: Points at which the images are compared while searching.
        bins: Bins of the joint histogram along each image.
    """

    sitk: Any
    levels: tuple[tuple[Any, Any], ...]
    centre_mm: NDArray[np.float64]
    samples: int
    bins: int

    def information(self, moving_from_fixed: Affine, *, level: int) -> float:
        """Return the images' mutual information in nats, over every voxel of a level; 0 where they do not overlap.

        Args:
            moving_from_fixed: How they lie.
            level: Index into the levels.
        """
        method = self._method()
        method.SetMetricSamplingStrategy(method.NONE)
        method.SetInitialTransform(to_itk_transform(moving_from_fixed, self.centre_mm, rigid=False))
        try:
            return -float(method.MetricEvaluate(*self.levels[level]))
        except RuntimeError:  # so SimpleITK says that too few points of one image lie within the other
            return 0.0

    def run(self, moving_from_fixed: Affine, *, level: int, rigid: bool, seed: int) -> Affine:
        """Return where the search ends that begins at a matrix.

        Args:
            moving_from_fixed: Where it begins; turns and shifts only if it is rigid.
            level: Index into the levels.
            rigid: Whether the end is to be turns and shifts only, too.
            seed: Where the samples are drawn from.

        Raises:
            RegistrationFailed: If the images do not overlap.
        """
        fixed, moving = self.levels[level]
        method = self._method()
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(min(1.0, self.samples / fixed.GetNumberOfPixels()), seed)
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=_STEP_MM,
            minStep=_MIN_STEP_MM,
            numberOfIterations=_ITERATIONS,
            relaxationFactor=0.6,
            gradientMagnitudeTolerance=1e-8,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        transform = to_itk_transform(moving_from_fixed, self.centre_mm, rigid=rigid)
        method.SetInitialTransform(transform, True)  # noqa: FBT003  # SimpleITK's own signature: in place
        try:
            method.Execute(fixed, moving)
        except RuntimeError as error:
            message = "the images do not overlap enough to be compared; check that both show one head"
            raise RegistrationFailed(message) from error
        return from_itk_transform(transform)

    def _method(self) -> Any:  # noqa: ANN401  # SimpleITK carries no annotations
        method = self.sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(self.bins)
        method.SetInterpolator(self.sitk.sitkLinear)
        return method


def make_levels(fixed: Volume, moving: Volume, levels_mm: tuple[float, ...]) -> tuple[tuple[Any, Any], ...]:
    """Return both images of SimpleITK at voxels of at least each size.

    Args:
        fixed: The fixed image; cropped to its content.
        moving: The moving image.
        levels_mm: Edges of the voxels.
    """
    fixed, moving = _cropped(_calmed(fixed)), _calmed(moving)
    return tuple((to_itk(coarser(fixed, edge_mm)), to_itk(coarser(moving, edge_mm))) for edge_mm in levels_mm)


def coarser(volume: Volume, edge_mm: float) -> Volume:
    """Return an image averaged to voxels with edges of at least a length.

    Args:
        volume: The image.
        edge_mm: Axes whose voxels are longer stay as they are, and so do those that are only a few voxels long.
    """
    edges = zip(volume.spacing_mm, volume.shape, strict=True)
    x, y, z = (min(max(1.0, edge_mm / spacing), max(1.0, count / _FEWEST)) for spacing, count in edges)
    nx, ny, nz = (int(n / f + 1e-6) for n, f in zip(volume.shape, (x, y, z), strict=True))
    grow = np.diag([x, y, z, 1.0])
    grow[:3, 3] = (np.array([x, y, z]) - 1) / 2
    voxels = resample(volume.voxels.astype(np.float32, copy=False), (x, y, z), (nx, ny, nz))
    return Volume(voxels, volume.ras_from_voxel @ grow)


def _calmed(volume: Volume) -> Volume:
    """Return an image without the few extreme values that would take all bins of a histogram."""
    image = volume.voxels.astype(np.float32)
    low = np.percentile(image[::_STRIDE, ::_STRIDE, ::_STRIDE], _LOW_PERCENT)
    high = np.percentile(image[foreground(image)][::_STRIDE], _HIGH_PERCENT)
    return volume.with_voxels(np.clip(image, low, high))


def _cropped(volume: Volume) -> Volume:
    box = bounding_box(foreground(volume.voxels))
    if box is None:  # pragma: no cover  # foreground() refuses a constant image first
        return volume
    margins = [int(np.ceil(_MARGIN_MM / spacing)) for spacing in volume.spacing_mm]
    start = [max(0, a - m) for a, m in zip(box.start, margins, strict=True)]
    stop = [min(n, b + m) for b, m, n in zip(box.stop, margins, volume.shape, strict=True)]
    x, y, z = (slice(a, b) for a, b in zip(start, stop, strict=True))
    moved = np.eye(4)
    moved[:3, 3] = start
    return Volume(volume.voxels[x, y, z], volume.ras_from_voxel @ moved)
