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


@pytest.mark.real_data
def test_restored_truth_of_a_real_patient_is_the_truth(real_patients: list[Path]) -> None:
    case = load_case(discover(real_patients[1]))
    assert case.reference is not None
    prepared = prepare(case, PreprocessConfig(spacing_mm=1.0))
    whole, core, enhancing = (restore(share, prepared) > 0.5 for share in prepare_reference(prepared, case.reference))
    labels = region_labels({Region.WT: whole, Region.TC: core, Region.ET: enhancing})
    assert np.array_equal(labels, case.reference.voxels)
