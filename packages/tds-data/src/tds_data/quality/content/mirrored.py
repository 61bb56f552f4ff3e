"""FLIPPED-LEFT-RIGHT, one sequence: left and right are swapped in it against the others.

On the atlas's lattice, which is symmetric, each sequence's local contrast is explained by the others', as it is and
mirrored: quick, and enough to clear most. What stays suspect is moved rigidly into its best place, as it is and
mirrored, before the two are compared: a sequence that is only shifted is explained well then, a mirrored one is not.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.quality.codes import flag
from tds_data.quality.content.atlas import Placed, load_atlas, places_mm
from tds_data.quality.content.interior import Interior, explanatory
from tds_data.quality.content.registration import measure_displacement
from tds_data.quality.content.robust import robust_fit
from tds_data.quality.content.view import Float, Mask
from tds_data.report import QualityFlag, Severity
from tds_data.vocabulary import Modality

SUSPICION: Final = 0.93
"""Unexplained part as it is against mirrored, above which a sequence is looked at again. Right sequences mostly stay
below; every mirrored one comes out above 0.99."""
MIRROR_EVIDENCE: Final = 1.05
"""The same after moving both into their best places, above which the sequence is mirrored. Right sequences stay below
0.9, shifted, turned, noisy or ghosted ones below 0.97; every mirrored one comes out above 1.1."""
PAIR_EVIDENCE: Final = 1.15
"""The same where there are only two sequences, and then it is no more than a warning: right pairs of T1 or T1ce and
FLAIR reach 1.07, among mirrored ones."""

_INSIDE: Final = 0.9
_EVERY: Final = 3
_MIN_POINTS: Final = 1000
_WINDOW: Final = 13
_LEAST: Final = 0.05
_TAILS: Final = (0.01, 0.99)


def suspect_mirrored(placed: Placed) -> dict[Modality, float]:
    """Return each sequence's unexplained part as it is against mirrored; nothing if there is only one sequence.

    Args:
        placed: The case on the atlas's lattice.
    """
    inside = (load_atlas().brain > _INSIDE) & (placed.share > _INSIDE) & (placed.share[::-1] > _INSIDE)
    chosen = np.flatnonzero(inside)[::_EVERY]
    if len(placed.images) < 2 or chosen.size < _MIN_POINTS:  # noqa: PLR2004  # one against another
        return {}
    places = places_mm().reshape(-1, 3)[chosen]
    local = {m: _local_contrast(image, inside)[chosen] for m, image in placed.images.items()}
    ratios = {}
    for modality, image in placed.images.items():
        design = explanatory([_clipped(v) for m, v in local.items() if m != modality], places)
        other_way = _local_contrast(_mirrored(image, image > 0, placed.share > _INSIDE), inside)[chosen]
        as_is = robust_fit(design, _clipped(local[modality])).spread
        ratios[modality] = as_is / robust_fit(design, _clipped(other_way)).spread
    return ratios


def measure_mirror_evidence(interior: Interior, modality: Modality) -> float:
    """Return one sequence's unexplained part as it is against mirrored, each moved into its best place.

    Args:
        interior: The inside of a case of two sequences or more.
        modality: One of them.
    """
    mirrored = _mirrored(interior.images[modality], interior.mask, interior.mask)
    other_way = replace(interior, images={**interior.images, modality: mirrored})
    as_is = measure_displacement(interior, modality).unexplained
    return as_is / measure_displacement(other_way, modality).unexplained


def check_mirrored(placed: Placed, interior: Interior) -> tuple[QualityFlag, ...]:
    """Return the finding about the sequence whose sides are swapped against the others, if there is one.

    Args:
        placed: The case on the atlas's lattice.
        interior: The inside of the case.
    """
    suspects = [m for m, ratio in suspect_mirrored(placed).items() if ratio > SUSPICION]
    evidence = {m: measure_mirror_evidence(interior, m) for m in suspects}
    worst = max(evidence, key=lambda m: evidence[m], default=None)
    is_pair = len(placed.images) == 2  # noqa: PLR2004  # either of them may be the mirrored one
    if worst is None or evidence[worst] < (PAIR_EVIDENCE if is_pair else MIRROR_EVIDENCE):
        return ()
    subject = ", ".join(placed.images) if is_pair else worst.value
    severity = Severity.WARNING if is_pair else Severity.ERROR
    message = f"{subject} fits the other sequences better with left and right swapped; convert it again"
    if is_pair:
        message = "the two sequences fit better with left and right swapped in one; find out which and convert it again"
    shown = f"{evidence[worst]:.2f} times better mirrored"
    return (flag("FLIPPED-LEFT-RIGHT", message, shown, subject=subject, severity=severity),)


def _local_contrast(image: Float, inside: Mask) -> NDArray[np.float64]:
    """Return an image divided by its mean around each place, which takes a drift in brightness away; flat."""
    weight = inside.astype(np.float32)
    mean = ndimage.uniform_filter(image * weight, _WINDOW)
    mean /= np.maximum(ndimage.uniform_filter(weight, _WINDOW), _LEAST)
    contrast: NDArray[np.float64] = (image / np.maximum(mean, _LEAST)).astype(np.float64).ravel()
    return contrast


def _clipped(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.quantile(values, _TAILS)
    return np.clip(values, low, high)


def _mirrored(image: Float, filled: Mask, wanted: Mask) -> Float:
    """Return an image mirrored about its own middle: a file is mirrored about its field of view, not about the head."""
    mirrored = image.shape[0] - 1 - _middle(filled)
    return np.roll(image[::-1], round(_middle(wanted) - mirrored), axis=0)


def _middle(mask: Mask) -> float:
    weights = mask.sum(axis=(1, 2))
    return float(weights @ np.arange(len(weights)) / max(weights.sum(), 1))
