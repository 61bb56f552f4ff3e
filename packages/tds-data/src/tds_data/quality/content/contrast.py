"""T1CE-WITHOUT-CONTRAST: nothing in the T1ce is brighter than the T1 foretells.

Vessels, sinuses, choroid plexus and the lining of the brain take up contrast agent in everybody, enhancing tumour or
not. The T1ce is foretold from the T1 with a smooth change of gain; a second T1 leaves no bright rest.
"""

from typing import Final

import numpy as np

from tds_data.quality.codes import flag
from tds_data.quality.content.robust import robust_fit
from tds_data.quality.content.view import LOW_SPACING_MM, ContentView
from tds_data.report import QualityFlag
from tds_data.vocabulary import Modality

BRIGHTER: Final = 0.3
"""How much brighter than foretold, in medians of the brain, a place has to be to count as enhanced."""
MIN_ENHANCED: Final = 0.002
"""Least share of the brain that enhances. Every untouched patient shows more than twice as much, low-grade ones too; a
second T1 with noise, drift and a millimetre's shift shows half as much or less."""

_INSIDE: Final = 0.98
_MIN_VOXELS: Final = 2000
_UNIT_MM: Final = 60.0
_ROUNDS: Final = 5


def measure_enhancement(view: ContentView) -> float | None:
    """Return the share of the brain that is brighter in T1ce than T1 foretells; `None` without both sequences.

    Args:
        view: The case.
    """
    native, contrast = view.sequences.get(Modality.T1), view.sequences.get(Modality.T1CE)
    if native is None or contrast is None:
        return None
    inside = (native.share > _INSIDE) & (contrast.share > _INSIDE)
    if np.count_nonzero(inside) < _MIN_VOXELS:
        return None
    places = np.argwhere(inside) * LOW_SPACING_MM
    x, y, z = ((places - places.mean(axis=0)) / _UNIT_MM).T
    before = np.asarray(native.low[inside], np.float64)
    drift = [x, y, z, x * x, y * y, z * z, x * y, x * z, y * z]
    gain = [before, before * before, *(before * step for step in (x, y, z))]
    fit = robust_fit(
        np.stack([np.ones_like(x), *drift, *gain], axis=1),
        np.asarray(contrast.low[inside], np.float64),
        rounds=_ROUNDS,
    )
    return float((fit.residual > BRIGHTER).mean())


def check_contrast(view: ContentView) -> tuple[QualityFlag, ...]:
    """Return the finding about a T1ce without contrast agent, if it is one.

    Args:
        view: The case.
    """
    enhanced = measure_enhancement(view)
    if enhanced is None or enhanced >= MIN_ENHANCED:
        return ()
    message = (
        "t1ce shows no contrast agent: hardly a place is brighter than in t1; check that it was acquired after the "
        "injection and is not a second T1"
    )
    return (flag("T1CE-WITHOUT-CONTRAST", message, f"{enhanced:.2%} of the brain enhances", subject="t1ce"),)
