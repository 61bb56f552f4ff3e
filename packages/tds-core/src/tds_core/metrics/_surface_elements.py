"""Area of the surface between the centres of 2 x 2 x 2 voxels.

The surface passes through the middle of every edge that joins a voxel inside with one outside, as in marching cubes
(Lorensen and Cline 1987). Voxels inside that share no face are separate pieces; of more than four voxels inside, those
outside are taken. A piece then has one of six forms. Its surface is made of planar polygons, whose area vectors follow
from the middles of the edges that are cut. Only the magnitudes of a vector's components count, because a length does
not change when an axis is mirrored. These are the surface elements of Nikolov et al. 2021 (doi 10.2196/26151).
"""

from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from tds_core.metrics.masks import Spacing

Corner = tuple[int, int, int]

_CORNERS: tuple[Corner, ...] = tuple((x, y, z) for x, y, z in product((0, 1), repeat=3))
_HALF_THE_CORNERS = 4


@cache
def element_areas_mm2(spacing_mm: Spacing) -> NDArray[np.float64]:
    """Return the area of the surface for each of the 256 patterns of inside and outside.

    Args:
        spacing_mm: Voxel size along each axis.

    Returns:
        Read-only array of 256 areas in square millimetres. Bit 4 x + 2 y + z of the index is the voxel at (x, y, z).
    """
    x, y, z = spacing_mm
    faces = np.array([y * z, x * z, x * y])
    areas = np.array([sum(float(np.linalg.norm(v * faces)) for v in _area_vectors(code)) for code in range(256)])
    areas.setflags(write=False)
    return areas


def element_codes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the pattern of inside and outside between voxels, one place less along each axis than the mask.

    Args:
        mask: C-contiguous boolean array of shape (x, y, z).
    """
    bits = mask.view(np.uint8)
    along_z = bits[:, :, :-1] | (bits[:, :, 1:] << 1)
    along_y = along_z[:, :-1] | (along_z[:, 1:] << 2)
    return np.asarray(along_y[:-1] | (along_y[1:] << 4), dtype=np.uint8)


def _area_vectors(code: int) -> list[NDArray[np.float64]]:
    inside = {corner for corner in _CORNERS if code >> (4 * corner[0] + 2 * corner[1] + corner[2]) & 1}
    corners = inside if len(inside) <= _HALF_THE_CORNERS else set(_CORNERS) - inside
    return [vector for piece in _pieces(corners) for vector in _piece_vectors(piece)]


def _pieces(corners: set[Corner]) -> list[set[Corner]]:
    pieces = []
    rest = set(corners)
    while rest:
        piece = {rest.pop()}
        while more := {corner for corner in rest if any(_axis(corner, other) is not None for other in piece)}:
            piece |= more
            rest -= more
        pieces.append(piece)
    return pieces


def _piece_vectors(piece: set[Corner]) -> list[NDArray[np.float64]]:
    """Return the area vectors of a piece of one to four corners that hang together, for voxels of 1 mm."""
    every, unit = np.ones(3), np.eye(3)
    neighbours = {a: [axis for b in piece if (axis := _axis(a, b)) is not None] for a in piece}
    busiest = max(piece, key=lambda corner: len(neighbours[corner]))
    axes = neighbours[busiest]
    across = every - sum((unit[axis] for axis in axes), np.zeros(3))
    match len(piece), len(axes):
        case 1, _:
            return [every / 8]  # a triangle
        case 2, _:
            return [across / 2]  # a rectangle along the edge
        case 3, _:
            return [across / 2, 3 * every / 8]  # a triangle beside the face that holds all three, and a trapezium
        case 4, 3:
            return [3 * every / 4]  # a hexagon
    ends = {tuple(neighbours[corner]) for corner in piece if len(neighbours[corner]) == 1}
    if not ends:
        return [across]  # a whole face
    middle = every - sum((unit[axis] for (axis,) in ends), np.zeros(3))
    return [every / 2, *((middle + unit[axis]) / 4 for (axis,) in ends)]  # a chain: a trapezium and two triangles


def _axis(a: Corner, b: Corner) -> int | None:
    """Return the axis of the edge between two corners, if there is one."""
    apart = [axis for axis in range(3) if a[axis] != b[axis]]
    return apart[0] if len(apart) == 1 else None
