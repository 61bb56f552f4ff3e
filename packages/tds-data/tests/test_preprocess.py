import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine

from tds_data import (
    MODALITIES,
    Case,
    GeometryError,
    Modality,
    PreprocessConfig,
    Region,
    Volume,
    VoxelError,
    background,
    foreground,
    load_case,
    prepare,
    prepare_reference,
    region_labels,
    restore,
)
from tds_data.discover import discover
from tds_data.geometry import Interpolation

T1, T1CE, T2, FLAIR = Modality
AFFINE = np.array([[2.0, 0, 0, -40], [0, 1.5, 0, -30], [0, 0, 3, -20], [0, 0, 0, 1]])
ORDERS = st.permutations([0, 1, 2])
FLIPS = st.tuples(*[st.booleans()] * 3)


def ball(centre: tuple[float, ...], radius: float, shape: tuple[int, int, int] = (40, 44, 26)) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    return sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) < radius**2


def make_case(*, seed: int = 0) -> Case:
    inside = ball((20, 22, 13), 11.5)
    rng = np.random.default_rng(seed)
    images = {m: Volume(np.where(inside, rng.integers(100, 400, inside.shape), 0), AFFINE) for m in (T1, FLAIR)}
    return Case(name="ball", images=images)


def moved(volume: Volume, order: list[int], flips: tuple[bool, ...]) -> Volume:
    """The same places in the world under other voxel axes."""
    voxels, affine = volume.voxels.transpose(order), volume.ras_from_voxel[:, [*order, 3]]
    for axis in np.flatnonzero(flips):
        voxels = np.flip(voxels, axis)
        turn = np.eye(4)
        turn[axis, axis], turn[axis, 3] = -1, voxels.shape[axis] - 1
        affine = affine @ turn
    return Volume(voxels, affine)


@settings(max_examples=30, deadline=None)
@given(order=ORDERS, flips=FLIPS, shift=st.tuples(*[st.floats(-90, 90)] * 3))
def test_orientation_of_the_voxel_axes_does_not_matter(
    order: list[int], flips: tuple[bool, ...], shift: tuple[float, ...]
) -> None:
    case = make_case()
    images = {}
    for modality, volume in case.images.items():
        turned = moved(volume, order, flips)
        affine = turned.ras_from_voxel.copy()
        affine[:3, 3] += shift
        images[modality] = Volume(turned.voxels, affine)
    expected = prepare(case, PreprocessConfig())
    found = prepare(Case(name="x", images=images), PreprocessConfig())
    assert found.tensor.shape == expected.tensor.shape
    assert np.allclose(found.tensor, expected.tensor, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    order=ORDERS,
    flips=FLIPS,
    spacing=st.floats(1.0, 3.0),
    centre=st.tuples(st.floats(16, 24), st.floats(18, 26), st.floats(11, 15)),
)
def test_restored_blobs_stay_where_they_were(
    order: list[int], flips: tuple[bool, ...], spacing: float, centre: tuple[float, ...]
) -> None:
    case = make_case()
    images = {m: moved(v, order, flips) for m, v in case.images.items()}
    blob = moved(Volume(ball(centre, 4.5).astype(np.uint8) * 3, AFFINE), order, flips)
    prepared = prepare(Case(name="x", images=images), PreprocessConfig(spacing_mm=spacing))
    share = prepare_reference(prepared, blob)
    back = restore(share[0], prepared)
    assert back.shape == blob.shape
    assert back.dtype == np.float32

    def centroid(weights: np.ndarray) -> np.ndarray:
        places = np.argwhere(weights > 0)
        return np.average(apply_affine(blob.ras_from_voxel, places), axis=0, weights=weights[weights > 0])

    assert np.linalg.norm(centroid(back) - centroid(blob.voxels)) < 0.5 * min(blob.spacing_mm)
    overlap = ((back > 0.5) & (blob.voxels > 0)).sum() * 2 / ((back > 0.5).sum() + (blob.voxels > 0).sum())
    assert overlap > 0.85


