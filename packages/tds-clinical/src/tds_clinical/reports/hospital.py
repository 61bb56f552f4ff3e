"""Reports in the hospital's own template.

A template runs in Jinja's sandbox with the variables of `docs/reference/report-template.md`: whoever writes one can
lay the findings out as they like, and can neither reach the program nor leave out that this is research.
"""

from pathlib import Path
from types import TracebackType
from typing import Any, Final

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tds_clinical.errors import ReportError
from tds_clinical.reports.content import Content
from tds_clinical.reports.language import Language
from tds_clinical.reports.paint import LABEL_COLOURS
from tds_clinical.reports.template_check import check_body
from tds_clinical.reports.wording import label_name, millilitres, place
from tds_data.report import LesionReport

_PDF_SUFFIX: Final = ".pdf.j2"
_STYLED: Final = frozenset({"style"})


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
    check_body(body, template.name)
    return body


def hospital_pages(
    template: Path, content: Content, report: LesionReport, language: Language
) -> tuple[str, dict[str, str]]:
    """Return what a hospital's template makes for the pages of a PDF, and the words for each of its pictures.

    Args:
        template: The Jinja file.
        content: What the report says.
        report: What was found.
        language: What it is written in.

    Returns:
        HTML for fpdf2, and the `alt` of each picture by its `src`.

    Raises:
        ReportError: If the template cannot be read, is wrong, or makes what a page may not hold.
    """
    if not template.name.endswith(_PDF_SUFFIX):
        message = f"the template {template.name!r} is not named as one for PDF; let its name end in {_PDF_SUFFIX}"
        raise ReportError(message)
    pages = fill_template(template, content, report, language)
    return pages, check_body(pages, template.name, refused=_STYLED)


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
