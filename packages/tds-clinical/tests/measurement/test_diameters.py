import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tds_clinical.errors import ResultsDisagree
from tds_clinical.measurement import LesionMeasurement, map_lesions, measure_lesions
from tds_clinical.measurement.diameters import Diameters, head_foot_axis
from tds_clinical.testing.mask_report import report_mask
from tds_data.vocabulary import REGION_LABELS, Region
from tds_data.volume import Volume

from .flat_shapes import contains, longest_chord, longest_line, piece_of

PASSABLE = {Region.WT: Region.WT, Region.TC: Region.TC, Region.ET: Region.TC}


def measure(
    labels: NDArray[np.uint8], affine: NDArray[np.float64] | None = None, axis: int | None = None
) -> tuple[LesionMeasurement, ...]:
    mask = Volume(labels, np.eye(4) if affine is None else affine)
    report = report_mask(mask)
    return measure_lesions(mask, map_lesions(mask, report), report, axis=axis)


def flat(rows: list[str]) -> NDArray[np.uint8]:
    """Return one axial slice; the first letter of a row is the first voxel along x, rows are along y."""
    pixels = np.array([[int(letter) if letter != "." else 0 for letter in row] for row in rows], np.uint8)
    return np.ascontiguousarray(pixels.T[:, :, None])


def only(labels: NDArray[np.uint8], region: Region = Region.WT, affine: NDArray[np.float64] | None = None) -> Diameters:
    (found,) = measure(labels, affine)
    return found.diameters[region]


def test_one_voxel_is_one_voxel_wide() -> None:
    found = only(flat(["...", ".2.", "..."]), affine=np.diag([2.0, 1.5, 5.0, 1.0]))
    assert found.longest_mm == pytest.approx(2.0)
    assert found.perpendicular_mm == pytest.approx(1.5)
    assert found.longest_ends_mm[0] != found.longest_ends_mm[1]
    assert {end[0] for end in found.longest_ends_mm} == {1.0, 3.0}


def test_a_row_is_as_long_as_its_voxels_from_edge_to_edge() -> None:
    found = only(flat(["33333"]))
    assert found.longest_mm == pytest.approx(5.0)
    assert found.perpendicular_mm == pytest.approx(1.0)
    assert found.product_mm2 == pytest.approx(5.0)


def test_regions_are_measured_each_by_itself() -> None:
    (found,) = measure(flat(["2222222", "2233122", "2222222"]))
    assert list(found.diameters) == [Region.WT, Region.TC, Region.ET]
    assert found.diameters[Region.WT].longest_mm == pytest.approx(np.hypot(7, 2))
    assert found.diameters[Region.TC].longest_mm == pytest.approx(3.0)
    assert found.diameters[Region.ET].longest_mm == pytest.approx(2.0)


def test_a_region_that_is_not_there_is_left_out() -> None:
    (found,) = measure(flat(["22"]))
    assert list(found.diameters) == [Region.WT]


def test_a_ring_is_measured_from_outer_edge_to_outer_edge() -> None:
    ring = flat(["33333", "31113", "31113", "31113", "33333"])
    assert only(ring, Region.ET).longest_mm == only(ring, Region.TC).longest_mm
    assert only(ring, Region.ET).perpendicular_mm == pytest.approx(only(ring, Region.TC).perpendicular_mm)


def test_a_broken_ring_is_measured_across_its_core() -> None:
    broken = flat([".33333.", "3311133", "3111113", "3111111", "3111113", "3311133", ".33333."])
    assert only(broken, Region.ET).perpendicular_mm > 6.0


def test_a_chord_does_not_end_on_the_core() -> None:
    half = flat(["111", "111", "333"])
    found = only(half, Region.ET)
    assert found.longest_mm == pytest.approx(3.0)
    assert found.perpendicular_mm == pytest.approx(1.0)


def test_a_hole_does_not_interrupt_a_chord() -> None:
    hollow = flat(["22222", "2...2", "2...2", "2...2", "22222"])
    solid = flat(["22222"] * 5)
    assert only(hollow).perpendicular_mm == pytest.approx(only(solid).perpendicular_mm)


def test_the_perpendicular_of_a_crescent_stays_inside_it() -> None:
    crescent = flat(["222222222", "2.......2", "2.......2", "2.......2"])
    found = only(crescent)
    assert found.longest_mm == pytest.approx(9.0, abs=0.6)
    # At right angles to a line along x the arms are 4 long; nothing else is.
    assert found.perpendicular_mm <= 4.0


