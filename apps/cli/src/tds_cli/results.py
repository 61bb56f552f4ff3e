"""The files of a result folder, whatever was segmented."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tds_cli.output import json_text
from tds_data.atomic import RESULT_MARKER
from tds_data.atomic_file import write_error
from tds_data.nifti import write_volume

if TYPE_CHECKING:
    from tds_cli.prior import Change
    from tds_clinical.dicom import SourceSeries
    from tds_clinical.dicom.writing.key_images import KeyPicture
    from tds_clinical.reports.options import LanguageCode, ReportOptions
    from tds_core.bundle import Bundle
    from tds_core.inference import Segmentation

MASK_NAME: Final = "mask.nii.gz"
OVERLAY_NAME: Final = "overlay.png"
HTML_NAME: Final = "report.html"
PDF_NAME: Final = "report.pdf"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultOptions:
    """What a result folder holds, and how.

    Attributes:
        pdf: Whether there is a PDF report; always for DICOM.
        language: Language of the reports.
        template: The hospital's own Jinja file for the HTML report.
        pdf_template: The same for the PDF report.
        font: A TrueType file for the PDF, for letters beyond Western European ones.
        labelmap: Whether the DICOM segmentation is a label map instead of one bit for each segment.
        reproducible: Whether identifiers and times depend on the study, the mask and the model alone.
    """

    pdf: bool = False
    language: "LanguageCode" = "en"
    template: Path | None = None
    pdf_template: Path | None = None
    font: Path | None = None
    labelmap: bool = False
    reproducible: bool = False

    @property
    def files(self) -> list[Path]:
        """The files that are read for it."""
        return [path for path in (self.template, self.pdf_template, self.font) if path is not None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FiledReport:
    """The report for people as it is filed with DICOM objects.

    Attributes:
        pdf: The document.
        pictures: Key images.
    """

    pdf: bytes
    pictures: "tuple[KeyPicture, ...]"


def write_result(
    folder: Path,
    found: "Segmentation",
    bundle: "Bundle",
    *,
    source: "SourceSeries | None",
    change: "Change | None" = None,
    options: ResultOptions,
) -> None:
    """Fill a folder with what was found: mask, pictures, reports, DICOM and FHIR where the study was DICOM.

    Args:
        folder: An existing folder.
        found: Case, mask and report on the grid where results shall lie.
        bundle: The model.
        source: The DICOM series whose grid that is, if the study was DICOM.
        change: What changed since an earlier time point, if there is one.
        options: What is written, and how.

    Raises:
        DataError: If the mask cannot be written.
        ClinicalError: If a report or an object cannot be made or written.
    """
    from tds_clinical.reports import prepare_report, write_overlay  # noqa: PLC0415  # imported while the study was read

    # How long it took is no part of a reproducible document.
    report = replace(found.report, timings_s={}) if options.reproducible else found.report
    drawn = (found.case, found.mask, report)
    with ThreadPoolExecutor(2, thread_name_prefix="write") as writers:
        tasks = [
            writers.submit(write_overlay, folder / OVERLAY_NAME, *drawn, language=options.language),
            writers.submit(write_volume, folder / MASK_NAME, found.mask),
        ]
        told = prepare_report(*drawn, report_options(found, bundle, options, change))
        write_file(folder / HTML_NAME, told.html().encode())
        pdf = told.pdf() if options.pdf or source is not None else None
        if pdf is not None:
            write_file(folder / PDF_NAME, pdf)
        for task in tasks:
            task.result()
    if source is not None and pdf is not None:
        from tds_cli.dicom_results import write_dicom_results  # noqa: PLC0415  # few studies are DICOM

        write_dicom_results(folder, found, source, FiledReport(pdf=pdf, pictures=told.key_pictures()), options)
    write_file(folder / RESULT_MARKER, json_text(found.report.to_dict()).encode())


def report_options(
    found: "Segmentation", bundle: "Bundle", options: ResultOptions, change: "Change | None" = None
) -> "ReportOptions":
    """Return what the reports for people say beside the findings.

    Args:
        found: What was found.
        bundle: The model.
        options: What the user chose.
        change: What changed since an earlier time point, if there is one.

    Raises:
        ResultsDisagree: If mask and report do not agree (from tds_clinical).
    """
    from tds_clinical.measurement import map_lesions, measure_lesions  # noqa: PLC0415  # needs SciPy
    from tds_clinical.reports.options import ReportOptions  # noqa: PLC0415  # as above

    lesions = map_lesions(found.mask, found.report)
    return ReportOptions(
        language=options.language,
        template=options.template,
        pdf_template=options.pdf_template,
        font=options.font,
        measurements=measure_lesions(found.mask, lesions, found.report),
        follow_up=None if change is None else change.follow_up,
        timeline=None if change is None else change.timeline,
        model_card=model_card_lines(bundle),
    )


def model_card_lines(bundle: "Bundle") -> tuple[str, str]:
    """Return a model in two lines: what it is and was trained on, and what it is not for.

    Args:
        bundle: The model.
    """
    described = bundle.description
    identity = bundle.identity
    sources = _data_of(described.get("provenance"))
    trained = f"; trained on {'; '.join(sources)}" if sources else ""
    needed = " or ".join(m.value for m in bundle.reliable_with)
    limits = f" Unreliable without {needed}." if needed else ""
    title = described.get("title", identity.name)
    return (
        f"{title}: {identity.name} {identity.version}, {identity.architecture}{trained}.",
        f"{described.get('intended_use', 'Research use only.')}{limits}",
    )


def _data_of(provenance: object) -> list[str]:
    data = provenance.get("data") if isinstance(provenance, Mapping) else None
    return [str(entry) for entry in data] if isinstance(data, list) else []


def write_file(path: Path, content: bytes) -> None:
    """Write one file of a result folder, which is only seen when all of it is there.

    Args:
        path: The file.
        content: What it is to hold.

    Raises:
        VolumeWriteError: If it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise write_error(path, error) from error
