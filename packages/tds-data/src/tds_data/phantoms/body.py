"""A head ready to be scanned: which tissues share each voxel, and how they vary from place to place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.phantoms.anatomy import Anatomy, sample
from tds_data.phantoms.exact import Float, settled
from tds_data.phantoms.head import outer_shares
from tds_data.phantoms.individual import Individual
from tds_data.phantoms.lattice import Lattice, SmoothField
from tds_data.phantoms.template import Template
from tds_data.phantoms.vessels import VesselPlan, draw_vessels, vessel_shares

_TEXTURE_MM: Final = ((17.0, 0.7), (7.0, 0.5), (3.0, 0.4), (1.6, 0.4))
_MYELIN_SHARE: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlay:
    """A tissue that replaces what lies under it.

    Attributes:
        tissue: Its name.
        index: Which of the anatomy's voxels it touches.
        share: How much of each of them it fills, 0 to 1.
        texture: How it varies: standard normal, one for each of them; `None` for even.
    """

    tissue: str
    index: NDArray[np.intp]
    share: Float
    texture: Float | None = None

    @staticmethod
    def of(tissue: str, share: Float, texture: Float | None = None) -> "Overlay":
        """Return the overlay of a tissue where its share is not zero.

        Args:
            tissue: Its name.
            share: For each of the anatomy's voxels.
            texture: Likewise.
        """
        index = np.flatnonzero(share > np.float32(1e-3))
        return Overlay(
            tissue=tissue, index=index, share=share[index], texture=None if texture is None else texture[index]
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Body:
    """What there is to be scanned.

    Attributes:
        anatomy: Voxels and their base tissues.
        white: White matter of the base, with what the template's own picture says about it.
        grey: Likewise; may pass 0 and 1 a little.
        overlays: What lies over the base, later ones over earlier ones.
        texture: How solid tissue varies: standard normal, one for each voxel.
    """

    anatomy: Anatomy
    white: Float
    grey: Float
    overlays: tuple[Overlay, ...]
    texture: Float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BodyPlan:
    """What of a head does not depend on the grid, besides its shape.

    Attributes:
        vessels: Small vessels.
        texture: Fields and their weights.
        iron: How much iron the deep nuclei hold, 0 to 1.
    """

    vessels: VesselPlan
    texture: tuple[tuple[SmoothField, float], ...]
    iron: float


def texture_on(plan: BodyPlan, anatomy: Anatomy) -> Float:
    """Return how tissue varies from voxel to voxel, about standard normal.

    Args:
        plan: Fields.
        anatomy: The voxels.
    """
    total = np.zeros(anatomy.places.size, np.float32)
    for field, weight in plan.texture:
        total += np.float32(weight) * anatomy.take(field.on(anatomy.lattice))
    return total


def draw_body_plan(rng: np.random.Generator, box: Lattice, person: Individual) -> BodyPlan:
    """Return random vessels and texture.

    Args:
        rng: Source of randomness.
        box: Lattice whose box holds the head.
        person: Whose body; iron grows with age.
    """
    return BodyPlan(
        vessels=draw_vessels(rng, box),
        texture=tuple((SmoothField.draw(rng, box, scale), weight) for scale, weight in _TEXTURE_MM),
        iron=settled(0.25 + 0.75 * person.age),
    )


def healthy_body(template: Template, person: Individual, plan: BodyPlan, anatomy: Anatomy) -> Body:
    """Return the body without any lesion.

    Args:
        template: The average brain.
        person: Whose head.
        plan: Vessels and texture.
        anatomy: The tissues.
    """
    myelin = sample(template.myelin, template.box, anatomy.template_mm)
    myelin *= np.float32(_MYELIN_SHARE / 100) * (anatomy.white + anatomy.grey)
    iron = sample(template.iron, template.box, anatomy.template_mm) * np.float32(plan.iron / 255)
    iron *= anatomy.white + anatomy.grey
    layers = (("iron", iron), *outer_shares(person, anatomy), *vessel_shares(plan.vessels, template, person, anatomy))
    return Body(
        anatomy=anatomy,
        white=anatomy.white + myelin,
        grey=anatomy.grey - myelin,
        overlays=tuple(Overlay.of(name, share) for name, share in layers),
        texture=texture_on(plan, anatomy),
    )


def render(body: Body, signals: Mapping[str, float], unevenness: float) -> Float:
    """Return how bright each of the anatomy's voxels is before a scanner adds its faults.

    Args:
        body: What is scanned.
        signals: Brightness of each tissue.
        unevenness: How much texture changes the brightness of solid tissue, as a share of it.
    """
    white, grey, fluid = (np.float32(signals[name]) for name in ("white", "grey", "fluid"))
    solid = body.anatomy.white + body.anatomy.grey
    image = white * body.white + grey * body.grey + fluid * body.anatomy.fluid
    image += np.float32(unevenness * 0.5 * (signals["white"] + signals["grey"])) * body.texture * solid
    for overlay in body.overlays:
        level = np.float32(signals[overlay.tissue])
        here = image[overlay.index]
        change = level - here
        if overlay.texture is not None:
            contrast = abs(signals[overlay.tissue] - signals["white"])
            change += np.float32(0.8 * contrast + 0.12 * signals["white"]) * overlay.texture
        image[overlay.index] = here + overlay.share * change
    seen: Float = np.maximum(image, 0)
    return seen
