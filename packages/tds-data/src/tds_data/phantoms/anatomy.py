"""The tissues of one individual's head on a grid."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.phantoms.exact import Float, exp
from tds_data.phantoms.individual import Individual, Shifts, template_places
from tds_data.phantoms.lattice import Lattice
from tds_data.phantoms.outline import head_depth_mm
from tds_data.phantoms.template import HEAD_BOX, Template

_SHARPNESS: Final = 3
_FOLD_STRENGTH: Final = 2.6  # on white matter, as an exponent
_SHEET: Final = 9.0
_BLADES: Final = 0.2
_REACH_MM: Final = 9.0
_SKIN_MARGIN_MM: Final = 2.0
_TINY: Final = np.float32(1e-6)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anatomy:
    """A healthy head on a lattice: values of the voxels near the brain, and where those voxels are.

    Attributes:
        lattice: The grid.
        places: Flat indices of the voxels that the other arrays describe, in ascending order.
        template_mm: Their places in the template's frame.
        white: White matter fraction, 0 to 1.
        grey: Grey matter fraction.
        fluid: Fraction of cerebrospinal fluid; the three add up to 1.
        surface_mm: Distance from the brain's surface in the template's frame, negative inside.
        hull_mm: Distance from the smooth cover of the brain, negative inside.
    """

    lattice: Lattice
    places: NDArray[np.intp]
    template_mm: tuple[Float, Float, Float]
    white: Float
    grey: Float
    fluid: Float
    surface_mm: Float
    hull_mm: Float

    def spread(self, values: Float, fill: float = 0.0) -> Float:
        """Return values of the voxels as an array of the lattice's shape.

        Args:
            values: One for each of `places`.
            fill: Value elsewhere.
        """
        whole = np.full(self.lattice.shape, fill, np.float32)
        whole.ravel()[self.places] = values
        return whole

    def take(self, values: Float) -> Float:
        """Return what an array of the lattice's shape holds at the voxels.

        Args:
            values: Array of the lattice's shape.
        """
        return values.ravel()[self.places]


def build_anatomy(
    template: Template,
    person: Individual,
    box: Lattice,
    shifts: Shifts,
    lattice: Lattice,
    *,
    whole_head: bool = False,
) -> Anatomy:
    """Return an individual's tissues on a lattice.

    Args:
        template: The average brain.
        person: How the individual differs from it.
        box: Lattice of the box for which the shifts were made.
        shifts: As from `shift_mm`.
        lattice: Where to evaluate.
        whole_head: Describe every voxel of the head instead of those near the brain.
    """
    everywhere = template_places(person, box, shifts, lattice)
    surface = sample(template.surface_mm, HEAD_BOX, everywhere)
    if whole_head:
        depth = head_depth_mm(everywhere, sample(template.hull_mm, HEAD_BOX, everywhere))
        places = np.flatnonzero(depth > np.float32(-_SKIN_MARGIN_MM))
    else:
        places = np.flatnonzero(surface < np.float32(_REACH_MM))
    x, y, z = (axis.ravel()[places] for axis in everywhere)
    surface = surface.ravel()[places]
    white, grey = _fractions(template, person, (x, y, z), surface)
    return Anatomy(
        lattice=lattice,
        places=places,
        template_mm=(x, y, z),
        white=white,
        grey=grey,
        fluid=1 - white - grey,
        surface_mm=surface,
        hull_mm=sample(template.hull_mm, HEAD_BOX, (x, y, z)),
    )


def sample(values: NDArray[np.generic], grid: Lattice, places: tuple[Float, Float, Float]) -> Float:
    """Return values at places by linear interpolation, those of the edge outside.

    Args:
        values: Array of the grid's shape.
        grid: Where the values lie.
        places: In mm in the grid's frame, any shape.
    """
    index = np.stack(places)
    for axis, low in enumerate(grid.low_mm):
        index[axis] -= np.float32(low)
        index[axis] /= np.float32(grid.spacing_mm)
        index[axis] -= np.float32(0.5)
    result: Float = ndimage.map_coordinates(values, index, np.float32, order=1, mode="nearest", prefilter=False)
    return result


def _fractions(
    template: Template, person: Individual, places: tuple[Float, Float, Float], surface: Float
) -> tuple[Float, Float]:
    """Return white and grey matter at places: the average's, with this person's folds and atrophy."""
    x, y, z = places
    white, grey, fluid = (
        sample(values, template.box, (x, y, z)) / np.float32(255)
        for values in (template.white, template.grey, template.brain)
    )
    fluid = np.maximum(fluid - white - grey, 0)
    fluid += np.clip(surface, 0, 1)
    free = _foldable(x, y, z)
    ridge = np.abs(sample(person.folds.on(HEAD_BOX), HEAD_BOX, _fold_places(x, y, z)))
    # Averaging many heads has filled their small sulci. Here they run where a field passes zero: a thin sheet of fluid
    # between two walls of cortex, with a blade of white matter halfway to the next.
    sheet = np.clip(np.float32(1.5) - ridge * np.float32(_SHEET), 0, 1) * free
    fluid += np.float32(0.55) * sheet * grey
    white += np.float32(_BLADES) * free * grey
    crest = np.clip(ridge - np.float32(0.6), -0.6, 1.4) * free
    white_odds = _cubed(white) * exp(np.float32(_FOLD_STRENGTH) * crest)
    # The template's outermost millimetres are half fluid because heads differ, not because gyri are wrapped in it.
    wide = np.float32(0.55) + np.float32(0.2 + 1.1 * person.atrophy) * np.clip(surface / np.float32(-4), 0, 1)
    fluid_odds = _cubed(wide * fluid) * (1 + np.float32(6) * sheet)
    grey_odds = _cubed(grey)
    total = white_odds + grey_odds + fluid_odds + _TINY
    return white_odds / total, grey_odds / total


def _cubed(values: Float) -> Float:
    return values * values * values


def _fold_places(x: Float, y: Float, z: Float) -> tuple[Float, Float, Float]:
    """Return where the field of folds is read: drawn out towards each hemisphere's middle, so that sulci run inwards.

    The cerebellum's folds are finer and lie in flat layers.
    """
    side = np.where(x < 0, np.float32(-1), np.float32(1)) * np.float32(20)
    away = (x - side, y + np.float32(18), z - np.float32(14))
    radius = [a / np.float32(r) for a, r in zip(away, (46.0, 84.0, 62.0), strict=True)]
    distance = np.sqrt(radius[0] * radius[0] + radius[1] * radius[1] + radius[2] * radius[2])
    scale = np.float32(0.35) + np.float32(0.65) / np.maximum(distance, np.float32(0.35))
    below = (y < np.float32(-34)) & (z < np.float32(-12) - np.float32(0.25) * (np.abs(x) - np.float32(20)))
    layers = (x * np.float32(0.5), np.float32(2) * (y + np.float32(70)), np.float32(2.4) * (z + np.float32(42)))
    centre = (side, np.float32(-18), np.float32(14))
    folds = [np.where(below, flat, c + a * scale) for flat, c, a in zip(layers, centre, away, strict=True)]
    return folds[0], folds[1], folds[2]


def _foldable(x: Float, y: Float, z: Float) -> Float:
    """Return how free the cortex folds at a place: not in the deep nuclei and the brain stem."""
    deep = ((np.abs(x) / 40) ** 2 + ((y + 12) / 42) ** 2 + ((z + 4) / 34) ** 2).astype(np.float32)
    beside: Float = np.clip(np.abs(x) / np.float32(12), 0.3, 1)  # along the midline the template is sharp by itself
    free: Float = beside * np.clip(np.float32(3) * (deep - np.float32(0.75)), 0, 1)
    return free
