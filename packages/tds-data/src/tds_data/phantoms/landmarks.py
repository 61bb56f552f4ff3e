"""Where large vessels, choroid plexus and iron-rich nuclei lie in the template's frame (MNI coordinates, mm).

The places are an anatomist's round numbers: they only have to be where a reader of pictures expects them.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.phantoms.lattice import Lattice, Point

_STEP_MM: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """A course through the head.

    Attributes:
        points: Corners of the course; `mirrored` adds the other side's.
        radius_mm: Of the tube.
        mirrored: Whether there is one on each side.
    """

    points: tuple[Point, ...]
    radius_mm: float
    mirrored: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Nucleus:
    """An ellipsoid of iron-rich grey matter on each side.

    Attributes:
        centre_mm: Of the right one.
        radii_mm: Half axes.
        iron: Relative to the pallidum.
    """

    centre_mm: Point
    radii_mm: Point
    iron: float


VEINS: Final = (
    Tube(points=((0, -42, 6), (0, -60, 2), (0, -82, -4), (0, -103, -8)), radius_mm=2.0, mirrored=False),
    Tube(points=((3, 2, 14), (2.5, -15, 17), (2, -32, 12), (0, -42, 6)), radius_mm=0.9),
    Tube(points=((0, -104, -6), (26, -97, -10), (48, -80, -16), (58, -58, -22), (50, -44, -40)), radius_mm=3.0),
    Tube(points=((11, -4, -16), (17, -20, -10), (14, -34, -2), (0, -42, 6)), radius_mm=0.9),
    Tube(points=((0, 24, 22), (0, 0, 32), (0, -30, 26), (0, -42, 6)), radius_mm=0.7, mirrored=False),
    Tube(points=((7, 12, 12), (14, 2, 24), (9, -4, 18), (3, 2, 14)), radius_mm=0.6),
)
"""Dural sinuses and deep veins; the superior sagittal sinus follows the skull instead."""

ARTERIES: Final = (
    Tube(points=((0, -20, -50), (0, -17, -36), (0, -12, -22), (0, -13, -17)), radius_mm=1.6, mirrored=False),
    Tube(points=((0, -13, -17), (10, -20, -16), (19, -34, -8), (15, -58, 0), (10, -78, 4)), radius_mm=0.9),
    Tube(points=((13, -8, -30), (12, 4, -22), (11, 6, -15)), radius_mm=2.0),
    Tube(points=((11, 6, -15), (24, 5, -18), (34, 3, -16), (39, 6, -8)), radius_mm=1.3),
    Tube(points=((39, 6, -8), (40, -2, 2), (42, -12, 8), (44, -24, 12), (50, -36, 18)), radius_mm=0.9),
    Tube(points=((39, 6, -8), (42, 14, -2), (44, 24, 4), (48, 30, 12)), radius_mm=0.8),
    Tube(
        points=((11, 6, -15), (4, 14, -14), (2, 30, -8), (2, 38, 6), (2.5, 28, 22), (3, 4, 34), (3, -20, 38)),
        radius_mm=0.9,
    ),
)

PLEXUS: Final = (
    Tube(points=((4, -2, 15), (9, -16, 19), (16, -30, 18), (22, -39, 13)), radius_mm=1.1),
    Tube(points=((21, -37, 15), (24, -41, 9), (26, -38, 2)), radius_mm=3.2),
    Tube(points=((26, -38, 2), (29, -28, -8), (29, -18, -15)), radius_mm=1.2),
    Tube(points=((0, -44, -32), (3, -46, -36), (12, -42, -42)), radius_mm=1.3),
)

NUCLEI: Final = (
    Nucleus(centre_mm=(19, -5, -2), radii_mm=(5, 9, 5.5), iron=1.0),
    Nucleus(centre_mm=(26, 2, 1), radii_mm=(5, 15, 10), iron=0.35),
    Nucleus(centre_mm=(13, 11, 9), radii_mm=(4, 8, 9), iron=0.2),
    Nucleus(centre_mm=(5, -20, -9), radii_mm=(3, 3.5, 4), iron=0.9),
    Nucleus(centre_mm=(10, -17, -13), radii_mm=(5, 4, 3), iron=0.9),
    Nucleus(centre_mm=(14, -57, -35), radii_mm=(7, 6, 6), iron=0.6),
)


def paint_tubes(tubes: tuple[Tube, ...], box: Lattice) -> NDArray[np.uint8]:
    """Return the share of each voxel that lies in tubes, 255 for all, with soft borders.

    Args:
        tubes: What to paint.
        box: Lattice of 1 mm.
    """
    image = np.zeros(box.shape, np.uint8)
    for tube in tubes:
        for side in (1, -1) if tube.mirrored else (1,):
            for place in _walk(tube.points, side):
                _paint_ball(image, box, place, tube.radius_mm)
    return image


def paint_nuclei(box: Lattice) -> NDArray[np.uint8]:
    """Return the iron of the deep nuclei relative to the pallidum's, 255 for that, with soft borders.

    Args:
        box: Lattice of 1 mm.
    """
    image = np.zeros(box.shape, np.uint8)
    x, y, z = (box.axis_mm(axis) for axis in range(3))
    x = np.abs(x)
    for nucleus in NUCLEI:
        squared = [((p - c) / r) ** 2 for p, c, r in zip((x, y, z), nucleus.centre_mm, nucleus.radii_mm, strict=True)]
        inside = 1.3 - (squared[0][:, None, None] + squared[1][None, :, None] + squared[2][None, None, :])
        share = np.clip(255 * nucleus.iron * np.clip(1.6 * inside, 0, 1), 0, 255)
        np.maximum(image, np.rint(share).astype(np.uint8), out=image)
    return image


def _walk(points: tuple[Point, ...], side: int) -> NDArray[np.float64]:
    """Return places along a course at even steps, its corners rounded."""
    corners = np.array(points, np.float64) * (side, 1, 1)
    for _ in range(2):
        middle = 0.75 * corners[:-1] + 0.25 * corners[1:], 0.25 * corners[:-1] + 0.75 * corners[1:]
        cut = np.stack(middle, axis=1).reshape(-1, 3)
        corners = np.concatenate([corners[:1], cut, corners[-1:]])
    pieces = []
    for start, stop in pairwise(corners):
        steps = max(1, int(np.abs(stop - start).sum() / _STEP_MM))
        pieces.append(start + (stop - start) * (np.arange(steps) / steps)[:, None])
    return np.concatenate(pieces)


def _paint_ball(image: NDArray[np.uint8], box: Lattice, place: NDArray[np.float64], radius_mm: float) -> None:
    index = (place - np.array(box.low_mm)) / box.spacing_mm - 0.5
    low = np.maximum(np.floor(index - radius_mm - 1).astype(int), 0)
    high = np.minimum(np.ceil(index + radius_mm + 1).astype(int) + 1, image.shape)
    if (high <= low).any():
        return
    squared = [(np.arange(a, b) - i) ** 2 for a, b, i in zip(low, high, index, strict=True)]
    apart = np.sqrt(squared[0][:, None, None] + squared[1][None, :, None] + squared[2][None, None, :])
    share = np.rint(255 * np.clip(radius_mm + 0.5 - apart, 0, 1)).astype(np.uint8)
    part = image[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    np.maximum(part, share, out=part)
