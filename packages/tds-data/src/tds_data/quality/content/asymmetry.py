"""Left against right over the whole study: how brains lean, and whether this one leans the other way.

Brains are twisted a little: the right frontal and the left occipital lobe reach farther. What differs between the two
sides of a case, freed of lesions and of everything that a shifted or turned middle plane explains, is compared with
what differs in patients whose orientation is known. `tools/quality/fit_asymmetry.py` makes that map and measures it.
"""

from functools import lru_cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.quality.content.atlas import ATLAS_SPACING_MM, Placed, load_atlas, places_mm
from tds_data.quality.content.view import Float, Mask
from tds_data.vocabulary import Modality

SHARE: Final = "share"
"""Name of the foreground among the channels of the map."""
CHANNELS: Final = (SHARE, Modality.T1.value, Modality.T2.value)
"""What is compared between the sides; sequences that are absent are left out."""

_BRAIN: Final = 0.02
_LESION_DIFFERENCE: Final = 0.15
_LESION_BLUR: Final = 1.5
_LESION_CORE: Final = 0.8
_LESION_SHARE: Final = 0.05
_LARGEST: Final = 0.4
_UNIT_MM: Final = 10.0


def lateral_features(placed: Placed) -> dict[str, NDArray[np.float64]]:
    """Return what differs between right and left, for each channel that the case has.

    Args:
        placed: The case on the atlas's lattice.

    Returns:
        Float64 of shape (points,), right minus left, over the right half of the brain; 0 where a lesion may be.
    """
    images = {SHARE: placed.share, **{m.value: image for m, image in placed.images.items()}}
    names = [name for name in CHANNELS if name in images]
    inside = half_brain()
    counted = inside & ~_lesions(placed)
    odd = np.concatenate([_odd(images[name])[inside] * counted[inside] for name in names]).astype(np.float64)
    odd = np.clip(odd, -_LARGEST, _LARGEST)
    nuisance = np.concatenate([_nuisance(images[name], inside) * counted[inside][:, None] for name in names])
    odd -= nuisance @ np.linalg.lstsq(nuisance, odd, rcond=None)[0]
    return dict(zip(names, np.split(odd, len(names)), strict=True))


def measure_leaning(placed: Placed, weights: dict[str, NDArray[np.float64]] | None = None) -> float:
    """Return how far the case leans as brains do: a cosine, positive for the usual way, negative for the mirrored.

    Args:
        placed: The case on the atlas's lattice.
        weights: The map to compare with; the one that this package ships if left out.
    """
    known = load_weights() if weights is None else weights
    features = lateral_features(placed)
    seen = np.concatenate(list(features.values()))
    usual = np.concatenate([known[name] for name in features])
    return float(seen @ usual / (np.linalg.norm(seen) * np.linalg.norm(usual) + np.finfo(float).tiny))


@lru_cache(maxsize=1)
def load_weights() -> dict[str, NDArray[np.float64]]:
    """Return the map that this package ships: weights for each channel over the points of `half_brain`."""
    with files("tds_data.quality.content").joinpath("asymmetry.npz").open("rb") as file, np.load(file) as stored:
        return {name: stored[name].astype(np.float64) for name in CHANNELS}


@lru_cache(maxsize=1)
def half_brain() -> Mask:
    """Return where the right half of the atlas's lattice is brain, without the middle plane."""
    brain = load_atlas().brain
    mask: Mask = brain[_middle() + 1 :] > _BRAIN
    mask.flags.writeable = False
    return mask


def _middle() -> int:
    return int(load_atlas().brain.shape[0]) // 2


def _odd(image: Float) -> Float:
    """Return half the difference between right and left over the right half."""
    middle = _middle()
    return np.asarray((image[middle + 1 :] - image[middle - 1 :: -1]) / 2, np.float32)


def _nuisance(image: Float, inside: Mask) -> NDArray[np.float64]:
    """Return the differences between the sides that shifting, turning and shearing the middle plane makes."""
    middle = _middle()
    even = (image[middle:] + image[middle::-1]) / 2
    slopes = [np.asarray(np.gradient(even, ATLAS_SPACING_MM, axis=axis), np.float64) for axis in range(3)]
    across, along, up = (slope[1:][inside] for slope in slopes)
    x, y, z = (places_mm()[middle + 1 :][inside] / _UNIT_MM).T
    return np.stack([across, across * y, across * z, along * x, up * x], axis=1)


def _lesions(placed: Placed) -> Mask:
    """Return where a side differs so broadly, or is marked so, that a lesion may be there or across."""
    middle = _middle()
    core = ndimage.binary_erosion(load_atlas().brain > _LESION_CORE, iterations=2)[middle + 1 :]
    differs = np.zeros(core.shape, np.bool_)
    bright = [placed.images[m] for m in (Modality.T2, Modality.FLAIR) if m in placed.images]
    for image in bright or placed.images.values():
        differs |= np.abs(ndimage.gaussian_filter(_odd(image), _LESION_BLUR)) > _LESION_DIFFERENCE
    differs = ndimage.binary_dilation(differs & core)
    if placed.lesion is not None:
        marked = np.maximum(placed.lesion, placed.lesion[::-1])[middle + 1 :]
        differs |= ndimage.gaussian_filter(marked, 1.0) > _LESION_SHARE
    return np.asarray(differs, dtype=np.bool_)
