import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("monai")

import torch
from monai import transforms
from monai.data import set_track_meta
from monai.networks.layers import gaussian_1d

from tds_data.loading import PRESETS, AugmentRecord, Patch, replay
from tds_data.loading.augmentation.draw import BIAS_TERMS
from tds_data.loading.augmentation.filters import blur
from tds_data.loading.augmentation.intensity import apply_step
from tds_data.loading.augmentation.place import Placement, place
from tds_data.loading.augmentation.record import BiasField, Brightness, Contrast, Gamma, Geometry
from tds_data.loading.augmentation.source import tensor_source
from tds_data.loading.augmentation.workspace import Workspace
from tds_data.loading.monai_transform import Augmentd

set_track_meta(False)


def image(shape: tuple[int, ...] = (1, 20, 22, 24)) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(0.5, 1, shape).astype(np.float32))


def stepped(step: object, voxels: torch.Tensor) -> torch.Tensor:
    result = voxels.clone()
    apply_step(step, result, Workspace())
    return result


@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_is_monais_adjust_contrast(inverted: bool) -> None:  # noqa: FBT001
    expected = transforms.AdjustContrast(1.4, invert_image=inverted, retain_stats=True)(image().clone())
    found = stepped(Gamma(exponents={0: 1.4}, inverted=inverted), image())
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)


def test_contrast_is_monais_scaling_about_a_fixed_mean() -> None:
    scale = transforms.ScaleIntensityFixedMean(factor=0.3, preserve_range=True, fixed_mean=True)
    torch.testing.assert_close(stepped(Contrast(factors={0: 1.3}), image()), scale(image()), atol=1e-5, rtol=1e-5)


def test_brightness_is_monais_scaling() -> None:
    expected = transforms.ScaleIntensity(minv=None, maxv=None, factor=-0.2)(image())
    torch.testing.assert_close(stepped(Brightness(factors={0: 0.8}), image()), expected)


def test_blur_is_monais_gaussian_smooth_inside() -> None:
    sigmas = (0.7, 0.9, 0.5)
    found = image()[0].clone()
    blur(found, sigmas, Workspace())
    # MONAI's sampled kernels do not add up to 1.
    excess = np.prod([float(gaussian_1d(torch.tensor(sigma), approx="sampled").sum()) for sigma in sigmas])
    expected = transforms.GaussianSmooth(sigmas, approx="sampled")(image())[0] / excess
    inner = (slice(5, -5),) * 3
    torch.testing.assert_close(found[inner], expected[inner], atol=1e-3, rtol=1e-3)


def test_bias_field_is_monais() -> None:
    coefficients = np.random.default_rng(1).uniform(-0.3, 0.3, len(BIAS_TERMS)).tolist()
    field = transforms.RandBiasField(degree=3)._generate_random_field((20, 22, 24), 3, coefficients)
    voxels = image()
    found = stepped(BiasField(coefficients={0: tuple(coefficients)}), voxels)
    low = voxels.min()
    expected = (voxels - low) * torch.from_numpy(np.exp(field)).float() + low
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_rotation_is_monais_affine() -> None:
    voxels, labels = image((4, 21, 21, 21)), torch.zeros(21, 21, 21, dtype=torch.uint8)
    angles = (0.3, -0.2, 0.4)
    affine = transforms.Affine(
        rotate_params=angles, scale_params=(0.9, 0.9, 0.9), padding_mode="zeros", image_only=True
    )
    matrix = np.asarray(affine.affine_grid(spatial_size=(21, 21, 21))[1])[:3, :3]
    rows = tuple(tuple(float(v) for v in row) for row in matrix)
    found = torch.empty(4, 21, 21, 21)
    placement = Placement(start=(0, 0, 0), shape=(21, 21, 21), geometry=Geometry(matrix=rows))
    place(tensor_source(voxels, labels), placement, found, labels.clone(), Workspace())
    torch.testing.assert_close(found, affine(voxels), atol=1e-3, rtol=1e-3)


def test_transform_works_in_a_pipeline_and_can_be_replayed() -> None:
    data = {"image": image((4, 20, 22, 24)), "label": torch.ones(1, 20, 22, 24, dtype=torch.int16), "name": "x"}
    pipeline = transforms.Compose([Augmentd("heavy", shape=(16, 16, 16))]).set_random_state(seed=5)
    found = pipeline(data)
    again = transforms.Compose([Augmentd(PRESETS["heavy"], shape=(16, 16, 16))]).set_random_state(seed=5)(data)
    assert torch.equal(found["image"], again["image"])
    assert found["name"] == "x"
    assert (found["label"].shape, found["label"].dtype) == ((1, 16, 16, 16), torch.int16)
    patch = Patch(image=data["image"], labels=data["label"][0].to(torch.uint8))
    repeated = replay(patch, AugmentRecord.from_dict(found["augmentation"]), shape=(16, 16, 16))
    assert torch.equal(repeated.image, found["image"])
