"""The brain mask that a skull-stripping program would leave: near the brain's surface, never quite on it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.phantoms.anatomy import Anatomy
from tds_data.phantoms.lattice import SmoothField

_FINE_MM: Final = 2.6
_COARSE_MM: Final = 16.0
_REACH: Final = ndimage.generate_binary_structure(3, 1)


def strip(rng: np.random.Generator, anatomy: Anatomy) -> NDArray[np.bool_]:
    """Return the voxels that are kept, as a boolean array of the lattice's shape; one piece.

    Args:
        rng: Source of randomness.
        anatomy: The head.
    """
    lattice = anatomy.lattice
    coarse, fine = SmoothField.draw(rng, lattice, _COARSE_MM), SmoothField.draw(rng, lattice, _FINE_MM)
    level, rough = float(rng.normal(0.8, 0.6)), float(rng.uniform(0.25, 0.6))
    broad = anatomy.take(coarse.on(lattice))
    edge = np.float32(level) + np.float32(rough) * anatomy.take(fine.on(lattice)) + np.float32(0.3) * broad
    edge += np.float32(3.0) * np.clip(
        broad - np.float32(1.5), 0, 1.4
    )  # here and there a scrap of what lies outside stays
    kept = np.zeros(lattice.shape, np.bool_)
    # Programs cut along gyri, but bridge their sulci.
    distance = np.float32(0.6) * anatomy.surface_mm + np.float32(0.4) * anatomy.hull_mm
    kept.ravel()[anatomy.places] = distance < np.clip(edge, -3, 5)
    kept = ndimage.binary_opening(kept, _REACH) if lattice.spacing_mm < 1.5 else kept  # noqa: PLR2004 - no crumbs
    pieces, count = ndimage.label(kept)
    if count > 1:
        kept = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(kept)
    return filled
