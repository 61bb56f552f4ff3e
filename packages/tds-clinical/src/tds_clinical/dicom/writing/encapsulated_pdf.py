"""The report for people as an Encapsulated PDF (PS3.3, section A.45.1)."""

import hashlib
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from tds_clinical.codes import MRI_HEAD_REPORT
from tds_clinical.dicom.writing.objects import (
    add_equipment,
    add_file_meta,
    add_patient_and_study,
    instance_item,
    local_time,
    stamp,
)
from tds_clinical.errors import ReportError
from tds_clinical.findings import ResultContext

_TITLE: Final = "Brain tumour segmentation report. Research use only, not reviewed."
_MAGIC: Final = b"%PDF-"


def build_encapsulated_pdf(context: ResultContext, pdf: bytes, *, identifies_patient: bool = True) -> Dataset:
    """Return a PDF as a DICOM object.

    Args:
        context: What it is about.
        pdf: The file.
        identifies_patient: Whether its pages may tell whose they are. It cannot be seen in the bytes, so it is assumed
            unless whoever made the pages says that they do not.

    Returns:
        The object, ready to be saved.

    Raises:
        ReportError: If the bytes are no PDF.
    """
    if not pdf.startswith(_MAGIC):
        message = f"the report is no PDF: its {len(pdf)} bytes do not begin with %PDF-"
        raise ReportError(message)
    dataset = Dataset()
    add_patient_and_study(dataset, context)
    add_equipment(dataset, context)
    stamp(dataset, local_time(context), "InstanceCreation", "Content", "Series")
    dataset.AcquisitionDateTime = ""
    dataset.Modality = "DOC"
    dataset.ConversionType = "WSD"
    dataset.SeriesInstanceUID = context.uids.make("report", "series")
    dataset.SeriesNumber = context.first_series_number + 4
    dataset.SeriesDescription = "Report (research use only)"
    dataset.SOPClassUID = EncapsulatedPDFStorage
    dataset.SOPInstanceUID = context.uids.make("report", "instance", hashlib.sha256(pdf).hexdigest())
    dataset.InstanceNumber = 1
    dataset.BurnedInAnnotation = "YES" if identifies_patient else "NO"
    dataset.SourceInstanceSequence = [instance_item(header) for header in context.source.headers]
    dataset.DocumentTitle = _TITLE
    dataset.ConceptNameCodeSequence = [MRI_HEAD_REPORT.to_dataset()]
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    dataset.EncapsulatedDocumentLength = len(pdf)
    add_file_meta(dataset)
    return dataset
