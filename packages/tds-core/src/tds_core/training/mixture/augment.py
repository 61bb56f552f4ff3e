"""Random changes of a patch: place, contrast, noise, resolution and missing sequences."""

from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tds_core.errors import TrainingError
from tds_core.training.mixture.config import SamplingConfig
from tds_core.training.mixture.mixing import fill_shape, paste_cube, place, rotation
from tds_core.training.mixture.samples import Cube, Sample

T_co = TypeVar("T_co", covariant=True)

_CHANNELS: Final = 4
_OVERHANG: Final = 6.0
_INSIDE: Final = 0.5
_MAX_CUBES: Final = 3
_WHOLE_TUMOUR_SHARE: Final = 0.5
_BLUR_SHARE: Final = 0.15
_NOISE_SHARE: Final = 0.3
_GAMMA_SHARE: Final = 0.3
_GAMMA_RANGE: Final = (-3.0, 5.0)
_BIAS_SHARE: Final = 0.3


class _Indexable(Protocol[T_co]):
    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> T_co: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything that patches are made of.

    Attributes:
        patients: Real patients to train on.
        phantoms: Synthetic patients; may be empty.
        cubes: Real lesions of other patients; may be empty.
        outlines: For each patient, outlines of real tumours on that patient's grid: a uint8 tensor of shape
            (n, 3, x, y, z), shares of 255; may be empty.

    Raises:
        TrainingError: If there are no patients, or outlines that do not fit them, or outlines and no cube to fill them.
    """

    patients: tuple[Sample, ...]
    phantoms: tuple[Sample, ...] = ()
    cubes: tuple[Cube, ...] = ()
    outlines: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        if not self.patients:
            raise TrainingError("there is nobody to train on; the folder of cases holds validation patients only")
        if self.outlines and len(self.outlines) != len(self.patients):
            message = f"{len(self.outlines)} stocks of outlines for {len(self.patients)} patients; give one for each"
            raise TrainingError(message)
        if self.outlines and not self.cubes:
            raise TrainingError("outlines are filled with what lesion cubes look like; give lesion cubes too")


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
        image, regions, _ = _crop(_pick(sources.phantoms, rng), None, config, rng)
    else:
        image, regions = _draw_patient(sources, config, rng)
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
        elif rng.random() < _BLUR_SHARE:
            changed = functional.avg_pool3d(changed[None], 3, 1, 1)[0]
        channels.append(changed)
    changed = torch.stack(channels)
    if rng.random() < _NOISE_SHARE:
        seeds = torch.Generator().manual_seed(int(rng.integers(2**31)))
        changed = changed + torch.randn(changed.shape, generator=seeds) * float(rng.uniform(0.02, 0.25))
    changed = changed * brain
    return changed * _kept(config, rng)[:, None, None, None]


def _draw_patient(sources: Sources, config: SamplingConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return a patch of a real patient: as it is, with a tumour of another's shape or with lesions of others."""
    index = int(rng.integers(len(sources.patients)))
    kind = rng.random()
    outline = None
    if sources.outlines and kind < config.shape_share:
        outline = _pick(sources.outlines[index], rng).float() / 255
    image, regions, outline = _crop(sources.patients[index], outline, config, rng)
    if outline is not None:
        complete = tuple(cube for cube in sources.cubes if not np.isnan(cube.label_mean).any())
        return fill_shape(image, regions, outline, _pick(complete or sources.cubes, rng), rng)
    if sources.cubes and kind < config.shape_share + config.cube_share:
        for _ in range(int(rng.integers(1, _MAX_CUBES + 1))):
            image, regions = paste_cube(image, regions, _pick(sources.cubes, rng), rng)
    return image, regions


def _pick(items: _Indexable[T_co], rng: np.random.Generator) -> T_co:
    return items[int(rng.integers(len(items)))]


def _kept(config: SamplingConfig, rng: np.random.Generator) -> Tensor:
    kept = torch.ones(_CHANNELS)
    if rng.random() >= config.keep_all_share:
        dropped = rng.choice(_CHANNELS, size=int(rng.integers(1, _CHANNELS)), replace=False)
        kept[torch.from_numpy(dropped)] = 0
    return kept


def _contrast(channel: Tensor, rng: np.random.Generator) -> Tensor:
    changed = channel
    if rng.random() < _GAMMA_SHARE:
        low, high = _GAMMA_RANGE
        share = ((changed - low) / (high - low)).clamp(0, 1)
        changed = share ** float(np.exp(rng.uniform(-0.4, 0.4))) * (high - low) + low
    if rng.random() < _BIAS_SHARE:
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
    centre = _centre(host.image, host.regions if outline is None else outline, config, rng)
    target = _target(centre, host.image.shape[1:], config.patch, rng)
    stack = [host.image, host.regions] if outline is None else [host.image, host.regions, outline]
    matrix = rotation(rng, max_degrees=15, scale=(0.85, 1.2))
    moved = place(torch.cat(stack), matrix, centre, target, torch.Size([config.patch] * 3))
    return moved[:4], moved[4:7], None if outline is None else moved[7:]


def _centre(image: Tensor, wanted: Tensor, config: SamplingConfig, rng: np.random.Generator) -> Tensor:
    """Return a voxel inside the wanted tumour or anywhere in the head."""
    spots = torch.empty(0, 3)
    if rng.random() < config.foreground_share:
        # Half of the time the whole tumour, else its core or its enhancing part where there is one.
        region = 0 if rng.random() < _WHOLE_TUMOUR_SHARE else int(rng.integers(1, len(wanted)))
        spots = torch.nonzero(wanted[region] > _INSIDE)
        spots = spots if len(spots) else torch.nonzero(wanted[0] > _INSIDE)
    spots = spots if len(spots) else torch.nonzero(image[0] != 0)
    spots = spots if len(spots) else torch.nonzero((image != 0).any(0))
    return _pick(spots, rng).float()


def _target(centre: Tensor, shape: torch.Size, patch: int, rng: np.random.Generator) -> Tensor:
    """Return where in the patch the centre voxel lands, so that little of the patch lies outside the head."""
    wish = centre - torch.from_numpy(rng.uniform(0.2 * patch, 0.8 * patch, 3).astype(np.float32))
    last = torch.tensor([n - patch for n in shape], dtype=torch.float32)
    low, high = torch.minimum(last, torch.zeros(3)) - _OVERHANG, torch.maximum(last, torch.zeros(3)) + _OVERHANG
    return centre - torch.maximum(torch.minimum(wish, high), low)
