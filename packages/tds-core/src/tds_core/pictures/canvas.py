"""What surrounds a slice so that it can be read alone: marks, edge letters, a legend."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_core.pictures.lettering import text_height, text_mask, text_width

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

Pixels = NDArray[np.float32]
"""Values of 0 to 255 of shape (row, column) or (row, column, 3)."""

_WIDTH_PX: Final = 420
_SCALE: Final = 2
_PAD_PX: Final = 6
_SWATCH_PX: Final = 14
_PAPER: Final = (17, 20, 24)
_INK: Final = (240, 242, 245)
_BLACK: Final = (0, 0, 0)
_RESEARCH: Final = (255, 196, 0)
_PHANTOM: Final = (255, 170, 230)
_LINE_PX: Final = text_height(scale=_SCALE) + _PAD_PX

RESEARCH_MARK: Final = "RESEARCH USE ONLY"
PHANTOM_MARK: Final = "PHANTOM"
_KEY: Final = "FILL: FOUND  LINE: REFERENCE"

_Legend = Sequence[tuple[str, Colour]]


def framed(
    picture: NDArray[np.uint8], *, edges: tuple[str, str, str, str], legend: _Legend, phantom: bool
) -> NDArray[np.uint8]:
    """Return a slice with its marks above and its legend below.

    Args:
        picture: Uint8 array of shape (row, column, 3).
        edges: Letters for what lies to the left, right, top and bottom.
        legend: Names of the labels and their colours.
        phantom: Whether the data are synthetic.

    Returns:
        Uint8 array of shape (row, column, 3), at least 420 columns wide.
    """
    height, width = picture.shape[:2]
    places, lines = _legend_places(legend)
    top = _LINE_PX + _PAD_PX
    canvas = np.empty((top + height + (lines + 1) * _LINE_PX + _PAD_PX, max(_WIDTH_PX, width), 3), dtype=np.uint8)
    canvas[:] = _PAPER
    left = (canvas.shape[1] - width) // 2
    canvas[top : top + height, left : left + width] = picture
    _mark(canvas, phantom=phantom)
    _edge_letters(canvas[top : top + height, left : left + width], edges)
    below = top + height + _PAD_PX
    for (name, colour), (line, x) in zip(legend, places, strict=True):
        y = below + line * _LINE_PX
        canvas[y : y + _SWATCH_PX, x : x + _SWATCH_PX] = colour
        _write(canvas, name, y, x + _SWATCH_PX + _PAD_PX, _INK)
    _write(canvas, _KEY, below + lines * _LINE_PX, _PAD_PX, _INK)
    return canvas


def _mark(canvas: NDArray[np.uint8], *, phantom: bool) -> None:
    canvas[:_LINE_PX] = _RESEARCH
    _write(canvas, RESEARCH_MARK, _PAD_PX // 2, _PAD_PX, _BLACK)
    if phantom:
        left = canvas.shape[1] - text_width(PHANTOM_MARK, scale=_SCALE) - 2 * _PAD_PX
        canvas[:_LINE_PX, left:] = _PHANTOM
        _write(canvas, PHANTOM_MARK, _PAD_PX // 2, left + _PAD_PX, _BLACK)


def _edge_letters(picture: NDArray[np.uint8], edges: tuple[str, str, str, str]) -> None:
    rows, columns = picture.shape[:2]
    high, wide = text_height(scale=_SCALE), text_width("A", scale=_SCALE)
    middle, centre = (rows - high) // 2, (columns - wide) // 2
    places = (
        (middle, _PAD_PX),
        (middle, columns - wide - _PAD_PX),
        (_PAD_PX, centre),
        (rows - high - _PAD_PX, centre),
    )
    for letter, (y, x) in zip(edges, places, strict=True):
        _write(picture, letter, y, x, _INK)


def _legend_places(legend: _Legend) -> tuple[list[tuple[int, int]], int]:
    """Return the line and the left edge of each entry, and how many lines there are."""
    places, line, x = [], 0, _PAD_PX
    for name, _ in legend:
        wide = _SWATCH_PX + _PAD_PX + text_width(name, scale=_SCALE)
        if x > _PAD_PX and x + wide > _WIDTH_PX - _PAD_PX:
            line, x = line + 1, _PAD_PX
        places.append((line, x))
        x += wide + 3 * _PAD_PX
    return places, line + 1


def _write(canvas: NDArray[np.uint8], text: str, y: int, x: int, colour: Colour) -> None:
    """Draw what fits of a line."""
    part = canvas[max(0, y) : y + text_height(scale=_SCALE), max(0, x) : x + text_width(text, scale=_SCALE)]
    part[text_mask(text, scale=_SCALE)[: part.shape[0], : part.shape[1]]] = colour
