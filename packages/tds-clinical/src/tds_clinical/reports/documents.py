"""The report as a file or a value, in one call each."""

from pathlib import Path
from typing import TYPE_CHECKING

from tds_clinical.errors import ReportError
from tds_clinical.reports.options import ReportOptions
from tds_clinical.reports.prepared import prepare_report
from tds_data.case import Case
from tds_data.report import LesionReport
from tds_data.volume import Volume

if TYPE_CHECKING:
    from tds_clinical.dicom.writing.key_images import KeyPicture


def render_html(case: Case, mask: Volume, report: LesionReport, options: ReportOptions | None = None) -> str:
    """Return the report as one HTML document that needs nothing else.

    Args:
        case: The sequences that were segmented, on the study's grid.
        mask: Labels 0 to 3 on the same grid.
        report: What was found.
        options: What else the report says, and how.

    Raises:
        ReportError: If the mask does not fit the case, or the options do not fit the report.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    return prepare_report(case, mask, report, options).html()


def render_pdf(case: Case, mask: Volume, report: LesionReport, options: ReportOptions | None = None) -> bytes:
    """Return the report as a PDF document on A4 pages; equal arguments give equal bytes.

    Args:
        case: The sequences that were segmented, on the study's grid.
        mask: Labels 0 to 3 on the same grid.
        report: What was found.
        options: What else the report says, and how.

    Raises:
        ReportError: If the mask does not fit the case, the options do not fit the report, or a text holds a letter
            that the font lacks.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    return prepare_report(case, mask, report, options).pdf()


def key_pictures(
    case: Case, mask: Volume, report: LesionReport, options: ReportOptions | None = None
) -> "tuple[KeyPicture, ...]":
    """Return a picture to file for each of the largest lesions; none if nothing was found.

    Args:
        case: The sequences that were segmented, on the study's grid.
        mask: Labels 0 to 3 on the same grid.
        report: What was found.
        options: The language; nothing else of them is shown, so no picture names the patient.

    Raises:
        ReportError: If the mask does not fit the case.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    return prepare_report(case, mask, report, options).key_pictures()


def write_html(
    path: Path, case: Case, mask: Volume, report: LesionReport, options: ReportOptions | None = None
) -> None:
    """Write the report as one HTML file.

    Args:
        path: The file; replaced if it exists.
        case: The sequences that were segmented, on the study's grid.
        mask: Labels 0 to 3 on the same grid.
        report: What was found.
        options: What else the report says, and how.

    Raises:
        ReportError: If `render_html` does, or the file cannot be written.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    _write(path, render_html(case, mask, report, options).encode())


def write_pdf(path: Path, case: Case, mask: Volume, report: LesionReport, options: ReportOptions | None = None) -> None:
    """Write the report as a PDF file.

    Args:
        path: The file; replaced if it exists.
        case: The sequences that were segmented, on the study's grid.
        mask: Labels 0 to 3 on the same grid.
        report: What was found.
        options: What else the report says, and how.

    Raises:
        ReportError: If `render_pdf` does, or the file cannot be written.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    _write(path, render_pdf(case, mask, report, options))


def _write(path: Path, document: bytes) -> None:
    try:
        path.write_bytes(document)
    except OSError as error:
        message = (
            f"cannot write the report {path.name!r}: {error.strerror or error}; choose a folder that can be written"
        )
        raise ReportError(message) from error
