from io import BytesIO

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_clinical.dicom.writing.encapsulated_pdf import build_encapsulated_pdf
from tds_clinical.errors import ReportError
from tds_clinical.findings import ResultContext

PDF = b"%PDF-1.7\n%%EOF"


def stored(context: ResultContext, pdf: bytes) -> bytes:
    buffer = BytesIO()
    build_encapsulated_pdf(context, pdf).save_as(buffer, enforce_file_format=True)
    dataset = pydicom.dcmread(BytesIO(buffer.getvalue()))
    assert len(dataset.EncapsulatedDocument) % 2 == 0
    document: bytes = dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength]
    return document


@given(st.binary())
def test_the_pdf_comes_back_as_it_was(context: ResultContext, rest: bytes) -> None:
    assert stored(context, PDF + rest) == PDF + rest


@pytest.mark.parametrize("pdf", [b"", b"<html>", b"\n%PDF-1.7"])
def test_what_is_no_pdf_is_refused(context: ResultContext, pdf: bytes) -> None:
    with pytest.raises(ReportError, match=f"its {len(pdf)} bytes do not begin with %PDF-"):
        build_encapsulated_pdf(context, pdf)


def test_it_may_identify_the_patient_unless_its_maker_says_no(context: ResultContext) -> None:
    assert build_encapsulated_pdf(context, PDF).BurnedInAnnotation == "YES"
    assert build_encapsulated_pdf(context, PDF, identifies_patient=False).BurnedInAnnotation == "NO"


def test_it_is_titled_unverified_and_for_research_only(context: ResultContext) -> None:
    dataset = build_encapsulated_pdf(context, PDF)
    assert dataset.DocumentTitle.endswith("Research use only, not reviewed.")
    assert dataset.VerificationFlag == "UNVERIFIED"
    assert dataset.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert dataset.ConceptNameCodeSequence[0].CodeMeaning == "MRI Head Report"


def test_it_refers_to_all_images_of_the_source(context: ResultContext) -> None:
    dataset = build_encapsulated_pdf(context, PDF)
    assert [item.ReferencedSOPInstanceUID for item in dataset.SourceInstanceSequence] == [
        header.SOPInstanceUID for header in context.source.headers
    ]


def test_another_pdf_has_another_uid_and_the_same_one_the_same(context: ResultContext) -> None:
    uids = [build_encapsulated_pdf(context, PDF + end).SOPInstanceUID for end in (b"a", b"a", b"b")]
    assert uids[0] == uids[1] != uids[2]
