"""A4 pages with the research-use notice on each, and what can be put on them."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from fpdf import FPDF
from fpdf.enums import MethodReturnValue, XPos, YPos
from fpdf.fonts import TTFFont
from fpdf.prefs import ViewerPreferences
from PIL import Image

from tds_clinical.errors import ReportError
from tds_clinical.reports.content import Content, Fact, Picture
from tds_clinical.reports.language import Words
from tds_clinical.reports.paint import Colour

INK: Final[Colour] = (22, 25, 29)
"""Colour of texts."""
FAINT: Final[Colour] = (77, 86, 97)
"""Colour of texts of less weight."""
PAPER: Final[Colour] = (255, 255, 255)
"""What is behind everything."""
RULE: Final[Colour] = (190, 198, 207)
"""Lines in tables and below headings."""
PANEL: Final[Colour] = (244, 246, 248)
"""What is behind numbers that stand out."""
NOTICE: Final[Colour] = (255, 196, 0)
"""What is behind the research-use notice."""
NOTICE_INK: Final[Colour] = (0, 0, 0)
"""Its letters."""
PHANTOM: Final[Colour] = (176, 24, 122)
"""What is behind the mark of phantoms."""
PHANTOM_INK: Final[Colour] = (255, 255, 255)
"""Its letters."""
LINE: Final = 1.3
"""Height of a line in heights of its letters."""
POINT_MM: Final = 25.4 / 72
"""Millimetres of a point."""

_CORE_FONT: Final = "helvetica"
_OWN_FONT: Final = "report"
_CORE_ENCODING: Final = "cp1252"
_TRUETYPE: Final = (b"\x00\x01\x00\x00", b"true")
_PAGES: Final = "{number of pages}"
_SIDE_MM: Final = 15.0
_BAND_LINE_MM: Final = 4.6
_BAND_PAD_MM: Final = 1.4
_PHANTOM_MM: Final = 6.0
_RUNNING_MM: Final = 6.0
_FOOT_MM: Final = 15.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Sheet(FPDF):
    """The pages of one report.

    Attributes:
        content: What every page says.
        family: Name of the font.
        alts: Words for pictures that fpdf2 finds in a template, by their address.
    """

    def __init__(self, content: Content, words: Words, font: Path | None) -> None:
        super().__init__(orientation="P", unit="mm", format="A4")
        self.content = content
        self._words = words
        self.alts: Mapping[str, str] = {}
        self.core_fonts_encoding = _CORE_ENCODING
        self.family = _CORE_FONT if font is None else self._add_font(font)
        self.alias_nb_pages(_PAGES)
        self._describe()
        notice_mm = 2 * _BAND_PAD_MM + _BAND_LINE_MM * len(content.notices)
        self._top_mm = notice_mm + (_PHANTOM_MM if content.is_phantom else 0.0)
        self.set_margins(_SIDE_MM, self._top_mm + _RUNNING_MM + 4.0, _SIDE_MM)
        self.set_auto_page_break(auto=True, margin=_FOOT_MM + 3.0)
        self.set_line_width(0.2)
        self.c_margin = 0.0
        self.add_page()

    def header(self) -> None:
        """Draw what is at the top of every page."""
        content, y = self.content, 0.0
        height = self._top_mm - (_PHANTOM_MM if content.is_phantom else 0.0)
        self._band(0.0, height, NOTICE)
        for number, notice in enumerate(content.notices):
            self.write_at(notice, _BAND_PAD_MM + number * _BAND_LINE_MM, size=9, colour=NOTICE_INK, bold=number == 0)
        y = height
        if content.is_phantom:
            self._band(y, _PHANTOM_MM, PHANTOM)
            self.write_at(content.phantom_notice, y + 0.7, size=9, colour=PHANTOM_INK, bold=True)
            y += _PHANTOM_MM
        names = (*(f"{fact.term}: {fact.text}" for fact in content.heading), content.case)
        self.write_at("   ".join(names), y + 1.4, size=8, colour=FAINT)
        self.set_xy(self.l_margin, self.t_margin)

    def footer(self) -> None:
        """Draw what is at the bottom of every page."""
        top = self.h - _FOOT_MM
        page = self._words.page_of.format(page=self.page_no(), pages=_PAGES)
        self.write_at(f"{page}   {self.content.title}", top + 1.0, size=8, colour=FAINT)
        self._band(self.h - 8.0, 8.0, NOTICE)
        self.write_at(self.content.notices[0], self.h - 6.6, size=9, colour=NOTICE_INK, bold=True)

    def normalize_text(self, text: str) -> str:
        """Return a text as the font takes it, and refuse one that it cannot show.

        Args:
            text: The text.

        Raises:
            ReportError: If the font lacks a letter.
        """
        for letter in text:
            if not self._has(letter):
                raise ReportError(_missing(letter))
        return str(super().normalize_text(text))

    def style(self, size: float, *, colour: Colour = INK, bold: bool = False) -> None:
        """Choose how the next texts look.

        Args:
            size: Points.
            colour: Of the letters.
            bold: Whether they are bold.
        """
        self.set_font(self.family, "B" if bold else "", size)
        self.set_text_color(*colour)

    def write_at(self, text: str, y: float, *, size: float, colour: Colour, bold: bool = False) -> None:
        """Write one line across the page, smaller and at last cut where it would not fit.

        Args:
            text: The text.
            y: Top of the line, millimetres.
            size: Points.
            colour: Of the letters.
            bold: Whether they are bold.
        """
        line = cleaned(text).replace("\n", " ")
        self.style(size, colour=colour, bold=bold)
        while size > 6.0 and self.get_string_width(line) > self.epw:  # noqa: PLR2004  # the smallest that can be read
            size -= 0.5
            self.set_font_size(size)
        if self.get_string_width(line) > self.epw:
            while line and self.get_string_width(line + "...") > self.epw:
                line = line[:-1]
            line += "..."
        self.set_xy(self.l_margin, y)
        self.cell(self.epw, size * POINT_MM * LINE, line)

    def paragraph(self, text: str, *, size: float = 9.5, colour: Colour = INK, bold: bool = False) -> None:
        """Write a text below the last one.

        Args:
            text: The text.
            size: Points.
            colour: Of the letters.
            bold: Whether they are bold.
        """
        self.style(size, colour=colour, bold=bold)
        self.set_x(self.l_margin)
        self._lines(text, self.epw)
        self.ln(1.2)

    def heading(self, text: str, level: int, *, needs_mm: float = 25.0) -> None:
        """Write a heading and bookmark it; it moves to the next page together with what follows.

        Args:
            text: The heading.
            level: 0 for a part of the report, 1 for a part of that.
            needs_mm: Height of what must stand on the same page, millimetres.
        """
        self.ln(4.0 if level == 0 else 2.0)
        self.room(needs_mm + 8.0)
        self.start_section(cleaned(text).replace("\n", " "), level)
        self.style(13 if level == 0 else 11, bold=True)
        self.set_x(self.l_margin)
        self._lines(text, self.epw)
        if level == 0:
            self.set_draw_color(*RULE)
            self.line(self.l_margin, self.y + 0.6, self.w - self.r_margin, self.y + 0.6)
        self.ln(2.0)

    def room(self, height_mm: float) -> None:
        """Begin a new page if the rest of this one is lower than that.

        Args:
            height_mm: Height of what must not be broken, millimetres; at most a page.
        """
        if self.y > self.t_margin and self.will_page_break(min(height_mm, self.eph)):
            self.add_page()

    def facts(self, entries: Sequence[Fact], *, term_mm: float = 48.0) -> None:
        """Write terms on the left and what is said of them on the right.

        Args:
            entries: The facts.
            term_mm: Width of the terms, millimetres.
        """
        for fact in entries:
            self.style(9)
            text_mm = self.epw - term_mm
            self.room(max(self.height_of(fact.text, text_mm), self.height_of(fact.term, term_mm - 2)))
            top = self.y
            self.style(9, colour=FAINT)
            self._lines(fact.term, term_mm - 2)
            lowest = self.y
            self.set_xy(self.l_margin + term_mm, top)
            self.style(9)
            self._lines(fact.text, text_mm)
            self.set_xy(self.l_margin, max(lowest, self.y) + 0.6)

    def picture(self, shown: Picture, x: float, y: float, width_mm: float) -> float:
        """Put a picture of three planes on the page and return its height in millimetres.

        Args:
            shown: The picture.
            x: Its left edge, millimetres.
            y: Its top, millimetres.
            width_mm: Its width, millimetres.
        """
        return self.file(shown.jpeg, shown.alt, x, y, width_mm)

    def file(self, data: bytes, alt: str, x: float, y: float, width_mm: float) -> float:
        """Put a picture file on the page and return its height in millimetres.

        Args:
            data: A PNG or JPEG file.
            alt: What it shows, in words.
            x: Its left edge, millimetres.
            y: Its top, millimetres.
            width_mm: Its width, millimetres.
        """
        self.image(io.BytesIO(data), x=x, y=y, w=width_mm, alt_text=cleaned(alt))
        return width_mm * aspect_of(data)

    def image(self, name: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # as fpdf2 has it
        """Put a picture on the page, with the words that the template gave it.

        Args:
            name: A data URL, or what else fpdf2 takes.
            args: As fpdf2 has them.
            kwargs: As fpdf2 has them.
        """
        if isinstance(name, str) and "alt_text" not in kwargs:
            kwargs["alt_text"] = cleaned(self.alts[name]) or None
        return super().image(name, *args, **kwargs)

    def height_of(self, text: str, width_mm: float) -> float:
        """Return how high a text would be in the chosen style, millimetres.

        Args:
            text: The text.
            width_mm: How wide its lines may be, millimetres.
        """
        height = self.multi_cell(
            width_mm,
            self._line_mm,
            cleaned(text),
            align="L",
            dry_run=True,
            output=MethodReturnValue.HEIGHT,
            new_x=XPos.LEFT,
            new_y=YPos.NEXT,
        )
        return cast("float", height)

    @contextmanager
    def kept_margins(self, left_mm: float) -> Iterator[None]:
        """Move the left margin for a while.

        Args:
            left_mm: By how much, millimetres.
        """
        before = self.l_margin
        self.set_left_margin(before + left_mm)
        yield
        self.set_left_margin(before)
        self.set_x(before)

    @property
    def _line_mm(self) -> float:
        return float(self.font_size) * LINE

    def _lines(self, text: str, width_mm: float) -> None:
        self.multi_cell(width_mm, self._line_mm, cleaned(text), align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)

    def _band(self, y: float, height: float, colour: Colour) -> None:
        self.set_fill_color(*colour)
        self.rect(0.0, y, self.w, height, style="F")

    def _add_font(self, font: Path) -> str:
        _check_font(font)
        try:
            for style in ("", "B", "I", "BI"):
                self.add_font(_OWN_FONT, style, font)
        except Exception as error:  # fpdf2 lets through whatever its parser of fonts raises
            raise ReportError(_no_font(font, type(error).__name__)) from error
        return _OWN_FONT

    def _has(self, letter: str) -> bool:
        if isinstance(self.current_font, TTFFont):
            return letter == "\n" or ord(letter) in self.current_font.cmap
        try:
            letter.encode(_CORE_ENCODING)
        except UnicodeEncodeError:
            return False
        return True

    def _describe(self) -> None:
        content = self.content
        self.set_lang(content.tag)
        self.set_title(cleaned(content.title).replace("\n", " "))
        self.set_subject(content.kind)
        self.set_keywords(cleaned(" ".join(content.notices)))
        self.set_creator("tds")
        self.set_creation_date(_EPOCH)
        self.viewer_preferences = ViewerPreferences(display_doc_title=True)


def aspect_of(data: bytes) -> float:
    """Return how high a picture is for its width.

    Args:
        data: A PNG or JPEG file.
    """
    with Image.open(io.BytesIO(data)) as opened:
        columns, rows = opened.size
    return rows / columns


def cleaned(text: str) -> str:
    """Return a text without letters that control a printer; only line breaks stay.

    Args:
        text: The text.
    """
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def _missing(letter: str) -> str:
    return (
        f"the font of the PDF has no letter {letter!r} (U+{ord(letter):04X}); "
        "give the path of a TrueType font that has it as ReportOptions.font"
    )


def _check_font(font: Path) -> None:
    try:
        with font.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ReportError(_no_font(font, error.strerror or type(error).__name__)) from error
    if magic not in _TRUETYPE:
        raise ReportError(_no_font(font, "other first bytes"))


def _no_font(font: Path, reason: str) -> str:
    return f"{font.name!r} cannot be read as a TrueType font ({reason}); give a .ttf file"
