"""What lesions look like: soft borders, uneven insides; and the scars of age, which are no tumour."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.phantoms.anatomy import Anatomy
from tds_data.phantoms.body import Overlay
from tds_data.phantoms.exact import Float, gaussian
from tds_data.phantoms.growth import Growth
from tds_data.phantoms.individual import Individual
from tds_data.phantoms.lattice import SmoothField
from tds_data.vocabulary import Label

_EDGE_MM: Final = 0.55
_OEDEMA_EDGE_MM: Final = 1.0
_MARGIN_MM: Final = 4.0
_MOSTLY: Final = np.float32(0.5)


def lesion_overlays(rng: np.random.Generator, anatomy: Anatomy, growth: Growth) -> tuple[Overlay, ...]:
    """Return the lesions as tissues over a healthy body.

    Args:
        rng: Source of randomness.
        anatomy: The voxels of the body.
        growth: The lesions.
    """
    lattice = anatomy.lattice
    fields = [SmoothField.draw(rng, lattice, scale) for scale in (7.0, 3.5, 2.0)]
    slices = _box((growth.labels > 0) | growth.cavity, lattice.spacing_mm)
    if slices is None:
        return ()
    part = lattice.part(slices)
    coarse, middle, fine = (field.on(part) for field in fields)
    labels, wet = growth.labels[slices], growth.wetness[slices]
    solid = growth.solid[slices]
    necrosis = (labels == Label.NCR) & ~solid
    glioma = (labels == Label.NCR) & solid
    soaked = (labels == Label.ED) * np.clip(np.float32(0.5) + np.float32(1.4) * wet + np.float32(0.14) * coarse, 0.2, 1)
    rough = np.float32(0.24) * coarse + np.float32(0.15) * middle + np.float32(0.07) * fine
    layers: list[tuple[str, NDArray[np.generic], float, Float]] = [
        ("oedema", soaked, _OEDEMA_EDGE_MM, np.float32(0.6) * rough),
        ("glioma", glioma, _OEDEMA_EDGE_MM, rough),
        ("necrosis", necrosis, _EDGE_MM, np.float32(1.1) * rough),
        ("rim", labels == Label.ET, _EDGE_MM, np.float32(1.2) * rough),
        ("cavity", growth.cavity[slices], _EDGE_MM, np.float32(0.3) * rough),
        ("blood", growth.blood[slices], _EDGE_MM, rough),
    ]
    overlays = []
    for tissue, part_of, edge_mm, texture in layers:
        if part_of.any():
            sigma = edge_mm / lattice.spacing_mm
            share = gaussian(part_of.astype(np.float32), (sigma, sigma, sigma))
            overlays.append(Overlay.of(tissue, _flat(anatomy, slices, share), _flat(anatomy, slices, texture)))
    return tuple(overlays)


def scars(rng: np.random.Generator, person: Individual, anatomy: Anatomy) -> Overlay:
    """Return the white-matter changes of age: caps and bands along the ventricles, and scattered spots.

    Args:
        rng: Source of randomness.
        person: Whose head; the old have more.
        anatomy: The voxels.
    """
    lattice = anatomy.lattice
    amount = float(np.clip(person.age + rng.normal(0, 0.25), 0, 1.1))
    broad, spots, edge = (SmoothField.draw(rng, lattice, scale) for scale in (14.0, 5.0, 4.0))
    x, y, z = anatomy.template_mm
    around = ((x / 34) * (x / 34) + ((y + 22) / 62) * ((y + 22) / 62) + ((z - 16) / 26) * ((z - 16) / 26)).astype(
        np.float32
    )
    central = (around < 1) & (anatomy.surface_mm < np.float32(-12))
    sigma = 3.0 / lattice.spacing_mm
    near = anatomy.take(gaussian(anatomy.spread(anatomy.fluid * central), (sigma, sigma, sigma)))
    uneven = np.float32(0.6) + np.float32(0.4) * anatomy.take(edge.on(lattice))
    bands = np.clip(np.float32(0.6 + 2.2 * amount) * near * uneven - np.float32(0.1), 0, 1)
    height = anatomy.take(spots.on(lattice)) + np.float32(0.5) * anatomy.take(broad.on(lattice))
    scattered = np.clip(np.float32(2.2) * (height - np.float32(4.3 - 1.3 * amount)), 0, 1)
    deep = np.clip((-anatomy.surface_mm - np.float32(7)) / np.float32(4), 0, 1)
    mild = np.clip(np.float32(0.16) + np.float32(0.1) * anatomy.take(broad.on(lattice)), 0, 0.4) * np.float32(amount)
    share = anatomy.white * np.maximum(np.maximum(bands, scattered * deep), mild * deep)
    return Overlay.of("scar", share)


def _box(mask: NDArray[np.bool_], spacing_mm: float) -> tuple[slice, slice, slice] | None:
    found = ndimage.find_objects(mask.view(np.uint8))
    if not found or found[0] is None:
        return None
    margin = int(np.ceil(_MARGIN_MM / spacing_mm))
    x, y, z = (
        slice(max(0, s.start - margin), min(size, s.stop + margin))
        for s, size in zip(found[0], mask.shape, strict=True)
    )
    return x, y, z


def _flat(anatomy: Anatomy, slices: tuple[slice, slice, slice], values: Float) -> Float:
    whole = np.zeros(anatomy.lattice.shape, np.float32)
    whole[slices] = values
    return anatomy.take(whole)
