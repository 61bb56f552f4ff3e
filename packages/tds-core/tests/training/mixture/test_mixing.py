import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import affine_transform

from tds_core.training.mixture.augment import Sources
from tds_core.training.mixture.mixing import fill_shape, paste_cube, place, rotation


@given(st.integers(0, 2**32 - 1))
def test_placing_is_the_affine_transform_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(7, 9, 8)).astype(np.float32)
    shape = (8, 6, 10)
    matrix = rotation(rng, max_degrees=40, scale=(0.7, 1.4))
    centre, target = rng.uniform(1, 6, 3).astype(np.float32), rng.uniform(1, 6, 3).astype(np.float32)
    moved = place(
        torch.from_numpy(source)[None], matrix, torch.from_numpy(centre), torch.from_numpy(target), torch.Size(shape)
    )
    turn = matrix.double().numpy()
    # scipy clips whole samples beyond the border; a margin of zeros lets it fade as torch does.
    expected = affine_transform(
        np.pad(source, 2).astype(float), turn, centre - turn @ target + 2, output_shape=shape, order=1, cval=0.0
    )
    np.testing.assert_allclose(moved[0].numpy(), expected, atol=2e-4)


def test_centre_lands_on_its_target() -> None:
    source = torch.zeros(1, 9, 9, 9)
    source[0, 2, 5, 6] = 1
    moved = place(source, torch.eye(3), torch.tensor([2.0, 5, 6]), torch.tensor([4.0, 1, 3]), torch.Size([6, 6, 6]))
    assert moved[0, 4, 1, 3] == pytest.approx(1, abs=1e-5)
    assert moved.sum() == pytest.approx(1, abs=1e-4)


def test_rotation_without_room_is_a_mirror() -> None:
    matrix = rotation(np.random.default_rng(0), max_degrees=0, scale=(1, 1)).numpy()
    np.testing.assert_allclose(np.abs(matrix), np.eye(3), atol=1e-7)


def test_pasted_lesion_changes_the_head_only_and_brings_its_labels(sources: Sources) -> None:
    host, cube = sources.patients[0], sources.cubes[0]
    before = host.image.clone()
    head = host.image.abs().sum(0) > 0
    changed_somewhere = False
    for seed in range(8):
        image, regions = paste_cube(host.image, host.regions, cube, np.random.default_rng(seed))
        assert torch.equal(host.image, before)
        assert not image[:, ~head].any()
        assert torch.equal(regions[:, ~head], host.regions[:, ~head])
        touched = (regions != host.regions).any(0)
        assert bool((image != host.image).any(0)[touched].all())
        changed_somewhere |= bool(touched.any())
    assert changed_somewhere


def test_nothing_is_pasted_where_there_is_no_head(sources: Sources) -> None:
    image, regions = torch.zeros(4, 8, 8, 8), torch.zeros(3, 8, 8, 8)
    pasted, labels = paste_cube(image, regions, sources.cubes[0], np.random.default_rng(0))
    assert pasted is image
    assert labels is regions


@pytest.mark.parametrize("which", [0, 1], ids=["all labels known", "one label unknown"])
def test_filled_outline_gives_its_regions_inside_the_head_and_no_nan(sources: Sources, which: int) -> None:
    host, cube = sources.patients[0], sources.cubes[which]
    shape = sources.outlines[0][1].float() / 255
    head = host.image.abs().sum(0) > 0
    image, regions = fill_shape(host.image, host.regions, shape, cube, np.random.default_rng(1))
    assert torch.isfinite(image).all()
    assert torch.equal(image[:, ~head], host.image[:, ~head])
    assert torch.equal(image[:, shape[0] == 0], host.image[:, shape[0] == 0])
    assert torch.equal(regions, torch.maximum(host.regions, shape * head))
    assert bool((regions[0] >= regions[1]).all())


def test_lesion_without_any_statistics_is_filled_with_plain_noise(sources: Sources) -> None:
    cube = sources.cubes[0]
    blank = type(cube)(
        image=cube.image,
        regions=cube.regions,
        label_mean=np.full((3, 4), np.nan, np.float32),
        label_std=np.full((3, 4), np.nan, np.float32),
    )
    host = sources.patients[0]
    image, _ = fill_shape(host.image, host.regions, host.regions, blank, np.random.default_rng(1))
    assert torch.isfinite(image).all()
