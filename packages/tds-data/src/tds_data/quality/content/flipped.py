"""FLIPPED-LEFT-RIGHT: left and right are swapped in one sequence, in the mask, or in the whole study."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.quality.codes import flag
from tds_data.quality.content.asymmetry import measure_leaning
from tds_data.quality.content.atlas import Placed, load_atlas, places_mm
from tds_data.quality.content.interior import explanatory
from tds_data.quality.content.robust import robust_deviation, robust_fit
from tds_data.quality.content.view import Float
from tds_data.report import QualityFlag, Severity
from tds_data.vocabulary import Modality

MIRROR_GAIN: Final = 1.05
"""How many times better the others explain a sequence after mirroring it. Right sequences are explained worse then."""
MASK_CONTRAST: Final = -0.5
"""What the mask marks against the same place on the other side, in robust deviations of such differences, positive for
a tumour's brightness in T2 and FLAIR. A mirrored mask marks the healthy side and comes out negative."""
LEANING: Final = -0.04
"""Cosine between the case's asymmetry and the usual one, below which the whole study looks mirrored."""

_INSIDE: Final = 0.9
_EVERY: Final = 3
_MIN_POINTS: Final = 1000
_MIN_LESION_VOXELS: Final = 30.0
_SIGNS: Final = {Modality.T1: -0.5, Modality.T1CE: 0.5, Modality.T2: 1.0, Modality.FLAIR: 1.0}
_TAIL: Final = 0.995


def measure_mirror_gains(placed: Placed) -> dict[Modality, float]:
    """Return how many times better each sequence is explained by the others when it is mirrored.

    Args:
        placed: The case on the atlas's lattice.
    """
    brain = load_atlas().brain > _INSIDE
    inside = brain & (placed.share > _INSIDE) & (placed.share[::-1] > _INSIDE)
    chosen = np.flatnonzero(inside)[::_EVERY]
    if len(placed.images) < 2 or chosen.size < _MIN_POINTS:  # noqa: PLR2004  # one against another
        return {}
    places = places_mm().reshape(-1, 3)[chosen]
    values = {m: _values(image, chosen) for m, image in placed.images.items()}
    gains = {}
    for modality, image in placed.images.items():
        design = explanatory([v for m, v in values.items() if m != modality], places)
        mirrored = _values(_mirrored(image, placed.share), chosen)
        gains[modality] = robust_fit(design, values[modality]).spread / robust_fit(design, mirrored).spread
    return gains


def measure_mask_contrast(placed: Placed) -> float | None:
    """Return how abnormal the marked side looks against the other; `None` if a mask's sides cannot be told apart.

    Args:
        placed: The case on the atlas's lattice.
    """
    if placed.lesion is None:
        return None
    lateral = np.maximum(placed.lesion - placed.lesion[::-1], 0)
    if lateral.sum() < _MIN_LESION_VOXELS:
        return None
    inside = load_atlas().brain > _INSIDE
    total = 0.0
    for modality, image in placed.images.items():
        difference = (image - image[::-1]).astype(np.float64)
        spread = robust_deviation(difference[inside])
        if spread > 0:
            clipped = np.clip(difference / spread, -5, 5)
            total += _SIGNS[modality] * float((lateral * clipped).sum() / lateral.sum())
    return total / sum(abs(_SIGNS[m]) for m in placed.images)


def check_flipped(placed: Placed) -> tuple[QualityFlag, ...]:
    """Return the findings about swapped sides: of one sequence, else of the mask, else of the whole study.

    Args:
        placed: The case on the atlas's lattice.
    """
    gains = measure_mirror_gains(placed)
    worst = max(gains, key=lambda m: gains[m], default=None)
    if worst is not None and gains[worst] > MIRROR_GAIN:
        return (_sequence_finding(worst, gains),)
    contrast = measure_mask_contrast(placed)
    flags = []
    if contrast is not None and contrast < MASK_CONTRAST:
        message = "the mask marks the side where the images look healthy, and would fit the other; mirror the mask"
        shown = f"contrast {contrast:.1f} deviations (at least {MASK_CONTRAST:.1f})"
        flags.append(flag("FLIPPED-LEFT-RIGHT", message, shown, subject="mask", severity=Severity.ERROR))
    leaning = measure_leaning(placed)
    if leaning < LEANING:
        message = (
            "the whole study looks mirrored: its asymmetry is the opposite of what brains have; compare it with the "
            "DICOM series. One patient in many is built the other way round"
        )
        flags.append(flag("FLIPPED-LEFT-RIGHT", message, f"leaning {leaning:+.2f} (usual +0.05 to +0.15)"))
    return tuple(flags)


def _sequence_finding(worst: Modality, gains: dict[Modality, float]) -> QualityFlag:
    subject = worst.value if len(gains) > 2 else ", ".join(gains)  # noqa: PLR2004  # either of two
    message = f"{subject} fits the other sequences better with left and right swapped; convert it again"
    shown = f"{gains[worst]:.2f} times better mirrored"
    return flag("FLIPPED-LEFT-RIGHT", message, shown, subject=subject, severity=Severity.ERROR)


def _values(image: Float, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
    values = image.ravel()[chosen].astype(np.float64)
    return np.clip(values, 0, np.quantile(values, _TAIL))


def _mirrored(image: Float, share: Float) -> Float:
    """Return an image mirrored about its own middle: a file is mirrored about its field of view, not about the head."""
    filled = image > 0
    x = np.arange(image.shape[0], dtype=np.float64)

    def middle(mask: NDArray[np.bool_]) -> float:
        weights = mask.sum(axis=(1, 2))
        return float((weights * x).sum() / max(weights.sum(), 1))

    wanted, mirrored = middle(share > _INSIDE), image.shape[0] - 1 - middle(filled)
    return np.roll(image[::-1], round(wanted - mirrored), axis=0)
