"""Tables on the pages of a PDF report."""

from typing import Final

from fpdf.fonts import FontFace

from tds_clinical.reports.content import Table
from tds_clinical.reports.pdf_sheet import FAINT, LINE, PANEL, PAPER, POINT_MM, RULE, Sheet, cleaned

_SIZE: Final = 8.5
_PAD_MM: Final = 1.6


def draw_table(sheet: Sheet, table: Table, *, width_mm: float | None = None) -> None:
    """Draw a table; no row is broken, and each page repeats the headings.

    Args:
        sheet: The pages.
        table: The table.
        width_mm: Its width, millimetres; the page's if `None`.
    """
    sheet.style(_SIZE)
    sheet.set_draw_color(*RULE)
    sheet.set_fill_color(*PAPER)
    total = sheet.epw if width_mm is None else width_mm
    with sheet.table(
        align="LEFT",
        borders_layout="HORIZONTAL_LINES",
        col_widths=column_widths(sheet, table, total),
        headings_style=FontFace(emphasis="BOLD", color=FAINT, fill_color=PANEL),
        line_height=_SIZE * POINT_MM * LINE,
        padding=(0.7, _PAD_MM / 2),
        text_align=("LEFT", *["RIGHT"] * (len(table.columns) - 1)),
        width=total,
    ) as grid:
        for cells in (table.columns, *table.rows):
            row = grid.row()
            for cell in cells:
                row.cell(cleaned(cell))
    sheet.ln(1.5)


def column_widths(sheet: Sheet, table: Table, total_mm: float) -> tuple[float, ...]:
    """Return widths at which no word is broken and, where there is room, no cell is, millimetres.

    Args:
        sheet: The pages, for their font.
        table: The table.
        total_mm: What the widths add up to, millimetres.
    """
    sheet.style(_SIZE, bold=True)
    columns = list(zip(table.columns, *table.rows, strict=True))
    pad = 2 * _PAD_MM
    least = [max(_width(sheet, word) for cell in cells for word in cell.split() or [""]) + pad for cells in columns]
    wanted = [max(_width(sheet, cell) for cell in cells) + pad for cells in columns]
    sheet.style(_SIZE)
    extra = [w - m for w, m in zip(wanted, least, strict=True)]
    spare = max(total_mm - sum(least), 0.0)
    share = min(1.0, spare / sum(extra)) if sum(extra) else 0.0
    widths = [m + e * share for m, e in zip(least, extra, strict=True)]
    return tuple(total_mm * width / sum(widths) for width in widths)


def _width(sheet: Sheet, text: str) -> float:
    return float(sheet.get_string_width(cleaned(text)))
