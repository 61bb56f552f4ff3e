"""Intensities that a network cannot use, and intensities that were cut off."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.quality.codes import flag
from tds_data.quality.sampling import SampledImage
from tds_data.report import QualityFlag
from tds_data.volume import VoxelArray

CLIPPED_SHARE: Final = 5e-4
"""Share of the head's voxels at the largest value above which they may be clipped."""

_PILE_RATIO: Final = 5.0  # a clipped image has so many more voxels at the top than in the band right below it
_BAND: Final = 0.02  # width of that band, as a part of the way from the median to the top
_MIN_PILE: Final = 20  # sampled voxels; fewer are chance
_FAINT: Final = 1e-30  # an image whose largest intensity is above has a spread that single precision can hold


def unusable_flags(sequence: SampledImage) -> Iterator[QualityFlag]:
    """Yield what makes an image useless to a network, which sees it in single precision; nothing if it is usable.

    Args:
        sequence: The image to look at.
    """
    name, voxels = sequence.name, sequence.volume.voxels.ravel(order="K")
    single = _single(voxels)
    not_finite = _count_not_finite(single)
    if not_finite:
        message = f"{name} holds voxels that are NaN, infinite or beyond single precision; export the image again"
        yield flag("NOT-FINITE", message, f"{not_finite} voxel{'s' if not_finite > 1 else ''}", subject=name)
        return
    mask = sequence.mask.ravel(order="K")
    if not sequence.filled:
        message = f"{name} is the same value everywhere; export the image again"
        yield flag("CONSTANT-IMAGE", message, str(voxels[0]), subject=name)
    elif not _has_spread(single, mask, sequence.filled):
        message = f"{name} is a single value on its background, as a mask is; give the image itself"
        yield flag("CONSTANT-IMAGE", message, str(voxels[mask.argmax()]), subject=name)


def clipped_flags(sequence: SampledImage) -> Iterator[QualityFlag]:
    """Yield whether an image's brightest intensities were cut off.

    An image that was windowed has a pile of voxels at its largest value and few right below; one that was not fades
    out towards it.

    Args:
        sequence: A usable image.
    """
    inside = sequence.sample[sequence.sampled_mask].astype(np.float64)
    if not inside.size:
        return
    top, median = inside.max(), np.median(inside)
    pile = int(np.count_nonzero(inside == top))
    if pile < max(_MIN_PILE, CLIPPED_SHARE * inside.size):
        return
    below = inside[inside < top]
    if not below.size:
        return
    low = min(below.max(), top - _BAND * (top - median))
    if pile >= _PILE_RATIO * np.count_nonzero(below >= low):
        message = f"{sequence.name} is clipped: many voxels share its largest value; export it without a window"
        yield flag("CLIPPED", message, f"{pile / inside.size:.2%} of the head at {top:g}", subject=sequence.name)


def _single(voxels: VoxelArray) -> VoxelArray:
    if voxels.dtype.kind != "f" and voxels.dtype.itemsize <= np.dtype(np.int16).itemsize:
        return voxels  # single precision holds these exactly
    with np.errstate(over="ignore"):
        return voxels.astype(np.float32, copy=False)


def _count_not_finite(voxels: VoxelArray) -> int:
    if voxels.dtype.kind != "f":
        return 0
    finite = np.isfinite(voxels)
    return 0 if finite.all() else int(np.count_nonzero(~finite))


def _has_spread(voxels: VoxelArray, mask: NDArray[np.bool_], filled: int) -> bool:
    """Tell whether the foreground's values differ, and by enough to be divided by in single precision."""
    first = voxels[mask.argmax()]
    if np.count_nonzero(voxels == first) >= filled and (voxels[mask] == first).all():
        return False
    if voxels.dtype.kind != "f" or max(voxels.max(), -voxels.min()) > _FAINT:
        return True
    return bool(voxels[mask].std(dtype=np.float64) >= np.finfo(np.float32).tiny)
