"""Letters with accents on pictures.

The font that ships with Pillow has the letters of English alone. An accented letter is drawn as its base letter with
the accent, another sign of the font, set above it.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from PIL import Image, ImageDraw

from tds_clinical.reports.paint import Colour
from tds_clinical.reports.strips import font

_DOTS: Final = "\N{COMBINING DIAERESIS}"
_SIGNS: Final = {  # the sign, and its size against that of the letter
    _DOTS: (".", 1.0),
    "\N{COMBINING ACUTE ACCENT}": ("\N{ACUTE ACCENT}", 1.5),
    "\N{COMBINING GRAVE ACCENT}": ("`", 1.5),
    "\N{COMBINING TILDE}": ("~", 0.7),
    "\N{COMBINING CIRCUMFLEX ACCENT}": ("^", 0.7),
    "\N{COMBINING RING ABOVE}": ("\N{DEGREE SIGN}", 0.8),
}
_SPELLED: Final = {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "ø": "o", "Ø": "O"}
_GAP: Final = 0.07
_DOT_DISTANCE: Final = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Lettering:
    """How a line of text looks.

    Attributes:
        size_px: Height of the letters.
        colour: Their colour.
        anchor: Which point of the line its place is, as Pillow names anchors.
        stroke: By how many pixels letters are thickened.
    """

    size_px: int
    colour: Colour
    anchor: str = "lm"
    stroke: float = 0.0


def write(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, look: Lettering) -> None:
    """Write one line of text, accents and all.

    Args:
        draw: The picture.
        place: Column and row.
        text: The text.
        look: How it looks.
    """
    base, accents = _parted(text)
    letters = font(look.size_px)
    draw.text(place, base, look.colour, letters, look.anchor, stroke_width=look.stroke)
    if not accents:
        return
    drawn = draw.textbbox(place, base, letters, look.anchor)
    at_zero = draw.textbbox((0, 0), base, letters, "ls")
    left, baseline = drawn[0] - at_zero[0], drawn[1] - at_zero[1]
    for index, accent in accents:
        before, letter = base[:index], base[index]
        middle = left + draw.textlength(before, letters) + draw.textlength(letter, letters) / 2
        top = baseline + draw.textbbox((0, 0), "n" if letter == "i" else letter, letters, "ls")[1]
        _put(draw, (middle, top - _GAP * look.size_px), accent, look)


def length_px(draw: ImageDraw.ImageDraw, text: str, size_px: int) -> float:
    """Return how wide a line of text is.

    Args:
        draw: The picture.
        text: The text.
        size_px: Height of the letters.
    """
    return draw.textlength(letters_of(text), font(size_px))


def letters_of(text: str) -> str:
    """Return the letters of the font that a text is drawn with, without the accents above them.

    Args:
        text: The text.

    Examples:
        >>> letters_of("Läsión")
        'Lasion'
    """
    return _parted(text)[0]


def _parted(text: str) -> tuple[str, list[tuple[int, str]]]:
    """Return a text without its accents, and each accent with the index of the letter below it."""
    base: list[str] = []
    accents = []
    for letter in text:
        parts = unicodedata.normalize("NFD", letter)
        known = [mark for mark in parts[1:] if mark in _SIGNS]
        if len(known) == len(parts) - 1:
            accents += [(len(base), mark) for mark in known]
            base += _SPELLED.get(parts[0], parts[0])
        else:
            base.append(letter)
    return "".join(base), accents


@lru_cache(maxsize=64)
def _ink(sign: str, size_px: int) -> tuple[int, int, int]:
    """Return where a sign's ink begins and ends in its row, and how far below the baseline it ends, in pixels."""
    edge = 2 * size_px
    canvas = Image.new("L", (2 * edge, 2 * edge))
    ImageDraw.Draw(canvas).text((edge, edge), sign, 255, font(size_px), "ls")
    left, _, right, bottom = canvas.getbbox() or (edge, edge, edge, edge)
    return left - edge, right - edge, bottom - edge


def _put(draw: ImageDraw.ImageDraw, foot: tuple[float, float], accent: str, look: Lettering) -> None:
    """Draw an accent so that the middle of its lower edge is at a place."""
    sign, scale = _SIGNS[accent]
    size = round(look.size_px * scale)
    left, right, bottom = _ink(sign, size)
    shifts = (-_DOT_DISTANCE, _DOT_DISTANCE) if accent == _DOTS else (0.0,)
    for shift in shifts:
        x = foot[0] + shift * look.size_px - (left + right) / 2
        draw.text((x, foot[1] - bottom), sign, look.colour, font(size), "ls", stroke_width=look.stroke)
