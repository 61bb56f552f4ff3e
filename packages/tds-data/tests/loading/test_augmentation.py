import json
from dataclasses import fields, replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch.nn import functional

from tds_data.box import Box
from tds_data.errors import AugmentError
from tds_data.loading import (
    HEAVY,
    LIGHT,
    PRESETS,
    STANDARD,
    AugmentConfig,
    AugmentRecord,
    Patch,
    Preset,
    augment,
    augment_batch,
    replay,
)
from tds_data.loading.augmentation.draw import BIAS_TERMS, draw
from tds_data.loading.augmentation.filters import blur, interpolate, low_resolution, taps
from tds_data.loading.augmentation.intensity import apply_step
from tds_data.loading.augmentation.mixing import draw_mixing
from tds_data.loading.augmentation.place import Placement, place
from tds_data.loading.augmentation.record import (
    BiasField,
    Blur,
    Brightness,
    Contrast,
    Dropout,
    Elastic,
    Gamma,
    Geometry,
    LowResolution,
    Noise,
)
from tds_data.loading.augmentation.source import TensorSource, tensor_source
from tds_data.loading.augmentation.workspace import Workspace, one_thread

SHAPES = st.tuples(*[st.integers(5, 21)] * 3)


def make_patch(shape: tuple[int, int, int], seed: int = 0, *, channels: int = 4) -> Patch:
    """A head with a lesion whose labels can be told from the image."""
    rng = np.random.default_rng(seed)
    places = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    radius = np.sqrt(sum(p**2 for p in places))
    head = radius < 1.1
    image = rng.normal(0, 1, (channels, *shape)).astype(np.float32) * head
    centre = rng.uniform(-0.4, 0.4, 3)
    distance = np.sqrt(sum((p - c) ** 2 for p, c in zip(places, centre, strict=True)))
    labels = np.select([distance < 0.2, distance < 0.35, distance < 0.5], [3, 1, 2], 0).astype(np.uint8)
    return Patch(image=torch.from_numpy(image), labels=torch.from_numpy(labels))


@pytest.mark.parametrize("name", Preset)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), size=SHAPES, shape=SHAPES)
def test_replay_gives_the_identical_patch(
    name: Preset, seed: int, size: tuple[int, int, int], shape: tuple[int, int, int]
) -> None:
    patch, donor = make_patch(size, seed % 7), make_patch((14, 15, 16), 11)
    before = patch.image.clone(), patch.labels.clone()
    changed, record = augment(patch, PRESETS[name], np.random.default_rng(seed), shape=shape, donor=("d", donor))
    again = replay(patch, AugmentRecord.from_dict(json.loads(json.dumps(record.to_dict()))), shape=shape, donor=donor)
    assert torch.equal(again.image, changed.image)
    assert torch.equal(again.labels, changed.labels)
    assert changed.image.shape == (4, *shape)
    assert changed.image.isfinite().all()
    assert int(changed.labels.max()) <= 3
    assert torch.equal(patch.image, before[0])
    assert torch.equal(patch.labels, before[1])


def test_threads_do_not_change_a_patch() -> None:
    patch, before = make_patch((48, 50, 46)), torch.get_num_threads()
    config = replace(HEAVY, rotation_chance=1.0, gamma_chance=1.0, contrast_chance=1.0, bias_chance=1.0)
    try:
        torch.set_num_threads(2)
        changed, record = augment(patch, config, np.random.default_rng(0))
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        assert torch.equal(replay(patch, record).image, changed.image)
    finally:
        torch.set_num_threads(before)


def test_nothing_drawn_changes_nothing() -> None:
    patch = make_patch((9, 10, 11))
    changed, record = augment(patch, AugmentConfig(), np.random.default_rng(0))
    assert record == AugmentRecord()
    assert torch.equal(changed.image, patch.image)
    assert torch.equal(changed.labels, patch.labels)


def placed(patch: Patch, geometry: Geometry, shape: tuple[int, int, int], start: tuple[int, int, int]) -> Patch:
    out = Patch(image=torch.full((4, *shape), 9.0), labels=torch.full(shape, 9, dtype=torch.uint8))
    placement = Placement(start=start, shape=shape, geometry=geometry)
    place(tensor_source(patch.image, patch.labels), placement, out.image, out.labels, Workspace())
    return out