def test_pieces_on_one_slice_are_not_joined() -> None:
    labels = np.zeros((9, 3, 2), np.uint8)
    labels[:, 1, 0] = 2
    labels[0:2, 1, 1] = 3
    labels[7:9, 1, 1] = 3
    (found,) = measure(labels)
    assert found.diameters[Region.ET].longest_mm == pytest.approx(2.0)
    assert found.diameters[Region.ET].slice_index == 1


def test_the_slice_has_the_longest_line_and_the_widest_among_equals() -> None:
    labels = np.zeros((7, 7, 4), np.uint8)
    labels[1:4, 3, 0] = 2
    labels[1:6, 3, 1] = 2
    labels[1:6, 2:4, 2] = 0
    labels[1:6, 3, 2] = 2
    labels[3, 1:6, 2] = 2
    (found,) = measure(labels)
    assert found.diameters[Region.WT].slice_index == 2
    assert found.diameters[Region.WT].longest_mm == pytest.approx(5.0)
    assert found.diameters[Region.WT].perpendicular_mm == pytest.approx(5.0)


def test_lesions_come_in_the_order_of_the_report() -> None:
    labels = np.zeros((12, 5, 1), np.uint8)
    labels[0, 0] = 2
    labels[4:9, 2] = 3
    found = measure(labels)
    assert [entry.lesion for entry in found] == [1, 2]
    assert [entry.diameters[Region.WT].longest_mm for entry in found] == [pytest.approx(5.0), pytest.approx(1.0)]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_counted_along_the_axis_that_is_asked_for(axis: int) -> None:
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[1, 1:3, 1:5] = 2
    (found,) = measure(labels, axis=axis)
    diameters = found.diameters[Region.WT]
    assert diameters.axis == axis
    sizes = [1.0, 2.0, 4.0]
    del sizes[axis]
    assert diameters.longest_mm >= max(sizes)
    assert diameters.longest_mm <= np.hypot(*sizes)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_slices_run_from_head_to_foot_by_default(order: tuple[int, int, int]) -> None:
    turn = Rotation.from_euler("xyz", [8, -6, 10], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = (turn * [1.0, 1.2, -3.0])[:, list(order)]
    assert head_foot_axis(affine) == order.index(2)


def test_an_axis_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="axis 0, 1 or 2"):
        measure(flat(["2"]), axis=3)


def test_a_map_of_another_shape_is_refused() -> None:
    mask = Volume(flat(["2"]), np.eye(4))
    with pytest.raises(ResultsDisagree, match="has"):
        measure_lesions(mask, np.ones((2, 2, 2), np.uint16), report_mask(mask))


def test_a_lesion_that_is_not_on_the_map_is_refused() -> None:
    mask = Volume(flat(["2.3"]), np.eye(4))
    report = report_mask(mask)
    lesions = map_lesions(mask, report)
    with pytest.raises(ResultsDisagree, match="lesion 2"):
        measure_lesions(mask, np.where(lesions == 2, 0, lesions).astype(np.uint16), report)


def measure_as_one(labels: NDArray[np.uint8], affine: NDArray[np.float64]) -> LesionMeasurement:
    """Measure labels as one lesion, whether or not they hang together."""
    report = report_mask(Volume(np.full((1, 1, 1), 2, np.uint8), np.eye(4)))
    (found,) = measure_lesions(Volume(labels, affine), (labels != 0).astype(np.uint16), report, axis=2)
    return found


shapes = arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 3))
spacings = st.floats(0.5, 3.0)


outlines = {"pixels": shapes, "first": spacings, "second": spacings, "shear": st.floats(-0.4, 0.4)}


@settings(max_examples=50, deadline=None)
@given(**outlines)
def test_both_lines_are_those_that_trying_finds(
    pixels: NDArray[np.uint8], first: float, second: float, shear: float
) -> None:
    check_against_trying(pixels, first, second, shear)


@pytest.mark.exhaustive
@settings(max_examples=2500, deadline=None)
@given(**outlines)
def test_both_lines_are_those_that_trying_finds_in_thousands(
    pixels: NDArray[np.uint8], first: float, second: float, shear: float
) -> None:
    check_against_trying(pixels, first, second, shear)


