"""The PDF report: what the HTML one says, on A4 pages."""

from typing import Any, Final

from fpdf.output import OutputProducer

from tds_clinical.reports.content import Assessed, Change, Content, Fact, Flag
from tds_clinical.reports.hospital import hospital_pages
from tds_clinical.reports.language import Language
from tds_clinical.reports.options import ReportOptions
from tds_clinical.reports.paint import Colour
from tds_clinical.reports.pdf_hospital import write_pages
from tds_clinical.reports.pdf_lesions import draw_legend, draw_lesions, draw_middle
from tds_clinical.reports.pdf_sheet import FAINT, PANEL, Sheet, aspect_of
from tds_clinical.reports.pdf_tables import draw_table
from tds_data.report import LesionReport

_SEVERITY: Final[dict[str, Colour]] = {"error": (179, 32, 27), "warning": (138, 83, 0), "info": (11, 87, 164)}
_NARROW_MM: Final = 90.0
_BOX_MM: Final = 14.0
_SMALLEST_PT: Final = 6.0
_TIMELINE_MM: Final = (150.0, 110.0)


def pdf_document(content: Content, report: LesionReport, options: ReportOptions, language: Language) -> bytes:
    """Return the report as a PDF document on A4 pages.

    Args:
        content: What it says.
        report: What was found.
        options: Its date, its font, and whether the hospital's template makes the pages.
        language: What it is written in.

    Raises:
        ReportError: If a text holds a letter that the font lacks, or the hospital's template cannot be used.
    """
    sheet = Sheet(content, language.words, options.font)
    if options.made_at is not None:
        sheet.set_creation_date(options.made_at)
    if options.pdf_template is None:
        _draw_report(sheet, content, report, language)
    else:
        sheet.start_section(content.kind, 0)
        write_pages(sheet, *hospital_pages(options.pdf_template, content, report, language))
    producer = OutputProducer if options.made_at is not None else _Undated
    return bytes(sheet.output(output_producer_class=producer))


class _Undated(OutputProducer):
    """Leaves out when the document was made."""

    def _add_info(self) -> Any:  # noqa: ANN401  # fpdf2 has no types
        info = super()._add_info()
        info.creation_date = None  # type: ignore[assignment]  # what is None is left out
        return info


def _draw_report(sheet: Sheet, content: Content, report: LesionReport, language: Language) -> None:
    _draw_top(sheet, content, language)
    if content.change is not None:
        _draw_change(sheet, content.change)
    if content.lesions_table is not None:
        sheet.heading(language.words.lesions, 0)
        draw_table(sheet, content.lesions_table)
        sheet.paragraph(language.words.lesion_note, size=8, colour=FAINT)
    _draw_pictures(sheet, content, language)
    _draw_end(sheet, content, report, language)


def _draw_top(sheet: Sheet, content: Content, language: Language) -> None:
    words = language.words
    sheet.start_section(content.kind, 0)
    sheet.paragraph(content.case, size=17, bold=True)
    sheet.paragraph(content.kind, size=10, colour=FAINT)
    if content.english_note:
        sheet.paragraph(content.english_note, size=8, colour=FAINT)
    made_at = (Fact(term=words.made_at, text=content.made_at),) if content.made_at else ()
    sheet.facts((*content.heading, *made_at))
    sheet.ln(1.5)
    sheet.paragraph(content.summary, size=12)
    if content.volumes:
        _draw_volumes(sheet, content)
    if content.flags:
        sheet.heading(words.quality, 0)
        for flag in content.flags:
            _draw_flag(sheet, flag)


def _draw_volumes(sheet: Sheet, content: Content) -> None:
    sheet.room(_BOX_MM + 2.0)
    top, gap = sheet.y + 1.0, 3.0
    width = (sheet.epw - gap * (len(content.volumes) - 1)) / len(content.volumes)
    for number, fact in enumerate(content.volumes):
        x = sheet.l_margin + number * (width + gap)
        sheet.set_fill_color(*PANEL)
        sheet.rect(x, top, width, _BOX_MM, style="F")
        sheet.style(8.5, colour=FAINT)
        sheet.set_xy(x + 2.0, top + 1.6)
        sheet.cell(width - 4.0, 4.0, fact.term)
        sheet.style(12, bold=True)
        while sheet.get_string_width(fact.text) > width - 4.0 and sheet.font_size_pt > _SMALLEST_PT:
            sheet.set_font_size(sheet.font_size_pt - 0.5)
        sheet.set_xy(x + 2.0, top + 6.4)
        sheet.cell(width - 4.0, 6.0, fact.text)
    sheet.set_xy(sheet.l_margin, top + _BOX_MM + 2.0)
    if content.interval_note:
        sheet.paragraph(content.interval_note, size=8, colour=FAINT)


