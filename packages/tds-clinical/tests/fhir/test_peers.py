"""Bundles against a real FHIR server and a validator, neither of which shares code with ours."""

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tds_clinical import PushFailed
from tds_clinical.dicom.writing.objects import ObjectReference
from tds_clinical.fhir import FhirOptions, FhirVersion, PushOptions, Signature, build_bundle, push_bundle
from tds_clinical.findings import ResultContext

pytest.importorskip("fhir.resources")
requests = pytest.importorskip("requests")

Json = dict[str, Any]
Validate = Callable[[Json], list[Json]]

SYSTEM = "urn:oid:2.999.1"
ONCE = PushOptions(retries=0)
WITH_PATIENT = FhirOptions(create_patient=True, patient_identifier_system=SYSTEM, include_demographics=True)
SIGNED_AT = datetime(2026, 3, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def bundle(context: ResultContext, objects: tuple[ObjectReference, ...]) -> Json:
    return build_bundle(context, objects, options=replace(WITH_PATIENT, pdf=b"%PDF-1.7 a report"))


def stored(base: str, kind: str) -> list[Json]:
    answer = requests.get(f"{base}/{kind}", params={"_count": 100}, timeout=10).json()
    return [entry["resource"] for entry in answer.get("entry", [])]


def count(base: str) -> int:
    kinds = ("Patient", "ImagingStudy", "Device", "Observation", "DiagnosticReport", "Provenance")
    return sum(len(stored(base, kind)) for kind in kinds)


def errors(messages: list[Json]) -> list[Json]:
    return [message for message in messages if message["severity"] in {"error", "fatal"}]


def first(bundle: Json, kind: str, *, where: str = "") -> Json:
    resources = (entry["resource"] for entry in bundle["entry"])
    return next(one for one in resources if one["resourceType"] == kind and (not where or where in one))


def test_a_server_takes_a_bundle_and_makes_nothing_of_it_twice(medplum: str, bundle: Json) -> None:
    made = push_bundle(bundle, medplum, ONCE)
    assert (made.created, made.existing, made.updated) == (len(bundle["entry"]), 0, 0)
    again = push_bundle(bundle, medplum, ONCE)
    assert (again.created, again.existing, again.updated) == (0, len(bundle["entry"]), 0)
    assert again.locations == made.locations
    assert count(medplum) == len(bundle["entry"])


def test_references_on_the_server_lead_to_what_the_bundle_meant(medplum: str, bundle: Json) -> None:
    push_bundle(bundle, medplum, ONCE)
    (report,) = stored(medplum, "DiagnosticReport")
    (study,) = stored(medplum, "ImagingStudy")
    assert report["imagingStudy"] == [{"reference": f"ImagingStudy/{study['id']}"}]
    by_id = {f"Observation/{one['id']}": one for one in stored(medplum, "Observation")}
    listed = [by_id[one["reference"]]["code"]["text"] for one in report["result"]]
    assert listed[0] == "Measurements of all lesions"
    assert listed[-1] == "Measurements of lesion 2"
    (patient,) = stored(medplum, "Patient")
    assert all(one["subject"] == {"reference": f"Patient/{patient['id']}"} for one in by_id.values())


def test_identifiers_on_the_server_are_those_of_the_bundle(medplum: str, bundle: Json) -> None:
    push_bundle(bundle, medplum, ONCE)
    (report,) = stored(medplum, "DiagnosticReport")
    assert report["identifier"] == first(bundle, "DiagnosticReport")["identifier"]


def test_an_answer_that_got_lost_leaves_nothing_twice(
    medplum: str, bundle: Json, losing_answers: Callable[[str], str]
) -> None:
    result = push_bundle(bundle, losing_answers(medplum), PushOptions(retries=1, backoff_s=0.01))
    assert (result.created, result.existing) == (0, len(bundle["entry"]))
    assert count(medplum) == len(bundle["entry"])


def test_a_server_that_limits_transactions_takes_a_bundle_in_parts(atomic_medplum: str, bundle: Json) -> None:
    with pytest.raises(PushFailed, match="too many entries"):
        push_bundle(bundle, atomic_medplum, ONCE)
    assert count(atomic_medplum) == 0
    in_parts = replace(ONCE, max_entries=8)
    made = push_bundle(bundle, atomic_medplum, in_parts)
    assert made.created == len(bundle["entry"])
    assert push_bundle(bundle, atomic_medplum, in_parts).existing == len(bundle["entry"])
    assert count(atomic_medplum) == len(bundle["entry"])
    (report,) = stored(atomic_medplum, "DiagnosticReport")
    assert all(one["reference"].startswith("Observation/") for one in report["result"])


def test_a_study_and_a_patient_that_the_server_has_are_left_alone(medplum: str, bundle: Json) -> None:
    known = copy.deepcopy(first(bundle, "ImagingStudy"))
    known |= {"subject": {"display": "somebody"}, "series": [], "description": "from the archive"}
    del known["series"]
    requests.post(f"{medplum}/ImagingStudy", json=known, timeout=10).raise_for_status()
    assert push_bundle(bundle, medplum, ONCE).existing == 1
    (study,) = stored(medplum, "ImagingStudy")
    assert study["description"] == "from the archive"
    (report,) = stored(medplum, "DiagnosticReport")
    assert report["imagingStudy"] == [{"reference": f"ImagingStudy/{study['id']}"}]


def test_signing_makes_the_same_report_final(
    medplum: str, context: ResultContext, objects: tuple[ObjectReference, ...]
) -> None:
    draft = build_bundle(context, objects)
    push_bundle(draft, medplum, ONCE)
    person = requests.post(f"{medplum}/Practitioner", json={"resourceType": "Practitioner"}, timeout=10).json()
    signature = Signature(practitioner=f"Practitioner/{person['id']}", signed_at=SIGNED_AT)
    signed = build_bundle(context, objects, options=FhirOptions(signature=signature))
    result = push_bundle(signed, medplum, ONCE)
    observations = len(stored(medplum, "Observation"))
    assert (result.created, result.existing, result.updated) == (1, 2, observations + 1)
    (report,) = stored(medplum, "DiagnosticReport")
    assert report["status"] == "final"
    assert report["resultsInterpreter"] == [{"reference": signature.practitioner}]
    assert {one["status"] for one in stored(medplum, "Observation")} == {"final"}
    push_bundle(draft, medplum, ONCE)
    (report,) = stored(medplum, "DiagnosticReport")
    assert report["status"] == "final"


def test_nothing_found_is_a_result_too(medplum: str, empty_context: ResultContext, r4_messages: Validate) -> None:
    bundle = build_bundle(empty_context, ())
    assert push_bundle(bundle, medplum, ONCE).created == len(bundle["entry"])
    assert errors(r4_messages(bundle)) == []


def test_an_r5_bundle_is_refused_by_an_r4_server(
    medplum: str, context: ResultContext, objects: tuple[ObjectReference, ...]
) -> None:
    bundle = build_bundle(context, objects, options=FhirOptions(version=FhirVersion.R5))
    with pytest.raises(PushFailed, match="refused entry 1 \\(ImagingStudy\\)"):
        push_bundle(bundle, medplum, ONCE)


@pytest.mark.parametrize(
    "options",
    [
        FhirOptions(),
        WITH_PATIENT,
        FhirOptions(pdf=b"%PDF-1.7", endpoint_reference="Endpoint/3", patient_reference="Patient/17"),
        FhirOptions(signature=Signature(practitioner="Practitioner/42", signed_at=SIGNED_AT)),
    ],
    ids=["default", "patient", "references", "signed"],
)
def test_the_validator_finds_no_error(
    context: ResultContext, objects: tuple[ObjectReference, ...], options: FhirOptions, r4_messages: Validate
) -> None:
    messages = r4_messages(build_bundle(context, objects, options=options))
    assert errors(messages) == []
    # It holds no SNOMED CT, LOINC or DICOM codes, and says so where a value set may be extended by them.
    assert all("not found in value set" in one["message"] for one in messages if one["severity"] == "warning")
