"""STRONG-BIAS: brightness drifts across the head.

On the atlas's lattice, the logarithm of the intensities is explained by the average brain's tissues and a smooth
polynomial of the place, with robust weights. The polynomial's range over the brain is the drift.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.quality.codes import flag
from tds_data.quality.content.atlas import Placed, load_atlas, places_mm
from tds_data.quality.content.robust import robust_fit
from tds_data.quality.content.view import ContentView, Float
from tds_data.report import QualityFlag
from tds_data.vocabulary import Modality

DRIFT_LIMITS: Final = {Modality.T1: 0.72, Modality.T1CE: 0.72, Modality.T2: 0.8, Modality.FLAIR: 0.88}
"""Largest range of the logarithm between the 2.5th and the 97.5th percentile of the brain: a factor of about two. The
limits of T2 and FLAIR are wider, since a large oedema brightens one end of the head too."""

_INSIDE: Final = 0.9
_DARK: Final = 0.15
_UNIT_MM: Final = 80.0
_TAIL: Final = 0.025
_MIN_VOXELS: Final = 1000
_EVERY: Final = 2


def measure_drift(image: Float, share: Float) -> float | None:
    """Return the range of the logarithm of the brightness over the brain; `None` where there is too little of it.

    Args:
        image: A sequence on the atlas's lattice.
        share: The part of each voxel that is foreground.
    """
    atlas = load_atlas()
    brain = (atlas.brain > _INSIDE) & (share > _INSIDE)
    inside = brain & (image > _DARK)
    if np.count_nonzero(inside) < max(_MIN_VOXELS, np.count_nonzero(brain) / 2):
        return None
    chosen = np.flatnonzero(inside)[::_EVERY]
    x, y, z = (places_mm().reshape(-1, 3)[chosen] / _UNIT_MM).T
    drift = np.stack([x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], axis=1)
    tissues = np.stack([tissue.ravel()[chosen] for tissue in (atlas.white, atlas.grey, atlas.fluid)], axis=1)
    logarithm = np.log(image.ravel()[chosen].astype(np.float64))
    fit = robust_fit(np.concatenate([tissues, drift], axis=1), logarithm, reach=1.5, rounds=5)
    field: NDArray[np.float64] = drift @ fit.coefficients[tissues.shape[1] :]
    low, high = np.quantile(field, [_TAIL, 1 - _TAIL])
    return float(high - low)


def check_bias(view: ContentView, placed: Placed) -> tuple[QualityFlag, ...]:
    """Return a finding for each sequence whose brightness drifts strongly; none for one whose zero was moved.

    Args:
        view: The case.
        placed: The same on the atlas's lattice.
    """
    flags = []
    for modality, image in placed.images.items():
        drift = None if view.sequences[modality].is_shifted else measure_drift(image, placed.share)
        if drift is not None and drift > DRIFT_LIMITS[modality]:
            message = f"{modality} drifts in brightness across the head; correct the bias field (N4) before use"
            flags.append(flag("STRONG-BIAS", message, f"factor {np.exp(drift):.1f}", subject=modality.value))
    return tuple(flags)
