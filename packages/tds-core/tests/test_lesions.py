import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from tds_core import find_lesions
from tds_core.lesions import drop_small_lesions, longest_diameter_mm, region_volumes_ml
from tds_data import Region, Volume

OBLIQUE = np.array([[1.2, -0.5, 0.1, 10.0], [0.6, 1.8, 0.3, -20.0], [-0.2, -0.4, 2.9, 30.0], [0, 0, 0, 1]])


def empty(*shape: int) -> NDArray[np.uint8]:
    return np.zeros(shape, np.uint8)


def test_empty_mask_has_no_lesions() -> None:
    assert find_lesions(Volume(empty(4, 5, 6), np.eye(4))) == ()


def test_box_is_measured_exactly() -> None:
    labels = empty(12, 12, 12)
    labels[2:6, 3:5, 4:10] = 2
    labels[2:4, 3:5, 4:10] = 3
    labels[2, 3, 4] = 1
    affine = np.diag([1.0, 2.0, 0.5, 1.0])
    affine[:3, 3] = (100, -50, 7)
    (lesion,) = find_lesions(Volume(labels, affine))
    assert lesion.number == 1
    assert lesion.centroid_mm == (103.5, -43.0, 10.25)
    assert lesion.bounding_box_mm == ((101.5, -45.0, 8.75), (105.5, -41.0, 11.75))
    assert lesion.longest_diameter_mm == pytest.approx(np.sqrt(3**2 + 2**2 + 2.5**2))
    assert lesion.volume_ml == pytest.approx({Region.WT: 0.048, Region.TC: 0.024, Region.ET: 0.023})


def test_sphere_of_ten_millimetres_radius() -> None:
    spacing = 0.8
    x, y, z = np.mgrid[:40, :40, :40] * spacing
    labels = ((x - 16) ** 2 + (y - 16) ** 2 + (z - 16) ** 2 <= 100).astype(np.uint8) * 3
    (lesion,) = find_lesions(Volume(labels, np.diag([-spacing, spacing, spacing, 1])))
    assert lesion.centroid_mm == pytest.approx((-16, 16, 16), abs=1e-3)
    assert lesion.longest_diameter_mm == pytest.approx(20, abs=2 * spacing)
    assert lesion.volume_ml[Region.ET] == pytest.approx(4 / 3 * np.pi, rel=0.02)


def test_lesions_are_numbered_from_the_largest() -> None:
    labels = empty(20, 8, 8)
    labels[1:3, 1:3, 1:3] = 2
    labels[6:10, 1:5, 1:5] = 2
    labels[14, 1, 1] = 2
    sizes = [round(lesion.volume_ml[Region.WT] * 1000) for lesion in find_lesions(Volume(labels, np.eye(4)))]
    assert sizes == [64, 8, 1]


@pytest.mark.parametrize(("step", "count"), [((1, 0, 0), 1), ((1, 1, 0), 1), ((1, 1, 1), 1), ((2, 0, 0), 2)])
def test_voxels_that_share_a_corner_are_one_lesion(step: tuple[int, int, int], count: int) -> None:
    labels = empty(6, 6, 6)
    labels[2, 2, 2] = labels[tuple(2 + s for s in step)] = 1
    assert len(find_lesions(Volume(labels, np.eye(4)))) == count


def test_neighbour_inside_the_same_box_is_not_measured_along() -> None:
    labels = empty(9, 9, 3)
    labels[0, :, 1] = labels[:, 0, 1] = 2
    labels[5:8, 5:8, 1] = 3
    around, inner = find_lesions(Volume(labels, np.eye(4)))
    assert around.volume_ml == pytest.approx({Region.WT: 0.017, Region.TC: 0, Region.ET: 0})
    assert inner.volume_ml[Region.ET] == pytest.approx(0.009)


@pytest.mark.parametrize(
    ("voxels", "expected"),
    [
        ([(1, 1, 1)], 0.0),
        ([(1, 1, 1), (1, 1, 2)], 1.0),
        ([(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4), (5, 5, 5)], np.sqrt(75)),
        ([(0, 2, 0), (1, 2, 0), (2, 2, 0), (0, 2, 3), (1, 2, 3), (2, 2, 3)], np.sqrt(13)),
        ([(0, 0, 0), (1, 1, 0), (2, 2, 0), (0, 0, 4), (1, 1, 4), (2, 2, 4)], np.sqrt(24)),
    ],
    ids=["one voxel", "two", "a diagonal line", "a plane", "a diagonal plane"],
)
def test_diameter_of_what_fills_fewer_dimensions(voxels: list[tuple[int, int, int]], expected: float) -> None:
    inside = np.zeros((6, 6, 6), np.bool_)
    inside[tuple(np.transpose(voxels))] = True
    assert longest_diameter_mm(inside, np.eye(4)) == pytest.approx(expected)


masks = hnp.arrays(np.bool_, st.tuples(*[st.integers(1, 7)] * 3), fill=st.just(value=False)).filter(np.any)


@given(masks, st.sampled_from([np.eye(4), OBLIQUE, np.diag([-1.0, -1.0, 4.0, 1.0])]))
def test_diameter_is_the_largest_of_all_distances(inside: NDArray[np.bool_], affine: NDArray[np.float64]) -> None:
    places = np.argwhere(inside) @ affine[:3, :3].T
    expected = pdist(places).max(initial=0.0)
    assert longest_diameter_mm(inside, affine) == pytest.approx(expected, abs=1e-9)


@given(masks)
def test_oblique_box_holds_every_corner_of_every_voxel_and_touches_them(inside: NDArray[np.bool_]) -> None:
    lesions = find_lesions(Volume(inside.astype(np.uint8) * 2, OBLIQUE))
    corners = np.stack(np.meshgrid(*[(-0.5, 0.5)] * 3), axis=-1).reshape(-1, 3)
    places = (np.argwhere(inside)[:, None] + corners).reshape(-1, 3) @ OBLIQUE[:3, :3].T + OBLIQUE[:3, 3]
    low = np.min([lesion.bounding_box_mm[0] for lesion in lesions], axis=0)
    high = np.max([lesion.bounding_box_mm[1] for lesion in lesions], axis=0)
    np.testing.assert_allclose(low, places.min(axis=0), atol=1e-3)
    np.testing.assert_allclose(high, places.max(axis=0), atol=1e-3)


@given(hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3), elements=st.integers(0, 3)))
def test_lesions_share_out_the_volume_of_the_mask(labels: NDArray[np.uint8]) -> None:
    mask = Volume(labels, OBLIQUE)
    whole = region_volumes_ml(labels, mask.voxel_volume_ml)
    lesions = find_lesions(mask)
    for region in Region:
        assert sum(lesion.volume_ml[region] for lesion in lesions) == pytest.approx(whole[region])
    assert whole[Region.WT] == pytest.approx(np.count_nonzero(labels) * mask.voxel_volume_ml)
    assert whole[Region.TC] == pytest.approx(np.isin(labels, (1, 3)).sum() * mask.voxel_volume_ml)


def test_small_lesions_are_dropped_and_the_input_is_kept() -> None:
    labels = empty(10, 4, 4)
    labels[0:2, 0:2, 0:2] = 2
    labels[6, 1, 1:3] = 3
    before = labels.copy()
    kept = drop_small_lesions(labels, 3)
    assert np.count_nonzero(kept) == 8
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(drop_small_lesions(labels, 2), labels)
    np.testing.assert_array_equal(drop_small_lesions(labels, 0.5), labels)
    assert not drop_small_lesions(labels, 9).any()
