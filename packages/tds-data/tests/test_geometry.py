import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tds_data import Box, Volume, bounding_box, from_canonical, resample, to_canonical
from tds_data.geometry import Interpolation

ANGLES = st.tuples(*[st.floats(-3.1, 3.1)] * 3)
ZOOMS = st.tuples(*[st.floats(0.4, 5)] * 3)
SHAPES = st.tuples(*[st.integers(1, 6)] * 3)


def volume(shape: tuple[int, ...], angles: tuple[float, ...], zooms: tuple[float, ...]) -> Volume:
    affine = nib.affines.from_matvec(nib.eulerangles.euler2mat(*angles) @ np.diag(zooms), [5.0, -6.0, 7.0])
    return Volume(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), affine)


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, angles=ANGLES, zooms=ZOOMS)
def test_canonical_orientation_equals_nibabels(
    shape: tuple[int, ...], angles: tuple[float, ...], zooms: tuple[float, ...]
) -> None:
    original = volume(shape, angles, zooms)
    ours = to_canonical(original)
    oracle = nib.as_closest_canonical(nib.Nifti1Image(original.voxels, original.ras_from_voxel))
    assert np.array_equal(ours.voxels, np.asanyarray(oracle.dataobj))
    assert np.allclose(ours.ras_from_voxel, oracle.affine)


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, angles=ANGLES, zooms=ZOOMS)
def test_from_canonical_undoes_to_canonical(
    shape: tuple[int, ...], angles: tuple[float, ...], zooms: tuple[float, ...]
) -> None:
    original = volume(shape, angles, zooms)
    assert np.array_equal(from_canonical(to_canonical(original).voxels, original), original.voxels)


def test_bounding_box_is_tight() -> None:
    mask = np.zeros((6, 7, 8), dtype=bool)
    assert bounding_box(mask) is None
    mask[2, 3, 4] = mask[4, 3, 7] = True
    box = bounding_box(mask)
    assert box == Box(start=(2, 3, 4), stop=(5, 4, 8))
    assert box.shape == mask[box.slices].shape == (3, 1, 4)


