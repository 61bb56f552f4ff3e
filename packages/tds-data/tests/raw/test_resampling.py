import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tds_data import LabelError, Volume, to_canonical
from tds_data.geometry import Interpolation
from tds_data.raw import resample_shares, resample_to
from tds_data.raw.resampling import resample_labels

SMALL_ANGLES = st.tuples(*[st.floats(-0.4, 0.4)] * 3)
SHIFTS = st.tuples(*[st.floats(-4, 4)] * 3)
ZOOMS = st.tuples(*[st.floats(0.6, 3.0)] * 3)
ORDERS = st.permutations([0, 1, 2])
FLIPS = st.tuples(*[st.booleans()] * 3)


def rigid(angles: tuple[float, ...], shift: tuple[float, ...]) -> np.ndarray:
    return nib.affines.from_matvec(nib.eulerangles.euler2mat(*angles), shift)


def centred(shape: tuple[int, ...], zooms: tuple[float, ...]) -> np.ndarray:
    """An affine that puts the middle of a grid at the origin."""
    return nib.affines.from_matvec(np.diag(zooms), [-z * (n - 1) / 2 for n, z in zip(shape, zooms, strict=True)])


def ball_volume(radius_mm: float, shape: tuple[int, ...] = (30, 32, 28), edge_mm: float = 1.0) -> Volume:
    affine = centred(shape, (edge_mm,) * 3)
    places = nib.affines.apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    return Volume((np.linalg.norm(places, axis=-1) < radius_mm).astype(np.uint8), affine)


def turned(volume: Volume, order: list[int], flips: tuple[bool, ...]) -> Volume:
    voxels, affine = volume.voxels.transpose(order), volume.ras_from_voxel[:, [*order, 3]]
    for axis in np.flatnonzero(flips):
        voxels = np.flip(voxels, axis)
        turn = np.eye(4)
        turn[axis, axis], turn[axis, 3] = -1, voxels.shape[axis] - 1
        affine = affine @ turn
    return Volume(voxels, affine)


def centroid_mm(volume: Volume) -> np.ndarray:
    return nib.affines.apply_affine(volume.ras_from_voxel, ndimage.center_of_mass(volume.voxels))