@settings(deadline=None)
@given(
    mirrored=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    shape=SHAPES,
    start=st.tuples(*[st.integers(-25, 25)] * 3),
)
def test_mirrored_patch_is_a_flipped_padded_crop(
    mirrored: tuple[bool, bool, bool], shape: tuple[int, int, int], start: tuple[int, int, int]
) -> None:
    patch = make_patch((9, 10, 11))
    found = placed(patch, Geometry(mirrored=mirrored), shape, start)
    padded = functional.pad(patch.image, [60] * 6)
    part = padded[:, *(slice(s + 60, s + 60 + n) for s, n in zip(start, shape, strict=True))]
    expected = part.flip([1 + axis for axis, flip in enumerate(mirrored) if flip])
    assert torch.equal(found.image, expected)


def rotation(degrees: tuple[float, float, float], scale: float) -> tuple[tuple[float, float, float], ...]:
    from scipy.spatial.transform import Rotation  # noqa: PLC0415

    matrix = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * scale
    return tuple(tuple(float(v) for v in row) for row in matrix)


@pytest.mark.parametrize("degrees", [(0, 0, 0), (20, -10, 30)], ids=["scaled", "turned"])
@pytest.mark.parametrize("mirrored", [(False, False, False), (True, False, True)], ids=["plain", "mirrored"])
@pytest.mark.parametrize("scale", [0.8, 1.3])
def test_geometry_is_what_scipy_makes_of_it(
    degrees: tuple[float, float, float], mirrored: tuple[bool, bool, bool], scale: float
) -> None:
    patch, shape, start = make_patch((20, 22, 24)), (15, 16, 17), (2, 4, 3)
    geometry = Geometry(matrix=rotation(degrees, scale), mirrored=mirrored)
    found = placed(patch, geometry, shape, start)
    matrix = np.array(geometry.matrix) @ np.diag([-1.0 if m else 1.0 for m in mirrored])
    middle = (np.array(shape) - 1) / 2
    offset = np.array(start) + middle - matrix @ middle

    def sampled(volume: np.ndarray) -> np.ndarray:
        # grid_sample fades to zero within a voxel outside; scipy does so on a padded volume.
        padded = np.pad(volume, 2)
        return ndimage.affine_transform(padded, matrix, offset + 2, shape, order=1, mode="constant")

    for image, channel in zip(found.image, patch.image, strict=True):
        np.testing.assert_allclose(image.numpy(), sampled(channel.numpy()), atol=2e-4)
    shares = np.stack([sampled((patch.labels.numpy() == label).astype(np.float64)) for label in range(1, 4)])
    shares = np.concatenate([1 - shares.sum(0, keepdims=True), shares])
    best = np.sort(shares, axis=0)
    clear = best[-1] - best[-2] > 1e-3
    np.testing.assert_array_equal(found.labels.numpy()[clear], shares.argmax(0)[clear])
    assert found.labels.any()


def test_labels_and_image_move_together() -> None:
    patch = make_patch((32, 32, 32))
    marked = Patch(image=(patch.labels > 0).float().repeat(4, 1, 1, 1), labels=patch.labels)
    elastic = Elastic(seed=3, spacing_voxels=10.0, magnitude_voxels=2.5)
    for geometry in (
        Geometry(matrix=rotation((10, 20, -25), 0.9), elastic=elastic, mirrored=(False, True, False)),
        Geometry(elastic=elastic),
        Geometry(matrix=rotation((0, 0, 0), 1.2)),
    ):
        found = placed(marked, geometry, (32, 32, 32), (0, 0, 0))
        share = found.image[0]
        assert (found.labels[share > 0.85] > 0).all()
        assert (found.labels[share < 0.15] == 0).all()
        assert (found.labels > 0).sum() > 200


def test_elastic_field_stays_within_its_magnitude_and_does_not_fold() -> None:
    shape, magnitude = (40, 40, 40), 0.25 * 16
    ramp = torch.stack([*torch.meshgrid(*[torch.arange(40.0)] * 3, indexing="ij"), torch.ones(shape)])
    source = Patch(image=ramp, labels=torch.zeros(shape, dtype=torch.uint8))
    geometry = Geometry(elastic=Elastic(seed=1, spacing_voxels=16.0, magnitude_voxels=magnitude))
    found = placed(source, geometry, shape, (0, 0, 0)).image
    inner = (slice(8, 32),) * 3
    moved = (found - ramp)[:3][:, *inner]
    assert 0.5 < moved.abs().max() <= magnitude
    jacobian = np.stack([np.stack(np.gradient(found[axis].numpy()[inner])) for axis in range(3)])
    assert np.linalg.det(np.moveaxis(jacobian, (0, 1), (-2, -1))).min() > 0


