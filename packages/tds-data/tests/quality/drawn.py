"""A brain that needs no data: drawn from the tissues of the shipped atlas, in four contrasts, with a lesion."""

import numpy as np
from scipy import ndimage

from tds_data import MODALITIES, Case, Modality, Volume
from tds_data.quality.content.atlas import load_atlas, sample

T1, T1CE, T2, FLAIR = Modality

# Signal of white matter, grey matter, fluid, vessels and lesion in each sequence.
SIGNALS = {
    T1: (1.1, 0.85, 0.35, 0.5, 0.7),
    T1CE: (1.1, 0.85, 0.35, 2.6, 1.6),
    T2: (0.75, 1.0, 2.0, 1.6, 1.7),
    FLAIR: (0.9, 1.1, 0.35, 0.5, 1.8),
}
SPACING_MM = 2.0


def drawn_case(seed: int = 0, modalities: tuple[Modality, ...] = MODALITIES) -> Case:
    """A brain from the shipped atlas at 2 mm: its tissues, made uneven, with vessels and a lesion on the right."""
    rng = np.random.default_rng(seed)
    atlas = load_atlas()
    axes = [np.arange(low, high, SPACING_MM) for low, high in ((-88, 89), (-124, 93), (-88, 101))]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = [axis[0] for axis in axes]
    shape = places.shape[:3]

    def texture(blur: float) -> np.ndarray:
        field = ndimage.gaussian_filter(rng.standard_normal(shape), blur)
        return field / field.std()

    wobble = np.stack([1.5 * texture(8) for _ in range(3)], axis=-1)
    brain, white, grey = (
        sample(t, atlas.ras_from_atlas, places + wobble) for t in (atlas.brain, atlas.white, atlas.grey)
    )
    inside = brain > 0.5
    leaning = 0.25 * texture(2.5)
    white, grey = np.clip(white + leaning, 0, 1), np.clip(grey - leaning, 0, 1)
    fluid = np.clip(1 - white - grey, 0, 1)
    vessel = np.clip(texture(1.5) - 2.2, 0, 1)
    lesion = np.linalg.norm(places - (34, -20, 20), axis=-1) < 15
    images = {}
    for modality in MODALITIES:
        w, g, f, v, tumour = SIGNALS[modality]
        image = (w * white + g * grey + f * fluid) / (white + grey + fluid)
        image = image * (1 - vessel) + v * vessel
        image = np.where(lesion, tumour * (1 + 0.1 * image), image)
        image = 600 * image * (1 + 0.01 * rng.standard_normal(shape))
        voxels = np.where(inside, np.maximum(image, 1), 0).astype(np.int16)
        if modality in modalities:
            images[modality] = Volume(voxels, affine)
    mask = Volume(np.where(lesion & inside, 2, 0).astype(np.uint8), affine)
    return Case(name="drawn", images=images, reference=mask)
