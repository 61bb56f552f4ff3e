"""Depth, strides and kernels of a U-Net from its patch and voxels, by the rules of nnU-Net.

Isensee et al. 2021, Nature Methods 18, 203-211: an axis is halved as long as enough voxels of it are left and its
voxels are about as long as the others' shortest; kernels reach along an axis from the level on where they are.
"""

from dataclasses import dataclass
from typing import Final

from tds_core.training.config import Shape

_MIN_EDGE: Final = 4
_MIN_EDGE_ALONE: Final = 6
"""Voxels that an axis keeps if no other is halved with it."""
_ALIKE: Final = 2.0
"""Voxels' edges are about as long as each other below this ratio."""
_MIN_LEVELS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Shape of a U-Net's levels, finest first.

    Attributes:
        strides: Of the first convolution of each level along x, y, z; 1 at the first level.
        kernels: Of the convolutions of each level along x, y, z.
    """

    strides: tuple[Shape, ...]
    kernels: tuple[Shape, ...]

    @property
    def factors(self) -> Shape:
        """How much smaller the coarsest level is along x, y, z."""
        x = y = z = 1
        for stride in self.strides:
            x, y, z = x * stride[0], y * stride[1], z * stride[2]
        return x, y, z


def derive_topology(patch: Shape, spacing_mm: tuple[float, float, float]) -> Topology:
    """Return the levels that nnU-Net would give a network; three at least, however small the patch.

    Args:
        patch: Voxels along x, y, z.
        spacing_mm: Edges of a voxel, millimetres.

    Examples:
        >>> len(derive_topology((128, 128, 128), (1.0, 1.0, 1.0)).strides)
        6
        >>> derive_topology((128, 128, 32), (1.0, 1.0, 4.0)).factors
        (32, 32, 8)
    """
    size, edge = list(patch), list(spacing_mm)
    reach = [1, 1, 1]
    strides, kernels = [(1, 1, 1)], []
    while halved := _halved(size, edge, deep_enough=len(strides) >= _MIN_LEVELS):
        reach = [3 if r > 1 or e < _ALIKE * min(edge) else 1 for r, e in zip(reach, edge, strict=True)]
        kernels.append(_shape(reach))
        strides.append(_shape([2 if axis in halved else 1 for axis in range(3)]))
        for axis in halved:
            size[axis], edge[axis] = -(-size[axis] // 2), 2 * edge[axis]
    return Topology(strides=tuple(strides), kernels=(*kernels, (3, 3, 3)))


def _halved(size: list[int], edge: list[float], *, deep_enough: bool) -> list[int]:
    """Return the axes that the next level halves."""
    smallest, alone = (_MIN_EDGE, _MIN_EDGE_ALONE) if deep_enough else (1, 1)
    long = [axis for axis in range(3) if size[axis] >= 2 * smallest]
    if not long:
        return []
    shortest = min(edge[axis] for axis in long)
    alike = [axis for axis in long if edge[axis] < _ALIKE * shortest]
    return [] if len(alike) == 1 and size[alike[0]] < 2 * alone else alike


def _shape(values: list[int]) -> Shape:
    x, y, z = values
    return x, y, z
