"""A made-up brain for the tests of whoever takes a `Case`: small, quick, without any extra, and past the quality gate.

It is drawn from the average brain that the quality checks ship. For something that looks like a patient there are
phantoms (`tds_data.phantom`).
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.case import Case
from tds_data.geometry import Shape
from tds_data.quality.content.atlas import load_atlas, sample
from tds_data.vocabulary import MODALITIES, Label, Modality
from tds_data.volume import Volume

# Brightness of white matter, grey matter, fluid, vessels and lesion in each sequence.
_SIGNALS: Final = {
    Modality.T1: (1.1, 0.85, 0.35, 0.5, 0.7),
    Modality.T1CE: (1.1, 0.85, 0.35, 2.6, 1.6),
    Modality.T2: (0.75, 1.0, 2.0, 1.6, 1.7),
    Modality.FLAIR: (0.9, 1.1, 0.35, 0.5, 1.8),
}
_CENTRE_MM: Final = (0.0, -18.0, 8.0)  # of the average brain
_LESION_MM: Final = (34.0, -20.0, 20.0)
_LESION_RADIUS_MM: Final = 15.0
_SCALE: Final = 600.0


def draw_brain(
    *,
    shape: Shape = (60, 74, 64),
    spacing_mm: float = 3.0,
    modalities: Iterable[Modality] = MODALITIES,
    seed: int = 0,
) -> Case:
    """Return a stripped brain with a ball of a lesion on its right side, in the axes of BraTS (LPS).

    Args:
        shape: Voxels along each axis; the brain is in the middle.
        spacing_mm: Edge of the voxels.
        modalities: The sequences to draw.
        seed: Another one gives another brain.

    Returns:
        Int16 images of about 100 to 1500 on a background of 0, and a mask with the label 2.
    """
    rng = np.random.default_rng(seed)
    affine = np.diag([-spacing_mm, -spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = _CENTRE_MM - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    places = np.moveaxis(np.indices(shape, dtype=np.float64), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    tissues, inside = _tissues(rng, places, spacing_mm)
    lesion = (np.linalg.norm(places - np.array(_LESION_MM), axis=-1) < _LESION_RADIUS_MM) & inside
    images = {}
    for modality in modalities:
        signals = _SIGNALS[modality]
        image = sum(signal * tissue for signal, tissue in zip(signals, tissues, strict=False))
        image = np.where(lesion, signals[-1] * (1 + 0.1 * image), image) * (1 + 0.02 * rng.standard_normal(shape))
        voxels = np.where(inside, np.maximum(_SCALE * image, 1), 0).astype(np.int16)
        images[modality] = Volume(voxels, affine)
    return Case(name="drawn", images=images, reference=Volume(lesion * np.uint8(Label.ED), affine))


def _tissues(
    rng: np.random.Generator, places: NDArray[np.float64], spacing_mm: float
) -> tuple[list[NDArray[np.float64]], NDArray[np.bool_]]:
    """Return the parts of white matter, grey matter, fluid and vessels in each voxel, and where there is brain."""
    atlas = load_atlas()
    brain, white, grey = (sample(part, atlas.ras_from_atlas, places) for part in (atlas.brain, atlas.white, atlas.grey))
    leaning = 0.25 * _texture(rng, brain.shape, 5.0 / spacing_mm)
    white, grey = np.clip(white + leaning, 0, 1), np.clip(grey - leaning, 0, 1)
    fluid = np.clip(1 - white - grey, 0, 1)
    vessels = np.clip(_texture(rng, brain.shape, 3.0 / spacing_mm) - 2.2, 0, 0.9)
    total = (white + grey + fluid) / (1 - vessels)
    return [white / total, grey / total, fluid / total, vessels], brain > 0.5  # noqa: PLR2004  # more brain than not


def _texture(rng: np.random.Generator, shape: tuple[int, ...], blur: float) -> NDArray[np.float64]:
    field: NDArray[np.float64] = ndimage.gaussian_filter(rng.standard_normal(shape), blur)
    field /= field.std()
    return field
