from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_clinical.reports.slices import (
    Field,
    Plane,
    View,
    Window,
    field_of,
    nearest_voxel,
    pixel_of,
    plane_position_mm,
    slice_pixels,
    slice_shares,
    window_of,
)
from tds_data.errors import VoxelError
from tds_data.geometry import to_canonical
from tds_data.volume import Volume

WINDOW = Window(low=0.0, high=1.0)
SHAPE = (30, 36, 12)
AFFINE = np.array([[2.0, 0, 0, -30], [0, 2.0, 0, -40], [0, 0, 5.0, -25], [0, 0, 0, 1]])
CENTRE_MM = (0.0, -4.0, 5.0)
ORDERS = st.permutations([0, 1, 2]).map(tuple)
FLIPS = st.tuples(st.booleans(), st.booleans(), st.booleans())


def bright_at(*voxels: tuple[int, int, int]) -> Volume:
    image = np.zeros(SHAPE, dtype=np.float32)
    for voxel in voxels:
        image[voxel] = 1.0
    return Volume(image, AFFINE)


def view(grid: Volume, plane: Plane, point_mm: tuple[float, float, float], size_px: int = 120) -> View:
    middle = Field(centre=(15.0, 18.0, 6.0), width_mm=90.0)
    return View(plane=plane, index=nearest_voxel(grid, point_mm), field=middle, size_px=size_px)


def centre_of_light(picture: np.ndarray) -> tuple[float, float]:
    rows, columns = np.indices(picture.shape) + 0.5
    weight = picture.astype(float)
    return float((columns * weight).sum() / weight.sum()), float((rows * weight).sum() / weight.sum())


@pytest.mark.parametrize(
    ("plane", "toward", "side"),
    [
        (Plane.AXIAL, (20, 0, 0), "left"),
        (Plane.AXIAL, (-20, 0, 0), "right"),
        (Plane.AXIAL, (0, 20, 0), "top"),
        (Plane.AXIAL, (0, -20, 0), "bottom"),
        (Plane.CORONAL, (20, 0, 0), "left"),
        (Plane.CORONAL, (0, 0, 20), "top"),
        (Plane.CORONAL, (0, 0, -20), "bottom"),
        (Plane.SAGITTAL, (0, 20, 0), "left"),
        (Plane.SAGITTAL, (0, -20, 0), "right"),
        (Plane.SAGITTAL, (0, 0, 20), "top"),
    ],
)
def test_planes_follow_the_radiological_convention(plane: Plane, toward: tuple[float, float, float], side: str) -> None:
    place = tuple(a + b for a, b in zip(CENTRE_MM, toward, strict=True))
    volume = bright_at(nearest_voxel(bright_at(), place))
    column, row = centre_of_light(slice_pixels(volume, view(volume, plane, CENTRE_MM), WINDOW))
    where = {"left": column < 50, "right": column > 70, "top": row < 50, "bottom": row > 70}
    assert where == {name: name == side for name in where}


@pytest.mark.parametrize(
    ("plane", "letters"),
    [(Plane.AXIAL, "RLAP"), (Plane.CORONAL, "RLSI"), (Plane.SAGITTAL, "APSI")],
)
def test_edges_carry_the_letters_of_the_sides_they_face(plane: Plane, letters: str) -> None:
    assert "".join(plane.edge_letters) == letters


def test_thick_slices_are_not_squashed() -> None:
    volume = bright_at((15, 18, 3), (15, 18, 9))
    picture = slice_pixels(volume, view(volume, Plane.CORONAL, CENTRE_MM, size_px=180), WINDOW)
    upper, lower = centre_of_light(picture[:90]), centre_of_light(picture[90:])
    distance_mm = (lower[1] + 90 - upper[1]) * 90.0 / 180
    assert distance_mm == pytest.approx(6 * 5.0, abs=0.5)


@settings(deadline=None)
@given(
    voxel=st.tuples(st.integers(4, 26), st.integers(4, 32), st.integers(1, 10)),
    plane=st.sampled_from(list(Plane)),
    order=ORDERS,
    flips=FLIPS,
)
def test_a_bright_voxel_is_drawn_where_its_place_says(
    reoriented: Callable[..., Volume],
    voxel: tuple[int, int, int],
    plane: Plane,
    order: tuple[int, int, int],
    flips: tuple[bool, bool, bool],
) -> None:
    place_mm = tuple((AFFINE @ (*voxel, 1.0))[:3])
    stored = reoriented(bright_at(voxel), order, flips)
    volume = to_canonical(stored)
    its_view = view(volume, plane, place_mm)
    column, row = centre_of_light(slice_pixels(volume, its_view, WINDOW))
    middle_mm = (AFFINE @ (15.0, 18.0, 6.0, 1.0))[:3]
    columns, rows = plane.picture_axes
    assert column == pytest.approx(60 - (place_mm[columns] - middle_mm[columns]) * 120 / 90, abs=0.6)
    assert row == pytest.approx(60 - (place_mm[rows] - middle_mm[rows]) * 120 / 90, abs=0.6)
    assert pixel_of(volume, its_view, voxel) == pytest.approx((column, row), abs=0.6)


