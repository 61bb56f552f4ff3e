"""Who a phantom is before anything is scanned: the person, the disease and what it does to the anatomy."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from tds_data.phantoms.anatomy import Anatomy, build_anatomy, sample
from tds_data.phantoms.config import PhantomConfig
from tds_data.phantoms.exact import Float
from tds_data.phantoms.growth import Growth, Terrain, grow
from tds_data.phantoms.individual import (
    PLANNING_MM,
    Individual,
    Shifts,
    draw_individual,
    pushed,
    shift_mm,
    template_places,
)
from tds_data.phantoms.lattice import Lattice
from tds_data.phantoms.plan import Lesion, plan_lesions
from tds_data.phantoms.template import HEAD_BOX, Template

_BRAIN_MARGIN_MM: Final = 7.0
_GIVE_MM: Final = 11.0
_HEAD: Final = Lattice(low_mm=(-84.0, -117.0, -102.0), high_mm=(84.0, 99.0, 93.0), spacing_mm=PLANNING_MM)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patient:
    """One person with a disease, on a grid.

    Attributes:
        person: The healthy person.
        lesions: What grows.
        anatomy: The tissues, pushed aside.
        growth: The lesions drawn.
    """

    person: Individual
    lesions: tuple[Lesion, ...]
    anatomy: Anatomy
    growth: Growth


def make_patient(
    person_rng: np.random.Generator, lesion_rng: np.random.Generator, template: Template, config: PhantomConfig
) -> Patient:
    """Return a random patient.

    Args:
        person_rng: Decides the person.
        lesion_rng: Decides the disease.
        template: The average brain.
        config: What is wanted.
    """
    person = draw_individual(person_rng, HEAD_BOX)
    box = template.box
    planning = box.at_spacing(PLANNING_MM)
    shifts = shift_mm(person, box)
    healthy = build_anatomy(template, person, box, shifts, planning)
    lesions = plan_lesions(lesion_rng, healthy, config.kind, config.tumours)
    field_of_view = _HEAD if config.with_skull else _around_brain(healthy)
    fine = field_of_view.at_spacing(config.spacing_mm)
    if config.with_skull:
        box, shifts = _HEAD, shift_mm(person, _HEAD)
        planning = _HEAD
    masses = tuple(mass for lesion in lesions for mass in lesion.masses)
    if masses:
        shifts = pushed(shifts, planning, masses, _give(template, person, box, shifts))
    anatomy = build_anatomy(template, person, box, shifts, fine, whole_head=config.with_skull)
    coarse = build_anatomy(template, person, box, shifts, planning)
    growth = grow(lesions, Terrain.of(coarse), Terrain.of(anatomy))
    return Patient(person=person, lesions=lesions, anatomy=anatomy, growth=growth)


def _around_brain(healthy: Anatomy) -> Lattice:
    near = healthy.spread(healthy.surface_mm, _BRAIN_MARGIN_MM) < _BRAIN_MARGIN_MM
    x, y, z = ndimage.find_objects(near.view(np.uint8))[0]
    return healthy.lattice.part((x, y, z))


def _give(template: Template, person: Individual, box: Lattice, shifts: Shifts) -> Float:
    """Return how far each place of the planning lattice gives way to a mass: not at all at the skull."""
    places = template_places(person, box, shifts, box.at_spacing(PLANNING_MM))
    give: Float = np.clip(sample(template.hull_mm, HEAD_BOX, places) / np.float32(-_GIVE_MM), 0, 1)
    return give
