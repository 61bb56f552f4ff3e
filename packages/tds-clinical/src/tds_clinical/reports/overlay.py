"""The overlay picture: a board that shows what was found at one glance."""

from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

from tds_clinical.errors import ReportError
from tds_clinical.reports.paint import LABEL_COLOURS, LABEL_NAMES, Colour
from tds_clinical.reports.scene import MODALITY_NAMES, Stop, board_sequences, make_scene, stops
from tds_clinical.reports.strips import GAP_PX, font, strip
from tds_clinical.reports.wording import NO_LESION, millilitres
from tds_data.case import Case
from tds_data.report import LesionReport
from tds_data.vocabulary import REGIONS
from tds_data.volume import Volume

PICTURED_LESIONS: Final = 3
"""How many lesions, the largest first, are shown as pictures."""

_TILE_PX: Final = 416
_MARGIN_PX: Final = 20
_BANNER_PX: Final = 38
_HEADER_PX: Final = 132
_CAPTION_PX: Final = 34
_PAPER: Final[Colour] = (17, 20, 24)
_INK: Final[Colour] = (240, 242, 245)
_FAINT_INK: Final[Colour] = (168, 176, 186)
_BANNER: Final[Colour] = (255, 196, 0)
_PHANTOM_BANNER: Final[Colour] = (176, 24, 122)


def overlay_image(case: Case, mask: Volume, report: LesionReport) -> Image.Image:
    """Return the board: three planes through each of the largest lesions, with the labels drawn on them.

    Args:
        case: The sequences that were segmented, on the study's grid.
        mask: Labels 0 to 3 on the same grid.
        report: What was found.

    Returns:
        RGB picture, 1304 pixels wide.

    Raises:
        ReportError: If the mask is not on the case's grid or holds other labels.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    scene = make_scene(case, mask, report)
    rows = [
        (_caption(report, stop, MODALITY_NAMES[modality]), strip(scene, modality, stop, outlined=True))
        for stop in stops(scene, report.lesions[:PICTURED_LESIONS], size_px=_TILE_PX)
        for modality in board_sequences(case, stop.lesion)
    ]
    width = 3 * _TILE_PX + 2 * GAP_PX + 2 * _MARGIN_PX
    height = _BANNER_PX + _HEADER_PX + len(rows) * (_CAPTION_PX + _TILE_PX + GAP_PX) + _MARGIN_PX - GAP_PX
    board = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(board)
    _banner(draw, report, width)
    _header(draw, report, width)
    top = _BANNER_PX + _HEADER_PX
    for caption, picture in rows:
        draw.text((_MARGIN_PX, top + _CAPTION_PX / 2), caption, _INK, font(18), "lm")
        board.paste(picture, (_MARGIN_PX, top + _CAPTION_PX))
        top += _CAPTION_PX + _TILE_PX + GAP_PX
    return board


def write_overlay(path: Path, case: Case, mask: Volume, report: LesionReport) -> None:
    """Write the board as a PNG file.

    Args:
        path: The file; replaced if it exists.
        case: The sequences that were segmented, on the study's grid.
        mask: Labels 0 to 3 on the same grid.
        report: What was found.

    Raises:
        ReportError: If the mask does not fit the case or the file cannot be written.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    board = overlay_image(case, mask, report)
    try:
        board.save(path, format="PNG", compress_level=3)
    except OSError as error:
        message = (
            f"cannot write the picture {path.name!r}: {error.strerror or error}; choose a folder that can be written"
        )
        raise ReportError(message) from error


def _caption(report: LesionReport, stop: Stop, sequence: str) -> str:
    lesion = stop.lesion
    if lesion is None:
        return f"{sequence}   middle of the head"
    volumes = "   ".join(f"{r} {millilitres(lesion.volume_ml.get(r, 0.0))} mL" for r in REGIONS)
    place = f"Lesion {lesion.number} of {len(report.lesions)}"
    return f"{place}   {sequence}   {volumes}   longest diameter {lesion.longest_diameter_mm:.0f} mm"


def _banner(draw: ImageDraw.ImageDraw, report: LesionReport, width: int) -> None:
    draw.rectangle((0, 0, width, _BANNER_PX - 1), _BANNER)
    middle = _BANNER_PX / 2
    draw.text((_MARGIN_PX, middle), "RESEARCH USE ONLY", (0, 0, 0), font(20), "lm", stroke_width=0.4)
    draw.text((width - _MARGIN_PX, middle), report.notice, (0, 0, 0), font(16), "rm")


def _header(draw: ImageDraw.ImageDraw, report: LesionReport, width: int) -> None:
    top, right = _BANNER_PX, width - _MARGIN_PX
    room = width - 2 * _MARGIN_PX
    if report.phantom:
        text = "PHANTOM (synthetic)"
        box = draw.textbbox((right - 14, top + 34), text, font(22), "rm")
        draw.rounded_rectangle((box[0] - 14, top + 14, right, top + 54), 6, _PHANTOM_BANNER)
        draw.text((right - 14, top + 34), text, (255, 255, 255), font(22), "rm")
        room -= right - int(box[0]) + 40
    draw.text((_MARGIN_PX, top + 34), _fitted(draw, report.case, 28, room), _INK, font(28), "lm")
    draw.text((_MARGIN_PX, top + 76), _totals(report), _INK, font(20), "lm")
    _legend(draw, top + 110)
    draw.text((right, top + 110), "Patient's right is on the left", _FAINT_INK, font(16), "rm")


def _totals(report: LesionReport) -> str:
    if not report.lesions:
        return NO_LESION
    count = len(report.lesions)
    names = {"WT": "Whole tumour", "TC": "tumour core", "ET": "enhancing tumour"}
    volumes = "     ".join(f"{names[r]} (" + r + f") {millilitres(report.volume_ml.get(r, 0.0))} mL" for r in REGIONS)
    return f"{count} lesion{'s' if count > 1 else ''}     {volumes}"


def _legend(draw: ImageDraw.ImageDraw, middle: float) -> None:
    x = float(_MARGIN_PX)
    for label, colour in LABEL_COLOURS.items():
        draw.rectangle((x, middle - 8, x + 16, middle + 8), colour)
        text = f"{label.name}  {LABEL_NAMES[label]}"
        draw.text((x + 26, middle), text, _FAINT_INK, font(16), "lm")
        x += 26 + draw.textlength(text, font(16)) + 32


def _fitted(draw: ImageDraw.ImageDraw, text: str, size_px: int, room_px: float) -> str:
    """Return the text on one line, cut where it would not fit."""
    line = "".join(c if c.isprintable() else " " for c in text)
    if draw.textlength(line, font(size_px)) <= room_px:
        return line
    while line and draw.textlength(line + "...", font(size_px)) > room_px:
        line = line[:-1]
    return line + "..."