def _draw_flag(sheet: Sheet, flag: Flag) -> None:
    colour = _SEVERITY[flag.severity]
    text = f"{flag.message} {flag.seen}".rstrip()
    sheet.style(9)
    height = 5.0 + sheet.height_of(text, sheet.epw - 4.0)
    sheet.room(height)
    top, page = sheet.y, sheet.page
    with sheet.kept_margins(4.0):
        sheet.paragraph(f"{flag.severity_name.upper()}   {flag.code}", size=8.5, colour=colour, bold=True)
        sheet.set_y(sheet.y - 1.0)
        sheet.paragraph(text, size=9)
    if sheet.page == page:
        sheet.set_fill_color(*colour)
        sheet.rect(sheet.l_margin, top, 1.2, sheet.y - top - 0.8, style="F")
    sheet.ln(0.8)


def _draw_change(sheet: Sheet, change: Change) -> None:
    sheet.heading(change.title, 0)
    for entry in change.assessed:
        _draw_assessed(sheet, entry)
    if change.caution:
        sheet.paragraph(change.caution, size=9, bold=True)
    for flag in change.flags:
        _draw_flag(sheet, flag)
    if change.changes is not None:
        draw_table(sheet, change.changes)
        sheet.paragraph(change.note, size=8, colour=FAINT)
    sheet.heading(change.course.caption, 1)
    draw_table(sheet, change.course)
    if change.timeline_file is not None:
        _draw_timeline(sheet, change.timeline_file, change.timeline_alt)


def _draw_assessed(sheet: Sheet, entry: Assessed) -> None:
    sheet.heading(entry.title, 1)
    if entry.sums:
        sheet.paragraph(entry.sums, size=9)
    with sheet.kept_margins(4.0):
        for reason in entry.reasons:
            sheet.paragraph(f"\N{BULLET} {reason}", size=9)


def _draw_timeline(sheet: Sheet, data: bytes, alt: str) -> None:
    widest, highest = _TIMELINE_MM
    aspect = aspect_of(data)
    width = min(widest, highest / aspect)
    sheet.room(width * aspect + 3.0)
    top = sheet.y + 1.0
    sheet.file(data, alt, sheet.l_margin, top, width)
    sheet.set_y(top + width * aspect + 2.0)


def _draw_pictures(sheet: Sheet, content: Content, language: Language) -> None:
    words = language.words
    sheet.heading(words.pictures, 0, needs_mm=45.0)
    for note in content.picture_notes:
        sheet.paragraph(note, size=8, colour=FAINT)
    if not content.lesions:
        draw_middle(sheet, content, language)
        return
    draw_legend(sheet, language)
    if any(part.has_diameters for part in content.lesions):
        sheet.paragraph(words.diameter_note, size=8, colour=FAINT)
    draw_lesions(sheet, content, language)


def _draw_end(sheet: Sheet, content: Content, report: LesionReport, language: Language) -> None:
    words = language.words
    if content.agreement is not None:
        sheet.heading(words.agreement, 0, needs_mm=40.0)
        if content.agreement_note:
            sheet.paragraph(content.agreement_note, size=9, bold=True)
        draw_table(sheet, content.agreement, width_mm=_NARROW_MM)
    sheet.heading(words.making, 0, needs_mm=40.0)
    sheet.facts(content.making)
    if content.model_card:
        sheet.heading(words.model_card, 0)
        for line in content.model_card:
            sheet.paragraph(line, size=9)
    sheet.ln(2.0)
    sheet.paragraph(words.schema.format(version=report.schema_version), size=8, colour=FAINT)