def test_tensor_is_standardised_clipped_and_zero_where_absent() -> None:
    case = make_case()
    first = np.array(case.images[T1].voxels)
    first[20, 22, 13] = 100_000
    prepared = prepare(
        Case(name="x", images={**case.images, T1: Volume(first, AFFINE)}), PreprocessConfig(spacing_mm=1.5)
    )
    assert prepared.tensor.dtype == np.float32
    assert prepared.tensor.shape[0] == len(MODALITIES)
    assert not prepared.tensor[1].any()
    assert not prepared.tensor[2].any()
    assert abs(prepared.tensor).max() <= 6.0 + 1e-5
    inside = prepared.tensor[3][prepared.tensor[3] != 0]
    assert abs(inside.mean()) < 0.1


def test_original_grid_gives_plain_z_scores() -> None:
    inside = ball((20, 22, 13), 11.5)
    voxels = np.where(inside, np.random.default_rng(1).normal(5, 2, inside.shape), 0)
    case = Case(name="x", images={T2: Volume(voxels, np.eye(4))})
    prepared = prepare(case, PreprocessConfig(modalities=(T2,), spacing_mm=1.0))
    expected = np.where(inside, (voxels - voxels[inside].mean()) / voxels[inside].std(), 0)[prepared.box.slices]
    assert np.allclose(prepared.tensor[0], expected, atol=1e-5)


def test_uniform_head_becomes_zero() -> None:
    case = Case(name="x", images={T2: Volume(ball((20, 22, 13), 9) * 7, AFFINE)})
    assert not prepare(case, PreprocessConfig()).tensor.any()


def test_reference_becomes_shares_of_nested_regions() -> None:
    case = make_case()
    labels = np.zeros(case.grid.shape, np.uint8)
    labels[ball((20, 22, 13), 6)] = 2
    labels[ball((20, 22, 13), 4)] = 1
    labels[ball((20, 22, 13), 2)] = 3
    prepared = prepare(case, PreprocessConfig())
    shares = prepare_reference(prepared, case.grid.with_voxels(labels))
    assert shares.shape == (3, *prepared.tensor.shape[1:])
    assert (shares[0] >= shares[1]).all()
    assert (shares[1] >= shares[2]).all()
    volumes = shares.sum(axis=(1, 2, 3)) * 8.0
    expected = [np.isin(labels, wanted).sum() * 9.0 for wanted in ([1, 2, 3], [1, 3], [3])]
    assert volumes == pytest.approx(expected, rel=1e-4)


def test_foreground_refuses_what_has_none() -> None:
    with pytest.raises(VoxelError, match="FLAIR holds 1 voxels that are NaN"):
        foreground(np.array([[[0.0, np.nan]]]), name="FLAIR")
    with pytest.raises(VoxelError, match="constant"):
        foreground(np.full((3, 3, 3), 4))


def test_background_is_the_commonest_value_of_the_faces() -> None:
    voxels = np.full((5, 6, 7), -1.5)
    voxels[1:-1, 1:-1, 1:-1] = 2.0
    assert background(voxels) == -1.5
    voxels[0, :2] = 9.0
    assert background(voxels) == -1.5
    assert foreground(voxels).sum() == 3 * 4 * 5 + 2 * 7


def test_label_map_is_nested() -> None:
    every = np.array(list(itertools.product([False, True], repeat=3)))
    labels = region_labels(dict(zip(Region, every.T, strict=True)))
    assert labels.dtype == np.uint8
    assert labels.tolist() == [0, 0, 0, 0, 2, 2, 1, 3]


@settings(max_examples=30, deadline=None)
@given(
    order=ORDERS,
    flips=FLIPS,
    edges=st.tuples(*[st.floats(0.8, 4.0)] * 3),
    centre=st.tuples(st.floats(17, 23), st.floats(19, 25), st.floats(12, 14)),
)
def test_labels_return_to_any_grid_to_within_the_networks_voxels(
    order: list[int], flips: tuple[bool, ...], edges: tuple[float, float, float], centre: tuple[float, ...]
) -> None:
    case = make_case()
    images = {m: moved(v, order, flips) for m, v in case.images.items()}
    labels = np.where(ball(centre, 3.0), 3, np.where(ball(centre, 5.0), 2, 0)).astype(np.uint8)
    truth = moved(Volume(labels, AFFINE), order, flips)
    prepared = prepare(Case(name="x", images=images), PreprocessConfig(spacing_mm=edges))
    shares = dict(zip(Region, prepare_reference(prepared, truth), strict=True))
    back = region_labels({region: restore(share, prepared) >= 0.5 for region, share in shares.items()})
    assert back.shape == truth.shape
    thickness = max(*edges, 3.0) / 3  # of the shell in which a voxel may change sides, mm
    for wanted, radius in (([2, 3], 5.0), ([3], 3.0)):
        found, expected = np.isin(back, wanted), np.isin(truth.voxels, wanted)
        overlap = 2 * (found & expected).sum() / (found.sum() + expected.sum())
        assert overlap > 1 - 3 * thickness / (1.5 * radius)


