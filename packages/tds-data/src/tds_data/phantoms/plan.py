"""What grows in a phantom, decided before anything is drawn: kinds, places, sizes and the fields that shape them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tds_data.phantoms.anatomy import Anatomy
from tds_data.phantoms.exact import settled, settled_array
from tds_data.phantoms.individual import Mass
from tds_data.phantoms.lattice import Lattice, Point, SmoothField

WHOLE_ML: Final = (10.0, 150.0)
"""Smallest and largest volume of all lesions together, oedema included."""

# Where the hemispheres' white matter begins in the template's frame, above brain stem, cerebellum and eyes.
_MIDLINE_MM: Final = 10.0
_TEMPORAL_MM: Final = 28.0
_FRONTAL_FLOOR_MM: Final = -8.0
_TEMPORAL_FLOOR_MM: Final = -24.0
_CENTRAL_FLOOR_MM: Final = 4.0
_MOSTLY: Final = 0.5


class TumourKind(StrEnum):
    """What kind of disease a phantom has."""

    HIGH_GRADE = "high-grade"
    LOW_GRADE = "low-grade"
    RESECTED = "resected"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesion:
    """One growth before it is drawn.

    Attributes:
        kind: What it is.
        centre_mm: Middle of the core.
        lobes: Matrices of shape (3, 3) whose rows measure a place along a lobe's half axes, and the lobe's middle
            relative to the core's in mm.
        core_ml: Volume of the core; of the cavity where it was resected.
        oedema_ml: Volume of the oedema.
        necrosis: Share of the core that does not enhance.
        lumps: Fields that dent the core, and how much.
        rim: Field that varies the thickness of the rim.
        nodules: Finer field that roughens it.
        fringe: Fields that fray the oedema, and how much.
        push: How strongly it displaces its surroundings.
        bleeding: How much of it is old blood, as the height above which a field bleeds.
    """

    kind: TumourKind
    centre_mm: Point
    lobes: tuple[tuple[NDArray[np.float64], Point], ...]
    core_ml: float
    oedema_ml: float
    necrosis: float
    lumps: tuple[tuple[SmoothField, float], ...]
    rim: SmoothField
    nodules: SmoothField
    fringe: tuple[tuple[SmoothField, float], ...]
    push: float
    bleeding: float

    @property
    def radius_mm(self) -> float:
        """Radius of a ball with the core's volume."""
        return ball_radius_mm(self.core_ml)

    @property
    def masses(self) -> tuple[Mass, ...]:
        """How it pushes its surroundings: the core strongly, the swelling around it gently."""
        swelling = ball_radius_mm(self.core_ml + self.oedema_ml)
        return (
            Mass(centre_mm=self.centre_mm, radius_mm=self.radius_mm, strength=self.push),
            Mass(centre_mm=self.centre_mm, radius_mm=1.25 * swelling, strength=0.22 * self.push),
        )


def ball_radius_mm(volume_ml: float) -> float:
    """Return the radius of a ball.

    Args:
        volume_ml: Its volume.
    """
    return settled(float(np.cbrt(volume_ml * 1000 * 3 / (4 * np.pi))))


def plan_lesions(rng: np.random.Generator, anatomy: Anatomy, kind: TumourKind, count: int) -> tuple[Lesion, ...]:
    """Return lesions in the white matter of the hemispheres.

    Args:
        rng: Source of randomness.
        anatomy: The healthy brain on the planning lattice.
        kind: What they are.
        count: How many share the volume.
    """
    whole_ml = settled(WHOLE_ML[0] + (WHOLE_ML[1] - WHOLE_ML[0]) * float(rng.beta(1.0, 1.7)))
    shares = np.sort(rng.dirichlet(np.full(count, 2.0)))[::-1] if count else np.zeros(0)
    lesions: list[Lesion] = []
    for share in settled_array(shares):
        radius_mm = ball_radius_mm(0.6 * whole_ml * float(share))
        centre = _choose_centre(rng, anatomy, radius_mm, tuple(lesion.centre_mm for lesion in lesions))
        lesions.append(_draw_lesion(rng, anatomy.lattice, kind, centre, max(0.2, whole_ml * float(share))))
    return tuple(lesions)