@settings(max_examples=40, deadline=None)
@given(
    block=st.tuples(*[st.integers(1, 3)] * 3),
    blocks=st.tuples(*[st.integers(1, 4)] * 3),
    seed=st.integers(0, 99),
)
def test_whole_factors_average_blocks(block: tuple[int, ...], blocks: tuple[int, ...], seed: int) -> None:
    shape = tuple(a * b for a, b in zip(block, blocks, strict=True))
    image = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    x, y, z = block
    a, b, c = blocks
    oracle = image.reshape(a, x, b, y, c, z).mean(axis=(1, 3, 5))
    assert np.allclose(resample(image, (float(x), float(y), float(z)), (a, b, c)), oracle, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(factors=st.tuples(*[st.floats(1.01, 3.5)] * 3), seed=st.integers(0, 99))
def test_averaging_keeps_the_integral_and_the_centre_of_mass(factors: tuple[float, float, float], seed: int) -> None:
    image = np.random.default_rng(seed).random((7, 9, 8)).astype(np.float32)
    shape = tuple(int(np.ceil(n / f)) for n, f in zip(image.shape, factors, strict=True))
    out = resample(image, factors, shape)
    assert out.sum() * np.prod(factors) == pytest.approx(image.sum(), rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(factors=st.tuples(*[st.floats(0.3, 0.99)] * 3), seed=st.integers(0, 99))
def test_finer_voxels_interpolate_as_scipy_does(factors: tuple[float, float, float], seed: int) -> None:
    image = np.random.default_rng(seed).normal(size=(5, 6, 4)).astype(np.float32)
    shape = tuple(int(np.ceil(n / f)) for n, f in zip(image.shape, factors, strict=True))
    places = np.meshgrid(*[(np.arange(n) + 0.5) * f - 0.5 for n, f in zip(shape, factors, strict=True)], indexing="ij")
    oracle = ndimage.map_coordinates(image, places, order=1, mode="nearest")
    assert np.allclose(resample(image, factors, shape), oracle, atol=1e-5)


def test_factor_of_one_changes_nothing() -> None:
    image = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    assert np.array_equal(resample(image, (1.0, 1.0 + 1e-9, 1.0), image.shape), image)


def test_single_slice_is_repeated_when_interpolated() -> None:
    image = np.full((1, 2, 2), 3.0, dtype=np.float32)
    assert np.array_equal(resample(image, (0.25, 1.0, 1.0), (4, 2, 2)), np.full((4, 2, 2), 3.0))


@settings(max_examples=40, deadline=None)
@given(factors=st.tuples(*[st.floats(0.3, 1.0)] * 3), seed=st.integers(0, 99))
def test_cubic_is_scipys_spline_within_the_range_of_the_image(factors: tuple[float, float, float], seed: int) -> None:
    image = np.random.default_rng(seed).normal(size=(5, 6, 4)).astype(np.float32)
    shape = tuple(int(np.ceil(n / f)) for n, f in zip(image.shape, factors, strict=True))
    places = [
        np.clip((np.arange(n) + 0.5) * f - 0.5, 0, m - 1) for n, f, m in zip(shape, factors, image.shape, strict=True)
    ]
    oracle = ndimage.map_coordinates(image, np.meshgrid(*places, indexing="ij"), order=3, mode="nearest")
    found = resample(image, factors, shape, interpolation=Interpolation.CUBIC)
    assert found.dtype == np.float32
    assert np.allclose(found, np.clip(oracle, image.min(), image.max()), atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(factors=st.tuples(*[st.floats(0.3, 3.5)] * 3), seed=st.integers(0, 99))
def test_nearest_takes_the_closest_centre_and_no_new_value(factors: tuple[float, float, float], seed: int) -> None:
    image = np.random.default_rng(seed).permutation(5 * 6 * 4).reshape(5, 6, 4).astype(np.float32)
    shape = tuple(int(np.ceil(n / f)) for n, f in zip(image.shape, factors, strict=True))
    found = resample(image, factors, shape, interpolation=Interpolation.NEAREST)
    places = [
        np.clip((np.arange(n) + 0.5) * f - 0.5, 0, m - 1) for n, f, m in zip(shape, factors, image.shape, strict=True)
    ]
    assert np.isin(found, image).all()
    order = np.argsort(image, axis=None)
    taken = np.stack(np.unravel_index(order[found.astype(int)], image.shape), axis=-1)
    wanted = np.stack(np.meshgrid(*places, indexing="ij"), axis=-1)
    assert np.abs(taken - wanted).max() <= 0.5 + 1e-6


@settings(max_examples=40, deadline=None)
@given(
    factors=st.tuples(*[st.floats(0.4, 2.5)] * 3),
    centre=st.tuples(*[st.floats(13, 17)] * 3),
    interpolation=st.sampled_from(Interpolation),
)
def test_no_axis_is_shifted_by_part_of_a_voxel(
    factors: tuple[float, float, float], centre: tuple[float, ...], interpolation: Interpolation
) -> None:
    places = np.meshgrid(*[np.arange(n) for n in (31, 30, 32)], indexing="ij")
    image = np.exp(-sum((p - c) ** 2 for p, c in zip(places, centre, strict=True)) / 18).astype(np.float32)
    shape = tuple(int(np.ceil(n / f)) for n, f in zip(image.shape, factors, strict=True))
    found = resample(image, factors, shape, interpolation=interpolation)
    mass = (np.array(ndimage.center_of_mass(found)) + 0.5) * factors - 0.5
    # Where two centres are equally close, always the same one is nearest: half a voxel off, and never more.
    tolerance = 0.51 if interpolation is Interpolation.NEAREST else 0.02
    assert np.abs(mass - centre).max() < tolerance


@settings(max_examples=25, deadline=None)
@given(edge=st.tuples(*[st.floats(0.6, 3.0)] * 3), seed=st.integers(0, 9))
def test_resampling_agrees_with_simpleitk(edge: tuple[float, float, float], seed: int) -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(24, 22, 20)), 2.5).astype(np.float32)
    shape = tuple(int(n / e) for n, e in zip(image.shape, edge, strict=True))
    source = sitk.GetImageFromArray(image.transpose(2, 1, 0))
    grid = sitk.Image(list(shape), sitk.sitkFloat32)
    grid.SetSpacing(list(edge))
    grid.SetOrigin([(e - 1) / 2 for e in edge])
    theirs = sitk.GetArrayFromImage(sitk.Resample(source, grid, sitk.Transform(), sitk.sitkLinear, 0.0)).transpose(
        2, 1, 0
    )
    ours = resample(image, edge, shape)
    # SimpleITK looks at points only; a smooth image hardly differs from its mean over a voxel.
    inner = (slice(1, -1),) * 3
    assert np.abs(ours - theirs)[inner].max() < 0.25 * image.std()
    assert np.corrcoef(ours[inner].ravel(), theirs[inner].ravel())[0, 1] > 0.99
