"""Which case a patch is cut from, and where: decided by seed, epoch and position alone."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.box import Shape
from tds_data.cache import CachedCase

_ORDER: Final = 1
_PATCH: Final = 2
_WORDS: Final = 2**32


def patch_rng(seed: int, epoch: int, index: int, attempt: int = 0) -> np.random.Generator:
    """Return the source of randomness of one patch; no two patches share one.

    Args:
        seed: Of the run.
        epoch: Number of the epoch.
        index: Position of the patch in the epoch.
        attempt: How many cases in its place turned out to be damaged.
    """
    return _rng(_PATCH, seed, epoch, index, attempt)


def case_at(cases: int, seed: int, epoch: int, index: int) -> int:
    """Return which case is at a position: each comes once in every round, in an order that changes.

    Args:
        cases: How many there are.
        seed: Of the run.
        epoch: Number of the epoch.
        index: Position of the patch in the epoch.

    Examples:
        >>> sorted(case_at(5, 0, 0, i) for i in range(5))
        [0, 1, 2, 3, 4]
    """
    turn, place = divmod(index, cases)
    return int(_rng(_ORDER, seed, epoch, turn).permutation(cases)[place])


def choose_region(
    case: CachedCase, foreground_share: float, weights: Mapping[str, float], rng: np.random.Generator
) -> str | None:
    """Return the region that a patch is centred on, or `None` for one from anywhere.

    Args:
        case: Where the patch is cut.
        foreground_share: Chance to centre on a region, if there is one.
        weights: How often each is chosen.
        rng: Source of randomness.
    """
    wanted = rng.random() < foreground_share
    there = [region for region, weight in weights.items() if weight > 0 and case.region_voxels(region)]
    if not wanted or not there:
        return None
    shares = np.array([weights[region] for region in there])
    return there[int(rng.choice(len(there), p=shares / shares.sum()))]


def choose_start(
    case: CachedCase,
    foreground: NDArray[np.uint32],
    region: str | None,
    shape: Shape,
    rng: np.random.Generator,
) -> Shape:
    """Return the first voxel of a patch.

    Along an axis that is longer than the patch, the patch stays inside; along one that is shorter, the whole axis
    lies in the patch, anywhere.

    Args:
        case: Where the patch is cut.
        foreground: Its list of voxels with a label.
        region: What to centre on, if anything; a voxel of it is in the patch.
        shape: Voxels of the patch.
        rng: Source of randomness.
    """
    slack = [n - m for n, m in zip(case.shape, shape, strict=True)]
    anywhere = [int(rng.integers(min(0, s), max(0, s) + 1)) for s in slack]
    if region is None:
        x, y, z = anywhere
        return x, y, z
    voxel = case.region_voxel(foreground, region, int(rng.integers(case.region_voxels(region))))
    x, y, z = (
        min(max(v - m // 2, 0), s) if s > 0 else there
        for v, m, s, there in zip(voxel, shape, slack, anywhere, strict=True)
    )
    return x, y, z


def _rng(*numbers: int) -> np.random.Generator:
    # Fixed-width words, so that no two lists of numbers spell the same.
    words: Sequence[int] = [word for number in numbers for word in divmod(number, _WORDS)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
