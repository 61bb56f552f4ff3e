"""Pictures and reports of a segmentation, for people.

`write_overlay` makes the picture to glance at, `write_html` the document to read. Both need only NumPy, Pillow and
Jinja2, and both say "research use only" and mark phantoms.
"""

from tds_clinical.reports.html import render_html, write_html
from tds_clinical.reports.options import LanguageCode, ReportOptions
from tds_clinical.reports.overlay import overlay_image, write_overlay
from tds_clinical.reports.paint import LABEL_COLOURS

__all__ = [
    "LABEL_COLOURS",
    "LanguageCode",
    "ReportOptions",
    "overlay_image",
    "render_html",
    "write_html",
    "write_overlay",
]
