"""How one head differs from the average: size, pose, bends, atrophy, folds, and what a growth pushes aside."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tds_data.phantoms.exact import Float, exp, settled, settled_array
from tds_data.phantoms.lattice import Lattice, Point, SmoothField

Shifts = tuple[Float, Float, Float]
"""What is added to each place along x, y and z, in mm."""
PLANNING_MM: Final = 3.0
"""Spacing at which bends, places and distances are worked out, whatever the phantom's own spacing."""

_BENDS: Final = ((60.0, 2.2), (22.0, 1.1), (11.0, 0.95))  # scale and size in mm
_VENTRICLES_MM: Final = ((13.0, -14.0, 16.0), (-13.0, -14.0, 16.0))
_VENTRICLE_RADIUS_MM: Final = 13.0
_PUSH_REACH: Final = 1.7
_FALX_REACH_MM: Final = 20.0
_FOLD_MM: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mass:
    """Something that pushes the tissue around it outwards, or draws it in.

    Attributes:
        centre_mm: Where it lies.
        radius_mm: Radius of a ball of its size.
        strength: How much it widens what lies at its centre, 0 to 0.5; negative where tissue was lost.
    """

    centre_mm: Point
    radius_mm: float
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Individual:
    """One person, healthy.

    Attributes:
        template_from_ras: Matrix of shape (3, 3) about `centre_mm`.
        centre_mm: The place that stays where it is.
        bends: For each axis, fields and their sizes in mm that are added to a place.
        ventricles: How far each lateral ventricle is widened.
        atrophy: How much wider than the template's the fluid spaces are, 0 to 1.
        folds: Field that decides which of a region's tissues this person has where the average does not say.
        skull: Field that varies the layers around the brain.
        age: 0 for a young adult to 1 for an old one.
    """

    template_from_ras: NDArray[np.float64]
    centre_mm: Point
    bends: tuple[tuple[tuple[SmoothField, float], ...], ...]
    ventricles: tuple[Mass, ...]
    atrophy: float
    folds: SmoothField
    skull: SmoothField
    age: float


def draw_individual(rng: np.random.Generator, box: Lattice) -> Individual:
    """Return a random person.

    Args:
        rng: Source of randomness.
        box: Lattice whose box holds the head.
    """
    size = rng.uniform(0.855, 0.925) * rng.uniform(0.975, 1.025, size=3)
    turn = Rotation.from_rotvec(rng.normal(0.0, np.deg2rad(2.5), size=3)).as_matrix()
    age = settled(float(rng.beta(2.2, 1.8)))
    bends = tuple(tuple((SmoothField.draw(rng, box, scale), mm) for scale, mm in _BENDS) for _ in range(3))
    wide = 0.36 * age + rng.uniform(-0.12, 0.1)
    ventricles = tuple(
        Mass(centre_mm=place, radius_mm=_VENTRICLE_RADIUS_MM, strength=float(np.clip(wide + tilt, -0.15, 0.42)))
        for place, tilt in zip(_VENTRICLES_MM, rng.uniform(-0.07, 0.07, size=2), strict=True)
    )
    return Individual(
        template_from_ras=settled_array(turn / size[None]),
        centre_mm=(0.0, -17.0, 4.0),
        bends=bends,
        ventricles=ventricles,
        atrophy=float(np.clip(0.75 * age + rng.uniform(-0.15, 0.25), 0, 1)),
        folds=SmoothField.draw(rng, box, _FOLD_MM),
        skull=SmoothField.draw(rng, box, 24.0),
        age=age,
    )


def shift_mm(person: Individual, box: Lattice) -> Shifts:
    """Return, on the planning lattice of a box, what is added to a place to find it in the unbent head.

    Args:
        person: Whose head.
        box: Lattice of the box.
    """
    lattice = box.at_spacing(PLANNING_MM)
    shifts = []
    for bends in person.bends:
        shift = np.zeros(lattice.shape, np.float32)
        for field, size_mm in bends:
            shift += np.float32(size_mm) * field.on(lattice)
        shifts.append(shift)
    sideways = np.clip(np.abs(lattice.axes_mm()[0]) / np.float32(_FALX_REACH_MM), 0, 1)
    shifts[0] *= np.float32(0.25) + np.float32(0.75) * sideways  # the falx between the hemispheres is stiff
    return pushed((shifts[0], shifts[1], shifts[2]), lattice, person.ventricles)


def pushed(shifts: Shifts, lattice: Lattice, masses: tuple[Mass, ...], give: Float | None = None) -> Shifts:
    """Return shifts with the push of masses.

    Args:
        shifts: As from `shift_mm`.
        lattice: Their planning lattice.
        masses: What pushes.
        give: How far each place gives way, 0 to 1: the skull does not. Everything gives way where it is `None`.
    """
    axes = lattice.axes_mm()
    moved = [shift.copy() for shift in shifts]
    for mass in masses:
        away = [axis - np.float32(c) for axis, c in zip(axes, mass.centre_mm, strict=True)]
        squared = away[0] * away[0] + away[1] * away[1] + away[2] * away[2]
        pull = np.float32(-mass.strength) * exp(squared * np.float32(-1 / (_PUSH_REACH * mass.radius_mm) ** 2))
        if give is not None:
            pull *= give
        for shift, direction in zip(moved, away, strict=True):
            np.add(shift, direction * pull, out=shift)
    return moved[0], moved[1], moved[2]


def template_places(person: Individual, box: Lattice, shifts: Shifts, lattice: Lattice) -> tuple[Float, Float, Float]:
    """Return, for each voxel of a lattice, the place in the template's frame that it shows, in mm.

    Args:
        person: Whose head.
        box: Lattice of the box for which the shifts were made.
        shifts: As from `shift_mm`.
        lattice: A lattice inside the box.
    """
    planning = box.at_spacing(PLANNING_MM)
    centre = [np.float32(c) for c in person.centre_mm]
    from_centre = []
    for shift, axis, middle in zip(shifts, lattice.axes_mm(), centre, strict=True):
        place = planning.interpolate(shift, lattice)
        place += axis - middle
        from_centre.append(place)
    x, y, z = (
        row[0] * from_centre[0] + row[1] * from_centre[1] + row[2] * from_centre[2] + middle
        for row, middle in zip(person.template_from_ras.astype(np.float32), centre, strict=True)
    )
    return x, y, z
