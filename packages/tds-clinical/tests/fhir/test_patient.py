import copy
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from tds_clinical import ReportError
from tds_clinical.fhir import FhirOptions, build_bundle
from tds_clinical.fhir._names import Names
from tds_clinical.fhir._patient import patient_entry, patient_subject
from tds_clinical.findings import ResultContext
from tds_clinical.uids import Uids

Json = dict[str, Any]

NAMES = Names(Uids("test"))
SYSTEM = "urn:oid:2.999.1"


def header_of(**elements: Any) -> Dataset:
    header = Dataset()
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    return header


def creating(**changes: Any) -> FhirOptions:
    return FhirOptions(create_patient=True, **({"patient_identifier_system": SYSTEM} | changes))


def test_by_default_a_patient_is_named_by_identifier_and_not_made() -> None:
    subject = patient_subject(header_of(PatientID="4711"), NAMES, FhirOptions())
    assert subject["type"] == "Patient"
    assert subject["identifier"]["value"] == "4711"
    assert "system" not in subject["identifier"]
    assert "reference" not in subject


def test_the_issuer_is_told_if_the_header_has_one() -> None:
    header = header_of(PatientID="4711", IssuerOfPatientID="Clinic North")
    assert patient_subject(header, NAMES, FhirOptions())["identifier"]["assigner"] == {"display": "Clinic North"}


@pytest.mark.parametrize(("kind", "expected"), [("ISO", "urn:oid:1.2.276.0.76"), ("DNS", None)])
def test_an_issuer_with_an_oid_is_the_system(kind: str, expected: str | None) -> None:
    issuer = header_of(UniversalEntityID="1.2.276.0.76", UniversalEntityIDType=kind)
    header = header_of(PatientID="4711", IssuerOfPatientIDQualifiersSequence=[issuer])
    assert patient_subject(header, NAMES, FhirOptions())["identifier"].get("system") == expected
    chosen = FhirOptions(patient_identifier_system=SYSTEM)
    assert patient_subject(header, NAMES, chosen)["identifier"]["system"] == SYSTEM


def test_a_patient_whom_the_server_knows_is_referred_to() -> None:
    options = FhirOptions(patient_reference="Patient/17")
    assert patient_subject(header_of(PatientID="4711"), NAMES, options) == {"reference": "Patient/17"}


def test_a_header_without_patient_id_names_nobody() -> None:
    assert list(patient_subject(header_of(PatientID=""), NAMES, FhirOptions())) == ["type", "display"]


def test_a_patient_is_made_only_if_the_server_has_none_with_the_identifier() -> None:
    entry = patient_entry(header_of(PatientID="47|11,a b"), NAMES, creating())
    assert entry["request"] == {
        "method": "POST",
        "url": "Patient",
        "ifNoneExist": "identifier=urn:oid:2.999.1|47%5C|11%5C%2Ca%20b",
    }
    assert patient_subject(header_of(PatientID="4711"), NAMES, creating()) == {"reference": entry["fullUrl"]}


@pytest.mark.parametrize(
    ("header", "options"),
    [
        (header_of(PatientID=""), creating()),
        (header_of(PatientID="4711"), creating(patient_identifier_system=None)),
    ],
)
def test_a_patient_who_could_be_somebody_else_is_not_made(header: Dataset, options: FhirOptions) -> None:
    with pytest.raises(ReportError, match="give patient_identifier_system") as caught:
        patient_entry(header, NAMES, options)
    assert "4711" not in str(caught.value)


def test_demographics_are_left_out_unless_asked_for() -> None:
    header = header_of(PatientID="4711", PatientName="Roe^Jane^Q", PatientSex="F", PatientBirthDate="19700102")
    plain = patient_entry(header, NAMES, creating())["resource"]
    assert set(plain) == {"resourceType", "identifier"}
    whole = patient_entry(header, NAMES, creating(include_demographics=True))["resource"]
    assert whole["name"] == [{"family": "Roe", "given": ["Jane", "Q"]}]
    assert (whole["gender"], whole["birthDate"]) == ("female", "1970-01-02")


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, set()),
        ({"PatientName": "", "PatientSex": "", "PatientBirthDate": ""}, set()),
        ({"PatientName": "Roe"}, {"name"}),
        ({"PatientName": "^Jane"}, {"name"}),
        ({"PatientSex": "O"}, {"gender"}),
    ],
)
def test_demographics_that_the_header_lacks_are_left_out(elements: Json, expected: set[str]) -> None:
    entry = patient_entry(header_of(PatientID="4711", **elements), NAMES, creating(include_demographics=True))
    assert set(entry["resource"]) - {"resourceType", "identifier"} == expected


@given(
    birth=st.text(max_size=10)
    | st.from_regex(r"[0-9]{8}", fullmatch=True)
    | st.dates().map(lambda day: f"{day:%Y%m%d}")
)
def test_a_birth_date_is_a_date_or_absent(birth: str) -> None:
    header = header_of(PatientID="4711")
    header.add_new("PatientBirthDate", "LO", birth)
    entry = patient_entry(header, NAMES, creating(include_demographics=True))
    told = entry["resource"].get("birthDate")
    assert told is None or date.fromisoformat(told).isoformat().replace("-", "") == birth.strip()


def test_no_name_and_no_birth_date_reach_a_bundle_by_default(context: ResultContext) -> None:
    pytest.importorskip("fhir.resources")
    header = copy.deepcopy(context.source.header)
    header.PatientName, header.PatientBirthDate, header.PatientID = "Roe^Jane", "19700102", "4711"
    source = replace(context.source, headers=(header, *context.source.headers[1:]))
    told = str(build_bundle(replace(context, source=source), ()))
    assert "4711" in told
    assert "Roe" not in told
    assert "1970" not in told
