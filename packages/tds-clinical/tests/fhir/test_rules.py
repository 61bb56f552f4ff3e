"""One invalid bundle for each rule, made of the good one: the peers are known to notice."""

import copy
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest

from tds_clinical import PushFailed, ReportError
from tds_clinical.dicom.writing.objects import ObjectReference
from tds_clinical.fhir import FhirOptions, FhirVersion, PushOptions, build_bundle, push_bundle
from tds_clinical.fhir._validation import validated
from tds_clinical.findings import ResultContext

pytest.importorskip("fhir.resources")
pytest.importorskip("requests")

Json = dict[str, Any]
Validate = Callable[[Json], list[Json]]

OPTIONS = FhirOptions(pdf=b"%PDF-1.7", create_patient=True, patient_identifier_system="urn:oid:2.999.1")


# What spoils which resource, and who refuses it: S the server, V the validator, D the definitions that building uses.
# That each notices what the others miss is why all are asked; what none notices is in test_bundle.py.
RULES: dict[str, tuple[str, Callable[[Json], Any], str]] = {
    "observation without status": ("Observation", lambda r: r.pop("status"), "SVD"),
    "observation without code": ("Observation", lambda r: r.pop("code"), "SVD"),
    "report without code": ("DiagnosticReport", lambda r: r.pop("code"), "SVD"),
    "study without subject": ("ImagingStudy", lambda r: r.pop("subject"), "SVD"),
    "series without UID": ("ImagingStudy", lambda r: r["series"][0].pop("uid"), "SVD"),
    "instance without class": ("ImagingStudy", lambda r: r["series"][0]["instance"][0].pop("sopClass"), "SVD"),
    "provenance without target": ("Provenance", lambda r: r.pop("target"), "SVD"),
    "provenance without agent": ("Provenance", lambda r: r.pop("agent"), "SVD"),
    "device name without type": ("Device", lambda r: r["deviceName"][0].pop("type"), "SVD"),
    "status that is no code of R4": ("DiagnosticReport", lambda r: r.update(status="drafted"), "V"),
    "role that is no code of R4": ("Provenance", lambda r: r["entity"][0].update(role="origin"), "V"),
    "use that is no code of R4": ("Observation", lambda r: r["identifier"][0].update(use="main"), "V"),
    "unknown element": ("Observation", lambda r: r.update(volume=3), "SVD"),
    "unknown element in a data type": ("Observation", lambda r: r["valueQuantity"].update(units="mL"), "SVD"),
    "element of R5 in a report": ("DiagnosticReport", lambda r: r.update(study=r.pop("imagingStudy")), "SVD"),
    "element of R5 in an observation": ("Observation", lambda r: r.update(instantiatesCanonical="a"), "SVD"),
    "element of R5 in a device": ("Device", lambda r: r.update(displayName="a"), "SVD"),
    "type of R5 in a study": ("ImagingStudy", lambda r: r.update(modality=[{"coding": r["modality"]}]), "SVD"),
    "reference to nothing": (
        "DiagnosticReport",
        lambda r: r["result"][0].update(reference="urn:uuid:00000000-0000-4000-8000-000000000000"),
        "S",
    ),
    "obs-6, a value and why there is none": (
        "Observation",
        lambda r: r.update(dataAbsentReason={"text": "not measured"}),
        "S",
    ),
    "two values": ("Observation", lambda r: r.update(valueString="3 mL"), "D"),
    "number that is text": ("Observation", lambda r: r["valueQuantity"].update(value="3.5"), "SV"),
    "UCUM code that is a number": ("Observation", lambda r: r["valueQuantity"].update(code=1), "SD"),
    "date that is none": ("Observation", lambda r: r.update(effectiveDateTime="March 2026"), "SD"),
    "instant without a time zone": ("DiagnosticReport", lambda r: r.update(issued="2026-03-04T05:06:07"), "SD"),
    "one where a list is due": ("DiagnosticReport", lambda r: r.update(result=r["result"][0]), "SVD"),
    "list where one is due": ("Observation", lambda r: r.update(method=[r["method"]]), "SVD"),
}


@pytest.fixture(scope="module")
def bundle(context: ResultContext, objects: tuple[ObjectReference, ...]) -> Json:
    return build_bundle(context, objects, options=OPTIONS)


def spoil(bundle: Json, kind: str, change: Callable[[Json], Any]) -> Json:
    spoiled = copy.deepcopy(bundle)
    resource = next(one["resource"] for one in spoiled["entry"] if one["resource"]["resourceType"] == kind)
    change(resource)
    return spoiled


def server_refuses(bundle: Json, base: str) -> bool:
    try:
        push_bundle(bundle, base, PushOptions(retries=0))
    except PushFailed as error:
        return error.status == HTTPStatus.BAD_REQUEST
    return False


def definitions_refuse(bundle: Json) -> bool:
    try:
        validated(bundle, FhirVersion.R4)
    except ReportError:
        return True
    return False


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule_is_noticed(shared_medplum: str, bundle: Json, rule: str, r4_messages: Validate) -> None:
    kind, change, by = RULES[rule]
    spoiled = spoil(bundle, kind, change)
    said = [one for one in r4_messages(spoiled) if one["severity"] in {"error", "fatal"}]
    found = {
        "S": server_refuses(spoiled, shared_medplum),
        "V": bool(said),
        "D": definitions_refuse(spoiled),
    }
    assert {peer for peer, refused in found.items() if refused} == set(by)


def test_the_good_bundle_breaks_none(shared_medplum: str, bundle: Json, r4_messages: Validate) -> None:
    assert not server_refuses(bundle, shared_medplum)
    assert not any(one["severity"] in {"error", "fatal"} for one in r4_messages(bundle))
    assert not definitions_refuse(bundle)