def _choose_centre(rng: np.random.Generator, anatomy: Anatomy, radius_mm: float, taken: tuple[Point, ...]) -> Point:
    """Return a place in hemispheric white matter, about as deep as the lesion is thick, far from the others."""
    x, y, z = anatomy.template_mm
    lateral = np.abs(x)
    floor_mm = np.where(
        y > 0, _FRONTAL_FLOOR_MM, np.where(lateral > _TEMPORAL_MM, _TEMPORAL_FLOOR_MM, _CENTRAL_FLOOR_MM)
    )
    weight = ((anatomy.white > _MOSTLY) & (z > floor_mm) & (lateral > _MIDLINE_MM)).astype(np.float64)
    weight /= 1 + _fourth_power(np.abs(anatomy.surface_mm + np.float32(0.95 * radius_mm)) / np.float32(5))
    places = _places_mm(anatomy)
    for other in taken:
        away = places - np.array(other)
        apart = np.sqrt(away[:, 0] ** 2 + away[:, 1] ** 2 + away[:, 2] ** 2)
        weight *= _fourth_power(np.clip(apart / 40, 0.001, 1))
    odds = np.cumsum(np.rint(weight * 2**20).astype(np.int64))  # whole numbers, so that every machine adds alike
    chosen = int(np.searchsorted(odds, rng.integers(odds[-1]), side="right"))
    x_mm, y_mm, z_mm = (float(value) for value in places[chosen])
    return x_mm, y_mm, z_mm


def _fourth_power(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return a power by products, which unlike the function for any power are the same on every machine."""
    square = values * values
    return square * square


def _places_mm(anatomy: Anatomy) -> NDArray[np.float64]:
    index = np.unravel_index(anatomy.places, anatomy.lattice.shape)
    return np.stack([anatomy.lattice.axis_mm(axis)[i] for axis, i in enumerate(index)], axis=1)


def _draw_lesion(rng: np.random.Generator, box: Lattice, kind: TumourKind, centre: Point, whole_ml: float) -> Lesion:
    core_share, necrosis, push = _DRAWS[kind](rng)
    core_ml = whole_ml * core_share
    radius = ball_radius_mm(core_ml)
    return Lesion(
        kind=kind,
        centre_mm=centre,
        lobes=_draw_lobes(rng, radius),
        core_ml=settled(core_ml),
        oedema_ml=settled(whole_ml - core_ml),
        necrosis=settled(necrosis),
        lumps=tuple(
            (SmoothField.draw(rng, box, max(least, share * radius)), size)
            for least, share, size in ((5.0, 0.75, 0.15), (3.0, 0.3, 0.09), (2.0, 0.0, 0.035))
        ),
        rim=SmoothField.draw(rng, box, max(3.5, 0.4 * radius)),
        nodules=SmoothField.draw(rng, box, 2.4),
        fringe=tuple(
            (SmoothField.draw(rng, box, scale), size) for scale, size in ((13.0, 0.22), (6.0, 0.16), (3.0, 0.08))
        ),
        push=push,
        bleeding=float(rng.choice((2.3, 2.8, 9.0, 9.0, 9.0, 9.0))),
    )


def _draw_lobes(rng: np.random.Generator, radius_mm: float) -> tuple[tuple[NDArray[np.float64], Point], ...]:
    lobes = []
    for number in range(int(rng.integers(1, 4))):
        size = radius_mm * (1.0 if number == 0 else float(rng.uniform(0.45, 0.8)))
        stretch = rng.uniform(0.72, 1.35, size=3)
        half_axes = size * stretch / np.cbrt(stretch.prod())
        turn = Rotation.random(random_state=rng).as_matrix()
        away = rng.normal(size=3)
        offset = np.zeros(3) if number == 0 else away / np.sqrt((away**2).sum()) * radius_mm * rng.uniform(0.6, 1.0)
        x, y, z = (settled(float(value)) for value in offset)
        lobes.append((settled_array(turn / half_axes[:, None]), (x, y, z)))
    return tuple(lobes)


def _high_grade(rng: np.random.Generator) -> tuple[float, float, float]:
    return float(rng.uniform(0.16, 0.58)), float(rng.beta(1.7, 2.4)) * 0.9, 0.45


def _low_grade(rng: np.random.Generator) -> tuple[float, float, float]:
    enhancing = 0.0 if rng.random() < 0.6 else float(rng.uniform(0.01, 0.12))  # noqa: PLR2004 - more often than not
    return float(rng.uniform(0.35, 0.85)), 1 - enhancing, float(rng.uniform(0.22, 0.4))


def _resected(rng: np.random.Generator) -> tuple[float, float, float]:
    return float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.1, 0.5)), float(rng.uniform(-0.12, 0.12))


_DRAWS: Final = {
    TumourKind.HIGH_GRADE: _high_grade,
    TumourKind.LOW_GRADE: _low_grade,
    TumourKind.RESECTED: _resected,
}
