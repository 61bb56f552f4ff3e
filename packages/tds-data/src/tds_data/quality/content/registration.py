"""MISREGISTERED: one sequence is shifted or turned against the others.

Each sequence is foretold from the others (their values and products), and at the same time moved rigidly so that it
fits what was foretold best: Gauss-Newton from blurred to sharp. Contrast does not matter, since what one tissue looks
like in one sequence follows from what it looks like in the others.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.quality.codes import flag
from tds_data.quality.content.interior import Interior, explanatory
from tds_data.quality.content.robust import robust_fit
from tds_data.quality.content.view import LOW_SPACING_MM, Float
from tds_data.report import QualityFlag, Severity
from tds_data.vocabulary import Modality

MISREGISTERED_MM: Final = 2.1
"""A sequence that has to move by this much (root mean square over the brain) is warned of. Nearly every 3 mm shift
comes out above; untouched patients stay below, the nearest ones being those whose sequences are visibly off."""
MISREGISTERED_DEG: Final = 2.0
"""Likewise a turn, which moves the middle of the brain little: 3 degrees come out above, untouched patients below."""
REFUSED_MM: Final = 6.0
"""From here on it is an error: two slices of a usual 2D series, and most lesions' rims no longer meet."""
MIN_GAIN: Final = 1.045
"""The unexplained part of the sequence has to shrink by this factor when it is moved; else the move means nothing.
Planted shifts and turns gain more; moves that are found in sequences with little detail gain less."""

_LEVELS: Final = ((2.0, 2), (1.0, 1), (0.0, 2))
"""Blur in small voxels, and Gauss-Newton steps at it."""
_POINTS: Final = 9_000
_TURN_MM: Final = 50.0
_LARGEST_MM: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Displacement:
    """How far a sequence is from where the others say it should be.

    Attributes:
        mm: Root mean square over the brain, in millimetres.
        shift_mm: The shift alone along x, y and z.
        turn_deg: The turn alone about x, y and z.
        gain: How many times smaller the unexplained part gets by moving it.
        unexplained: Spread of what is left unexplained then, in the units of the small picture.
    """

    mm: float
    shift_mm: tuple[float, float, float]
    turn_deg: tuple[float, float, float]
    gain: float
    unexplained: float

    @property
    def is_off(self) -> bool:
        """Whether the move is both large and worth it."""
        turned = float(np.linalg.norm(self.turn_deg))
        return (self.mm > MISREGISTERED_MM or turned > MISREGISTERED_DEG) and self.gain > MIN_GAIN


def measure_displacements(interior: Interior) -> dict[Modality, Displacement]:
    """Return each sequence's displacement against all others; nothing if there is only one sequence.

    Args:
        interior: The inside of a case.
    """
    if len(interior.images) < 2:  # noqa: PLR2004  # one against another
        return {}
    points, pyramid = _points(interior), _pyramid(interior)
    return {modality: _displacement(modality, pyramid, points) for modality in interior.images}


def measure_displacement(interior: Interior, modality: Modality) -> Displacement:
    """Return one sequence's displacement against all others.

    Args:
        interior: The inside of a case of two sequences or more.
        modality: One of them.
    """
    return _displacement(modality, _pyramid(interior), _points(interior))


def check_registration(interior: Interior) -> tuple[QualityFlag, ...]:
    """Return the finding about the sequence that is most clearly out of place, if one is.

    Args:
        interior: The inside of a case.
    """
    found = {m: d for m, d in measure_displacements(interior).items() if d.is_off}
    if not found:
        return ()
    worst = max(found, key=lambda m: found[m].gain)
    moved = found[worst]
    severity = Severity.ERROR if moved.mm > REFUSED_MM else Severity.WARNING
    subject = worst.value if len(interior.images) > 2 else ", ".join(interior.images)  # noqa: PLR2004  # either of two
    message = f"{subject} does not lie on the other sequences; register the sequences to each other again"
    return (flag("MISREGISTERED", message, _shown(moved), subject=subject, severity=severity),)


def _shown(moved: Displacement) -> str:
    shift = " ".join(f"{s:+.1f}" for s in moved.shift_mm)
    turn = " ".join(f"{t:+.1f}" for t in moved.turn_deg)
    return f"{moved.mm:.1f} mm on average (shift {shift} mm, turn {turn} degrees)"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Points:
    """Where the small picture is looked at: its indices, and millimetres from the middle."""

    indices: NDArray[np.float64]
    places_mm: NDArray[np.float64]

    def at(self, image: Float) -> NDArray[np.float64]:
        return np.asarray(image[tuple(self.indices.astype(np.intp).T)], dtype=np.float64)


def _points(interior: Interior) -> _Points:
    every = max(1, len(interior.places_mm) // _POINTS)
    indices = np.argwhere(interior.mask)[::every].astype(np.float64)
    return _Points(indices=indices, places_mm=interior.places_mm[::every])


def _pyramid(interior: Interior) -> list[dict[Modality, Float]]:
    return [
        {m: ndimage.gaussian_filter(image, blur) if blur else image for m, image in interior.images.items()}
        for blur, _ in _LEVELS
    ]


def _displacement(modality: Modality, pyramid: list[dict[Modality, Float]], points: _Points) -> Displacement:
    move = np.zeros(6)  # turn about x, y, z in radians times _TURN_MM, then shift in mm
    for images, (_, steps) in zip(pyramid, _LEVELS, strict=True):
        others = [points.at(image) for m, image in images.items() if m != modality]
        design = explanatory(others, points.places_mm)
        slopes = list(np.gradient(images[modality], LOW_SPACING_MM))
        for _ in range(steps):
            move = move + _step(images[modality], slopes, design, points, move)
            move = np.clip(move, -_LARGEST_MM, _LARGEST_MM)
    sharp = pyramid[-1][modality]
    before = robust_fit(design, points.at(sharp)).spread
    after = robust_fit(design, _look(sharp, points, move)).spread
    field = _field(points, move)
    turn = np.degrees(move[:3] / _TURN_MM)
    return Displacement(
        mm=float(np.sqrt((field**2).sum(axis=1).mean())),
        shift_mm=(float(move[3]), float(move[4]), float(move[5])),
        turn_deg=(float(turn[0]), float(turn[1]), float(turn[2])),
        gain=before / after,
        unexplained=after,
    )


def _field(points: _Points, move: NDArray[np.float64]) -> NDArray[np.float64]:
    field: NDArray[np.float64] = np.cross(move[:3] / _TURN_MM, points.places_mm) + move[3:]
    return field


def _look(image: Float, points: _Points, move: NDArray[np.float64]) -> NDArray[np.float64]:
    where = (points.indices + _field(points, move) / LOW_SPACING_MM).T
    seen: NDArray[np.float64] = ndimage.map_coordinates(image, where, order=1, mode="nearest", output=np.float64)
    return seen


def _step(
    image: Float, slopes: list[Float], design: NDArray[np.float64], points: _Points, move: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the change of the move that lets the others explain the sequence best, to first order."""
    slope = np.stack([_look(s, points, move) for s in slopes], axis=1)
    jacobian = np.concatenate([np.cross(points.places_mm, slope) / _TURN_MM, slope], axis=1)
    fit = robust_fit(np.concatenate([design, -jacobian], axis=1), _look(image, points, move), rounds=2)
    return fit.coefficients[-6:]
