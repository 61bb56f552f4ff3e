"""FLIPPED-LEFT-RIGHT, the mask or the whole study: left and right are swapped against the images or the atlas."""

from typing import Final

import numpy as np

from tds_data.quality.codes import flag
from tds_data.quality.content.asymmetry import measure_leaning
from tds_data.quality.content.atlas import Placed, load_atlas
from tds_data.quality.content.robust import robust_deviation
from tds_data.report import QualityFlag, Severity
from tds_data.vocabulary import Modality

MASK_CONTRAST: Final = 0.3
"""How abnormal what the mask marks has to look against the same place on the other side: robust deviations of such
differences, positive for a tumour's brightness in T2 and FLAIR. Right masks show three times as much."""
MASK_REFUSED: Final = -0.5
"""From here down the other side is clearly the abnormal one, and the finding is an error."""
LEANING: Final = -0.07
"""Cosine between the case's asymmetry and the usual one, below which the whole study looks mirrored. Right patients lie
at about +0.1, give or take 0.06, so a right one hardly ever comes here, and two mirrored ones in three do. A brain that
is built alike on both sides, such as a phantom, lies at zero, give or take 0.06."""

_INSIDE: Final = 0.9
_MIN_LESION_VOXELS: Final = 30.0
_SIGNS: Final = {Modality.T1: -0.5, Modality.T1CE: 0.5, Modality.T2: 1.0, Modality.FLAIR: 1.0}
_LARGEST: Final = 5.0
_NEEDED: Final = frozenset({Modality.T1, Modality.T2})


def measure_mask_contrast(placed: Placed) -> float | None:
    """Return how abnormal the marked side looks against the other; `None` if a mask's sides cannot be told apart.

    Args:
        placed: The case on the atlas's lattice.
    """
    if placed.lesion is None or not placed.images.keys() & {Modality.T2, Modality.FLAIR}:
        return None
    lateral = np.maximum(placed.lesion - placed.lesion[::-1], 0)
    if lateral.sum() < _MIN_LESION_VOXELS:
        return None
    inside = load_atlas().brain > _INSIDE
    total = 0.0
    for modality, image in placed.images.items():
        difference = (image - image[::-1]).astype(np.float64)
        spread = max(robust_deviation(difference[inside]), np.finfo(float).tiny)
        clipped = np.clip(difference / spread, -_LARGEST, _LARGEST)
        total += _SIGNS[modality] * float((lateral * clipped).sum() / lateral.sum())
    return total / sum(abs(_SIGNS[m]) for m in placed.images)


def check_mask_side(placed: Placed) -> tuple[QualityFlag, ...]:
    """Return the finding about a mask on the wrong side, if it is.

    Args:
        placed: The case on the atlas's lattice.
    """
    contrast = measure_mask_contrast(placed)
    if contrast is None or contrast > MASK_CONTRAST:
        return ()
    severity = Severity.ERROR if contrast < MASK_REFUSED else Severity.WARNING
    message = "the mask marks a side that looks no more abnormal than the other; see whether it has to be mirrored"
    shown = f"contrast {contrast:+.1f} deviations (at least {MASK_CONTRAST:+.1f})"
    return (flag("FLIPPED-LEFT-RIGHT", message, shown, subject="mask", severity=severity),)


def check_study_side(placed: Placed) -> tuple[QualityFlag, ...]:
    """Return the finding about a whole study that looks mirrored, if it does.

    Args:
        placed: The case on the atlas's lattice; without T1 and T2 the evidence is too weak to say anything.
    """
    if not placed.images.keys() >= _NEEDED:
        return ()
    leaning = measure_leaning(placed)
    if leaning > LEANING:
        return ()
    message = (
        "the whole study looks mirrored: its two sides differ the opposite way to most brains; compare it with the "
        "DICOM series. Some people are built that way"
    )
    return (flag("FLIPPED-LEFT-RIGHT", message, f"leaning {leaning:+.2f} (usual +0.03 to +0.15)"),)
