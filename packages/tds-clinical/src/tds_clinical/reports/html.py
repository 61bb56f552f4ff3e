"""The HTML report: one self-contained file without scripts or outside requests."""

import base64
import hashlib
import re
from functools import lru_cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from tds_clinical.reports.content import Content
from tds_clinical.reports.hospital import hospital_body
from tds_clinical.reports.language import Language
from tds_clinical.reports.options import ReportOptions
from tds_clinical.reports.paint import LABEL_COLOURS
from tds_clinical.reports.wording import label_name
from tds_data.report import LesionReport

_INLINE: Final = "'unsafe-inline'"
_NOTICE_STYLE: Final = "; ".join(
    f"{rule} !important"
    for rule in (
        "display: block",
        "visibility: visible",
        "opacity: 1",
        "position: relative",
        "inset: auto",
        "z-index: 2147483647",
        "transform: none",
        "clip-path: none",
        "filter: none",
        "width: auto",
        "height: auto",
        "max-width: none",
        "max-height: none",
        "margin: 0",
        "overflow: visible",
        "font: 600 16px/1.5 sans-serif",
        "text-indent: 0",
    )
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def html_document(content: Content, report: LesionReport, options: ReportOptions, language: Language) -> str:
    """Return the report as one HTML document that needs nothing else.

    Args:
        content: What it says.
        report: What was found.
        options: Whether the hospital's template makes the body.
        language: What it is written in.

    Raises:
        ReportError: If the hospital's template cannot be used.
    """
    environment = _environment()
    style = environment.get_template("report.css.j2").render(colours=_css_colours())
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    body = None
    if options.template is not None:
        body = hospital_body(options.template, content, report, language)
    document = environment.get_template("report.html.j2").render(
        content=content,
        words=language.words,
        style=style,
        # A hospital's template has styles of its own, but neither scripts nor anything from outside.
        style_sources=f"'sha256-{digest}'" if body is None else _INLINE,
        body=body,
        notice_style=_NOTICE_STYLE,
        legend=[(label.name, label_name(label, language)) for label in LABEL_COLOURS],
        schema_version=report.schema_version,
    )
    # Names of folders that are no UTF-8 reach here with lone surrogates, which no file can hold.
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", document)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    loader = PackageLoader("tds_clinical.reports", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _css_colours() -> dict[str, str]:
    return {label.name.lower(): "#{:02x}{:02x}{:02x}".format(*colour) for label, colour in LABEL_COLOURS.items()}
