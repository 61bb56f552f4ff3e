"""Lesions of other patients, mixed into a patch.

Two ways, after the idea of mixing lesions between patients (Zhang et al. 2021, CarveMix, arXiv:2108.06883): a real
lesion cube is blended in, or a real tumour's outline is filled with the intensities of another patient's tumour.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tds_core.training.mixture.samples import Cube

_RAMP_VOXELS: Final = 3.0
_MIN_ALPHA: Final = 0.5
_INSIDE: Final = 0.5
_WHOLE_CUBE_SHARE: Final = 0.3


def rotation(rng: np.random.Generator, *, max_degrees: float, scale: tuple[float, float]) -> Tensor:
    """Return a random rotation with scaling and mirroring.

    Args:
        rng: Source of randomness.
        max_degrees: Largest angle about each axis.
        scale: Smallest and largest factor along each axis.

    Returns:
        Float32 tensor of shape (3, 3).
    """
    matrix = np.diag(rng.uniform(*scale, 3) * rng.choice((-1.0, 1.0), 3))
    for axis, angle in enumerate(np.deg2rad(rng.uniform(-max_degrees, max_degrees, 3))):
        turn = np.eye(3)
        i, j = [a for a in range(3) if a != axis]
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return torch.from_numpy(matrix.astype(np.float32))


def place(source: Tensor, matrix: Tensor, source_centre: Tensor, target_centre: Tensor, shape: torch.Size) -> Tensor:
    """Return a volume resampled onto a target grid, zero outside the source.

    Args:
        source: Float32 tensor of shape (channel, x, y, z).
        matrix: Float32 tensor of shape (3, 3) from target offsets to source offsets, in voxels.
        source_centre: Float32 tensor of shape (3,): the source voxel that lands on `target_centre`.
        target_centre: Float32 tensor of shape (3,).
        shape: Target voxels along x, y, z.
    """
    size = torch.tensor(source.shape[1:], dtype=torch.float32)
    target = torch.tensor(list(shape), dtype=torch.float32)
    # affine_grid speaks of normalised coordinates of voxel edges, last axis first.
    scale_in, scale_out = size / 2, target / 2
    linear = matrix * scale_out[None] / scale_in[:, None]
    middle_out = scale_out - 0.5
    middle_in = matrix @ (middle_out - target_centre) + source_centre
    shift = (middle_in + 0.5) / scale_in - 1
    theta = torch.cat([linear.flip(0, 1), shift.flip(0)[:, None]], dim=1)
    grid = functional.affine_grid(theta[None], [1, 1, *shape], align_corners=False)
    return functional.grid_sample(source[None], grid, mode="bilinear", align_corners=False)[0]


def paste_cube(image: Tensor, regions: Tensor, cube: Cube, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return a patch with a real lesion of another patient blended in.

    Args:
        image: Float32 tensor of shape (4, x, y, z).
        regions: Float32 tensor of shape (3, x, y, z).
        cube: The lesion.
        rng: Source of randomness.
    """
    brain = image.abs().sum(0) > 0
    spots = torch.nonzero(brain)
    if len(spots) == 0:
        return image, regions
    target = spots[int(rng.integers(len(spots)))].float()
    source = torch.cat([cube.image, cube.regions, _window(cube, whole=bool(rng.random() < _WHOLE_CUBE_SHARE))[None]])
    lesion = torch.nonzero(cube.regions[0] > _INSIDE).float()
    centre = lesion.mean(0) if len(lesion) else torch.tensor(cube.image.shape[1:]) / 2.0
    moved = place(source, rotation(rng, max_degrees=30, scale=(0.8, 1.3)), centre, target, image.shape[1:])
    alpha = moved[-1] * brain
    mixed = torch.lerp(image, moved[:4], alpha[None])
    return mixed, torch.where(alpha[None] > _MIN_ALPHA, moved[4:7], regions)


def fill_shape(
    image: Tensor, regions: Tensor, shape: Tensor, cube: Cube, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return a patch with a tumour of a given outline and another patient's intensities.

    Args:
        image: Float32 tensor of shape (4, x, y, z).
        regions: Float32 tensor of shape (3, x, y, z).
        shape: Float32 tensor of shape (3, x, y, z): the outline's regions on the patch.
        cube: The lesion whose intensities are used.
        rng: Source of randomness.
    """
    brain = (image.abs().sum(0) > 0).float()
    shape = shape * brain
    whole, core, enhancing = shape
    shares = torch.stack([core - enhancing, whole - core, enhancing]).clamp(0, 1)
    texture = _noise(image.shape, rng)
    mixed = image
    keep = float(rng.uniform(0.1, 0.4))
    for label, share in enumerate(shares):
        mean, std = cube.label_mean[label], cube.label_std[label]
        if np.isnan(mean).any():
            mean, std = _typical(cube)
        level = torch.from_numpy(mean)[:, None, None, None]
        spread = torch.from_numpy(std)[:, None, None, None]
        mixed = torch.lerp(mixed, level + spread * texture + keep * image, share[None])
    return mixed, torch.maximum(shape, regions)


def _window(cube: Cube, *, whole: bool) -> Tensor:
    size = cube.image.shape[1:]
    edges = [torch.minimum(torch.arange(n), torch.arange(n - 1, -1, -1)).float() for n in size]
    box = torch.stack(torch.meshgrid(*edges, indexing="ij")).amin(0)
    window = ((box + 1) / _RAMP_VOXELS).clamp(0, 1) * (cube.image.abs().sum(0) > 0)
    if whole:
        return window
    grown = functional.max_pool3d(cube.regions[:1], 5, stride=1, padding=2)
    near = functional.avg_pool3d(grown, 3, stride=1, padding=1, count_include_pad=False)[0]
    return window * near


def _noise(shape: torch.Size, rng: np.random.Generator) -> Tensor:
    seeds = torch.Generator().manual_seed(int(rng.integers(2**31)))
    fine = torch.randn(tuple(shape), generator=seeds)
    coarse = torch.randn((1, shape[0], *(max(2, n // 6) for n in shape[1:])), generator=seeds)
    smooth = functional.interpolate(coarse, size=tuple(shape[1:]), mode="trilinear", align_corners=False)[0]
    return 0.5 * functional.avg_pool3d(fine, 3, 1, 1) * 3.0 + smooth


def _typical(cube: Cube) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what stands in for a label that the cube lacks: the mean of those it has."""
    present = ~np.isnan(cube.label_mean).any(axis=1)
    if not present.any():
        return np.zeros(4, np.float32), np.ones(4, np.float32)
    return cube.label_mean[present].mean(axis=0), cube.label_std[present].mean(axis=0)
