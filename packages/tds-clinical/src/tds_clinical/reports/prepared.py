"""A report that is ready to be written as any document; its pictures are drawn once."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tds_clinical.reports.album import IN_FULL, Album
from tds_clinical.reports.compose import compose
from tds_clinical.reports.content import Content
from tds_clinical.reports.html import html_document
from tds_clinical.reports.key_boards import key_board
from tds_clinical.reports.language import Language, language_of
from tds_clinical.reports.options import ReportOptions
from tds_clinical.reports.scene import make_scene
from tds_data.case import Case
from tds_data.report import LesionReport
from tds_data.volume import Volume

if TYPE_CHECKING:
    from tds_clinical.dicom.writing.key_images import KeyPicture


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedReport:
    """A report that is ready to be written; `prepare_report` makes it.

    Attributes:
        report: What was found.
        options: What else it says, and how.
        language: What it is written in.
        album: Its pictures.
        content: Its texts.
    """

    report: LesionReport
    options: ReportOptions
    language: Language
    album: Album
    content: Content

    def html(self) -> str:
        """Return the report as one HTML document that needs nothing else.

        Raises:
            ReportError: If the hospital's template cannot be used.
        """
        return html_document(self.content, self.report, self.options, self.language)

    def pdf(self) -> bytes:
        """Return the report as a PDF document on A4 pages.

        Raises:
            ReportError: If a text holds a letter that the font lacks, or the hospital's template cannot be used.
        """
        from tds_clinical.reports.pdf import pdf_document  # noqa: PLC0415  # fpdf2 is slow to import, and often unused

        return pdf_document(self.content, self.report, self.options, self.language)

    def key_pictures(self) -> "tuple[KeyPicture, ...]":
        """Return a picture to file for each of the largest lesions; none if nothing was found."""
        from tds_clinical.dicom.writing.key_images import KeyPicture  # noqa: PLC0415  # imports pydicom, often unused

        pictures = []
        for number, lesion in enumerate(self.report.lesions[:IN_FULL]):
            title, board = key_board(self.album, number, self.report, self.language)
            pictures.append(KeyPicture(pixels=np.asarray(board, np.uint8), title=title, lesion=lesion.number))
        return tuple(pictures)


def prepare_report(
    case: Case, mask: Volume, report: LesionReport, options: ReportOptions | None = None
) -> PreparedReport:
    """Return a report that is ready to be written as HTML, as PDF and as pictures to file.

    Whoever needs more than one of them saves time with this: every picture is drawn once.

    Args:
        case: The sequences that were segmented, on the study's grid.
        mask: Labels 0 to 3 on the same grid.
        report: What was found.
        options: What else the report says, and how.

    Raises:
        ReportError: If the mask is not on the case's grid or holds other labels, or the options do not fit the report.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    chosen = options or ReportOptions()
    language = language_of(chosen.language)
    album = Album(make_scene(case, mask, report), report.lesions, language.words)
    content = compose(report, album, chosen, language)
    return PreparedReport(report=report, options=chosen, language=language, album=album, content=content)