def test_patch_away_from_its_source_is_empty() -> None:
    patch = make_patch((9, 10, 11))
    for geometry in (Geometry(), Geometry(matrix=rotation((10, 0, 0), 1.0)), Geometry(matrix=rotation((0, 0, 0), 0.8))):
        found = placed(patch, geometry, (5, 5, 5), (100, 0, 0))
        assert not found.image.any()
        assert not found.labels.any()


def test_lesion_outside_the_patch_leaves_no_label() -> None:
    patch = make_patch((30, 30, 30))
    source = TensorSource(image=patch.image, labels=torch.zeros_like(patch.labels))
    out = Patch(image=torch.empty(4, 8, 8, 8), labels=torch.full((8, 8, 8), 9, dtype=torch.uint8))
    placement = Placement(start=(0, 0, 0), shape=(8, 8, 8), geometry=Geometry(matrix=rotation((10, 0, 0), 1.0)))
    place(source, placement, out.image, out.labels, Workspace())
    assert not out.labels.any()


def voxels(seed: int = 0, shape: tuple[int, int, int] = (12, 13, 14)) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0.3, 1, shape).astype(np.float32))


@settings(deadline=None)
@given(
    sigmas=st.tuples(*[st.just(0.0) | st.floats(0.05, 2.5)] * 3),
    shape=st.tuples(*[st.integers(1, 14)] * 3),
)
def test_blur_is_scipys_gaussian_filter(sigmas: tuple[float, float, float], shape: tuple[int, int, int]) -> None:
    image = voxels(0, shape)
    # Scipy rounds the reach of four deviations, and we take all of it.
    expected = image.numpy().astype(np.float64)
    for axis, sigma in enumerate(sigmas):
        if sigma > 0:
            radius = int(np.ceil(4 * sigma))
            expected = ndimage.gaussian_filter1d(expected, sigma, axis, mode="mirror", radius=radius)
    blur(image, sigmas, Workspace())
    np.testing.assert_allclose(image.numpy(), expected, atol=1e-5)


@settings(deadline=None)
@given(share=st.floats(0.05, 1.0), shape=st.tuples(*[st.integers(1, 20)] * 3))
def test_low_resolution_is_torchs_interpolation_there_and_back(share: float, shape: tuple[int, int, int]) -> None:
    image = voxels(0, shape)
    few = [max(1, round(n * share)) for n in shape]
    coarse = functional.interpolate(image[None, None], few, mode="nearest-exact")
    expected = functional.interpolate(coarse, shape, mode="trilinear")[0, 0]
    low_resolution(image, share, Workspace())
    torch.testing.assert_close(image, expected, atol=1e-5, rtol=1e-5)


@settings(deadline=None)
@given(shape=st.tuples(*[st.integers(1, 9)] * 3), first=st.floats(-3, 3), step=st.floats(0.3, 2))
def test_interpolation_fades_as_on_a_padded_image(shape: tuple[int, int, int], first: float, step: float) -> None:
    image = voxels(0, shape)
    positions = first + step * np.arange(6)
    out = torch.empty(6, 6, 6)
    x, y, z = (taps(positions, n, fade=True) for n in shape)
    interpolate(image, (x, y, z), out, Workspace())
    grid = np.stack(np.meshgrid(positions, positions, positions, indexing="ij")) + 12
    expected = ndimage.map_coordinates(np.pad(image.numpy(), 12), grid, order=1, mode="constant")
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-4)


def stepped(step: object, image: torch.Tensor) -> torch.Tensor:
    result = image.clone()
    apply_step(step, result, Workspace())
    return result


def test_noise_has_its_deviation_on_its_channels_only() -> None:
    image = torch.zeros(3, 30, 30, 30)
    found = stepped(Noise(channels=(0, 2), std=0.2, seed=1), image)
    assert float(found[0].std()) == pytest.approx(0.2, rel=0.03)
    assert not found[1].any()
    assert not torch.equal(found[0], found[2])


