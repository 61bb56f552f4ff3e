"""The layers around the brain: skull, scalp, eyes, air and the face, as far as pictures of the head show them.

The template ends at the brain, so these are drawn from the distance to it and from ellipsoids (MNI coordinates, mm).
They look like a head to a reader and to software that removes the skull; they are no model of anyone's face.
"""

from typing import Final

import numpy as np

from tds_data.phantoms.anatomy import Anatomy
from tds_data.phantoms.exact import Float
from tds_data.phantoms.individual import Individual
from tds_data.phantoms.lattice import Point
from tds_data.phantoms.outline import SCALP_MM, ellipsoid_mm, head_depth_mm

_DURA_MM: Final = 0.9
_INNER_TABLE_MM: Final = 1.8
_OUTER_TABLE_MM: Final = 1.6
_SKIN_MM: Final = 1.8
# What lies in the face and under the skull, later ones over earlier ones: tissue, middle of the right one, half axes,
# and whether there is one on each side.
_FACE: Final[tuple[tuple[str, Point, Point, bool], ...]] = (
    ("bone", (0.0, 34.0, -60.0), (40.0, 42.0, 16.0), False),
    ("fat", (31.0, 52.0, -37.0), (17.0, 24.0, 15.0), True),
    ("muscle", (31.0, 40.0, -37.0), (5.0, 18.0, 5.0), True),
    ("vitreous", (32.0, 63.0, -37.0), (12.0, 12.0, 12.0), True),
    ("lens", (32.0, 73.0, -37.0), (4.5, 2.2, 4.5), True),
    ("mucosa", (25.0, 48.0, -64.0), (14.5, 17.0, 15.5), True),
    ("air", (25.0, 48.0, -64.0), (12.5, 15.0, 13.5), True),
    ("mucosa", (7.0, 56.0, -46.0), (7.5, 24.0, 16.0), True),
    ("air", (6.0, 56.0, -46.0), (3.5, 22.0, 13.0), True),
    ("mucosa", (5.0, 52.0, -70.0), (6.0, 32.0, 13.0), True),
    ("air", (4.0, 52.0, -70.0), (2.2, 30.0, 10.0), True),
    ("air", (0.0, 24.0, -38.0), (11.0, 9.0, 8.0), False),
    ("air", (7.0, 80.0, -16.0), (8.0, 4.0, 9.0), True),
    ("air", (0.0, 8.0, -88.0), (8.0, 7.0, 34.0), False),
    ("marrow", (0.0, -8.0, -112.0), (17.0, 13.0, 40.0), False),
    ("fluid", (0.0, -36.0, -112.0), (9.0, 8.0, 50.0), False),
    ("white", (0.0, -36.0, -112.0), (5.5, 4.5, 50.0), False),
    ("bone", (52.0, -34.0, -46.0), (9.0, 12.0, 15.0), True),
)


def outer_shares(person: Individual, anatomy: Anatomy) -> tuple[tuple[str, Float], ...]:
    """Return how much of each voxel the tissues around the brain fill, later ones over earlier ones.

    Args:
        person: Whose head.
        anatomy: The voxels to describe; those far outside have to be among them for a whole head.
    """
    field = anatomy.take(person.skull.on(anatomy.lattice))
    hull = anatomy.hull_mm
    start = gap_mm(person, anatomy) + np.float32(_DURA_MM)
    inner = start + np.float32(_INNER_TABLE_MM)
    outer = inner + np.clip(np.float32(3.2) + np.float32(1.2) * field, 1.0, 6.0)
    end = outer + np.float32(_OUTER_TABLE_MM)
    depth = head_depth_mm(anatomy.template_mm, hull)
    fat_mm = np.float32(_SKIN_MM) + np.clip(np.float32(3.0) + np.float32(1.5) * field, 1.0, 7)
    beyond = _step(hull - end)
    layers = [
        ("bone", _step(hull - start)),
        ("marrow", _step(hull - inner) - _step(hull - outer)),
        ("muscle", beyond),
        (
            "fat",
            beyond * np.clip(_step(fat_mm - depth) + np.clip(np.float32(0.15) + np.float32(0.5) * field, 0, 0.8), 0, 1),
        ),
        ("skin", beyond * _step(np.float32(_SKIN_MM) - depth)),
    ]
    if anatomy.hull_mm.max(initial=0.0) > SCALP_MM:
        layers += _face(anatomy)
    return (*layers, ("air", beyond * _step(-depth)))


def gap_mm(person: Individual, anatomy: Anatomy) -> Float:
    """Return how far the dura lies above the brain's smooth cover, in mm: further in the old.

    Args:
        person: Whose head.
        anatomy: The voxels to describe.
    """
    field = anatomy.take(person.skull.on(anatomy.lattice))
    gap: Float = np.clip(np.float32(0.2 + 0.9 * person.atrophy) + np.float32(0.6) * field, 0, 3)
    return gap


def _face(anatomy: Anatomy) -> list[tuple[str, Float]]:
    x, y, z = anatomy.template_mm
    outside = _step(anatomy.surface_mm - np.float32(2.5))
    layers = []
    for tissue, centre, radii, paired in _FACE:
        depth = ellipsoid_mm((np.abs(x) if paired else x, y, z), centre, radii)
        layers.append((tissue, outside * _step(depth)))
    return layers


def _step(values: Float) -> Float:
    """Return 0 below, 1 above zero, and a ramp of 1 mm in between."""
    ramp: Float = np.clip(values + np.float32(0.5), 0, 1)
    return ramp
