"""Contrast as WCAG 2.2 defines it (success criteria 1.4.3 and 1.4.11): 4.5 for texts, 3 for what else must be seen."""

import re
from pathlib import Path

import pytest

import tds_clinical.reports
from tds_clinical.reports import LABEL_COLOURS, board, pdf, pdf_sheet, strips
from tds_clinical.reports.paint import Colour

STYLE = (Path(tds_clinical.reports.__file__).parent / "templates" / "report.css.j2").read_text(encoding="utf-8")
TEXT, GRAPHIC = 4.5, 3.0
PAIRS = {
    ("ink", "paper"): TEXT,
    ("ink", "panel"): TEXT,
    ("faint", "paper"): TEXT,
    ("faint", "panel"): TEXT,
    ("error", "panel"): TEXT,
    ("warning", "panel"): TEXT,
    ("info", "panel"): TEXT,
    ("notice-ink", "notice"): TEXT,
    ("phantom-ink", "phantom"): TEXT,
    ("link", "paper"): GRAPHIC,  # the dots of the choice
}
DECORATION = {"rule"}


def luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def parsed(text: str) -> Colour:
    digits = text.lstrip("#")
    if len(digits) == 3:
        digits = "".join(c * 2 for c in digits)
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def variables(block: str) -> dict[str, Colour]:
    return {name: parsed(value) for name, value in re.findall(r"--([\w-]+): (#[0-9a-f]+);", block)}


def schemes() -> dict[str, dict[str, Colour]]:
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    light, dark, paper = (variables(block) for block in blocks)
    return {"light": light, "dark": {**light, **dark}, "print": {**light, **paper}}


def test_black_on_white_is_twenty_one() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
@pytest.mark.parametrize("pair", PAIRS)
def test_texts_of_the_page_can_be_read(scheme: str, pair: tuple[str, str]) -> None:
    colours = schemes()[scheme]
    assert contrast(colours[pair[0]], colours[pair[1]]) >= PAIRS[pair]


def test_every_colour_of_the_page_is_looked_at() -> None:
    for colours in schemes().values():
        assert set(colours) == {name for pair in PAIRS for name in pair} | DECORATION
    used = set(re.findall(r"(?<![-\w])color: ([^;}]+)", STYLE))
    assert used <= {f"var(--{name})" for pair in PAIRS for name in pair[:1]}


def test_swatches_show_by_their_fill_or_their_border() -> None:
    share = int(re.findall(r"border: 1px solid rgb\(0 0 0 / (\d+)%\)", STYLE)[0]) / 100
    for name in ("light", "dark", "print"):
        paper = schemes()[name]["paper"]
        border = tuple((1 - share) * c for c in paper)
        for colour in LABEL_COLOURS.values():
            assert max(contrast(colour, paper), contrast(border, paper)) >= GRAPHIC


def test_labels_and_marks_show_on_black() -> None:
    for colour in (*LABEL_COLOURS.values(), strips._MARK, strips._TICK, strips._PHANTOM):
        assert contrast(colour, (0, 0, 0)) >= TEXT


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        (board.INK, board.PAPER),
        (board.FAINT_INK, board.PAPER),
        (board._BANNER_INK, board._BANNER),
        (board._PHANTOM_INK, board._PHANTOM),
        (pdf_sheet.INK, pdf_sheet.PAPER),
        (pdf_sheet.INK, pdf_sheet.PANEL),
        (pdf_sheet.FAINT, pdf_sheet.PAPER),
        (pdf_sheet.FAINT, pdf_sheet.PANEL),
        (pdf_sheet.NOTICE_INK, pdf_sheet.NOTICE),
        (pdf_sheet.PHANTOM_INK, pdf_sheet.PHANTOM),
        *((colour, pdf_sheet.PAPER) for colour in pdf._SEVERITY.values()),
    ],
)
def test_texts_of_boards_and_pages_can_be_read(ink: Colour, paper: Colour) -> None:
    assert contrast(ink, paper) >= TEXT
