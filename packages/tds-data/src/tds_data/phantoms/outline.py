"""The outline of the head around the brain: vault, face and neck, in the template's frame."""

from typing import Final

import numpy as np

from tds_data.phantoms.exact import Float
from tds_data.phantoms.lattice import Point

Places = tuple[Float, Float, Float]
"""Coordinates in the template's frame, mm."""

SCALP_MM: Final = 13.5
"""Distance of the skin from the brain's smooth cover."""
_FACE: Final = ((0.0, 36.0, -58.0), (66.0, 60.0, 82.0))
_NECK: Final = ((0.0, -30.0, -118.0), (58.0, 60.0, 92.0))


def head_depth_mm(places: Places, hull_mm: Float) -> Float:
    """Return how deep under the skin places lie, in mm, negative outside the head.

    Args:
        places: Where.
        hull_mm: Their distance from the smooth cover of the brain.
    """
    depth = np.float32(SCALP_MM) - hull_mm
    for centre, radii in (_FACE, _NECK):
        np.maximum(depth, ellipsoid_mm(places, centre, radii), out=depth)
    return depth


def ellipsoid_mm(places: Places, centre: Point, radii: Point) -> Float:
    """Return about how deep inside an ellipsoid places lie, in mm, negative outside.

    Args:
        places: Where.
        centre: Middle of the ellipsoid.
        radii: Its half axes.
    """
    total = np.zeros(places[0].shape, np.float32)
    for place, middle, radius in zip(places, centre, radii, strict=True):
        away = (place - np.float32(middle)) / np.float32(radius)
        total += away * away
    depth: Float = (1 - np.sqrt(total)) * np.float32(min(radii))
    return depth
