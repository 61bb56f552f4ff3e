"""What the boards have in common: pictures that are seen alone, away from any page."""

from typing import Final

from PIL import ImageDraw

from tds_clinical.reports.language import Language
from tds_clinical.reports.paint import LABEL_COLOURS, Colour
from tds_clinical.reports.strips import font
from tds_clinical.reports.wording import label_name

MARGIN_PX: Final = 20
"""Space at the edges of a board."""
BANNER_PX: Final = 38
"""Height of the research-use notice."""
PAPER: Final[Colour] = (17, 20, 24)
"""What is behind everything."""
INK: Final[Colour] = (240, 242, 245)
"""Colour of texts."""
FAINT_INK: Final[Colour] = (168, 176, 186)
"""Colour of texts of less weight."""

_BANNER: Final[Colour] = (255, 196, 0)
_BANNER_INK: Final[Colour] = (0, 0, 0)
_PHANTOM: Final[Colour] = (176, 24, 122)
_PHANTOM_INK: Final[Colour] = (255, 255, 255)
_NOTICE_PX: Final = 18
_SMALLEST_PX: Final = 9


def draw_banner(draw: ImageDraw.ImageDraw, top: int, width: int, notice: str) -> None:
    """Draw the research-use notice across a board.

    Args:
        draw: The board.
        top: Row at which it begins.
        width: Width of the board in pixels.
        notice: The notice; letters shrink until it fits.
    """
    draw.rectangle((0, top, width, top + BANNER_PX - 1), _BANNER)
    size = _NOTICE_PX
    while size > _SMALLEST_PX and draw.textlength(notice, font(size)) > width - 2 * MARGIN_PX:
        size -= 1
    text = fitted(draw, notice, size, width - 2 * MARGIN_PX)
    draw.text((width / 2, top + BANNER_PX / 2), text, _BANNER_INK, font(size), "mm", stroke_width=0.3)


def draw_phantom_badge(draw: ImageDraw.ImageDraw, right: int, top: int, text: str) -> int:
    """Draw the mark of a synthetic study and return its width.

    Args:
        draw: The board.
        right: Column at which it ends.
        top: Row at which it begins.
        text: The mark.
    """
    left, *_ = draw.textbbox((right - 14, top + 20), text, font(22), "rm")
    draw.rounded_rectangle((left - 14, top, right, top + 40), 6, _PHANTOM)
    draw.text((right - 14, top + 20), text, _PHANTOM_INK, font(22), "rm")
    return right - int(left) + 14


def draw_legend(draw: ImageDraw.ImageDraw, middle: float, language: Language) -> None:
    """Draw which colour is which label.

    Args:
        draw: The board.
        middle: Row in whose middle it stands.
        language: What to name the labels in.
    """
    x = float(MARGIN_PX)
    for label, colour in LABEL_COLOURS.items():
        draw.rectangle((x, middle - 8, x + 16, middle + 8), colour)
        text = f"{label.name}  {label_name(label, language)}"
        draw.text((x + 26, middle), text, FAINT_INK, font(16), "lm")
        x += 26 + draw.textlength(text, font(16)) + 32


def fitted(draw: ImageDraw.ImageDraw, text: str, size_px: int, room_px: float) -> str:
    """Return a text on one line, cut where it would not fit.

    Args:
        draw: The board.
        text: The text.
        size_px: Height of its letters.
        room_px: How wide it may be.
    """
    line = "".join(c if c.isprintable() else " " for c in text)
    if draw.textlength(line, font(size_px)) <= room_px:
        return line
    while line and draw.textlength(line + "...", font(size_px)) > room_px:
        line = line[:-1]
    return line + "..."
