"""Reports in the hospital's own template.

A template runs in Jinja's sandbox with the variables of `docs/reference/report-template.md`: whoever writes one can
lay the findings out as they like, and can neither reach the program nor leave out that this is research.
"""

from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tds_clinical.errors import ReportError
from tds_clinical.reports.content import Content
from tds_clinical.reports.language import Language
from tds_clinical.reports.paint import LABEL_COLOURS
from tds_clinical.reports.wording import label_name, millilitres, place
from tds_data.report import LesionReport

_PDF_SUFFIX: Final = ".pdf.j2"
_REFUSED: Final = frozenset(
    {"html", "head", "body", "script", "iframe", "frame", "object", "embed", "base", "form", "link", "meta"}
)
_VOID: Final = frozenset({"area", "br", "col", "hr", "img", "input", "source", "track", "wbr"})
_CLOSED_BY_ITSELF: Final = frozenset(
    {"p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "colgroup", "caption"}
)


def hospital_body(template: Path, content: Content, report: LesionReport, language: Language) -> str:
    """Return the body that a hospital's template makes of a report.

    Args:
        template: The Jinja file.
        content: What the report says.
        report: What was found.
        language: What it is written in.

    Returns:
        HTML that fits between other elements: every element is closed, and none can fetch or run anything.

    Raises:
        ReportError: If the template cannot be read, is wrong, or makes what a body may not hold.
    """
    if template.name.endswith(_PDF_SUFFIX):
        message = f"the template {template.name!r} is one for PDF; give it as ReportOptions.pdf_template"
        raise ReportError(message)
    body = fill_template(template, content, report, language)
    _check(body, template.name)
    return body


def fill_template(template: Path, content: Content, report: LesionReport, language: Language) -> str:
    """Return what a hospital's template makes of a report.

    Args:
        template: The Jinja file.
        content: What the report says.
        report: What was found.
        language: What it is written in.

    Raises:
        ReportError: If the template cannot be read or is wrong; the message names its line.
    """
    try:
        return (
            _environment(template, language).get_template(template.name).render(context_of(content, report, language))
        )
    except TemplateNotFound as error:
        message = f"the template {error.name!r} is not there or cannot be read; check its path and its rights"
        raise ReportError(message) from error
    except TemplateSyntaxError as error:
        message = f"the template {error.name or template.name!r} is wrong in line {error.lineno}: {error.message}"
        raise ReportError(message) from error
    except Exception as error:  # an expression of a template can raise anything
        where = _line_of(error.__traceback__, template.parent) or f"the template {template.name!r}"
        message = f"{where} cannot be filled in: {_reason(error, content)}"
        raise ReportError(message) from error


def context_of(content: Content, report: LesionReport, language: Language) -> dict[str, Any]:
    """Return the variables of a hospital's template.

    Args:
        content: What the report says.
        report: What was found.
        language: What it is written in.
    """
    names = content.__dataclass_fields__
    return {
        **{name: getattr(content, name) for name in names},
        "language": language.code,
        "words": language.words,
        "report": report.to_dict(),
        "legend": tuple(
            {"label": label.name, "name": label_name(label, language), "colour": "#{:02x}{:02x}{:02x}".format(*colour)}
            for label, colour in LABEL_COLOURS.items()
        ),
    }


def _environment(template: Path, language: Language) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ml"] = lambda value: millilitres(value, language)
    environment.filters["number"] = language.number
    environment.filters["place"] = place
    return environment


def _line_of(trace: TracebackType | None, folder: Path) -> str | None:
    """Return the innermost line of a template of the folder that a traceback passes through."""
    found = None
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.parent == folder:
            found = f"line {trace.tb_lineno} of the template {file.name!r}"
        trace = trace.tb_next
    return found


def _reason(error: Exception, content: Content) -> str:
    """Return why, without what the heading says: Jinja's messages can quote values."""
    text = str(error)
    quotes_patient = any(fact.text and fact.text in text for fact in content.heading)
    return text if isinstance(error, TemplateError) and not quotes_patient else type(error).__name__


def _check(body: str, name: str) -> None:
    checker = _Checker(name)
    checker.feed(body)
    checker.close()
    checker.finish()


class _Checker(HTMLParser):
    """Refuses what would hide the notice below the body, or fetch or run something."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._open: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _REFUSED or any(key.startswith("on") for key, _ in attrs):
            self._refuse(f"makes <{tag}>, or an attribute that runs a script; it makes the inside of a page alone")
        if tag not in _VOID:
            self._open.append((tag, self.getpos()[0]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open[-1][0] != tag and self._open[-1][0] in _CLOSED_BY_ITSELF:
            self._open.pop()
        if not self._open or self._open[-1][0] != tag:
            self._refuse(f"closes <{tag}> in line {self.getpos()[0]} of its output, where it is not open")
        self._open.pop()

    def finish(self) -> None:
        """Refuse what is still open at the end."""
        left = [(tag, line) for tag, line in self._open if tag not in _CLOSED_BY_ITSELF]
        if left:
            self._refuse(f"leaves <{left[-1][0]}> open, from line {left[-1][1]} of its output")
        if self.rawdata:
            self._refuse("ends inside a comment or a tag")

    def _refuse(self, reason: str) -> None:
        message = f"the template {self._name!r} {reason}; see docs/reference/report-template.md"
        raise ReportError(message)
