"""Pictures to file with a study: one board for each of the largest lesions.

They are seen in archives and viewers away from the report, so each says by itself what it shows and that it is for
research use only. None names the patient or the study; the file around it does.
"""

from typing import Final

from PIL import Image, ImageDraw

from tds_clinical.reports.album import Album, Shot
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
from tds_clinical.reports.language import Language
from tds_clinical.reports.lettering import Lettering, write
from tds_clinical.reports.paint import PaintStyle
from tds_clinical.reports.scene import MODALITY_NAMES, chief_sequences
from tds_clinical.reports.strips import GAP_PX
from tds_clinical.reports.wording import notices, volume
from tds_data.report import Lesion, LesionReport
from tds_data.vocabulary import REGIONS

_HEADER_PX: Final = 122
_CAPTION_PX: Final = 30


def key_board(album: Album, number: int, report: LesionReport, language: Language) -> tuple[str, Image.Image]:
    """Return the board of one lesion, and its title.

    Args:
        album: The pictures.
        number: Its place in the report, from 0.
        report: What was found.
        language: What to write on it in.
    """
    lesion = report.lesions[number]
    rows = [(caption, album.image(shot)) for caption, shot in _rows(album, number, language)]
    width = rows[0][1].width + 2 * MARGIN_PX
    row_px = _CAPTION_PX + rows[0][1].height + GAP_PX
    height = 2 * BANNER_PX + _HEADER_PX + len(rows) * row_px + GAP_PX
    board = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(board)
    notice = "   ".join(notices(report, language))
    draw_banner(draw, 0, width, notice)
    title = _title(lesion, report, language)
    _header(draw, lesion, title, report, language)
    top = BANNER_PX + _HEADER_PX
    for caption, picture in rows:
        write(draw, (MARGIN_PX, top + _CAPTION_PX / 2), caption, Lettering(size_px=18, colour=INK))
        board.paste(picture, (MARGIN_PX, top + _CAPTION_PX))
        top += row_px
    draw_banner(draw, height - BANNER_PX, width, notice)
    return title, board


def _rows(album: Album, number: int, language: Language) -> list[tuple[str, Shot]]:
    words, stop = language.words, album.stops[number]
    chief, *others = chief_sequences(tuple(album.scene.images), stop.lesion)
    wanted = [(chief, PaintStyle.CONTOUR), (chief, PaintStyle.FILL), *((m, PaintStyle.CONTOUR) for m in others)]
    names = {PaintStyle.CONTOUR: words.contour, PaintStyle.FILL: words.fill}
    return [
        (f"{MODALITY_NAMES[modality]}   {names[style]}", Shot(stop=number, modality=modality, style=style))
        for modality, style in wanted
    ]


def _title(lesion: Lesion, report: LesionReport, language: Language) -> str:
    return language.words.lesion_of.format(number=lesion.number, count=len(report.lesions))


def _header(draw: ImageDraw.ImageDraw, lesion: Lesion, title: str, report: LesionReport, language: Language) -> None:
    words, top = language.words, BANNER_PX
    right = draw.im.size[0] - MARGIN_PX
    room = right - MARGIN_PX
    write(draw, (MARGIN_PX, top + 28), title, Lettering(size_px=26, colour=INK))
    if report.phantom:
        draw_phantom_badge(draw, right, top + 8, words.phantom_badge)
    intervals = lesion.volume_interval_ml or {}
    parts = [f"{r} {volume(lesion.volume_ml.get(r, 0.0), intervals.get(r), language)} mL" for r in REGIONS]
    parts.append(words.longest_in_3d_short.format(length=language.number(lesion.longest_diameter_mm, 0)))
    write(draw, (MARGIN_PX, top + 66), fitted(draw, "     ".join(parts), 18, room), Lettering(size_px=18, colour=INK))
    draw_legend(draw, top + 100, language)
    write(draw, (right, top + 100), words.right_is_left, Lettering(size_px=16, colour=FAINT_INK, anchor="rm"))
