"""One slice of each image, the way radiologists look at it."""

import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data import Case, Volume
from tds_data.quality.outlines import outline, region_outlines
from tds_data.quality.pictures import PICTURE_PX, Picture, draw_pictures

Image = pytest.importorskip("PIL.Image")

RIGHT_FRONT = (slice(40, 50), slice(40, 50))  # of canonical voxels, where x leads to the right and y to the front


def pixels(picture: Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.webp)).convert("L"))


@pytest.fixture
def head() -> Volume:
    """A box of 60 voxels with a bright corner at the right and the front of its middle slice."""
    voxels = np.zeros((60, 60, 30), np.int16)
    voxels[5:55, 5:55, 5:25] = 200
    voxels[(*RIGHT_FRONT, 15)] = 1000
    voxels[10:14, 10:14, 8] = 600
    return Volume(voxels, np.diag([2.0, 2, 3, 1]))


def quarters(picture: Picture) -> dict[str, float]:
    grey = pixels(picture)
    height, width = grey.shape
    front, back = grey[: height // 2], grey[height // 2 :]
    halves = {"front": front, "back": back}
    sides = {"left of picture": np.s_[:, : width // 2], "right of picture": np.s_[:, width // 2 :]}
    return {f"{row}, {side}": float(part[cut].max()) for row, part in halves.items() for side, cut in sides.items()}


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, 1), (-1, -1, -1)])
def test_patients_right_is_on_the_left_and_front_is_up_in_any_orientation(
    head: Volume, flips: tuple[int, int, int]
) -> None:
    steps = tuple(slice(None, None, flip) for flip in flips)
    affine = np.array(head.ras_from_voxel)
    for axis, flip in enumerate(flips):
        if flip < 0:
            affine[:3, 3] += affine[:3, axis] * (head.shape[axis] - 1)
            affine[:3, axis] *= -1
    (picture,) = draw_pictures({"t1": Volume(head.voxels[steps], affine)}, None)
    places = quarters(picture)
    assert max(places, key=places.__getitem__) == "front, left of picture"


def test_slice_of_the_largest_mask_is_shown_with_its_outline_in_voxels(head: Volume) -> None:
    labels = np.zeros(head.shape, np.uint8)
    labels[10:14, 10:14, 8] = 2
    labels[11:13, 11:13, 8] = 3
    labels[20, 20, 12] = 2
    (picture,) = draw_pictures({"t1": head}, head.with_voxels(labels))
    assert picture.place == "axial slice 9 of 30 from below, z = 24 mm"
    assert [region for region, _ in picture.outlines] == ["WT", "TC", "ET"]
    width, height = picture.size_voxels
    numbers = [int(n) for n in re.findall(r"\d+", picture.outlines[0][1])]
    assert max(numbers) <= max(width, height)
    # Low x is the patient's left, on the right of the picture; low y is the back, at its bottom.
    first_x, first_y = numbers[:2]
    assert first_x > width / 2
    assert first_y > height / 2


def test_images_on_one_grid_show_the_same_part(textured: Case) -> None:
    images = {m.value: v for m, v in textured.images.items()}
    pictures = draw_pictures(images, None)
    assert [p.subject for p in pictures] == list(images)
    assert len({(p.place, p.size_px, p.size_voxels) for p in pictures}) == 1
    assert max(pictures[0].size_px) == PICTURE_PX
    assert pixels(pictures[0]).shape == pictures[0].size_px[::-1]


def test_image_on_another_grid_is_shown_without_the_outline(head: Volume) -> None:
    coarse = Volume(head.voxels[::2, ::2], head.ras_from_voxel @ np.diag([2, 2, 1, 1]))
    labels = np.zeros(head.shape, np.uint8)
    labels[10:14, 10:14, 8] = 1
    first, second = draw_pictures({"t1": head, "t2": coarse}, head.with_voxels(labels))
    assert first.outlines
    assert second.outlines == ()


def test_edges_of_voxels_are_kept_in_proportion() -> None:
    voxels = np.random.default_rng(0).integers(1, 99, (40, 20, 10)).astype(np.int16)
    (picture,) = draw_pictures({"t1": Volume(voxels, np.diag([1.0, 4, 1, 1]))}, None)
    assert picture.size_px == (PICTURE_PX // 2, PICTURE_PX)


def test_unstripped_and_all_but_constant_images_can_be_shown() -> None:
    noise = np.random.default_rng(0).integers(1, 99, (40, 40, 11)).astype(np.float32)
    (picture,) = draw_pictures({"t1": Volume(noise, np.eye(4))}, None)
    assert picture.place.startswith("axial slice 6 of 11")
    spot = np.zeros((40, 40, 11), np.float32)
    spot[20, 20, 3] = 1
    (picture,) = draw_pictures({"t1": Volume(spot, np.eye(4))}, None)
    assert pixels(picture).size


def test_marked_slice_outside_the_head_is_shown(head: Volume) -> None:
    labels = np.zeros(head.shape, np.uint8)
    labels[2:4, 2:4, 1] = 1
    (picture,) = draw_pictures({"t1": head}, head.with_voxels(labels))
    assert picture.place.startswith("axial slice 2 of 30")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_outline_separates_inside_from_outside(seed: int, rows: int, columns: int) -> None:
    mask = np.random.default_rng(seed).random((rows, columns)) < 0.5
    edges = np.zeros((rows, columns + 1), bool)
    for x, y, length in re.findall(r"M(\d+) (\d+)v(\d+)", outline(mask)):
        edges[int(y) : int(y) + int(length), int(x)] = True
    assert np.array_equal(np.logical_xor.accumulate(edges, axis=1)[:, :-1], mask)
    lower = np.zeros((rows + 1, columns), bool)
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)", outline(mask)):
        lower[int(y), int(x) : int(x) + int(length)] = True
    assert np.array_equal(np.logical_xor.accumulate(lower, axis=0)[:-1], mask)


def test_regions_are_nested_and_absent_ones_left_out() -> None:
    labels = np.array([[2, 1], [0, 0]])
    assert [region for region, _ in region_outlines(labels)] == ["WT", "TC"]
    assert region_outlines(labels * 0) == ()
