"""The overlay picture: a board that shows what was found at one glance."""

from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

from tds_clinical.errors import ReportError
from tds_clinical.reports.album import IN_FULL
from tds_clinical.reports.board import (
    BANNER_PX,
    FAINT_INK,
    INK,
    MARGIN_PX,
    PAPER,
    draw_banner,
    draw_legend,
    draw_phantom_badge,
    fitted,
)
from tds_clinical.reports.language import Language, language_of
from tds_clinical.reports.lettering import Lettering, write
from tds_clinical.reports.options import LanguageCode
from tds_clinical.reports.paint import PaintStyle
from tds_clinical.reports.scene import MODALITY_NAMES, Stop, chief_sequences, make_scene, stops
from tds_clinical.reports.strips import GAP_PX, draw_marks, grey_tiles, strip
from tds_clinical.reports.wording import capitalised, counted, millilitres, notices, region_name
from tds_data.case import Case
from tds_data.report import LesionReport
from tds_data.vocabulary import REGIONS
from tds_data.volume import Volume

_TILE_PX: Final = 416
_HEADER_PX: Final = 132
_CAPTION_PX: Final = 34


def overlay_image(case: Case, mask: Volume, report: LesionReport, *, language: LanguageCode = "en") -> Image.Image:
    """Return the board: three planes through each of the largest lesions, with the labels drawn on them.

    Args:
        case: The sequences that were segmented, on the study's grid.
        mask: Labels 0 to 3 on the same grid.
        report: What was found.
        language: What to write on it in.

    Returns:
        RGB picture, 1304 pixels wide.

    Raises:
        ReportError: If the mask is not on the case's grid or holds other labels.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    spoken = language_of(language)
    scene = make_scene(case, mask, report)
    rows = [
        (_caption(report, stop, MODALITY_NAMES[modality], spoken), picture)
        for stop in stops(scene, report.lesions[:IN_FULL], size_px=_TILE_PX)
        for marks in (draw_marks(scene, stop, spoken.words),)
        for modality in chief_sequences(case.images, stop.lesion)
        for picture in (strip(grey_tiles(scene, modality, stop), stop, style=PaintStyle.BOTH, marks=marks),)
    ]
    width = 3 * _TILE_PX + 2 * GAP_PX + 2 * MARGIN_PX
    height = BANNER_PX + _HEADER_PX + len(rows) * (_CAPTION_PX + _TILE_PX + GAP_PX) + MARGIN_PX - GAP_PX
    board = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(board)
    draw_banner(draw, 0, width, "   ".join(notices(report, spoken)))
    _header(draw, report, width, spoken)
    top = BANNER_PX + _HEADER_PX
    for caption, picture in rows:
        write(draw, (MARGIN_PX, top + _CAPTION_PX / 2), caption, Lettering(size_px=18, colour=INK))
        board.paste(picture, (MARGIN_PX, top + _CAPTION_PX))
        top += _CAPTION_PX + _TILE_PX + GAP_PX
    return board


def write_overlay(path: Path, case: Case, mask: Volume, report: LesionReport, *, language: LanguageCode = "en") -> None:
    """Write the board as a PNG file.

    Args:
        path: The file; replaced if it exists.
        case: The sequences that were segmented, on the study's grid.
        mask: Labels 0 to 3 on the same grid.
        report: What was found.
        language: What to write on it in.

    Raises:
        ReportError: If the mask does not fit the case or the file cannot be written.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    board = overlay_image(case, mask, report, language=language)
    try:
        board.save(path, format="PNG", compress_level=3)
    except OSError as error:
        message = (
            f"cannot write the picture {path.name!r}: {error.strerror or error}; choose a folder that can be written"
        )
        raise ReportError(message) from error


def _caption(report: LesionReport, stop: Stop, sequence: str, language: Language) -> str:
    words, lesion = language.words, stop.lesion
    if lesion is None:
        return f"{sequence}   {words.middle_of_head}"
    volumes = "   ".join(f"{r} {millilitres(lesion.volume_ml.get(r, 0.0), language)} mL" for r in REGIONS)
    place = words.lesion_of.format(number=lesion.number, count=len(report.lesions))
    length = words.longest_in_3d_short.format(length=language.number(lesion.longest_diameter_mm, 0))
    return f"{place}   {sequence}   {volumes}   {length}"


def _header(draw: ImageDraw.ImageDraw, report: LesionReport, width: int, language: Language) -> None:
    words = language.words
    top, right = BANNER_PX, width - MARGIN_PX
    room = width - 2 * MARGIN_PX
    if report.phantom:
        room -= draw_phantom_badge(draw, right, top + 14, words.phantom_badge) + 26
    write(draw, (MARGIN_PX, top + 34), fitted(draw, report.case, 28, room), Lettering(size_px=28, colour=INK))
    write(draw, (MARGIN_PX, top + 76), _totals(report, language), Lettering(size_px=20, colour=INK))
    draw_legend(draw, top + 110, language)
    write(draw, (right, top + 110), words.right_is_left, Lettering(size_px=16, colour=FAINT_INK, anchor="rm"))


def _totals(report: LesionReport, language: Language) -> str:
    if not report.lesions:
        return language.words.nothing_found
    volumes = (
        f"{capitalised(region_name(r, language))} ({r}) {millilitres(report.volume_ml.get(r, 0.0), language)} mL"
        for r in REGIONS
    )
    return "     ".join((counted(len(report.lesions), language), *volumes))
