"""Lesions on the pages of a PDF report."""

from collections.abc import Sequence
from typing import Final

from tds_clinical.reports.content import Content, Figure, LesionPart, Picture
from tds_clinical.reports.language import Language
from tds_clinical.reports.paint import LABEL_COLOURS
from tds_clinical.reports.pdf_sheet import FAINT, Sheet
from tds_clinical.reports.pdf_tables import draw_table
from tds_clinical.reports.wording import label_name

_CAPTION_MM: Final = 30.0
_GAP_MM: Final = 2.0
_ASPECT: Final = 0.334  # of a strip: three squares and two gaps
_TABLE_MM: Final = 30.0


def draw_lesions(sheet: Sheet, content: Content, language: Language) -> None:
    """Draw every lesion: the largest ones on a page each, the others below each other.

    Args:
        sheet: The pages.
        content: What the report says.
        language: What it is written in.
    """
    for part in content.lesions:
        if part.is_in_full:
            sheet.add_page()
        strip_mm = (sheet.epw - _GAP_MM) / 2 * _ASPECT
        sheet.heading(part.title, 1, needs_mm=_TABLE_MM + strip_mm + 12.0)
        draw_table(sheet, part.table, width_mm=sheet.epw if part.has_diameters else 110.0)
        sheet.paragraph(";   ".join(f"{fact.term}: {fact.text}" for fact in part.facts), size=8, colour=FAINT)
        if part.is_in_full:
            _draw_in_full(sheet, part, language)
        else:
            figure = part.figures[0]
            outlined, fill = _drawn(figure)
            filled = (f"{figure.sequence}, {language.words.fill}", fill)
            _draw_pair(sheet, [(_outlined_caption(figure, language), outlined), filled])


def draw_middle(sheet: Sheet, content: Content, language: Language) -> None:
    """Draw the middle of the head, where there is no lesion to look at.

    Args:
        sheet: The pages.
        content: What the report says.
        language: What it is written in.
    """
    sheet.heading(language.words.middle_of_head, 1, needs_mm=(sheet.epw - _CAPTION_MM) * _ASPECT)
    for figure in content.middle:
        if figure.plain is not None:
            _draw_wide(sheet, figure.sequence, "", figure.plain)


def draw_legend(sheet: Sheet, language: Language) -> None:
    """Draw which colour is which label.

    Args:
        sheet: The pages.
        language: What to name the labels in.
    """
    sheet.room(8.0)
    x, y = sheet.l_margin, sheet.y + 1.0
    for label, colour in LABEL_COLOURS.items():
        sheet.set_fill_color(*colour)
        sheet.rect(x, y, 3.6, 3.6, style="DF")
        text = f"{label.name}, {label_name(label, language)}"
        sheet.style(9)
        sheet.set_xy(x + 4.6, y - 0.3)
        sheet.cell(text=text, h=4.2)
        x += 4.6 + sheet.get_string_width(text) + 8.0
    sheet.set_xy(sheet.l_margin, y + 6.0)


def _outlined_caption(figure: Figure, language: Language) -> str:
    words = language.words
    return f"{figure.sequence}, {words.contour if figure.contour else words.plain}"


def _drawn(figure: Figure) -> tuple[Picture | None, Picture | None]:
    return figure.contour or figure.plain, figure.fill


def _draw_in_full(sheet: Sheet, part: LesionPart, language: Language) -> None:
    words = language.words
    chief = [figure for figure in part.figures if figure.is_chief]
    for number, figure in enumerate(chief):
        contour, fill = _drawn(figure)
        _draw_wide(sheet, figure.sequence, words.contour if figure.contour else words.plain, contour)
        if number == 0:
            _draw_wide(sheet, figure.sequence, words.fill, fill)
    others = [figure for figure in part.figures if not figure.is_chief]
    named = [(_outlined_caption(figure, language), _drawn(figure)[0]) for figure in others]
    for start in range(0, len(named), 2):
        _draw_pair(sheet, named[start : start + 2])


def _draw_wide(sheet: Sheet, sequence: str, kind: str, shown: Picture | None) -> None:
    """Draw a picture with its caption on the left."""
    if shown is None:
        return
    width = sheet.epw - _CAPTION_MM
    sheet.room(width * _ASPECT + _GAP_MM)
    top = sheet.y
    sheet.style(10, bold=True)
    sheet.set_xy(sheet.l_margin, top)
    sheet.cell(_CAPTION_MM, 5.0, sequence)
    sheet.style(9, colour=FAINT)
    sheet.set_xy(sheet.l_margin, top + 5.0)
    sheet.cell(_CAPTION_MM, 4.5, kind)
    height = sheet.picture(shown, sheet.l_margin + _CAPTION_MM, top, width)
    sheet.set_xy(sheet.l_margin, top + height + _GAP_MM)


def _draw_pair(sheet: Sheet, pictures: Sequence[tuple[str, Picture | None]]) -> None:
    """Draw two pictures side by side, each with its caption above."""
    width = (sheet.epw - _GAP_MM) / 2
    sheet.room(width * _ASPECT + 5.0 + _GAP_MM)
    top, height = sheet.y, 0.0
    for number, (caption, shown) in enumerate(pictures):
        if shown is None:
            continue
        x = sheet.l_margin + number * (width + _GAP_MM)
        sheet.style(8.5, bold=True)
        sheet.set_xy(x, top)
        sheet.cell(width, 4.5, caption)
        height = sheet.picture(shown, x, top + 4.8, width)
    sheet.set_xy(sheet.l_margin, top + 4.8 + height + _GAP_MM)