def check_against_trying(pixels: NDArray[np.uint8], first: float, second: float, shear: float) -> None:
    assume(pixels.any())
    affine = np.eye(4)
    affine[:2, :2] = [[first, shear], [0.0, second]]
    affine[2, 2] = 4.0
    found = measure_as_one(pixels[:, :, None], affine)
    for region, diameters in found.diameters.items():
        inside = np.isin(pixels, list(REGION_LABELS[region]))
        passable = np.isin(pixels, list(REGION_LABELS[PASSABLE[region]]))
        check(diameters, inside, passable, affine[:2, :2])


def check(
    found: Diameters, inside: NDArray[np.bool_], passable: NDArray[np.bool_], from_pixels: NDArray[np.float64]
) -> None:
    assert found.longest_mm == pytest.approx(longest_line(inside, passable, from_pixels), abs=1e-6)
    longest = np.array(found.longest_ends_mm)[:, :2]
    chord = np.array(found.perpendicular_ends_mm)[:, :2]
    along, across = longest[1] - longest[0], chord[1] - chord[0]
    assert np.linalg.norm(along) == pytest.approx(found.longest_mm)
    assert np.linalg.norm(across) == pytest.approx(found.perpendicular_mm)
    assert abs(along @ across) <= 1e-6 * found.longest_mm * max(found.perpendicular_mm, 1.0)
    direction = np.array([-along[1], along[0]]) / found.longest_mm
    to_pixels = np.linalg.inv(from_pixels).T
    body = piece_of(longest @ to_pixels, inside, passable)
    assert found.perpendicular_mm >= longest_chord(inside, body, direction, from_pixels) - 1e-6
    # The line itself never leaves the piece, and its ends belong to the region.
    places = (chord[0] + np.linspace(0.001, 0.999, 200)[:, None] * across) @ to_pixels
    assert contains(body, places).all()
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    around = 1e-4 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for end in chord:
        assert contains(inside & body, (end + around) @ to_pixels).any()


@settings(max_examples=40, deadline=None)
@given(
    labels=arrays(np.uint8, st.tuples(*[st.integers(2, 5)] * 3), elements=st.integers(0, 3)),
    order=st.permutations(range(3)),
    flips=st.tuples(*[st.booleans()] * 3),
    angles=st.tuples(*[st.floats(-20, 20)] * 3),
)
def test_flips_and_permutations_of_axes_change_no_length(
    labels: NDArray[np.uint8],
    order: list[int],
    flips: tuple[bool, bool, bool],
    angles: tuple[float, float, float],
) -> None:
    labels = np.where(labels == 0, 2, labels).astype(np.uint8)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * [0.8, 1.1, 2.5]
    affine[:3, 3] = (-20.0, 5.0, 60.0)
    other = affine.copy()
    other[:3, :3] = affine[:3, order]
    moved = np.transpose(labels, order)
    for axis, is_flipped in enumerate(flips):
        if is_flipped:
            other[:3, 3] += other[:3, axis] * (moved.shape[axis] - 1)
            other[:3, axis] *= -1
            moved = np.flip(moved, axis)
    (here,), (there,) = measure(labels, affine, axis=2), measure(moved, other, axis=order.index(2))
    assert here.diameters.keys() == there.diameters.keys()
    for region, diameters in here.diameters.items():
        assert there.diameters[region].longest_mm == pytest.approx(diameters.longest_mm)
        assert there.diameters[region].perpendicular_mm == pytest.approx(diameters.perpendicular_mm, abs=1e-3)


def test_lines_of_an_oblique_ball_have_its_diameter_and_lie_in_its_slice() -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [12, -9, 20], degrees=True).as_matrix() * [0.7, 0.9, 1.5]
    grid = np.indices((50, 40, 24)).reshape(3, -1)
    centre = affine[:3, :3] @ [25, 20, 12]
    distance = np.linalg.norm(affine[:3, :3] @ grid - centre[:, None], axis=0).reshape(50, 40, 24)
    found = only(np.where(distance < 10, 3, 0).astype(np.uint8), Region.ET, affine)
    assert found.longest_mm == pytest.approx(20.0, abs=0.9)
    assert found.perpendicular_mm == pytest.approx(20.0, abs=1.2)
    back = np.linalg.inv(affine)
    for end in (*found.longest_ends_mm, *found.perpendicular_ends_mm):
        assert (back @ [*end, 1.0])[found.axis] == pytest.approx(found.slice_index)
