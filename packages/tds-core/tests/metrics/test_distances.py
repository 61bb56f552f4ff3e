import importlib.util
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from metric_oracles import (
    directed,
    element_areas,
    element_average,
    element_hausdorff95,
    element_surface_dice,
    hausdorff,
)
from metric_shapes import Mask, Spacing, ball, filled, lumps, pairs, spacings

from tds_core.errors import EvaluationError
from tds_core.metrics import (
    EMPTY_DISTANCE_MM,
    average_surface_distance_mm,
    hd95_mm,
    hd_mm,
    surface_dice,
)
from tds_core.metrics._surface_elements import element_areas_mm2
from tds_core.metrics._surfaces import element_surfaces
from tds_core.metrics.distances import element_hd95_mm, pair_for_distances

NONE, SOME = np.zeros((4, 4, 4), np.bool_), np.zeros((4, 4, 4), np.bool_)
SOME[1, 2, 0] = True
DISTANCES = [hd95_mm, hd_mm, average_surface_distance_mm]
needs_monai = pytest.mark.skipif(importlib.util.find_spec("monai") is None, reason="MONAI comes with the extra `train`")


def weighted_hd95_mm(found: Mask, truth: Mask, spacing: Spacing) -> float:
    return element_hd95_mm(element_surfaces(pair_for_distances(found, truth, spacing)), 374.0)


def test_two_cubes_that_overlap_by_half() -> None:
    found, truth = np.zeros((8, 8, 8), np.bool_), np.zeros((8, 8, 8), np.bool_)
    found[0:4, 0:4, 0:4] = True
    truth[2:6, 0:4, 0:4] = True
    assert hd95_mm(found, truth, (1.5, 1.0, 1.0)) == 3.0
    assert hd_mm(found, truth, (1.5, 1.0, 1.0)) == 3.0
    assert surface_dice(found, truth, (1.5, 1.0, 1.0), tolerance_mm=3.0) == 1.0


def test_two_voxels_are_as_far_apart_as_their_centres() -> None:
    found, truth = np.zeros((20, 30, 40), np.bool_), np.zeros((20, 30, 40), np.bool_)
    found[0, 0, 0] = truth[19, 29, 39] = True
    expected = np.linalg.norm(np.array([19, 29, 39]) * (0.5, 1.0, 2.0))
    assert hd95_mm(found, truth, (0.5, 1.0, 2.0)) == hd_mm(found, truth, (0.5, 1.0, 2.0)) == pytest.approx(expected)


def test_agreement_at_exactly_the_tolerance_counts_whatever_rounding_does() -> None:
    found, truth = np.zeros((9, 5, 5), np.bool_), np.zeros((9, 5, 5), np.bool_)
    found[1:4, 1:4, 1:4] = truth[4:7, 1:4, 1:4] = True  # three voxels farther
    for size in (0.1, 0.3, 0.7, 1.1):
        assert surface_dice(found, truth, (size, size, size), tolerance_mm=3 * size) == 1.0
        assert surface_dice(found, truth, (size, size, size), tolerance_mm=2.99 * size) < 1.0


@pytest.mark.parametrize("distance", DISTANCES)
def test_distance_of_empty_masks(distance: Callable[..., float]) -> None:
    assert distance(NONE, NONE, (1, 1, 1)) == 0.0
    for found, truth in ((NONE, SOME), (SOME, NONE)):
        assert distance(found, truth, (1, 1, 1)) == EMPTY_DISTANCE_MM == 373.13
        assert distance(found, truth, (1, 1, 1), empty_mm=500.0) == 500.0


def test_surface_dice_of_empty_masks() -> None:
    assert surface_dice(NONE, NONE, (1, 1, 1), tolerance_mm=1.0) == 1.0
    assert surface_dice(NONE, SOME, (1, 1, 1), tolerance_mm=1.0) == 0.0
    assert surface_dice(SOME, NONE, (1, 1, 1), tolerance_mm=1e6) == 0.0


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_tolerance_that_is_no_length_is_refused(tolerance: float) -> None:
    with pytest.raises(EvaluationError, match="makes no sense"):
        surface_dice(SOME, SOME, (1, 1, 1), tolerance_mm=tolerance)


