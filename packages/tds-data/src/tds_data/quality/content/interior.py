"""The inside of a brain as seen by several sequences, and what one of them looks like foretold from the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.quality.content.view import LOW_SPACING_MM, ContentView, Float, Mask
from tds_data.vocabulary import Modality

_INSIDE: Final = 0.5
_BRIGHTEST: Final = 0.995
_MIN_VOXELS: Final = 2000
_UNIT_MM: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interior:
    """What several sequences show inside the brain.

    Attributes:
        mask: Which small voxels lie inside the foreground of every sequence and not at its border.
        places_mm: Where they lie from their middle along the picture's axes, float64 of shape (voxels, 3).
        images: Each sequence's small picture with its brightest half per cent clipped.
    """

    mask: Mask
    places_mm: NDArray[np.float64]
    images: Mapping[Modality, Float]


def find_interior(view: ContentView) -> Interior | None:
    """Return the inside of a case, or `None` where there is too little of it.

    Args:
        view: The case.
    """
    if not view.sequences:
        return None
    shares = [s.share for s in view.sequences.values()]
    mask = ndimage.binary_erosion(np.logical_and.reduce([share > _INSIDE for share in shares]))
    if np.count_nonzero(mask) < _MIN_VOXELS:
        return None
    places = np.argwhere(mask) * LOW_SPACING_MM
    images = {m: _clipped(s.low, mask) for m, s in view.sequences.items()}
    return Interior(mask=mask, places_mm=places - places.mean(axis=0), images=images)


def _clipped(image: Float, mask: Mask) -> Float:
    return np.clip(image, 0, np.quantile(image[mask], _BRIGHTEST))


def explanatory(others: Sequence[NDArray[np.float64]], places_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the terms that foretell a sequence: the others, their products, and a drift in brightness.

    Args:
        others: The other sequences' values, each of shape (points,).
        places_mm: Where the points lie from their middle, shape (points, 3).

    Returns:
        Float64 of shape (points, terms).
    """
    first = others[0]
    steps = (places_mm / _UNIT_MM).T
    products = [a * b for a, b in combinations_with_replacement(others, 2)]
    return np.stack([np.ones_like(first), *others, *products, *steps, *(step * first for step in steps)], axis=1)
