import numpy as np
import pytest
from PIL import Image, ImageDraw

from tds_clinical.reports.lettering import Lettering, length_px, letters_of, write

WHITE = (255, 255, 255)


def drawn(text: str, size_px: int = 40, anchor: str = "lm") -> np.ndarray:
    picture = Image.new("RGB", (280, 120))
    write(ImageDraw.Draw(picture), (120, 60), text, Lettering(size_px=size_px, colour=WHITE, anchor=anchor))
    return np.asarray(picture)[..., 0].astype(int)


@pytest.mark.parametrize(
    ("text", "base"), [("Ödem", "Odem"), ("ñandú", "nandu"), ("È Å î", "E A i"), ("groß", "gross")]
)
def test_an_accented_letter_is_its_base_and_ink_above_it(text: str, base: str) -> None:
    assert letters_of(text) == base
    accented, plain = drawn(text), drawn(base)
    added = (accented > plain + 60).any(axis=1)
    assert not (accented < plain - 60).any()
    if text == "groß":
        assert not added.any()
    else:
        x_height = np.flatnonzero(drawn("n").max(axis=1) > 60)[0]
        assert added.any()
        assert np.flatnonzero(added).max() < x_height + 1
        assert np.flatnonzero(added).min() > 60 - 40


@pytest.mark.parametrize("letter", ["ä", "ö", "ü", "á", "é", "í", "ó", "ú", "ñ"])
def test_an_accent_stands_over_the_middle_of_its_letter(letter: str) -> None:
    picture = drawn(letter)
    plain = drawn(letters_of(letter))
    columns = np.arange(picture.shape[1])
    accent = np.clip(picture - plain, 0, None).sum(axis=0)
    body = plain[60:].sum(axis=0)
    assert (accent @ columns) / accent.sum() == pytest.approx((body @ columns) / body.sum(), abs=4)


@pytest.mark.parametrize("anchor", ["lm", "rm", "mm"])
def test_where_the_line_is_anchored_does_not_move_its_accents(anchor: str) -> None:
    line = drawn("mäh", anchor=anchor)
    reference = drawn("mäh")
    shift = np.flatnonzero(line.any(axis=0))[0] - np.flatnonzero(reference.any(axis=0))[0]
    moved = np.roll(reference, shift, axis=1)
    assert np.abs(line - moved).mean() < 1.5


def test_accents_do_not_make_a_line_longer() -> None:
    draw = ImageDraw.Draw(Image.new("RGB", (8, 8)))
    assert length_px(draw, "Läsión", 20) == length_px(draw, "Lasion", 20)


def test_an_accent_that_cannot_be_drawn_stays_with_its_letter() -> None:
    assert letters_of("ç東") == "ç東"