def test_full_masks_have_a_surface_at_the_edge_of_the_grid() -> None:
    full, inner = np.ones((9, 9, 9), np.bool_), np.zeros((9, 9, 9), np.bool_)
    inner[2:-2, 2:-2, 2:-2] = True
    for distance in DISTANCES:
        assert distance(full, full, (1, 1, 1)) == 0.0
    assert hd_mm(full, inner, (1, 1, 1)) == pytest.approx(np.sqrt(12))
    assert surface_dice(full, full, (1, 1, 1), tolerance_mm=0.0) == 1.0


@given(filled, spacings)
def test_distances_are_those_of_all_pairs_of_surface_voxels(pair: tuple[Mask, Mask], spacing: Spacing) -> None:
    assert hd95_mm(*pair, spacing) == pytest.approx(hausdorff(*pair, spacing, 95), abs=1e-9)
    assert hd_mm(*pair, spacing) == pytest.approx(hausdorff(*pair, spacing, 100), abs=1e-9)


@given(filled, spacings, st.sampled_from((0.0, 0.6, 1.1, 2.4, 9.0)))
def test_surface_elements_agree_with_their_authors(pair: tuple[Mask, Mask], spacing: Spacing, tolerance: float) -> None:
    expected = element_surface_dice(*pair, spacing, tolerance)
    assert surface_dice(*pair, spacing, tolerance_mm=tolerance) == pytest.approx(expected)
    assert average_surface_distance_mm(*pair, spacing) == pytest.approx(element_average(*pair, spacing), abs=1e-9)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 1.0, 3.0), (2.2, 0.7, 1.1)])
def test_areas_of_all_patterns_agree_with_their_authors(spacing: Spacing) -> None:
    np.testing.assert_allclose(element_areas_mm2(spacing), element_areas(spacing), rtol=0, atol=1e-12)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.9, 0.9, 4.0), (3.0, 0.4, 0.4)])
@pytest.mark.parametrize("seed", range(4))
def test_lumps_near_and_far_agree_with_the_oracles(seed: int, spacing: Spacing) -> None:
    found, truth = lumps(seed), lumps(seed + 100, share=0.03 * (seed + 1))
    truth[:14] = False  # so that many points of one surface are far from the other
    assert min(np.percentile(d, 60) for d in directed(found, truth, spacing)) > 0
    assert hd95_mm(found, truth, spacing) == pytest.approx(hausdorff(found, truth, spacing, 95), abs=1e-9)
    assert hd_mm(found, truth, spacing) == pytest.approx(hausdorff(found, truth, spacing, 100), abs=1e-9)
    assert weighted_hd95_mm(found, truth, spacing) == pytest.approx(
        element_hausdorff95(found, truth, spacing), abs=1e-9
    )
    for tolerance in (1.05, 12.3):
        assert surface_dice(found, truth, spacing, tolerance_mm=tolerance) == pytest.approx(
            element_surface_dice(found, truth, spacing, tolerance)
        )


@given(pairs, spacings)
def test_distances_are_symmetric_and_bounded(pair: tuple[Mask, Mask], spacing: Spacing) -> None:
    found, truth = pair
    assume(found.any() == truth.any())
    diagonal = float(np.linalg.norm(np.array(found.shape) * spacing))
    for distance in DISTANCES:
        value = distance(found, truth, spacing)
        assert value == pytest.approx(distance(truth, found, spacing), abs=1e-9)
        assert 0.0 <= value <= diagonal
    assert hd95_mm(found, truth, spacing) <= hd_mm(found, truth, spacing) + 1e-9
    assert hd_mm(found, found, spacing) == average_surface_distance_mm(found, found, spacing) == 0.0


