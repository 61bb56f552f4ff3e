"""One sequence's three planes side by side, with the marks that a picture needs to be read alone."""

from functools import lru_cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from tds_clinical.reports.language import Words
from tds_clinical.reports.paint import PaintStyle, coloured
from tds_clinical.reports.scene import Scene, Stop
from tds_clinical.reports.slices import Pixels, Plane, View, pixel_of, plane_position_mm, slice_pixels
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

GAP_PX: Final = 8
"""Space between two planes."""

_BACKGROUND: Final = (0, 0, 0)
_CLEAR: Final = (0, 0, 0, 0)
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


def grey_tiles(scene: Scene, modality: Modality, stop: Stop) -> tuple[Pixels, ...]:
    """Return the grey levels of one sequence's three planes through one place.

    Args:
        scene: The study.
        modality: Which sequence.
        stop: Which place.
    """
    return tuple(slice_pixels(scene.images[modality], view, scene.windows[modality]) for view in stop.views)


def strip(greys: tuple[Pixels, ...], stop: Stop, *, style: PaintStyle | None, marks: Image.Image) -> Image.Image:
    """Return the three planes of one sequence through one place.

    Args:
        greys: What `grey_tiles` returned.
        stop: Which place.
        style: How to draw the labels, one of those that the stop was made for; `None` leaves them out.
        marks: What `draw_marks` returned for the same place.

    Returns:
        RGB picture, as high as the views are and three times as wide, plus the gaps.
    """
    picture = Image.new("RGB", marks.size, _GAP)
    paints = (None,) * len(greys) if style is None else stop.paints[style]
    for number, (grey, paint) in enumerate(zip(greys, paints, strict=True)):
        picture.paste(Image.fromarray(coloured(grey, paint)), (number * (grey.shape[1] + GAP_PX), 0))
    picture.paste(marks, (0, 0), marks)
    return picture


def draw_marks(scene: Scene, stop: Stop, words: Words) -> Image.Image:
    """Return what is written over the three planes through one place, the same for every sequence.

    Args:
        scene: The study.
        stop: Which place.
        words: Names of the planes.

    Returns:
        RGBA picture of the size of a strip, clear where nothing is written.
    """
    size = stop.views[0].size_px
    layer = Image.new("RGBA", (3 * size + 2 * GAP_PX, size), _CLEAR)
    for number, view in enumerate(stop.views):
        tile = Image.new("RGBA", (size, size), _CLEAR)
        _annotate(tile, scene, view, words)
        layer.paste(tile, (number * (size + GAP_PX), 0))
    return layer


def _annotate(tile: Image.Image, scene: Scene, view: View, words: Words) -> None:
    draw = ImageDraw.Draw(tile)
    size = view.size_px
    text = font(max(11, size // 21))
    _ticks(draw, scene.mask, view)
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
    name = {Plane.AXIAL: words.axial, Plane.CORONAL: words.coronal, Plane.SAGITTAL: words.sagittal}[view.plane]
    caption = f"{name}  {_AXIS_NAMES[view.plane.normal_axis]} {round(plane_position_mm(scene.mask, view))} mm"
    draw.text((inset, inset), caption, _MARK, font(max(10, size // 24)), "lt", stroke_width=1, stroke_fill=_BACKGROUND)
    if scene.phantom:
        place = (inset, size - inset)
        draw.text(place, words.phantom_mark, _PHANTOM, text, "lb", stroke_width=1, stroke_fill=_BACKGROUND)
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
