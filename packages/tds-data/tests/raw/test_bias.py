from collections.abc import Callable

import numpy as np
import pytest

from tds_data import GridMismatch, Modality, Volume, VoxelError
from tds_data.raw import BiasConfig, correct_bias, resample_to

pytest.importorskip("SimpleITK")

Head = Callable[..., Volume]


@pytest.fixture(scope="module")
def clean(head: Head) -> Volume:
    return head(Modality.T1, spacing_mm=(3.0, 3.0, 4.0), noise=3.0)


@pytest.fixture(scope="module")
def brain(head_brain: Volume, clean: Volume) -> Volume:
    return clean.with_voxels((resample_to(head_brain, clean).voxels > 0.5).astype(np.uint8))


def biased(clean: Volume) -> tuple[Volume, np.ndarray]:
    """Half as bright again on one side as on the other."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in clean.shape], indexing="ij")
    gain = np.exp(0.35 * x + 0.2 * y * y - 0.15 * z)
    return clean.with_voxels((clean.voxels * gain).astype(np.float32)), gain


def unevenness(found: Volume, clean: Volume, inside: np.ndarray) -> float:
    """Spread of the brightness against the clean image, relative to its mean."""
    ratio = found.voxels[inside] / np.maximum(clean.voxels[inside], 1)
    return float(ratio.std() / ratio.mean())


def test_an_uneven_image_becomes_even(clean: Volume, brain: Volume) -> None:
    image, _ = biased(clean)
    inside = (brain.voxels > 0) & (clean.voxels > 100)
    found = correct_bias(image, brain)
    assert found.voxels.dtype == np.float32
    assert found.same_grid(image)
    assert unevenness(found, clean, inside) < 0.5 * unevenness(image, clean, inside)
    assert found.voxels[inside].mean() == pytest.approx(image.voxels[inside].mean(), rel=0.01)


def test_the_same_image_gives_the_same_result(clean: Volume, brain: Volume) -> None:
    quick = BiasConfig(voxel_mm=8.0, iterations=(5,))
    first, second = (correct_bias(clean, brain, quick).voxels for _ in range(2))
    assert np.array_equal(first, second)


def test_what_cannot_be_corrected_is_refused(clean: Volume, brain: Volume) -> None:
    with pytest.raises(GridMismatch, match="not on the grid of its image"):
        correct_bias(clean, Volume(brain.voxels[1:], brain.ras_from_voxel))
    with pytest.raises(VoxelError, match=r"at least 1000 positive voxels of 4 mm.*there are 0"):
        correct_bias(clean, brain.with_voxels(np.zeros(brain.shape, np.uint8)))
    with pytest.raises(VoxelError, match="constant"):
        correct_bias(clean.with_voxels(np.ones(clean.shape)), brain)


def test_a_large_oedema_stays_bright(head: Head, brain: Volume) -> None:
    flair = head(Modality.FLAIR, spacing_mm=(3.0, 3.0, 4.0), noise=3.0)
    places = np.moveaxis(np.indices(flair.shape), 0, -1) @ flair.ras_from_voxel[:3, :3].T + flair.ras_from_voxel[:3, 3]
    oedema = (np.linalg.norm(places - (32, -10, 35), axis=-1) < 26) & (brain.voxels > 0)
    rest = (brain.voxels > 0) & ~oedema
    image = flair.with_voxels(np.where(oedema, 560, flair.voxels).astype(np.float32))

    def contrast(volume: Volume) -> float:
        return float(volume.voxels[oedema].mean() / volume.voxels[rest].mean()) - 1

    assert contrast(correct_bias(image, brain)) > 0.7 * contrast(image)