@settings(max_examples=30, deadline=None)
@given(order=ORDERS, flips=FLIPS, seed=st.integers(0, 99), interpolation=st.sampled_from(Interpolation))
def test_labels_and_images_return_exactly_where_the_spacing_is_the_same(
    order: list[int], flips: tuple[bool, ...], seed: int, interpolation: Interpolation
) -> None:
    case = make_case()
    images = {m: moved(v, order, flips) for m, v in case.images.items()}
    inside = case.grid.voxels != 0
    labels = np.where(inside, np.random.default_rng(seed).integers(0, 4, inside.shape), 0).astype(np.uint8)
    truth = moved(Volume(labels, AFFINE), order, flips)
    config = PreprocessConfig(spacing_mm=(2.0, 1.5, 3.0), interpolation=interpolation)
    prepared = prepare(Case(name="x", images=images), config)
    shares = dict(zip(Region, prepare_reference(prepared, truth), strict=True))
    back = region_labels({region: restore(share, prepared) >= 0.5 for region, share in shares.items()})
    assert np.array_equal(back, truth.voxels)
    t1 = images[T1].voxels
    scores = restore(prepared.tensor[0], prepared)
    values = t1[t1 != 0].astype(float)
    assert np.allclose(scores[t1 != 0], (values - values.mean()) / values.std(), atol=1e-4)


def test_three_edges_give_three_spacings() -> None:
    cube = prepare(make_case(), PreprocessConfig(spacing_mm=3.0))
    assert PreprocessConfig(spacing_mm=3.0).voxel_mm == (3.0, 3.0, 3.0)
    same = prepare(make_case(), PreprocessConfig(spacing_mm=(3.0, 3.0, 3.0)))
    assert np.array_equal(cube.tensor, same.tensor)
    flat = prepare(make_case(), PreprocessConfig(spacing_mm=(1.0, 1.0, 6.0)))
    size = [n * s for n, s in zip(flat.box.shape, (2.0, 1.5, 3.0), strict=True)]
    assert flat.tensor.shape[1:] == tuple(int(np.ceil(n / e)) for n, e in zip(size, (1, 1, 6), strict=True))


def test_finer_networks_interpolate_as_they_are_told() -> None:
    tensors = {i: prepare(make_case(), PreprocessConfig(spacing_mm=1.0, interpolation=i)).tensor for i in Interpolation}
    assert len({tensor.tobytes() for tensor in tensors.values()}) == 3
    stored = np.unique(prepare(make_case(), PreprocessConfig(spacing_mm=(2.0, 1.5, 3.0))).tensor[0])
    assert np.isin(tensors[Interpolation.NEAREST][0], stored).all()
    for tensor in tensors.values():
        assert np.corrcoef(tensor[0].ravel(), tensors[Interpolation.LINEAR][0].ravel())[0, 1] > 0.7


@pytest.mark.parametrize("edges", [0.0, -1.0, float("nan"), float("inf"), (1.0, 1.0, 0.0), (1.0, 1.0)])
def test_voxels_that_cannot_be_are_refused(edges: float) -> None:
    with pytest.raises(GeometryError, match="one edge or three, each above 0 mm"):
        PreprocessConfig(spacing_mm=edges)


def test_a_clip_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(VoxelError, match="above 0; 0"):
        PreprocessConfig(clip=0)


@pytest.mark.real_data
def test_restored_truth_of_a_real_patient_is_the_truth(real_patients: list[Path]) -> None:
    case = load_case(discover(real_patients[1]))
    assert case.reference is not None
    prepared = prepare(case, PreprocessConfig(spacing_mm=1.0))
    whole, core, enhancing = (restore(share, prepared) > 0.5 for share in prepare_reference(prepared, case.reference))
    labels = region_labels({Region.WT: whole, Region.TC: core, Region.ET: enhancing})
    assert np.array_equal(labels, case.reference.voxels)