def test_brightness_multiplies_and_contrast_stretches_within_the_range() -> None:
    image = voxels().repeat(2, 1, 1, 1)
    assert torch.equal(stepped(Brightness(factors={1: 0.8}), image)[1], image[1] * 0.8)
    for factor in (0.6, 1.4):
        found = stepped(Contrast(factors={0: factor}), image)
        mean = image[0].mean()
        expected = ((image[0] - mean) * factor + mean).clamp(image[0].min(), image[0].max())
        torch.testing.assert_close(found[0], expected)
        assert torch.equal(found[1], image[1])


@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_keeps_mean_and_deviation_and_order(inverted: bool) -> None:  # noqa: FBT001
    image = voxels()[None]
    found = stepped(Gamma(exponents={0: 1.4}, inverted=inverted), image)
    assert float(found.mean()) == pytest.approx(float(image.mean()), abs=1e-4)
    assert float(found.std()) == pytest.approx(float(image.std()), rel=1e-3)
    order = image.flatten().argsort()
    assert (found.flatten()[order].diff() >= -1e-5).all()


def test_gamma_leaves_a_constant_channel_alone() -> None:
    image = torch.full((1, 4, 4, 4), 2.5)
    torch.testing.assert_close(stepped(Gamma(exponents={0: 1.4}, inverted=False), image), image)


def test_bias_field_without_coefficients_is_none_and_is_smooth_otherwise() -> None:
    image = voxels()[None]
    torch.testing.assert_close(stepped(BiasField(coefficients={0: (0.0,) * len(BIAS_TERMS)}), image), image)
    found = stepped(BiasField(coefficients={0: (0.3, *(0.0,) * (len(BIAS_TERMS) - 1))}), image)
    low = image.min()
    torch.testing.assert_close(found, (image - low) * np.exp(0.3) + low)


def test_dropout_blanks_its_channels() -> None:
    found = stepped(Dropout(channels=(1,)), torch.ones(2, 3, 3, 3))
    assert found.sum((1, 2, 3)).tolist() == [27.0, 0.0]


def test_what_is_no_step_is_refused() -> None:
    with pytest.raises(TypeError, match="no change of intensities"):
        apply_step(object(), torch.zeros(1, 2, 2, 2), Workspace())  # type: ignore[arg-type]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), present=st.lists(st.booleans(), min_size=4, max_size=4).filter(any))
def test_absent_sequences_stay_absent_and_one_always_stays(seed: int, present: list[bool]) -> None:
    config = AugmentConfig(**{f.name: 1.0 for f in fields(AugmentConfig) if f.name.endswith("_chance")})
    record = draw(config, np.random.default_rng(seed), present)
    absent = {channel for channel, there in enumerate(present) if not there}
    for step in record.steps:
        touched = step.channels if isinstance(step, Noise | Dropout) else next(iter(vars_of(step).values()))
        assert not absent & set(touched)
        if isinstance(step, Dropout):
            assert len(step.channels) < sum(present)


def vars_of(step: object) -> dict[str, object]:
    return {f.name: getattr(step, f.name) for f in fields(step)}  # type: ignore[arg-type]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_background_and_absent_sequences_stay_zero(seed: int) -> None:
    patch = make_patch((16, 17, 18))
    patch.image[2] = 0
    everything = AugmentConfig(
        noise_chance=1.0, blur_chance=1.0, brightness_chance=1.0, contrast_chance=1.0, low_resolution_chance=1.0,
        gamma_chance=1.0, bias_chance=1.0, mirror_chance=0.0,
    )  # fmt: skip
    changed, _ = augment(patch, everything, np.random.default_rng(seed))
    head = (patch.image != 0).any(0)
    assert not changed.image[:, ~head].any()
    assert not changed.image[2].any()
    assert changed.image[0][head].any()


def test_chances_are_kept() -> None:
    rng = np.random.default_rng(0)
    records = [draw(STANDARD, rng, [True] * 4) for _ in range(3000)]
    count = {kind: sum(any(type(s) is kind for s in r.steps) for r in records) / 3000 for kind in (Noise, Brightness)}
    assert count[Noise] == pytest.approx(0.1, abs=0.02)
    assert count[Brightness] == pytest.approx(0.15, abs=0.02)
    turned = sum(r.geometry.matrix != Geometry().matrix for r in records) / 3000
    assert turned == pytest.approx(0.36, abs=0.03)
    assert sum(r.geometry.mirrored[1] for r in records) / 3000 == pytest.approx(0.5, abs=0.03)
    factors = [f for r in records for s in r.steps if isinstance(s, Brightness) for f in s.factors.values()]
    assert min(factors) < 0.8
    assert max(factors) > 1.2
    assert np.mean(np.array(factors) < 1) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("interval", "low", "high"), [((0.5, 0.9), 0.5, 0.9), ((1.1, 1.5), 1.1, 1.5)])
