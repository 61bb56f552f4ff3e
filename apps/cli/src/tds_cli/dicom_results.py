"""A result as DICOM objects and FHIR resources, beside its other files."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tds_cli.output import json_text
from tds_cli.results import FiledReport, ResultOptions, write_file
from tds_clinical.dicom import SourceSeries, study_time
from tds_clinical.dicom.writing.filing import FilingOptions, write_results
from tds_clinical.dicom.writing.segmentation import SegmentationKind
from tds_clinical.fhir import build_bundle
from tds_clinical.findings import Equipment, ResultContext, find_findings, mask_digest
from tds_clinical.uids import Uids

if TYPE_CHECKING:
    from tds_core.inference import Segmentation

FHIR_NAME: Final = "fhir.json"


def write_dicom_results(
    folder: Path, found: "Segmentation", source: SourceSeries, filed: FiledReport, options: ResultOptions
) -> None:
    """Write what was found as DICOM objects of the study and as a FHIR bundle, all or nothing.

    Args:
        folder: An existing folder.
        found: Case, mask and report on the grid of the series.
        source: The series.
        filed: The report for people.
        options: What is written, and how.

    Raises:
        DataError: If the bundle cannot be written.
        ClinicalError: If an object cannot be made or written, or the objects do not agree.
    """
    context = result_context(found, source, reproducible=options.reproducible)
    kind = SegmentationKind.LABELMAP if options.labelmap else SegmentationKind.BINARY
    references = write_results(
        folder,
        context,
        pdf=filed.pdf,
        pictures=filed.pictures,
        options=FilingOptions(segmentation=kind, pdf_identifies_patient=False),
    )
    write_file(folder / FHIR_NAME, json_text(build_bundle(context, references)).encode())


def result_context(found: "Segmentation", source: SourceSeries, *, reproducible: bool) -> ResultContext:
    """Return what the writers of DICOM and FHIR are given.

    Args:
        found: Case, mask and report on the grid of the source.
        source: The series that results refer to.
        reproducible: Whether identifiers and times depend on the study, the mask and the model alone.

    Raises:
        ResultsDisagree: If mask, report and source do not agree.
    """
    model = found.report.model
    header = source.header
    series = str(header.get("SeriesInstanceUID", ""))
    parts = (series, mask_digest(found.mask), model.sha256)
    uids = Uids.reproducible(*parts) if reproducible else Uids.random()
    return ResultContext(
        source=source,
        findings=find_findings(found.mask, found.report, uids),
        uids=uids,
        made_at=study_time(header) if reproducible else datetime.now(tz=UTC).astimezone(),
        equipment=Equipment(software=(f"tds-cli {version('tds-cli')}", f"{model.name} {model.version}")),
    )