@settings(deadline=None)
@given(place=st.tuples(*[st.floats(-200, 200)] * 3), order=ORDERS, flips=FLIPS)
def test_the_nearest_voxel_does_not_depend_on_how_the_file_was_stored(
    reoriented: Callable[..., Volume],
    place: tuple[float, float, float],
    order: tuple[int, int, int],
    flips: tuple[bool, bool, bool],
) -> None:
    volume = bright_at()
    assert nearest_voxel(to_canonical(reoriented(volume, order, flips)), place) == nearest_voxel(volume, place)


def test_a_place_outside_is_moved_to_the_nearest_face() -> None:
    assert nearest_voxel(bright_at(), (1000.0, -1000.0, 5.0)) == (29, 0, 6)


def test_a_plane_knows_where_it_cuts_its_axis() -> None:
    volume = bright_at()
    positions = [plane_position_mm(volume, view(volume, plane, (10.4, -20.2, 11.0))) for plane in Plane]
    assert positions == [10.0, -20.0, 10.0]


def test_the_window_leaves_out_the_extremes_and_the_background() -> None:
    rng = np.random.default_rng(3)
    image = np.zeros((40, 40, 40), dtype=np.float32)
    image[5:35, 5:35, 5:35] = rng.uniform(100, 200, (30, 30, 30))
    image[20, 20, 20] = 1e6
    window = window_of(Volume(image, np.eye(4)))
    assert window.low == pytest.approx(100.5, abs=0.2)
    assert window.high == pytest.approx(199.5, abs=0.2)


def test_an_image_with_one_bright_level_still_has_a_window() -> None:
    image = np.zeros((8, 8, 8), dtype=np.int16)
    image[2:6, 2:6, 2:6] = 300
    window = window_of(Volume(image, np.eye(4)))
    assert window.low == 300.0
    assert window.high > window.low


def test_a_constant_image_is_refused() -> None:
    with pytest.raises(VoxelError, match="constant"):
        window_of(Volume(np.ones((4, 4, 4)), np.eye(4)))


def test_the_field_is_the_head_and_a_margin() -> None:
    image = np.zeros((120, 120, 110), dtype=np.uint8)
    image[20:100, 30:90, 40:80] = 9
    field = field_of(Volume(image, np.eye(4)))
    assert field.centre == pytest.approx((59.5, 59.5, 59.5), abs=1.0)
    assert 80.0 < field.width_mm < 100.0


def test_outside_the_volume_is_black() -> None:
    volume = Volume(np.ones(SHAPE, dtype=np.float32), AFFINE)
    picture = slice_pixels(volume, view(volume, Plane.AXIAL, CENTRE_MM), WINDOW)
    assert picture[60, 60] == 255
    assert not picture[:, 0].any()
    assert not picture[:, -1].any()


def test_a_field_inside_the_volume_shows_its_part_alone() -> None:
    volume = Volume(np.ones(SHAPE, dtype=np.float32), AFFINE)
    close = View(plane=Plane.AXIAL, index=(15, 18, 6), field=Field(centre=(15.0, 18.0, 6.0), width_mm=20.0), size_px=40)
    assert (slice_pixels(volume, close, WINDOW) == 255).all()
    assert close.pixel_mm == 0.5


def test_shares_add_up_to_one_and_are_none_where_no_label_is() -> None:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[10:20, 10:20, 5] = 2
    labels[13:17, 13:17, 5] = 3
    mask = Volume(labels, AFFINE)
    shares = slice_shares(mask, view(mask, Plane.AXIAL, (0.0, -10.0, 0.0)))
    assert shares is not None
    assert np.allclose(shares.sum(axis=0), 1.0)
    area_mm2 = float(shares[3].sum()) * (90 / 120) ** 2
    assert area_mm2 == pytest.approx(4 * 4 * 2.0 * 2.0, rel=0.03)
    assert slice_shares(mask, view(mask, Plane.AXIAL, (0.0, -10.0, 20.0))) is None
