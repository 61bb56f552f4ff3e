"""Which patches a network takes, and the nearest to one that it does not."""

import math
from collections.abc import Callable
from typing import Final

from tds_core.training.config import Shape

Factors = Callable[[Shape], Shape]
"""From a patch to the numbers that its axes must be multiples of."""

_ROUNDS: Final = 16


def patch_fault(patch: Shape, factors: Factors) -> str | None:
    """Return why a patch does not fit, or `None` if it does.

    Args:
        patch: Voxels along x, y, z.
        factors: Of the network.
    """
    wanted = factors(patch)
    odd = [
        f"{axis} ({size}) must be a multiple of {of}"
        for axis, size, of in zip("xyz", patch, wanted, strict=True)
        if size < 1 or size % of
    ]
    if odd:
        return ", ".join(odd)
    if math.prod(wanted) > 1 and patch == wanted:
        return "its coarsest features would be a single voxel, over which nothing can be normalised"
    return None


def nearest_patches(patch: Shape, factors: Factors) -> list[Shape]:
    """Return the nearest smaller and larger patches that fit, as far as there are any.

    Args:
        patch: Voxels along x, y, z.
        factors: Of the network.
    """
    found = (_settle(patch, factors, up=up) for up in (False, True))
    return [shape for shape in found if shape is not None]


def _settle(patch: Shape, factors: Factors, *, up: bool) -> Shape | None:
    """Round until the rule holds: rounding may change what a rule that looks at the patch asks for."""
    shape = patch
    for _ in range(_ROUNDS):
        wanted = factors(shape)
        x, y, z = (_rounded(size, of, up=up) for size, of in zip(shape, wanted, strict=True))
        shape = (x + wanted[0], y, z) if up and (x, y, z) == wanted else (x, y, z)
        if min(shape) < 1:
            return None
        if patch_fault(shape, factors) is None:
            return shape
    return None


def _rounded(size: int, of: int, *, up: bool) -> int:
    return max(math.ceil(size / of), 1) * of if up else size // of * of
