"""One sequence's three planes side by side, with the marks that a picture needs to be read alone."""

from functools import lru_cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from tds_clinical.reports.paint import Paint, coloured
from tds_clinical.reports.scene import Scene, Stop
from tds_clinical.reports.slices import Pixels, View, pixel_of, plane_position_mm, slice_pixels
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

GAP_PX: Final = 8
"""Space between two planes."""

_BACKGROUND: Final = (0, 0, 0)
_GAP: Final = (52, 58, 66)
_MARK: Final = (235, 235, 235)
_TICK: Final = (160, 160, 160)
_PHANTOM: Final = (255, 170, 230)
_SCALE_BAR_MM: Final = 20.0
_AXIS_NAMES: Final = "xyz"


@lru_cache(maxsize=16)
def font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that ships with Pillow.

    Args:
        size_px: Height of the letters.
    """
    return ImageFont.load_default(size_px)


def strip(scene: Scene, modality: Modality, stop: Stop, *, outlined: bool) -> Image.Image:
    """Return the three planes of one sequence through one place.

    Args:
        scene: The study.
        modality: Which sequence.
        stop: Which place.
        outlined: Whether to draw the labels.

    Returns:
        RGB picture, as high as the views are and three times as wide, plus the gaps.
    """
    size = stop.views[0].size_px
    picture = Image.new("RGB", (3 * size + 2 * GAP_PX, size), _GAP)
    image, window = scene.images[modality], scene.windows[modality]
    for number, (view, paint) in enumerate(zip(stop.views, stop.paints, strict=True)):
        tile = _tile(slice_pixels(image, view, window), paint if outlined else None)
        _annotate(tile, image, view, phantom=scene.phantom)
        picture.paste(tile, (number * (size + GAP_PX), 0))
    return picture


def _tile(grey: Pixels, paint: Paint | None) -> Image.Image:
    return Image.fromarray(coloured(grey, paint))


def _annotate(tile: Image.Image, grid: Volume, view: View, *, phantom: bool) -> None:
    draw = ImageDraw.Draw(tile)
    size = view.size_px
    text = font(max(11, size // 21))
    _ticks(draw, grid, view)
    inset = size // 40 + 2
    left, right, top, bottom = view.plane.edge_letters
    places = (
        (left, (inset, size / 2), "lm"),
        (right, (size - inset, size / 2), "rm"),
        (top, (size / 2, inset), "mt"),
        (bottom, (size / 2, size - inset), "mb"),
    )
    for letter, place, anchor in places:
        draw.text(place, letter, _MARK, text, anchor, stroke_width=1, stroke_fill=_BACKGROUND)
    axis = _AXIS_NAMES[view.plane.normal_axis]
    caption = f"{view.plane.capitalize()}  {axis} {round(plane_position_mm(grid, view))} mm"
    draw.text((inset, inset), caption, _MARK, font(max(10, size // 24)), "lt", stroke_width=1, stroke_fill=_BACKGROUND)
    if phantom:
        draw.text((inset, size - inset), "PHANTOM", _PHANTOM, text, "lb", stroke_width=1, stroke_fill=_BACKGROUND)
    _scale_bar(draw, view, inset)


def _ticks(draw: ImageDraw.ImageDraw, grid: Volume, view: View) -> None:
    """Mark at the edges where the two other planes cross this one."""
    column, row = pixel_of(grid, view, view.index)
    last, length = view.size_px - 1, max(4, view.size_px // 50)
    for start in (0, last - length):
        draw.line([(column, start), (column, start + length)], _TICK)
        draw.line([(start, row), (start + length, row)], _TICK)


def _scale_bar(draw: ImageDraw.ImageDraw, view: View, inset: int) -> None:
    length = round(_SCALE_BAR_MM / view.pixel_mm)
    right, bottom = view.size_px - inset, view.size_px - inset
    draw.rectangle((right - length, bottom - 2, right - 1, bottom), _MARK)
    for end in (right - length, right - 1):
        draw.line([(end, bottom - 6), (end, bottom)], _MARK)
    place = (right - length / 2, bottom - 7)
    draw.text(place, "2 cm", _MARK, font(max(10, view.size_px // 26)), "mb", stroke_width=1, stroke_fill=_BACKGROUND)
