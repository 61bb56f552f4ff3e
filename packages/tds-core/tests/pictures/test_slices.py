import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tds_core.errors import EvaluationError
from tds_core.pictures.canvas import PHANTOM_MARK, RESEARCH_MARK
from tds_core.pictures.lettering import text_height, text_mask, text_width
from tds_core.pictures.png import encode_png
from tds_core.pictures.slices import (
    LABEL_COLOURS,
    CaseView,
    Plane,
    choose_slices,
    draw_overlay,
    draw_overlays,
)

SHAPE = (24, 30, 20)


def ball(centre: tuple[int, int, int], radius: float) -> NDArray[np.bool_]:
    grid = np.indices(SHAPE)
    return ((grid - np.array(centre)[:, None, None, None]) ** 2).sum(0) <= radius**2


@pytest.fixture
def image() -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return (rng.normal(size=SHAPE) * ball((12, 15, 10), 9)).astype(np.float32)


@pytest.fixture
def truth() -> NDArray[np.uint8]:
    return (ball((15, 18, 12), 4) * 2 + ball((15, 18, 12), 2)).astype(np.uint8)


def view(truth: NDArray[np.uint8], **changes: object) -> CaseView:
    values = {"name": "case-0", "slices": choose_slices(truth), "labels": ("NCR", "ED", "ET"), "phantom": False}
    return CaseView(**(values | changes))  # type: ignore[arg-type]  # what a test gives


def seen(pixels: NDArray[np.uint8], text: str) -> bool:
    """Whether a text stands somewhere in a picture in one ink."""
    mask = text_mask(text, scale=2)
    black = (pixels == 0).all(axis=2)
    windows = np.lib.stride_tricks.sliding_window_view(black, mask.shape)
    return bool((windows == mask).all(axis=(2, 3)).any())


def count(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(axis=2).sum())


def test_the_slices_go_through_the_largest_lesion() -> None:
    truth = (ball((15, 18, 12), 4) | ball((4, 4, 4), 2)).astype(np.uint8)
    assert choose_slices(truth) == (15, 18, 12)


def test_the_slices_of_a_hollow_lesion_hit_it() -> None:
    truth = (ball((12, 15, 10), 6) & ~ball((12, 15, 10), 4)).astype(np.uint8)
    assert truth[choose_slices(truth)] == 1


def test_without_a_lesion_the_slices_are_the_middle_ones() -> None:
    assert choose_slices(np.zeros(SHAPE, dtype=np.uint8)) == (12, 15, 10)


def test_a_case_gives_three_named_planes(image: NDArray[np.float32], truth: NDArray[np.uint8]) -> None:
    overlays = draw_overlays(image, truth, truth, view(truth))
    assert [o.name for o in overlays] == ["case-0-axial", "case-0-coronal", "case-0-sagittal"]
    assert all(o.pixels.dtype == np.uint8 and o.pixels.shape[2] == 3 for o in overlays)


def test_every_picture_is_marked_and_only_phantoms_as_phantoms(
    image: NDArray[np.float32], truth: NDArray[np.uint8]
) -> None:
    for plane in Plane:
        patient = draw_overlay(image, truth, truth, view(truth), plane).pixels
        phantom = draw_overlay(image, truth, truth, view(truth, phantom=True), plane).pixels
        assert seen(patient, RESEARCH_MARK)
        assert seen(phantom, RESEARCH_MARK)
        assert seen(phantom, PHANTOM_MARK)
        assert not seen(patient, PHANTOM_MARK)


def test_the_line_is_the_reference_and_the_fill_is_what_was_found(
    image: NDArray[np.float32], truth: NDArray[np.uint8]
) -> None:
    nothing = np.zeros_like(truth)
    swatches = draw_overlay(image, nothing, nothing, view(truth), Plane.AXIAL).pixels
    reference = draw_overlay(image, nothing, truth, view(truth), Plane.AXIAL).pixels
    found = draw_overlay(image, truth, nothing, view(truth), Plane.AXIAL).pixels
    ed, et = LABEL_COLOURS[1], LABEL_COLOURS[2]
    assert count(reference, ed) > count(swatches, ed)
    assert count(reference, et) > count(swatches, et)
    assert count(found, ed) == count(swatches, ed)
    assert (found != swatches).any()


def test_patients_right_is_on_the_left_and_front_is_at_the_top(truth: NDArray[np.uint8]) -> None:
    image = np.zeros(SHAPE, dtype=np.float32)
    image[18:22, 22:26, :] = 5.0
    image[10:14, 10:14, :] = 1.0
    pixels = draw_overlay(image, truth * 0, truth * 0, view(truth), Plane.AXIAL).pixels.astype(int)
    part = pixels[26:-60].sum(axis=2) > 700
    rows, columns = np.nonzero(part & (np.abs(np.arange(part.shape[1]) - part.shape[1] / 2) > 40))
    assert rows.mean() < part.shape[0] / 2
    assert columns.mean() < part.shape[1] / 2


def test_thick_slices_are_drawn_in_proportion(image: NDArray[np.float32], truth: NDArray[np.uint8]) -> None:
    thin = draw_overlay(image, truth, truth, view(truth), Plane.CORONAL).pixels
    thick = draw_overlay(image, truth, truth, view(truth, spacing_mm=(1.0, 1.0, 3.0)), Plane.CORONAL).pixels
    assert thick.shape[0] > thin.shape[0]


def test_the_same_case_is_drawn_the_same(image: NDArray[np.float32], truth: NDArray[np.uint8]) -> None:
    first, second = (draw_overlay(image, truth, truth, view(truth), Plane.SAGITTAL).pixels for _ in range(2))
    assert (first == second).all()


def test_an_image_of_one_value_and_many_labels_are_drawn(truth: NDArray[np.uint8]) -> None:
    names = tuple(f"a rather long name {n}" for n in range(8))
    flat = np.zeros(SHAPE, dtype=np.float32)
    assert draw_overlay(flat, truth * 4, truth, view(truth, labels=names), Plane.AXIAL).pixels.any()


def test_other_grids_are_refused(image: NDArray[np.float32], truth: NDArray[np.uint8]) -> None:
    with pytest.raises(EvaluationError, match="not on the same grid"):
        draw_overlay(image, truth[1:], truth, view(truth), Plane.AXIAL)


@given(st.text(max_size=12), st.integers(1, 3))
def test_text_takes_the_room_it_says(text: str, scale: int) -> None:
    assert text_mask(text, scale=scale).shape == (text_height(scale=scale), text_width(text, scale=scale))


def test_letters_differ() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-_+=:/%()?"
    assert len({text_mask(letter, scale=1).tobytes() for letter in letters}) == len(letters)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (64, 33)])
def test_a_png_holds_the_pixels(shape: tuple[int, int]) -> None:
    image = pytest.importorskip("PIL.Image", reason="reads PNG files")
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    with image.open(io.BytesIO(encode_png(pixels))) as picture:
        assert picture.mode == "RGB"
        assert (np.asarray(picture) == pixels).all()
