"""MOTION: the head moved, or pulsed, while a sequence was acquired.

What the other sequences do not explain of a sequence is compared with the sequence itself, line by line of its Fourier
transform along each axis. A head that moves while lines are read multiplies those lines; back in space that is a sum of
faint shifted copies. Still anatomy has no such copies, whatever its contrast. Copies of opposite sign on the two sides
are the mark of phase errors and hardly occur otherwise, so they count more than copies of equal sign.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from tds_data.quality.codes import flag
from tds_data.quality.content.interior import Interior, explanatory
from tds_data.quality.content.robust import robust_fit
from tds_data.quality.content.view import LOW_SPACING_MM, Float
from tds_data.report import QualityFlag
from tds_data.vocabulary import Modality

ODD_COPY: Final = 0.0078
"""Share of the image in a copy of opposite signs, above which a warning is given. Still patients stay below it, most by
half; a ghost of a tenth shows a fifth of its strength here, since the brain's mask cuts it off, and comes out twice as
high."""
EVEN_COPY: Final = 0.016
"""Likewise for copies of equal sign, which residual contrast also makes."""

_NEAREST_MM: Final = 12.0
_FARTHEST: Final = 0.6
_PADDING: Final = 1.6
_QUIET: Final = 0.1
_CLIP: Final = 2.0
_EVERY: Final = 3
_ECHOED: Final = 0.7


def measure_copies(interior: Interior) -> dict[Modality, tuple[float, float]]:
    """Return the strongest odd and even copy of each sequence in itself; nothing if there is only one sequence.

    Args:
        interior: The inside of a case.
    """
    if len(interior.images) < 2:  # noqa: PLR2004  # one against another
        return {}
    return {modality: _copies(modality, interior) for modality in interior.images}


def check_motion(interior: Interior) -> tuple[QualityFlag, ...]:
    """Return a finding for each sequence that looks ghosted.

    A ghost in one sequence disturbs what is foretold of the others, fainter: those are left out.

    Args:
        interior: The inside of a case.
    """
    flags = []
    copies = measure_copies(interior)
    strongest = max((max(odd / ODD_COPY, even / EVEN_COPY) for odd, even in copies.values()), default=0.0)
    for modality, (odd, even) in copies.items():
        strength = max(odd / ODD_COPY, even / EVEN_COPY)
        if strength > 1 and strength > _ECHOED * strongest:
            message = f"{modality} holds faint copies of itself, as after a movement of the head; look at the image"
            shown = f"copy of {max(odd, even):.1%} (limits {ODD_COPY:.2%} odd, {EVEN_COPY:.1%} even)"
            flags.append(flag("MOTION", message, shown, subject=modality.value))
    return tuple(flags)


def _copies(modality: Modality, interior: Interior) -> tuple[float, float]:
    others = [np.asarray(image[interior.mask], np.float64) for m, image in interior.images.items() if m != modality]
    wanted = np.asarray(interior.images[modality][interior.mask], np.float64)
    design = explanatory(others, interior.places_mm)
    fit = robust_fit(design[::_EVERY], wanted[::_EVERY])
    rest = wanted - design @ fit.coefficients
    unexplained, image = np.zeros((2, *interior.mask.shape), np.float32)
    unexplained[interior.mask] = np.clip(rest, -_CLIP * fit.spread, _CLIP * fit.spread)
    image[interior.mask] = wanted
    pairs = [_strongest(unexplained, image, axis) for axis in range(3)]
    return max(odd for odd, _ in pairs), max(even for _, even in pairs)


def _strongest(unexplained: Float, image: Float, axis: int) -> tuple[float, float]:
    """Return the strongest odd and even echo along one axis, as shares of the image."""
    lines = int(image.shape[axis] * _PADDING)
    across = tuple(a for a in range(3) if a != axis)
    seen = fft.rfft(image, lines, axis=axis)
    power = (np.abs(seen) ** 2).sum(axis=across)
    shared = (fft.rfft(unexplained, lines, axis=axis) * seen.conj()).sum(axis=across)
    echo: NDArray[np.float64] = fft.irfft(shared / (power + _QUIET * np.median(power) + np.finfo(float).tiny), lines)
    behind = np.roll(echo[::-1], 1)
    near, far = int(_NEAREST_MM / LOW_SPACING_MM), int(image.shape[axis] * _FARTHEST)
    reach = slice(near, max(near + 1, far))
    odd, even = (np.abs((echo + sign * behind)[reach] / 2).max() for sign in (-1, 1))
    return float(odd), float(even)
