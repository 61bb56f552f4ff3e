import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tds_core import dice, hd95_mm
from tds_core.metrics import EMPTY_DISTANCE_MM, region_dice, region_hd95_mm, region_mask
from tds_data import Region

shapes = st.tuples(*[st.integers(1, 8)] * 3)
pairs = shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.bool_, shape)] * 2))
filled = pairs.filter(lambda pair: all(mask.any() for mask in pair))
spacings = st.tuples(*[st.sampled_from((0.5, 1.0, 2.0, 3.3))] * 3)


def surface(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    padded = np.pad(mask, 1)
    hidden = np.ones_like(mask)
    for axis in range(3):
        for shift in (-1, 1):
            hidden &= np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1]
    return np.argwhere(mask & ~hidden)


def brute_hd95(found: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: tuple[float, float, float]) -> float:
    a, b = surface(found) * np.array(spacing), surface(truth) * np.array(spacing)
    distances = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return max(np.percentile(distances.min(axis=1), 95), np.percentile(distances.min(axis=0), 95))


def test_two_cubes_that_overlap_by_half() -> None:
    found, truth = np.zeros((8, 8, 8), np.bool_), np.zeros((8, 8, 8), np.bool_)
    found[0:4, 0:4, 0:4] = True
    truth[2:6, 0:4, 0:4] = True
    assert dice(found, truth) == 0.5
    assert hd95_mm(found, truth, (1.5, 1.0, 1.0)) == 3.0


def test_empty_masks_follow_the_rule_of_brats() -> None:
    none, some = np.zeros((3, 3, 3), np.bool_), np.ones((3, 3, 3), np.bool_)
    assert dice(none, none) == 1.0
    assert hd95_mm(none, none, (1, 1, 1)) == 0.0
    for found, truth in ((none, some), (some, none)):
        assert dice(found, truth) == 0.0
        assert hd95_mm(found, truth, (1, 1, 1)) == EMPTY_DISTANCE_MM


@given(pairs)
def test_dice_is_symmetric_and_one_only_for_equal_masks(pair: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> None:
    found, truth = pair
    value = dice(found, truth)
    assert value == dice(truth, found)
    assert 0.0 <= value <= 1.0
    assert (value == 1.0) == np.array_equal(found, truth)


@given(filled, spacings)
def test_distance_is_that_of_all_pairs_of_surface_voxels(
    pair: tuple[NDArray[np.bool_], NDArray[np.bool_]], spacing: tuple[float, float, float]
) -> None:
    assert hd95_mm(*pair, spacing) == pytest.approx(brute_hd95(*pair, spacing))


@pytest.mark.skipif(importlib.util.find_spec("monai") is None, reason="MONAI comes with the extra `train`")
@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI calls itself in an old way
@pytest.mark.parametrize("seed", range(4))
def test_distance_and_dice_agree_with_monai(seed: int) -> None:
    torch = pytest.importorskip("torch")
    from monai.metrics import compute_dice, compute_hausdorff_distance  # noqa: PLC0415  # where it is installed

    rng = np.random.default_rng(seed)
    spacing = (1.0, 0.7, 2.5)
    x, y, z = np.mgrid[:24, :20, :16]
    masks = []
    for _ in range(2):
        cx, cy, cz = rng.uniform(7, 12, 3)
        ball = ((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) < rng.uniform(9, 40)
        masks.append(ball & (rng.random(ball.shape) > 0.1))
    found, truth = masks
    one, two = (torch.from_numpy(mask)[None, None].float() for mask in masks)
    expected = compute_hausdorff_distance(one, two, include_background=True, percentile=95, spacing=spacing)
    assert hd95_mm(found, truth, spacing) == pytest.approx(float(expected), rel=1e-5)
    assert dice(found, truth) == pytest.approx(float(compute_dice(one, two)), rel=1e-6)


def test_regions_are_scored_one_by_one() -> None:
    found = np.array([[[0, 1, 2, 3, 3, 0]]], np.uint8)
    truth = np.array([[[0, 3, 2, 3, 0, 0]]], np.uint8)
    np.testing.assert_array_equal(region_mask(found, Region.TC), [[[False, True, False, True, True, False]]])
    assert region_dice(found, truth) == pytest.approx({Region.WT: 6 / 7, Region.TC: 4 / 5, Region.ET: 2 / 4})
    distances = region_hd95_mm(found, truth, (1, 1, 2))
    assert distances[Region.ET] == pytest.approx(brute_hd95(found == 3, truth == 3, (1, 1, 2)))
    assert set(distances) == set(Region)
