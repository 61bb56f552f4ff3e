"""Another patient's lesion, blended into a patch.

After the idea of mixing lesions between patients (Zhang et al. 2021, CarveMix, arXiv:2108.06883), with a soft edge
instead of a cut one.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from tds_data.box import Box, Shape
from tds_data.loading.augmentation.filters import blur
from tds_data.loading.augmentation.record import Mixing
from tds_data.loading.augmentation.source import VoxelSource
from tds_data.loading.augmentation.workspace import Workspace

_MARGIN_VOXELS: Final = 6
_EDGE_SIGMA_VOXELS: Final = 2.0
_HALF: Final = 0.5
_TRIES: Final = 8


def draw_mixing(name: str, donor: VoxelSource, image: Tensor, rng: np.random.Generator) -> Mixing | None:
    """Return which part of a donor to blend in where, or `None` if no place in the brain was found.

    Args:
        name: The donor's name, for the record.
        donor: A case with a lesion.
        image: The patch, float32 of shape (channel, x, y, z).
        rng: Source of randomness.
    """
    if donor.lesion_box is None:
        return None
    box = _around(donor.lesion_box, donor.shape, (image.shape[1], image.shape[2], image.shape[3]), rng)
    x, y, z = (bool(rng.random() < _HALF) for _ in range(3))
    for _ in range(_TRIES):
        spot = [int(rng.integers(n)) for n in image.shape[1:]]
        if bool(image[:, spot[0], spot[1], spot[2]].any()):
            a, b, c = (s - n // 2 for s, n in zip(spot, box.shape, strict=True))
            return Mixing(donor=name, start=box.start, shape=box.shape, mirrored=(x, y, z), target=(a, b, c))
    return None


def mix(step: Mixing, donor: VoxelSource, image: Tensor, labels: Tensor, workspace: Workspace) -> None:
    """Blend a lesion into a patch, in place.

    Args:
        step: Which part, and where.
        donor: The case that it comes from.
        image: Float32 tensor of shape (channel, x, y, z).
        labels: Uint8 tensor of shape (x, y, z).
        workspace: Scratch on the same device.
    """
    box = Box(start=step.start, stop=_end(step.start, step.shape))
    other = workspace.get("donor-image", (image.shape[0], *step.shape))
    numbers = workspace.get("donor-labels", step.shape, torch.uint8)
    donor.read_image(box, step.mirrored, other)
    donor.read_labels(box, step.mirrored, numbers)
    weight = _weight(numbers, other, workspace)
    here, there = _common(step, (labels.shape[0], labels.shape[1], labels.shape[2]))
    target, weight = image[:, *here], weight[there]
    weight = weight * (target != 0).any(0)
    # A sequence that the patient lacks stays absent.
    weight = weight[None] * (image != 0).flatten(1).any(1)[:, None, None, None]
    target.lerp_(other[:, *there], weight)
    labels[here] = torch.where(weight.amax(0) > _HALF, numbers[there], labels[here])


def suits(present: Sequence[bool], donor: Sequence[bool]) -> bool:
    """Tell whether a donor has every sequence that a case has.

    Args:
        present: The sequences of the case.
        donor: Those of the donor.
    """
    return all(there or not needed for needed, there in zip(present, donor, strict=True))


def _around(lesion: Box, size: Shape, largest: Shape, rng: np.random.Generator) -> Box:
    """Return the lesion with a margin, cut at random to what fits into a patch."""
    start, stop = [], []
    for a, b, n, most in zip(lesion.start, lesion.stop, size, largest, strict=True):
        low, high = max(0, a - _MARGIN_VOXELS), min(n, b + _MARGIN_VOXELS)
        if high - low > most:
            low = int(rng.integers(low, high - most + 1))
            high = low + most
        start.append(low)
        stop.append(high)
    return Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))


def _weight(numbers: Tensor, other: Tensor, workspace: Workspace) -> Tensor:
    """Return how much of the donor counts: all inside the lesion, less and less around it, nothing outside its head."""
    weight = workspace.get("donor-weight", tuple(numbers.shape))
    torch.gt(numbers, 0, out=weight)
    blur(weight, (_EDGE_SIGMA_VOXELS, _EDGE_SIGMA_VOXELS, _EDGE_SIGMA_VOXELS), workspace)
    weight.mul_(2).clamp_(0, 1).masked_fill_(numbers > 0, 1)
    return weight.mul_((other != 0).any(0))


def _common(step: Mixing, size: Shape) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the part of the patch and the part of the donor that lie on each other."""
    here, there = [], []
    for at, length, n in zip(step.target, step.shape, size, strict=True):
        low, high = max(0, at), min(n, at + length)
        here.append(slice(low, high))
        there.append(slice(low - at, high - at))
    return tuple(here), tuple(there)


def _end(start: Shape, shape: Shape) -> Shape:
    x, y, z = (a + n for a, n in zip(start, shape, strict=True))
    return x, y, z
