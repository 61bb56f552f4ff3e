"""Pictures and reports of a segmentation, for people.

`write_overlay` makes the picture to glance at, `write_html` and `write_pdf` the document to read, `key_pictures` the
pictures to file beside it. All say "research use only" and mark phantoms. `prepare_report` is for whoever needs more
than one of them: every picture is then drawn once.
"""

from tds_clinical.reports.documents import key_pictures, render_html, render_pdf, write_html, write_pdf
from tds_clinical.reports.options import LanguageCode, ReportOptions
from tds_clinical.reports.overlay import overlay_image, write_overlay
from tds_clinical.reports.paint import LABEL_COLOURS
from tds_clinical.reports.prepared import PreparedReport, prepare_report

__all__ = [
    "LABEL_COLOURS",
    "LanguageCode",
    "PreparedReport",
    "ReportOptions",
    "key_pictures",
    "overlay_image",
    "prepare_report",
    "render_html",
    "render_pdf",
    "write_html",
    "write_overlay",
    "write_pdf",
]
