"""Vessels, dura and choroid plexus: what lights up after contrast agent in a healthy head."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from tds_data.phantoms.anatomy import Anatomy, sample
from tds_data.phantoms.exact import Float
from tds_data.phantoms.head import gap_mm
from tds_data.phantoms.individual import Individual
from tds_data.phantoms.lattice import Lattice, SmoothField
from tds_data.phantoms.template import Template

_FIELD_SLOPE: Final = 1.25  # standard deviation of a field's slope, times its scale


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VesselPlan:
    """An individual's small vessels.

    Attributes:
        cortical: Pairs of fields: tubes run where both are zero; with scale and radius in mm.
        medullary: Likewise, for the fine veins of the white matter.
        widths: Field that widens and narrows the large vessels.
        fronds: Field that loosens the choroid plexus.
        dura: Field that decides where the dura shows.
        sinus_mm: Radius of the superior sagittal sinus.
    """

    cortical: tuple[tuple[SmoothField, SmoothField, float], ...]
    medullary: tuple[SmoothField, SmoothField, float]
    widths: SmoothField
    fronds: SmoothField
    dura: SmoothField
    sinus_mm: float


def draw_vessels(rng: np.random.Generator, box: Lattice) -> VesselPlan:
    """Return random vessels.

    Args:
        rng: Source of randomness.
        box: Lattice whose box holds the head.
    """

    def tubes(scale_mm: float, radius_mm: float) -> tuple[SmoothField, SmoothField, float]:
        return SmoothField.draw(rng, box, scale_mm), SmoothField.draw(rng, box, scale_mm), radius_mm

    return VesselPlan(
        cortical=(tubes(9.0, 1.1), tubes(6.5, 0.75)),
        medullary=tubes(6.0, 0.4),
        widths=SmoothField.draw(rng, box, 12.0),
        fronds=SmoothField.draw(rng, box, 2.2),
        dura=SmoothField.draw(rng, box, 10.0),
        sinus_mm=float(rng.uniform(2.6, 4.0)),
    )


def vessel_shares(
    plan: VesselPlan, template: Template, person: Individual, anatomy: Anatomy
) -> tuple[tuple[str, Float], ...]:
    """Return how much of each voxel is vein, artery, choroid plexus and dura.

    Args:
        plan: As from `draw_vessels`.
        template: Where the large vessels run.
        person: Whose head.
        anatomy: The tissues.
    """
    width = np.clip(np.float32(0.85) + np.float32(0.35) * anatomy.take(plan.widths.on(anatomy.lattice)), 0.2, 1.2)
    large = {
        name: width * sample(values, template.box, anatomy.template_mm) / np.float32(255)
        for name, values in (("vein", template.veins), ("artery", template.arteries), ("plexus", template.plexus))
    }
    fluid = anatomy.fluid
    near = np.clip(np.float32(1.2) * fluid - np.float32(0.1), 0, 1) * np.clip(anatomy.surface_mm + np.float32(22), 0, 1)
    near *= anatomy.hull_mm < np.float32(2)
    vein = large["vein"]
    for first, second, radius_mm in plan.cortical:
        np.maximum(vein, near * _tubes(anatomy, first, second, radius_mm), out=vein)
    first, second, radius_mm = plan.medullary
    np.maximum(vein, np.float32(0.22) * anatomy.white * _tubes(anatomy, first, second, radius_mm), out=vein)
    np.maximum(vein, _sagittal_sinus(plan, anatomy), out=vein)
    wet = np.clip(np.float32(1.6) * fluid, 0, 1)
    return (
        ("vein", vein),
        ("artery", large["artery"] * np.clip(np.float32(0.4) + wet, 0, 1)),
        ("plexus", large["plexus"] * wet * _granular(plan, anatomy)),
        ("dura", _dura(plan, person, anatomy)),
    )


def _granular(plan: VesselPlan, anatomy: Anatomy) -> Float:
    """Return how densely the fronds of the choroid plexus stand."""
    field = anatomy.take(plan.fronds.on(anatomy.lattice))
    density: Float = np.clip(np.float32(0.35) + np.float32(0.45) * field, 0, 1)
    return density


def _tubes(anatomy: Anatomy, first: SmoothField, second: SmoothField, radius_mm: float) -> Float:
    one, two = anatomy.take(first.on(anatomy.lattice)), anatomy.take(second.on(anatomy.lattice))
    apart_mm = np.sqrt(one * one + two * two) * np.float32(first.scale_mm / _FIELD_SLOPE)
    share: Float = np.clip(np.float32(radius_mm + 0.5) - apart_mm, 0, 1)
    return share


def _sagittal_sinus(plan: VesselPlan, anatomy: Anatomy) -> Float:
    """Return the sinus under the skull's midline: a triangle that grows from front to back."""
    x, y, z = anatomy.template_mm
    radius = np.float32(plan.sinus_mm) * np.clip(np.float32(0.75) - y / np.float32(150), 0.3, 1.2)
    deep = np.clip(-anatomy.hull_mm, -1, 8)
    wide = radius - np.abs(x) - np.float32(0.45) * deep
    share: Float = (
        np.clip(wide, 0, 1) * (anatomy.hull_mm < np.float32(3.2)) * np.clip(anatomy.hull_mm + 2 * radius, 0, 1)
    )
    upper = (z > np.float32(24)) | ((y < np.float32(-70)) & (z > np.float32(-10)))
    return share * upper


def _dura(plan: VesselPlan, person: Individual, anatomy: Anatomy) -> Float:
    """Return the dura under the skull, the falx between the hemispheres and the tentorium above the cerebellum."""
    x, y, z = anatomy.template_mm
    patches = np.clip(np.float32(0.6) + np.float32(0.5) * anatomy.take(plan.dura.on(anatomy.lattice)), 0, 1)
    height = anatomy.hull_mm - gap_mm(person, anatomy) - np.float32(0.45)
    outer = np.clip(np.float32(1.0) - np.abs(height), 0, 1) * patches
    fluid = np.clip(np.float32(2) * anatomy.fluid, 0, 1)
    falx = np.clip(np.float32(1.2) - np.abs(x), 0, 1) * fluid * (anatomy.surface_mm > np.float32(-34))
    falx *= (z > np.float32(-4)) & ((y < np.float32(-38)) | (z > np.float32(22)) | (y > np.float32(42)))
    tent_mm = np.float32(0) - np.float32(0.42) * np.abs(x) - np.float32(0.1) * (y + np.float32(55))
    tent = np.clip(np.float32(1.4) - np.abs(z - tent_mm) * np.float32(0.6), 0, 1) * fluid * (y < np.float32(-36))
    share: Float = np.maximum(outer, np.maximum(falx * np.float32(0.7), tent * np.float32(0.6)))
    return share