def test_interval_on_one_side_of_one_is_kept(interval: tuple[float, float], low: float, high: float) -> None:
    config = AugmentConfig(brightness_chance=1.0, brightness=interval)
    record = draw(config, np.random.default_rng(0), [True] * 50)
    factors = record.steps[0].factors.values()  # type: ignore[union-attr]
    assert low <= min(factors) <= max(factors) <= high


def test_presets_grow_from_light_to_heavy() -> None:
    assert LIGHT.rotation_chance < STANDARD.rotation_chance < HEAVY.rotation_chance
    assert (STANDARD.elastic_chance, STANDARD.mixing_chance, STANDARD.dropout_chance) == (0, 0, 0)
    assert min(HEAVY.elastic_chance, HEAVY.mixing_chance, HEAVY.dropout_chance, HEAVY.bias_chance) > 0


@pytest.mark.parametrize(
    "values",
    [
        {"noise_chance": 1.1},
        {"elastic_share": -0.1},
        {"scale": (1.4, 0.7)},
        {"gamma": (0.0, 1.0)},
        {"low_resolution": (0.0, 1.0)},
        {"elastic_spacing_voxels": 0.0},
        {"noise_std": (-0.1, 0.1)},
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict) -> None:
    with pytest.raises(AugmentError, match=next(iter(values))):
        AugmentConfig(**values)


@pytest.mark.parametrize(
    "document",
    [{}, {"geometry": {}}, {"geometry": {"elastic": None}, "mixing": None, "steps": [{"kind": "magic"}]}, []],
)
def test_record_that_is_none_is_refused(document: object) -> None:
    with pytest.raises(AugmentError, match="no record of an augmentation"):
        AugmentRecord.from_dict(document)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "patch",
    [
        Patch(image=torch.zeros(4, 5, 5), labels=torch.zeros(5, 5, dtype=torch.uint8)),
        Patch(image=torch.zeros(4, 5, 5, 5).double(), labels=torch.zeros(5, 5, 5, dtype=torch.uint8)),
        Patch(image=torch.zeros(4, 5, 5, 5), labels=torch.zeros(5, 5, 6, dtype=torch.uint8)),
    ],
    ids=["axes", "type", "labels"],
)
def test_tensors_that_are_no_patch_are_refused(patch: Patch) -> None:
    with pytest.raises(AugmentError, match="a patch is a float32 image"):
        augment(patch, STANDARD, np.random.default_rng(0))


MIXING = AugmentConfig(mixing_chance=1.0)


def test_mixed_lesion_keeps_its_labels_and_its_intensities() -> None:
    patch, donor = make_patch((24, 24, 24), 1), make_patch((20, 20, 20), 2)
    patch = Patch(image=patch.image, labels=torch.zeros_like(patch.labels))
    donor.image[:, donor.labels > 0] = 5.0
    changed, record = augment(patch, MIXING, np.random.default_rng(4), donor=("other", donor))
    assert record.mixing is not None
    assert record.mixing.donor == "other"
    assert (changed.labels > 0).any()
    torch.testing.assert_close(
        changed.image[0][changed.labels > 0], torch.full((int((changed.labels > 0).sum()),), 5.0)
    )
    untouched = changed.image[0] == patch.image[0]
    assert untouched.float().mean() > 0.5


def test_mixing_does_not_bring_back_an_absent_sequence() -> None:
    patch, donor = make_patch((24, 24, 24), 1), make_patch((20, 20, 20), 2)
    patch.image[3] = 0
    changed, record = augment(patch, MIXING, np.random.default_rng(4), donor=("other", donor))
    assert record.mixing is not None
    assert not changed.image[3].any()


def test_mixing_needs_its_donor_again() -> None:
    patch, donor = make_patch((24, 24, 24), 1), make_patch((20, 20, 20), 2)
    _, record = augment(patch, MIXING, np.random.default_rng(4), donor=("other", donor))
    with pytest.raises(AugmentError, match="'other'"):
        replay(patch, record)


