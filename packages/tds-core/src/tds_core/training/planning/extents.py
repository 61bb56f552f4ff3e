"""Voxel size and patches, by the rules of nnU-Net (Isensee et al. 2021, Nature Methods 18, 203-211, Online Methods)."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from tds_core.training.config import Shape
from tds_core.training.planning.fingerprint import Fingerprint

_ANISOTROPIC: Final = 3.0
"""An axis is coarse if its voxels are so many times longer than the others', and it has as many times fewer."""
_COARSE_PERCENTILE: Final = 10
_FIRST_EDGE: Final = 256
"""Edge of the patch that the search begins with, were its voxels cubes."""
_DIGITS: Final = 4

Triple = tuple[float, float, float]
"""One number for each of x, y, z."""


def choose_spacing(fingerprint: Fingerprint) -> tuple[Triple, list[str]]:
    """Return the voxels that a network should see, in millimetres, and why.

    Args:
        fingerprint: What the data set is like.
    """
    spacings = fingerprint.spacings_mm
    edges = np.median(spacings, axis=0)
    reasons = [f"The median of the {len(spacings)} cases' voxels is {_mm(edges)}."]
    voxels = np.median(fingerprint.shapes_at(edges.tolist()), axis=0)
    coarse = int(np.argmax(edges))
    others = [axis for axis in range(3) if axis != coarse]
    longest, fewest = float(edges[others].max()), float(voxels[others].min())
    if edges[coarse] > _ANISOTROPIC * longest and voxels[coarse] * _ANISOTROPIC < fewest:
        finer = max(float(np.percentile(spacings[:, coarse], _COARSE_PERCENTILE)), longest)
        reasons.append(
            f"Along {'xyz'[coarse]} they are more than {_ANISOTROPIC:g} times as long and fewer, so that their "
            f"percentile {_COARSE_PERCENTILE}, {finer:.4g} mm, is taken there: most cases keep what detail they have."
        )
        edges[coarse] = finer
    x, y, z = (float(f"{edge:.{_DIGITS}g}") for edge in edges)
    return (x, y, z), reasons


def first_patch(spacing_mm: Triple, voxels: Sequence[float]) -> Shape:
    """Return the patch that the search begins with: about a cube in millimetres, no larger than the median case.

    Args:
        spacing_mm: Edges of the network's voxels.
        voxels: Of the median case along x, y, z.
    """
    across = [1 / edge for edge in spacing_mm]
    scale = _FIRST_EDGE / math.prod(across) ** (1 / 3)
    x, y, z = (max(1, round(min(n * scale, size))) for n, size in zip(across, voxels, strict=True))
    return x, y, z


def shrinking_patches(start: Shape, voxels: Sequence[float], factors: Callable[[Shape], Shape]) -> list[Shape]:
    """Return patches that a network takes, from the largest to the smallest, none of them twice.

    Each is the one before, shorter along the axis along which it shows most of the median case.

    Args:
        start: The largest that is wanted; rounded up to what the network takes.
        voxels: Of the median case along x, y, z.
        factors: Gives the numbers that the axes of a patch must be multiples of.
    """
    found = [_settled(start, factors)]
    while True:
        last = found[-1]
        shares = [size / n for size, n in zip(last, voxels, strict=True)]
        shorter = (_shortened(last, axis, factors) for axis in sorted(range(3), key=lambda axis: -shares[axis]))
        patch = next((patch for patch in shorter if patch is not None), None)
        if patch is None:
            return found
        found.append(patch)


def _shortened(patch: Shape, axis: int, factors: Callable[[Shape], Shape]) -> Shape | None:
    """Return the next smaller patch that is shorter along an axis, if there is one.

    What must divide a shorter patch may be more than what divided this one, so that rounding up gives it back.
    """
    for size in range(patch[axis] - 1, 0, -1):
        x, y, z = (size if i == axis else n for i, n in enumerate(patch))
        settled = _settled((x, y, z), factors)
        if settled[axis] < patch[axis] and math.prod(settled) < math.prod(patch):
            return settled
    return None


def _settled(patch: Shape, factors: Callable[[Shape], Shape]) -> Shape:
    """Round up; what must divide a patch may itself depend on the patch."""
    for _ in range(8):
        of = factors(patch)
        x, y, z = (math.ceil(size / n) * n for size, n in zip(patch, of, strict=True))
        if (x, y, z) == patch:
            break
        patch = (x, y, z)
    return patch


def _mm(edges: Sequence[float] | np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    return " x ".join(f"{edge:.3g}" for edge in edges) + " mm"
