import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tds_clinical.dicom._rasterise import ON_PATH, rasterise

Points = NDArray[np.float64]
SHAPE = (9, 7)


def covered(polygon: Points, shape: tuple[int, int] = SHAPE) -> NDArray[np.bool_]:
    patch = rasterise(polygon, shape)
    picture = np.zeros(shape, bool)
    picture[patch.window] = patch.inside | patch.on_path
    return picture


def box(left: float, top: float, right: float, bottom: float) -> Points:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)


def by_hand(polygon: Points) -> tuple[NDArray[np.bool_], Points]:
    """Return what is inside by even-odd, pixel by pixel, and the distance of each centre from the polygon."""
    odd = np.zeros(SHAPE, bool)
    distance = np.full(SHAPE, np.inf)
    for x, y in np.ndindex(SHAPE):
        for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            step, away = end - start, np.array([x, y]) - start
            along = np.clip(away @ step / (step @ step), 0, 1) if step.any() else 0.0
            distance[x, y] = min(distance[x, y], np.linalg.norm(away - along * step))
            if (start[1] <= y) != (end[1] <= y) and x < start[0] + (y - start[1]) / step[1] * step[0]:
                odd[x, y] ^= True
    return odd, distance


coordinates = st.one_of(st.integers(-3, 11).map(float), st.floats(-3, 11, width=32))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=9).map(lambda points: np.array(points, float))
)
def test_any_polygon_covers_what_is_inside_or_on_it(polygon: Points) -> None:
    odd, distance = by_hand(polygon)
    clear = np.abs(distance - ON_PATH) > 1e-6
    np.testing.assert_array_equal(covered(polygon)[clear], (odd | (distance <= ON_PATH))[clear])


def test_centres_on_the_polygon_belong_to_it() -> None:
    assert np.argwhere(covered(box(2, 1, 4, 3))).tolist() == [[x, y] for x in (2, 3, 4) for y in (1, 2, 3)]


def test_centres_that_miss_the_polygon_by_a_rounding_belong_to_it() -> None:
    near = ON_PATH / 2
    np.testing.assert_array_equal(covered(box(2 + near, 1 + near, 4 - near, 3 - near)), covered(box(2, 1, 4, 3)))


def test_edges_of_pixels_cover_the_pixels_between_them() -> None:
    assert np.argwhere(covered(box(1.5, 0.5, 3.5, 1.5))).tolist() == [[2, 1], [3, 1]]


def test_a_point_and_a_line_cover_the_centres_that_they_meet() -> None:
    assert np.argwhere(covered(np.array([(3.0, 2.0)]))).tolist() == [[3, 2]]
    assert np.argwhere(covered(np.array([(1.0, 1.0), (4.0, 4.0)]))).tolist() == [[1, 1], [2, 2], [3, 3], [4, 4]]


def test_what_is_outside_of_the_picture_is_cut_off() -> None:
    assert covered(box(-20.5, -20.5, 40.5, 40.5)).all()
    assert covered(box(-1e30, -1e30, 1e30, 1e30)).all()
    assert not covered(box(20, 20, 30, 30)).any()
    assert not covered(box(-30, -30, -20, -20)).any()
    assert np.argwhere(covered(box(-5, 2, 0, 2.4))).tolist() == [[0, 2]]
