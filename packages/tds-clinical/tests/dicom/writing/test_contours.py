from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from tds_clinical.dicom.writing.contours import INSET, HoleStyle, Outline, outline_region

Region = NDArray[np.bool_]
STYLES = pytest.mark.parametrize("holes", list(HoleStyle))


def picture(*rows: str) -> Region:
    """Return a region of one slice, drawn with `#`."""
    drawn = np.array([[letter == "#" for letter in row] for row in rows])
    return np.asarray(drawn.T[:, :, None])


def rings(size: int) -> Region:
    """Return rings within rings, one pixel wide and one pixel apart."""
    offsets = np.abs(np.indices((size, size)) - size // 2).max(axis=0)
    return np.asarray((offsets % 2 == 0)[:, :, None])


def inside(points: NDArray[np.float64], shape: tuple[int, ...]) -> Region:
    """Return the pixels whose centres a ray crosses the polygon from an odd number of times, edge by edge."""
    x, y = np.indices(shape)
    odd = np.zeros(shape, bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 != y1:
            odd ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return odd


def drawn(outlines: tuple[Outline, ...], shape: tuple[int, ...]) -> Region:
    voxels = np.zeros(shape, bool)
    for outline in outlines:
        voxels[:, :, outline.slice_index] ^= inside(outline.points, shape[:2])
    return voxels


def centroid(points: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = points.T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    middle = (points + np.roll(points, -1, axis=0)) * cross[:, None]
    return np.asarray(middle.sum(axis=0) / (3 * cross.sum()))


@st.composite
def regions(draw: st.DrawFn) -> Region:
    shape = (draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(("noise", "blobs", "checkerboard", "full", "rings")))
    if kind == "checkerboard":
        return np.asarray(np.indices(shape).sum(axis=0) % 2 == draw(st.integers(0, 1)))
    if kind == "full":
        return np.ones(shape, bool)
    if kind == "rings":
        return np.repeat(rings(max(shape[:2])), shape[2], axis=2)
    noise = rng.random(shape)
    if kind == "blobs":
        noise = ndimage.uniform_filter(noise, (3, 3, 1))
    return np.asarray(noise < draw(st.floats(0.05, 0.95)))


def check_area_and_centroid(region: Region) -> None:
    outlines = outline_region(region)
    across_edges = np.zeros((3, 3, 3), bool)
    across_edges[:, 1, 1] = across_edges[1, :, 1] = True
    pieces, count = ndimage.label(region, structure=across_edges)
    assert len(outlines) == count
    for outline in outlines:
        here = pieces[:, :, outline.slice_index]
        (piece,) = np.unique(here[inside(outline.points, here.shape)])
        pixels = np.argwhere(here == piece)
        assert outline.area == pytest.approx(len(pixels), rel=0.01)
        assert np.linalg.norm(centroid(outline.points) - pixels.mean(axis=0)) < 0.01


@settings(max_examples=150, deadline=None)
@given(regions())
def test_each_connected_piece_is_one_polygon_of_its_area_and_centroid(region: Region) -> None:
    check_area_and_centroid(region)


@pytest.mark.exhaustive
@settings(max_examples=5000, deadline=None)
@given(regions())
def test_each_of_thousands_of_pieces_is_one_polygon_of_its_area_and_centroid(region: Region) -> None:
    check_area_and_centroid(region)


@settings(max_examples=150, deadline=None)
@given(regions(), st.sampled_from(HoleStyle))
def test_centres_are_inside_exactly_if_their_voxels_are_in_the_region(region: Region, holes: HoleStyle) -> None:
    np.testing.assert_array_equal(drawn(outline_region(region, holes=holes), region.shape), region)


@settings(max_examples=100, deadline=None)
@given(regions())
def test_polygons_without_channels_never_meet_themselves_or_each_other(region: Region) -> None:
    outlines = outline_region(region, holes=HoleStyle.XOR)
    corners = [(outline.slice_index, *map(float, point)) for outline in outlines for point in outline.points]
    assert len(set(corners)) == len(corners)
    for outline in outlines:
        steps = np.roll(outline.points, -1, axis=0) - outline.points
        assert ((steps == 0).sum(axis=1) == 1).all()  # along the rows and columns
        assert ((steps[:, 0] == 0) != (np.roll(steps, -1, axis=0)[:, 0] == 0)).all()  # and turning at each corner


@settings(max_examples=100, deadline=None)
@given(regions())
def test_holes_turn_the_other_way(region: Region) -> None:
    for outline in outline_region(region, holes=HoleStyle.XOR):
        middle = inside(outline.points, region.shape[:2])
        shown = region[:, :, outline.slice_index][middle]
        first = shown[np.lexsort(np.nonzero(middle))[0]]
        assert outline.is_hole == (not first)
        assert outline.is_hole == (outline.area < 0)


@settings(max_examples=100, deadline=None)
@given(regions(), st.sampled_from(HoleStyle))
def test_no_outline_comes_near_the_centre_of_a_pixel(region: Region, holes: HoleStyle) -> None:
    for outline in outline_region(region, holes=holes):
        ends = np.roll(outline.points, -1, axis=0)
        for along in np.linspace(0, 1, 25):
            places = outline.points + along * (ends - outline.points)
            assert np.abs(places - np.rint(places)).max(axis=1).min() > 0.49


@STYLES
def test_a_single_voxel_is_a_square_within_its_edges(holes: HoleStyle) -> None:
    region = np.zeros((5, 6, 7), bool)
    region[3, 1, 4] = True
    (outline,) = outline_region(region, holes=holes)
    low, high = np.array([2.5, 0.5]) + INSET, np.array([3.5, 1.5]) - INSET
    assert outline.slice_index == 4
    np.testing.assert_allclose(outline.points, [low, (high[0], low[1]), high, (low[0], high[1])])


@STYLES
def test_pixels_that_touch_at_a_corner_are_polygons_of_their_own(holes: HoleStyle) -> None:
    outlines = outline_region(picture("#.", ".#"), holes=holes)
    assert [len(outline.points) for outline in outlines] == [4, 4]


@STYLES
def test_a_line_one_pixel_wide_is_a_rectangle(holes: HoleStyle) -> None:
    (outline,) = outline_region(picture("#####"), holes=holes)
    assert len(outline.points) == 4


def test_a_hole_is_reached_by_a_channel_there_and_back() -> None:
    (outline,) = outline_region(picture("#####", "#####", "##.##", "#####"))
    assert len(outline.points) == 11
    np.testing.assert_array_equal(outline.points[[10, 9]], outline.points[[4, 5]])
    np.testing.assert_allclose(outline.points[[4, 5]], [(-0.5 + INSET, 1.5), (1.5 - INSET, 1.5 - INSET)])


def test_a_hole_can_be_a_polygon_of_its_own() -> None:
    outer, hole = outline_region(picture("###", "#.#", "###"), holes=HoleStyle.XOR)
    assert (outer.is_hole, hole.is_hole) == (False, True)
    assert outer.area + hole.area == pytest.approx(8, rel=0.01)


def test_holes_that_touch_at_a_corner_are_one_hole() -> None:
    outlines = outline_region(picture("####", "#.##", "##.#", "####"), holes=HoleStyle.XOR)
    assert [outline.is_hole for outline in outlines] == [False, True]


def test_a_hole_that_touches_the_outside_at_a_corner_is_none() -> None:
    (opened,) = outline_region(picture(".##", "#.#", "###"), holes=HoleStyle.XOR)
    assert opened.area == pytest.approx(7, rel=0.01)


def test_rings_within_rings_are_one_polygon_each() -> None:
    outlines = outline_region(rings(11))
    assert len(outlines) == 3
    assert sum(outline.area for outline in outlines) == pytest.approx(rings(11).sum(), rel=0.01)


def test_a_hole_can_hang_on_another_hole() -> None:
    (outline,) = outline_region(picture("#######", "#.#.#.#", "#######"))
    assert outline.area == pytest.approx(18, rel=0.01)


@STYLES
def test_nothing_has_no_outline(holes: HoleStyle) -> None:
    assert outline_region(np.zeros((3, 3, 3), bool), holes=holes) == ()


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90])
def test_outlines_follow_what_is_turned(turn: Callable[[Region], Region]) -> None:
    region = picture("###.", "#.#.", "####")
    turned = turn(region)
    np.testing.assert_array_equal(drawn(outline_region(turned), turned.shape), turned)


def test_regions_need_not_lie_densely_in_memory() -> None:
    region = np.zeros((6, 8, 10), bool)
    region[2:4, 3:6, 5:7] = True
    shown = region[::-1, ::2, ::-1]
    np.testing.assert_array_equal(drawn(outline_region(shown), shown.shape), shown)