def test_nothing_is_mixed_into_emptiness_or_from_a_case_without_a_lesion() -> None:
    empty = Patch(image=torch.zeros(4, 9, 9, 9), labels=torch.zeros(9, 9, 9, dtype=torch.uint8))
    donor = make_patch((20, 20, 20))
    changed, record = augment(empty, MIXING, np.random.default_rng(0), donor=("other", donor))
    assert record.mixing is None
    assert not changed.image.any()

    class Healthy(TensorSource):
        lesion_box = None

    healthy = Healthy(image=donor.image, labels=donor.labels)
    assert draw_mixing("x", healthy, donor.image, np.random.default_rng(0)) is None


def test_large_lesion_is_cut_to_the_patch() -> None:
    donor, patch = make_patch((30, 30, 30), 2), make_patch((8, 9, 10), 1)
    step = draw_mixing("x", tensor_source(donor.image, donor.labels), patch.image, np.random.default_rng(0))
    assert step is not None
    assert step.shape == (8, 9, 10)
    assert (
        Box(start=step.start, stop=tuple(a + n for a, n in zip(step.start, step.shape, strict=True))).stop <= (30,) * 3
    )


def test_batch_is_its_patches_one_by_one() -> None:
    patches = [make_patch((12, 13, 14), seed) for seed in range(3)]
    images, labels = torch.stack([p.image for p in patches]), torch.stack([p.labels for p in patches])
    rngs = [np.random.default_rng(i) for i in range(3)]
    found, found_labels, records = augment_batch(images, labels, HEAVY, rngs, shape=(10, 10, 10))
    for i, patch in enumerate(patches):
        donor = patches[(i + 1) % 3]
        one = replay(patch, records[i], shape=(10, 10, 10), donor=donor)
        assert torch.equal(one.image, found[i])
        assert torch.equal(one.labels, found_labels[i])


def test_batch_of_one_has_nothing_to_mix_from() -> None:
    patch = make_patch((12, 13, 14))
    rng = [np.random.default_rng(0)]
    *_, (record,) = augment_batch(patch.image[None], patch.labels[None], MIXING, rng)
    assert record.mixing is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_gpu_does_what_the_cpu_does() -> None:
    patches = [make_patch((40, 41, 42), seed) for seed in range(2)]
    images, labels = torch.stack([p.image for p in patches]), torch.stack([p.labels for p in patches])
    config = replace(HEAVY, noise_chance=0.0)  # the generators of devices differ
    here = augment_batch(images, labels, config, [np.random.default_rng(i) for i in range(2)])
    rngs = [np.random.default_rng(i) for i in range(2)]
    there = augment_batch(images.cuda(), labels.cuda(), config, rngs)
    assert there[0].is_cuda
    assert there[2] == here[2]
    torch.testing.assert_close(there[0].cpu(), here[0], atol=1e-3, rtol=1e-3)
    assert (there[1].cpu() != here[1]).float().mean() < 1e-3


def test_scratch_memory_is_used_again() -> None:
    workspace = Workspace()
    first = workspace.get("a", (4, 5))
    assert workspace.get("a", (2, 3)).data_ptr() == first.data_ptr()
    assert workspace.get("b", (4, 5)).data_ptr() != first.data_ptr()
    workspace.get("a", (10, 10))
    assert workspace.nbytes == 4 * (100 + 20)


def test_one_thread_is_given_back_after_a_fault() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError), one_thread():
            _ = torch.get_num_threads() / (torch.get_num_threads() - 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_unknown_name_of_the_package_is_an_error() -> None:
    import tds_data.loading as package  # noqa: PLC0415

    assert "PatchLoader" in dir(package)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_every_kind_of_step_survives_json() -> None:
    record = AugmentRecord(
        geometry=Geometry(mirrored=(True, False, True), elastic=Elastic(seed=1, spacing_voxels=8, magnitude_voxels=2)),
        steps=(
            Noise(channels=(0,), std=0.1, seed=2),
            Blur(sigmas_voxels={1: (0.5, 0.6, 0.7)}),
            Brightness(factors={0: 1.1}),
            Contrast(factors={0: 1.1}),
            LowResolution(shares={2: 0.6}),
            Gamma(exponents={0: 0.9}, inverted=True),
            BiasField(coefficients={0: (0.1,) * 20}),
            Dropout(channels=(3,)),
        ),
    )
    assert AugmentRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
