"""Changes of intensities, in place, one channel after the other.

They do what MONAI's transforms of the same name do (AdjustContrast, GaussianSmooth, RandBiasField) and are tested
against them, but without copies, and without the seconds that importing MONAI takes in every worker.
"""

import math
from functools import singledispatch
from typing import Final

import numpy as np
import torch
from numpy.polynomial import legendre
from torch import Tensor

from tds_data.loading.augmentation.draw import BIAS_TERMS
from tds_data.loading.augmentation.filters import along_axes, blur, low_resolution
from tds_data.loading.augmentation.record import (
    BiasField,
    Blur,
    Brightness,
    Contrast,
    Dropout,
    Gamma,
    LowResolution,
    Noise,
    Step,
)
from tds_data.loading.augmentation.workspace import Workspace

_SMALLEST: Final = 1e-7


@singledispatch
def apply_step(step: Step, image: Tensor, workspace: Workspace) -> None:
    """Change a patch in place.

    Args:
        step: What to do.
        image: Float32 tensor of shape (channel, x, y, z), contiguous.
        workspace: Scratch on the same device.

    Raises:
        TypeError: If it is no step.
    """
    del image, workspace
    message = f"{type(step).__name__} is no change of intensities"
    raise TypeError(message)


@apply_step.register
def _noise(step: Noise, image: Tensor, workspace: Workspace) -> None:
    generator = torch.Generator(device=image.device).manual_seed(step.seed)
    for channel in step.channels:
        noise = workspace.get("a", tuple(image.shape[1:]))
        torch.randn(noise.shape, generator=generator, out=noise)
        image[channel].add_(noise, alpha=step.std)


@apply_step.register
def _blur(step: Blur, image: Tensor, workspace: Workspace) -> None:
    for channel, sigmas in step.sigmas_voxels.items():
        blur(image[channel], sigmas, workspace)


@apply_step.register
def _low_resolution(step: LowResolution, image: Tensor, workspace: Workspace) -> None:
    for channel, share in step.shares.items():
        low_resolution(image[channel], share, workspace)


@apply_step.register
def _brightness(step: Brightness, image: Tensor, workspace: Workspace) -> None:
    del workspace
    for channel, factor in step.factors.items():
        image[channel].mul_(factor)


@apply_step.register
def _contrast(step: Contrast, image: Tensor, workspace: Workspace) -> None:
    del workspace
    for channel, factor in step.factors.items():
        voxels = image[channel]
        low, high = torch.aminmax(voxels)
        shift = voxels.mean() * (1 - factor)
        voxels.mul_(factor).add_(shift)
        torch.minimum(torch.maximum(voxels, low, out=voxels), high, out=voxels)


@apply_step.register
def _gamma(step: Gamma, image: Tensor, workspace: Workspace) -> None:
    del workspace
    for channel, exponent in step.exponents.items():
        voxels = image[channel]
        if step.inverted:
            voxels.neg_()
        mean, deviation = _centred(voxels)
        low, high = torch.aminmax(voxels)
        spread = (high - low).clamp(min=_SMALLEST)
        voxels.sub_(low).div_(spread).pow_(exponent)
        # The range is given back together with mean and deviation, in one pass.
        _, new_deviation = _centred(voxels)
        gain = torch.where(new_deviation * spread > _SMALLEST, deviation / new_deviation.clamp(min=_SMALLEST), spread)
        if step.inverted:
            gain, mean = -gain, -mean
        voxels.mul_(gain).add_(mean)


@apply_step.register
def _bias_field(step: BiasField, image: Tensor, workspace: Workspace) -> None:
    x, y, z = (_polynomials(n, image.device) for n in image.shape[1:])
    for channel, coefficients in step.coefficients.items():
        cube = np.zeros((4, 4, 4), np.float32)
        for term, coefficient in zip(BIAS_TERMS, coefficients, strict=True):
            cube[term] = coefficient
        voxels = image[channel]
        field = workspace.get("c", tuple(voxels.shape))
        along_axes(torch.from_numpy(cube).to(image.device), (x, y, z), field, workspace)
        low = voxels.amin()
        voxels.sub_(low).mul_(field.exp_()).add_(low)


@apply_step.register
def _dropout(step: Dropout, image: Tensor, workspace: Workspace) -> None:
    del workspace
    for channel in step.channels:
        image[channel].zero_()


def _centred(voxels: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract the mean in place; return it and the standard deviation, much faster than `torch.std_mean`."""
    mean = voxels.mean()
    deviation = torch.linalg.vector_norm(voxels.sub_(mean)) / math.sqrt(max(1, voxels.numel() - 1))
    return mean, deviation


def _polynomials(size: int, device: torch.device) -> Tensor:
    """Return the Legendre polynomials of degree 0 to 3 over an axis, of shape (size, 4)."""
    values = legendre.legvander(np.linspace(-1, 1, size), 3)
    return torch.from_numpy(values.astype(np.float32)).to(device)