@given(filled, spacings, st.permutations(range(3)), st.integers(0, 2))
def test_distances_do_not_depend_on_how_the_grid_lies(
    pair: tuple[Mask, Mask], spacing: Spacing, order: list[int], axis: int
) -> None:
    moved = [np.pad(np.flip(mask, axis).transpose(order), ((3, 0), (0, 2), (1, 1))) for mask in pair]
    x, y, z = (spacing[a] for a in order)
    for distance in DISTANCES:
        assert distance(moved[0], moved[1], (x, y, z)) == pytest.approx(distance(*pair, spacing), abs=1e-9)
    assert surface_dice(moved[0], moved[1], (x, y, z), tolerance_mm=1.1) == pytest.approx(
        surface_dice(*pair, spacing, tolerance_mm=1.1)
    )


@given(filled, spacings, st.floats(0.2, 8.0))
def test_distances_grow_with_the_voxels(pair: tuple[Mask, Mask], spacing: Spacing, factor: float) -> None:
    x, y, z = (size * factor for size in spacing)
    for distance in DISTANCES:
        assert distance(*pair, (x, y, z)) == pytest.approx(factor * distance(*pair, spacing), rel=1e-9, abs=1e-9)


@given(filled, spacings)
def test_surface_dice_never_falls_as_the_tolerance_grows(pair: tuple[Mask, Mask], spacing: Spacing) -> None:
    values = [surface_dice(*pair, spacing, tolerance_mm=t) for t in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 50.0)]
    assert values == sorted(values)
    assert values[0] >= 0.0
    assert values[-1] == pytest.approx(1.0)


def test_a_ball_that_moves_away_is_farther_and_overlaps_less() -> None:
    shape = (48, 20, 20)
    truth = ball(shape, (10, 10, 10), 6)
    moved = [ball(shape, (10 + step, 10, 10), 6) for step in range(0, 30, 3)]
    distances = [hd95_mm(mask, truth, (1, 1, 1)) for mask in moved]
    assert distances == sorted(distances)
    assert distances[0] == 0.0
    agreements = [surface_dice(mask, truth, (1, 1, 1), tolerance_mm=1.0) for mask in moved]
    assert agreements == sorted(agreements, reverse=True)


def test_area_of_a_ball() -> None:
    spacing = (0.5, 0.5, 0.25)
    mask = ball((64, 64, 64), (32, 32, 32), 24).reshape(64, 64, 64)
    areas = element_surfaces(pair_for_distances(mask, mask, spacing)).truth_mm2
    assert np.isclose(areas.sum(), _spheroid_area(12.0, 6.0), rtol=0.1)


def _spheroid_area(equator: float, pole: float) -> float:
    flattening = np.sqrt(1 - (pole / equator) ** 2)
    return float(2 * np.pi * equator**2 * (1 + (1 - flattening**2) / flattening * np.arctanh(flattening)))


def test_two_lumps_in_opposite_corners_of_a_head_need_little_memory() -> None:
    found, truth = np.zeros((240, 240, 155), np.bool_), np.zeros((240, 240, 155), np.bool_)
    found[:20, :20, :20] = truth[-20:, -20:, -20:] = True
    tracemalloc.start()
    try:
        distance = hd95_mm(found, truth, (1, 1, 1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert distance > 300
    assert peak < 8 * truth.size


@needs_monai
@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI calls itself in an old way
@pytest.mark.parametrize("seed", range(3))
def test_distances_agree_with_monai(seed: int) -> None:
    torch = pytest.importorskip("torch")
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice  # noqa: PLC0415  # where it is installed

    spacing = (1.0, 0.7, 2.5)
    found, truth = lumps(seed), lumps(seed + 50)
    one, two = (torch.from_numpy(mask)[None, None] for mask in (found, truth))
    shared = {"include_background": True, "spacing": spacing}
    assert hd95_mm(found, truth, spacing) == pytest.approx(
        float(compute_hausdorff_distance(one, two, percentile=95, **shared)), rel=1e-6
    )
    assert hd_mm(found, truth, spacing) == pytest.approx(
        float(compute_hausdorff_distance(one, two, **shared)), rel=1e-6
    )
    assert surface_dice(found, truth, spacing, tolerance_mm=1.5) == pytest.approx(
        float(compute_surface_dice(one, two, [1.5], use_subvoxels=True, **shared)), rel=1e-5
    )
