"""Random changes of a patch: place, contrast, noise, resolution and missing sequences."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tds_core.training.config import SamplingConfig
from tds_core.training.mixing import fill_shape, paste_cube, place, rotation
from tds_core.training.samples import Cube, Sample

_CHANNELS = 4
_OVERHANG = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything that patches are made of.

    Attributes:
        patients: Real patients to train on.
        phantoms: Synthetic patients; may be empty.
        cubes: Real lesions of other patients; may be empty.
        outlines: For each patient, outlines of real tumours on that patient's grid: a uint8 tensor of shape
            (n, 3, x, y, z), shares of 255; may be empty.
    """

    patients: tuple[Sample, ...]
    phantoms: tuple[Sample, ...] = ()
    cubes: tuple[Cube, ...] = ()
    outlines: tuple[Tensor, ...] = ()


def draw_patch(sources: Sources, config: SamplingConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return one random training patch.

    Args:
        sources: What to draw from.
        config: How to draw.
        rng: Source of randomness; the patch is a function of it alone.

    Returns:
        Float32 tensors of shape (4, p, p, p) with z-scores and (3, p, p, p) with the shares of WT, TC, ET.
    """
    if sources.phantoms and rng.random() < config.phantom_share:
        host = sources.phantoms[int(rng.integers(len(sources.phantoms)))]
        image, regions, _ = _crop(host, None, config, rng)
        return change_image(image, config, rng), regions
    index = int(rng.integers(len(sources.patients)))
    kind = rng.random()
    wants_shape = bool(sources.outlines) and kind < config.shape_share
    outline = None
    if wants_shape:
        stock = sources.outlines[index]
        outline = stock[int(rng.integers(len(stock)))].float() / 255
    image, regions, outline = _crop(sources.patients[index], outline, config, rng)
    if outline is not None:
        complete = [cube for cube in sources.cubes if not np.isnan(cube.label_mean).any()] or sources.cubes
        cube = complete[int(rng.integers(len(complete)))]
        image, regions = fill_shape(image, regions, outline, cube, rng)
    elif sources.cubes and kind < config.shape_share + config.cube_share:
        for _ in range(int(rng.integers(1, 4))):
            cube = sources.cubes[int(rng.integers(len(sources.cubes)))]
            image, regions = paste_cube(image, regions, cube, rng)
    return change_image(image, config, rng), regions


def change_image(image: Tensor, config: SamplingConfig, rng: np.random.Generator) -> Tensor:
    """Return an image with random contrast, noise, resolution and missing sequences.

    Args:
        image: Float32 tensor of shape (4, x, y, z), z-scores, zero outside the head.
        config: How often.
        rng: Source of randomness.
    """
    brain = image != 0
    channels = []
    for channel in image:
        changed = _contrast(channel, rng)
        if rng.random() < config.thick_slice_share:
            changed = _thick_slices(changed, rng)
        elif rng.random() < 0.15:
            changed = functional.avg_pool3d(changed[None], 3, 1, 1)[0]
        channels.append(changed)
    changed = torch.stack(channels)
    if rng.random() < 0.3:
        seeds = torch.Generator().manual_seed(int(rng.integers(2**31)))
        changed = changed + torch.randn(changed.shape, generator=seeds) * float(rng.uniform(0.02, 0.25))
    changed = changed * brain
    return changed * _kept(config, rng)[:, None, None, None]


def _kept(config: SamplingConfig, rng: np.random.Generator) -> Tensor:
    kept = torch.ones(_CHANNELS)
    if rng.random() >= config.keep_all_share:
        dropped = rng.choice(_CHANNELS, size=int(rng.integers(1, _CHANNELS)), replace=False)
        kept[torch.from_numpy(dropped)] = 0
    return kept


def _contrast(channel: Tensor, rng: np.random.Generator) -> Tensor:
    changed = channel
    if rng.random() < 0.3:
        low, high = -3.0, 5.0
        share = ((changed - low) / (high - low)).clamp(0, 1)
        changed = share ** float(np.exp(rng.uniform(-0.4, 0.4))) * (high - low) + low
    if rng.random() < 0.3:
        bias = torch.from_numpy(rng.normal(0, 0.25, (1, 1, 4, 4, 4)).astype(np.float32))
        field = functional.interpolate(bias, size=tuple(channel.shape), mode="trilinear", align_corners=True)[0, 0]
        changed = changed + field * (changed + 3.0) / 3.0
    return changed * float(rng.uniform(0.85, 1.15)) + float(rng.uniform(-0.15, 0.15))


def _thick_slices(channel: Tensor, rng: np.random.Generator) -> Tensor:
    axis = int(rng.integers(3))
    size = list(channel.shape)
    size[axis] = max(4, int(size[axis] / rng.uniform(1.5, 3.0)))
    thick = functional.interpolate(channel[None, None], size=size, mode="area")
    return functional.interpolate(thick, size=tuple(channel.shape), mode="trilinear", align_corners=False)[0, 0]


def _crop(
    host: Sample, outline: Tensor | None, config: SamplingConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor | None]:
    patch = torch.Size([config.patch] * 3)
    wanted = host.regions if outline is None else outline
    if rng.random() < config.foreground_share:
        # The rarest region present is chosen half of the time.
        channel = 0 if rng.random() < 0.5 else int(rng.integers(1, 3))
        spots = torch.nonzero(wanted[channel] > 0.5)
        spots = spots if len(spots) else torch.nonzero(wanted[0] > 0.5)
    else:
        spots = torch.nonzero(host.image[0] != 0)
    spots = spots if len(spots) else torch.nonzero(host.image[0] != 0)
    centre = spots[int(rng.integers(len(spots)))].float()
    target = _target(centre, host.image.shape[1:], config.patch, rng)
    stack = [host.image, host.regions] if outline is None else [host.image, host.regions, outline]
    matrix = rotation(rng, max_degrees=15, scale=(0.85, 1.2))
    moved = place(torch.cat(stack), matrix, centre, target, patch)
    return moved[:4], moved[4:7], None if outline is None else moved[7:]


def _target(centre: Tensor, shape: torch.Size, patch: int, rng: np.random.Generator) -> Tensor:
    """Return where in the patch the centre voxel lands, so that little of the patch lies outside the head."""
    wish = centre - torch.from_numpy(rng.uniform(0.2 * patch, 0.8 * patch, 3).astype(np.float32))
    last = torch.tensor([n - patch for n in shape], dtype=torch.float32)
    low, high = torch.minimum(last, torch.zeros(3)) - _OVERHANG, torch.maximum(last, torch.zeros(3)) + _OVERHANG
    return centre - torch.maximum(torch.minimum(wish, high), low)
