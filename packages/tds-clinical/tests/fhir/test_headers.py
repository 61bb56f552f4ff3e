"""Whatever a header says, a bundle is valid or refused, and a refusal repeats nothing of it."""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from tds_clinical import ReportError
from tds_clinical.fhir import FhirOptions, build_bundle
from tds_clinical.findings import ResultContext

pytest.importorskip("fhir.resources")

KEYWORDS = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientSex",
    "PatientBirthDate",
    "AccessionNumber",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
    "StudyDate",
    "StudyTime",
    "TimezoneOffsetFromUTC",
    "Modality",
    "SeriesNumber",
    "InstanceNumber",
)
OPTIONS = FhirOptions(create_patient=True, patient_identifier_system="urn:oid:2.999", include_demographics=True)
MARK = "Roe4711"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(elements=st.dictionaries(st.sampled_from(KEYWORDS), st.text(max_size=20).map(lambda text: text + MARK)))
def test_a_refusal_repeats_nothing(context: ResultContext, elements: dict[str, str]) -> None:
    header = copy.deepcopy(context.source.header)
    for keyword, value in elements.items():
        header.add_new(tag_for_keyword(keyword), "LO", value)
    source = replace(context.source, headers=(header, *context.source.headers[1:]))
    refusal, bundle = "", {}
    try:
        bundle = build_bundle(replace(context, source=source), (), options=OPTIONS)
    except ReportError as error:
        refusal = str(error)
    assert MARK not in refusal
    assert bool(refusal) != bool(bundle)
    assert json.loads(json.dumps(bundle, allow_nan=False)) == bundle
