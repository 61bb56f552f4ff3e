"""What a hospital's template makes, on the pages of a PDF report."""

from collections.abc import Mapping

from fpdf.fonts import TextStyle

from tds_clinical.errors import ReportError
from tds_clinical.reports.pdf_sheet import INK, PAPER, Sheet


def write_pages(sheet: Sheet, pages: str, alts: Mapping[str, str]) -> None:
    """Write what a hospital's template made; header, footer and notice stay those of every report.

    Args:
        sheet: The pages.
        pages: HTML of the kind that fpdf2 knows.
        alts: Words for each picture, by its address.

    Raises:
        ReportError: If fpdf2 cannot lay it out, or the font lacks a letter.
    """
    sheet.alts = alts
    sheet.c_margin = 1.0
    sheet.style(10)
    sheet.set_fill_color(*PAPER)
    styles = {f"h{n}": TextStyle(color=INK, font_style="B", font_size_pt=19 - 2 * n, t_margin=3) for n in range(1, 7)}
    try:
        sheet.write_html(
            pages, font_family=sheet.family, tag_styles=styles, li_prefix_color=INK, ul_bullet_char="\N{BULLET}"
        )
    except ReportError:
        raise
    except Exception as error:  # fpdf2 raises many kinds for HTML that it does not know
        message = (
            f"what the template makes cannot be laid out on pages ({type(error).__name__}); "
            "keep to the elements that docs/reference/report-template.md names"
        )
        raise ReportError(message) from error
