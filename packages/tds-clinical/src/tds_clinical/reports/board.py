"""What the boards have in common: pictures that are seen alone, away from any page."""

from typing import Final

from PIL import ImageDraw

from tds_clinical.reports.language import Language
from tds_clinical.reports.lettering import Lettering, length_px, write
from tds_clinical.reports.paint import LABEL_COLOURS, Colour
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
_BADGE_PX: Final = 22
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
    while size > _SMALLEST_PX and length_px(draw, notice, size) > width - 2 * MARGIN_PX:
        size -= 1
    text = fitted(draw, notice, size, width - 2 * MARGIN_PX)
    look = Lettering(size_px=size, colour=_BANNER_INK, anchor="mm", stroke=0.3)
    write(draw, (width / 2, top + BANNER_PX / 2), text, look)


def draw_phantom_badge(draw: ImageDraw.ImageDraw, right: int, top: int, text: str) -> int:
    """Draw the mark of a synthetic study and return its width.

    Args:
        draw: The board.
        right: Column at which it ends.
        top: Row at which it begins.
        text: The mark.
    """
    width = round(length_px(draw, text, _BADGE_PX)) + 28
    draw.rounded_rectangle((right - width, top, right, top + 40), 6, _PHANTOM)
    look = Lettering(size_px=_BADGE_PX, colour=_PHANTOM_INK, anchor="rm")
    write(draw, (right - 14, top + 20), text, look)
    return width


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
        write(draw, (x + 26, middle), text, Lettering(size_px=16, colour=FAINT_INK))
        x += 26 + length_px(draw, text, 16) + 32


def fitted(draw: ImageDraw.ImageDraw, text: str, size_px: int, room_px: float) -> str:
    """Return a text on one line, cut where it would not fit.

    Args:
        draw: The board.
        text: The text.
        size_px: Height of its letters.
        room_px: How wide it may be.
    """
    line = "".join(c if c.isprintable() else " " for c in text)
    if length_px(draw, line, size_px) <= room_px:
        return line
    while line and length_px(draw, line + "...", size_px) > room_px:
        line = line[:-1]
    return line + "..."
