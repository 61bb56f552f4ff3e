import numpy as np
import pytest
from scipy import ndimage

from tds_data import MODALITIES, Case, Volume


@pytest.fixture(scope="session")
def textured() -> Case:
    """A stripped head at 3 mm of about 1300 mL whose four sequences have tissues of their own, and noise."""
    rng = np.random.default_rng(3)
    shape = (52, 64, 50)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside = x**2 + y**2 + z**2 < 0.82
    patterns = [ndimage.gaussian_filter(rng.normal(size=shape), 2.5) for _ in range(3)]
    images = {}
    for modality in MODALITIES:
        mixed = sum(weight * pattern for weight, pattern in zip(rng.normal(size=3), patterns, strict=True))
        voxels = 600 + 150 * mixed / mixed.std() + rng.normal(0, 10, shape)
        images[modality] = np.where(inside, np.clip(voxels, 5, None), 0).astype(np.int16)
    affine = np.array([[-3.0, 0, 0, 75], [0, -3, 0, 95], [0, 0, 3, -70], [0, 0, 0, 1]])
    return Case(name="textured", images={m: Volume(v, affine) for m, v in images.items()})