@settings(max_examples=40, deadline=None)
@given(order=ORDERS, flips=FLIPS, zooms=ZOOMS, interpolation=st.sampled_from(Interpolation), seed=st.integers(0, 99))
def test_grids_with_the_same_points_get_the_same_values(
    order: list[int], flips: tuple[bool, ...], zooms: tuple[float, ...], interpolation: Interpolation, seed: int
) -> None:
    voxels = np.random.default_rng(seed).normal(size=(5, 6, 4)).astype(np.float32)
    volume = Volume(voxels, rigid((0.1, 0.2, 0.3), (5, -6, 7)) @ centred(voxels.shape, zooms))
    wanted = turned(volume, order, flips)
    found = resample_to(volume, wanted, interpolation=interpolation)
    exact = interpolation is not Interpolation.CUBIC
    assert np.array_equal(found.voxels, wanted.voxels) if exact else np.allclose(found.voxels, wanted.voxels, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(angles=SMALL_ANGLES, shift=SHIFTS, seed=st.integers(0, 99))
@pytest.mark.parametrize(("interpolation", "itk_name"), [("linear", "sitkLinear"), ("nearest", "sitkNearestNeighbor")])
def test_moved_images_are_sampled_as_simpleitk_does(
    angles: tuple[float, ...], shift: tuple[float, ...], seed: int, interpolation: str, itk_name: str
) -> None:
    sitk = pytest.importorskip("SimpleITK")
    from tds_data.raw._itk import to_itk, to_itk_transform, voxels_of  # noqa: PLC0415

    rng = np.random.default_rng(seed)
    volume = Volume(rng.normal(size=(14, 15, 13)).astype(np.float32), centred((14, 15, 13), (1.0, 1.2, 1.5)))
    grid = Volume(np.zeros((9, 8, 10), np.uint8), centred((9, 8, 10), (0.9, 0.8, 0.7)))
    grid_from_volume = rigid(angles, shift)
    ours = resample_to(volume, grid, grid_from_volume, interpolation=Interpolation(interpolation))
    back = to_itk_transform(np.linalg.inv(grid_from_volume), np.zeros(3), rigid=True)
    theirs = voxels_of(sitk.Resample(to_itk(volume), to_itk(grid), back, getattr(sitk, itk_name), 0.0))
    # Beyond the outermost centres SimpleITK repeats the edge for half a voxel, and ours fades to zero; a point halfway
    # between two voxels may go to either.
    index_from_index = np.linalg.inv(grid_from_volume @ volume.ras_from_voxel) @ grid.ras_from_voxel
    places = nib.affines.apply_affine(index_from_index, np.moveaxis(np.indices(grid.shape), 0, -1))
    decided = np.abs(places % 1 - 0.5).min(axis=-1) > 1e-4
    inner = ((places > 0) & (places < np.array(volume.shape) - 1)).all(axis=-1) & decided
    assert np.allclose(ours.voxels[inner], theirs[inner], atol=1e-4)


def test_cubic_is_scipys_spline_within_the_range_of_the_image() -> None:
    voxels = np.random.default_rng(3).integers(0, 2, (12, 13, 11)).astype(np.float32)
    volume = Volume(voxels, np.eye(4))
    grid = Volume(np.zeros((14, 14, 12), np.uint8), nib.affines.from_matvec(np.diag([0.6] * 3), [2.0, 2.1, 2.2]))
    found = resample_to(volume, grid, interpolation=Interpolation.CUBIC).voxels
    places = np.stack(
        np.meshgrid(*[np.arange(n) * 0.6 + o for n, o in zip(grid.shape, (2, 2.1, 2.2), strict=True)], indexing="ij")
    )
    oracle = ndimage.map_coordinates(voxels, places, order=3, mode="grid-constant")
    assert np.allclose(found, np.clip(oracle, voxels.min(), voxels.max()), atol=1e-3)
    assert oracle.max() > voxels.max()


@settings(max_examples=20, deadline=None)
@given(block=st.tuples(*[st.integers(1, 4)] * 3), seed=st.integers(0, 99))
def test_larger_voxels_hold_the_mean_of_what_they_cover(block: tuple[int, ...], seed: int) -> None:
    shape = tuple(3 * n for n in block)
    voxels = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    volume = Volume(voxels, np.eye(4))
    affine = np.diag([*map(float, block), 1.0])
    affine[:3, 3] = (np.array(block) - 1) / 2
    grid = Volume(np.zeros((3, 3, 3), np.uint8), affine)
    x, y, z = block
    oracle = voxels.reshape(3, x, 3, y, 3, z).mean(axis=(1, 3, 5))
    assert np.allclose(resample_to(volume, grid).voxels, oracle, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(angles=SMALL_ANGLES, shift=SHIFTS, zooms=ZOOMS)
def test_nothing_is_shifted_by_part_of_a_voxel(
    angles: tuple[float, ...], shift: tuple[float, ...], zooms: tuple[float, ...]
) -> None:
    ball = ball_volume(9)
    shape = tuple(int(np.ceil(44 / z)) for z in zooms)
    grid = Volume(np.zeros(shape, np.uint8), centred(shape, zooms))
    move = rigid(angles, shift)
    moved = resample_to(ball, grid, move)
    assert np.allclose(centroid_mm(moved), move[:3, 3], atol=0.03)
    assert moved.voxels.sum() * grid.voxel_volume_ml == pytest.approx(
        ball.voxels.sum() * ball.voxel_volume_ml, rel=0.02
    )


@settings(max_examples=25, deadline=None)
@given(angles=SMALL_ANGLES, shift=SHIFTS, edge=st.floats(0.7, 2.5))
def test_labels_come_back_from_another_grid_to_within_its_voxels(
    angles: tuple[float, ...], shift: tuple[float, ...], edge: float
) -> None:
    whole, core = ball_volume(11), ball_volume(6)
    labels = whole.with_voxels((whole.voxels * 2 - core.voxels).astype(np.uint8))
    shape = (int(46 / edge),) * 3
    grid = Volume(np.zeros(shape, np.uint8), centred(shape, (edge,) * 3))
    move = rigid(angles, shift)
    back = resample_labels(resample_labels(labels, grid, move), labels, np.linalg.inv(move))
    for label, radius in ((1, 6.0), (2, 11.0)):
        found, truth = back.voxels == label, labels.voxels == label
        dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
        # A shell of a quarter of a voxel of either grid around a ball may change sides.
        assert dice > 1 - 1.5 * 3 * 0.25 * (1 + edge) / radius * 0.5
        assert np.linalg.norm(centroid_mm(back.with_voxels(found.astype(np.uint8)))) < 0.25 * (1 + edge)


@settings(max_examples=25, deadline=None)
@given(order=ORDERS, flips=FLIPS, seed=st.integers(0, 99))
def test_labels_come_back_exactly_where_the_points_are_the_same(
    order: list[int], flips: tuple[bool, ...], seed: int
) -> None:
    voxels = np.random.default_rng(seed).integers(0, 4, (6, 7, 5)).astype(np.uint8)
    labels = Volume(voxels, rigid((0.2, -0.1, 0.3), (1, 2, 3)) @ np.diag([1.1, 0.9, 4.0, 1]))
    there = resample_labels(labels, turned(labels, order, flips))
    assert np.array_equal(there.voxels, turned(labels, order, flips).voxels)
    assert np.array_equal(resample_labels(there, labels).voxels, voxels)
    assert np.array_equal(resample_labels(labels, to_canonical(labels)).voxels, to_canonical(labels).voxels)


def test_nearest_keeps_the_type_and_any_label() -> None:
    labels = Volume(np.arange(27, dtype=np.int16).reshape(3, 3, 3) * 100, np.eye(4))
    found = resample_to(labels, labels, interpolation=Interpolation.NEAREST)
    assert found.voxels.dtype == np.int16
    assert np.array_equal(found.voxels, labels.voxels)
    flags = labels.with_voxels(labels.voxels > 900)
    assert resample_to(flags, flags, interpolation=Interpolation.NEAREST).voxels.dtype == bool


def test_shares_tell_how_full_a_voxel_is() -> None:
    half = np.zeros((4, 4, 4), bool)
    half[:2] = True
    source = Volume(half, np.eye(4))
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = 1.5
    grid = Volume(np.zeros((1, 1, 1), np.uint8), affine)
    assert resample_shares(half, source, grid, np.eye(4)).item() == pytest.approx(0.5)


@pytest.mark.parametrize("strange", [4.0, -1.0, 0.5, np.nan])
def test_masks_with_other_labels_are_refused(strange: float) -> None:
    labels = Volume(np.full((3, 3, 3), strange), np.eye(4))
    with pytest.raises(LabelError, match="labels 0 to 3"):
        resample_labels(labels, labels)


def test_a_mask_out_of_reach_leaves_the_grid_empty() -> None:
    ball = ball_volume(5)
    far = np.eye(4)
    far[:3, 3] = 300
    assert not resample_shares(ball.voxels > 0, ball, ball, far).any()
    assert not resample_labels(ball.with_voxels(ball.voxels * 0), ball).voxels.any()


@settings(max_examples=30, deadline=None)
@given(angles=SMALL_ANGLES, shift=SHIFTS, zooms=ZOOMS, corner=st.tuples(*[st.integers(0, 20)] * 3))
def test_shares_are_those_of_the_whole_image(
    angles: tuple[float, ...], shift: tuple[float, ...], zooms: tuple[float, ...], corner: tuple[int, ...]
) -> None:
    mask = np.zeros((24, 23, 25), bool)
    x, y, z = corner
    mask[x : x + 4, y : y + 3, z : z + 2] = True
    source = Volume(mask.astype(np.float32), centred(mask.shape, (1.0, 1.3, 0.8)))
    grid = Volume(np.zeros((14, 15, 13), np.uint8), centred((14, 15, 13), zooms))
    move = rigid(angles, shift)
    assert np.allclose(resample_shares(mask, source, grid, move), resample_to(source, grid, move).voxels, atol=1e-6)
