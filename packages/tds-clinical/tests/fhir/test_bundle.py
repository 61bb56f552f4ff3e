import base64
import copy
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tds_clinical import ClinicalDependency, ReportError
from tds_clinical.dicom.writing.objects import ObjectReference
from tds_clinical.fhir import FhirOptions, FhirVersion, Signature, build_bundle
from tds_clinical.fhir._wording import MODEL_NOTICE
from tds_clinical.findings import Equipment, ResultContext
from tds_clinical.uids import Uids
from tds_data.report import RESEARCH_USE_NOTICE, QualityFlag, Severity
from tds_data.vocabulary import REGIONS, Region

pytest.importorskip("fhir.resources")

Json = dict[str, Any]
Objects = tuple[ObjectReference, ...]

UNITS = {"mL", "mm"}
KINDS = {"ImagingStudy", "Device", "Observation", "DiagnosticReport", "Provenance"}
SIGNATURE = Signature(practitioner="Practitioner/42", signed_at=datetime(2026, 3, 5, 9, tzinfo=UTC))
R5 = FhirOptions(version=FhirVersion.R5)


@pytest.fixture(scope="module")
def bundle(context: ResultContext, objects: Objects) -> Json:
    return build_bundle(context, objects)


def resources(bundle: Json, kind: str) -> list[Json]:
    return [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == kind]


def observation(bundle: Json, words: str) -> Json:
    (found,) = (one for one in resources(bundle, "Observation") if one["code"]["text"] == words)
    return found


def walk(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(one)


def dangling(bundle: Json) -> set[str]:
    own = {one["fullUrl"] for one in bundle["entry"]}
    named = {one["reference"] for one in walk(bundle) if isinstance(one.get("reference"), str)}
    return {reference for reference in named if reference.startswith("urn:")} - own


def broken_rules(bundle: Json) -> set[str]:
    """Return the rules that neither of the peers knows."""
    found = set()
    for element in walk(bundle):
        if "code" in element and {"value", "unit"} & set(element) and "system" not in element:
            found.add("qty-3")
        if "unit" in element and element.get("code") not in UNITS:
            found.add("ucum")
        if {"low", "high"} <= set(element) and element["low"]["value"] > element["high"]["value"]:
            found.add("rng-2")
        if "data" in element and "contentType" not in element:
            found.add("att-1")
        if any(value in ({}, [], "") for value in element.values()):
            found.add("ele-1")
    for one in resources(bundle, "Observation"):
        own = {(code["system"], code["code"]) for code in one["code"].get("coding", ())}
        parts = [code for part in one.get("component", ()) for code in part["code"].get("coding", ())]
        if "valueQuantity" in one and own & {(code["system"], code["code"]) for code in parts}:
            found.add("obs-7")
    return found


SPOILED: dict[str, Callable[[Json], Any]] = {
    "qty-3": lambda one: one["valueQuantity"].pop("system"),
    "ucum": lambda one: one["valueQuantity"].update(code="ml3"),
    "rng-2": lambda one: one["component"][1]["valueRange"]["low"].update(value=1e6),
    "att-1": lambda one: one.update(data="aaaa"),
    "ele-1": lambda one: one.update(bodySite={}),
    "obs-7": lambda one: one["component"][0].update(code=one["code"]),
}


@pytest.mark.parametrize("rule", SPOILED)
def test_a_rule_that_the_peers_do_not_know_is_checked_here(bundle: Json, rule: str) -> None:
    spoiled = copy.deepcopy(bundle)
    SPOILED[rule](observation(spoiled, "Volume of the whole tumour, lesion 1"))
    assert broken_rules(spoiled) == {rule}


@pytest.mark.parametrize(
    "options",
    [
        FhirOptions(),
        R5,
        FhirOptions(signature=SIGNATURE, pdf=b"%PDF"),
        replace(R5, signature=SIGNATURE, pdf=b"%PDF", endpoint_reference="Endpoint/1", patient_reference="Patient/1"),
        FhirOptions(create_patient=True, patient_identifier_system="urn:oid:2.999", include_demographics=True),
    ],
    ids=["r4", "r5", "r4-signed", "r5-signed", "r4-patient"],
)
def test_references_resolve_and_rules_hold(context: ResultContext, objects: Objects, options: FhirOptions) -> None:
    bundle = build_bundle(context, objects, options=options)
    assert dangling(bundle) == set()
    assert broken_rules(bundle) == set()
    urls = [one["fullUrl"] for one in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", url) for url in urls)


def test_a_lost_resource_leaves_references_dangling(bundle: Json) -> None:
    lost = bundle | {"entry": [one for one in bundle["entry"] if one["resource"]["resourceType"] != "Device"]}
    assert len(dangling(lost)) == 1


def test_entries_refer_to_earlier_ones_only(bundle: Json) -> None:
    seen: set[str] = set()
    for entry in bundle["entry"]:
        named = {one["reference"] for one in walk(entry["resource"]) if "reference" in one}
        assert named <= seen
        seen.add(entry["fullUrl"])


def test_everything_of_ours_says_that_it_is_research(bundle: Json) -> None:
    assert set(Counter(one["resource"]["resourceType"] for one in bundle["entry"])) == KINDS
    for kind in KINDS - {"ImagingStudy"}:
        for one in resources(bundle, kind):
            notice = MODEL_NOTICE if kind == "Device" else RESEARCH_USE_NOTICE
            assert notice in one["text"]["div"]
            assert [label["code"] for label in one["meta"]["security"]] == ["HRESCH"]
    (report,) = resources(bundle, "DiagnosticReport")
    assert report["conclusion"].startswith(RESEARCH_USE_NOTICE)
    assert all({"text": RESEARCH_USE_NOTICE} in one["note"] for one in resources(bundle, "Observation"))


def test_a_phantom_is_labelled_as_test_data(context: ResultContext) -> None:
    report = replace(context.findings.report, phantom=True)
    bundle = build_bundle(replace(context, findings=replace(context.findings, report=report)), ())
    for kind in KINDS - {"ImagingStudy", "Device"}:
        for one in resources(bundle, kind):
            assert [label["code"] for label in one["meta"]["security"]] == ["HRESCH", "HTEST"]
            assert "Synthetic phantom, not a patient." in one["text"]["div"]


def test_the_same_results_make_the_same_bundle(context: ResultContext, objects: Objects, bundle: Json) -> None:
    assert build_bundle(context, objects) == bundle


def test_other_results_share_nothing_but_the_study_and_the_model(context: ResultContext, bundle: Json) -> None:
    other = build_bundle(replace(context, uids=Uids.reproducible("other")), ())
    keys = [{one["request"]["ifNoneExist"] for one in each["entry"]} for each in (bundle, other)]
    shared = {key.partition("%")[0] for key in keys[0] & keys[1]}
    assert len(keys[0] & keys[1]) == 2
    assert "identifier=urn:dicom:uid|urn:oid:" in {key[:33] for key in shared}
    assert not {one["fullUrl"] for one in bundle["entry"]} & {one["fullUrl"] for one in other["entry"]}


def test_every_entry_is_made_once_by_what_it_keeps(bundle: Json) -> None:
    for entry in bundle["entry"]:
        assert entry["request"]["method"] == "POST"
        key, _, token = entry["request"]["ifNoneExist"].partition("=")
        resource = entry["resource"]
        kept = resource["meta"]["tag"][0]["code"] if key == "_tag" else resource["identifier"][0]["value"]
        assert token.endswith(f"|{kept}")
        assert "urn:uuid" not in json.dumps(resource.get("identifier", []))


def test_volumes_of_regions_and_lesions_are_those_of_the_report(context: ResultContext, bundle: Json) -> None:
    report = context.findings.report
    whole = observation(bundle, "Volume of the tumour core, all lesions together")
    assert whole["valueQuantity"]["value"] == pytest.approx(report.volume_ml[Region.TC], rel=1e-5)
    part = observation(bundle, "Volume of the enhancing tumour, lesion 1")
    volume = report.lesions[0].volume_ml[Region.ET]
    assert part["valueQuantity"] == {
        "value": pytest.approx(volume, rel=1e-5),
        "unit": "mL",
        "system": "http://unitsofmeasure.org",
        "code": "mL",
    }
    interval = part["component"][1]
    assert interval["code"] == {"text": "Interval of the volume (split conformal, 90 %)"}
    assert interval["valueRange"]["low"]["value"] == pytest.approx(0.8 * volume, rel=1e-5)
    assert interval["valueRange"]["high"]["value"] == pytest.approx(1.25 * volume, rel=1e-5)


def test_diameters_are_those_that_were_measured(context: ResultContext, bundle: Json) -> None:
    part = observation(bundle, "Volume of the whole tumour, lesion 1")
    measured = context.findings.measurements[0].diameters[Region.WT]
    longest, perpendicular = part["component"][2:]
    assert longest["code"]["coding"][0]["code"] == "103339001"
    assert longest["valueQuantity"]["value"] == pytest.approx(measured.longest_mm, rel=1e-5)
    assert longest["valueQuantity"]["code"] == "mm"
    assert perpendicular["code"]["coding"][0]["code"] == "103340004"
    assert perpendicular["valueQuantity"]["value"] == pytest.approx(measured.perpendicular_mm, rel=1e-5)


def test_a_region_that_was_not_measured_has_no_diameters(context: ResultContext) -> None:
    unmeasured = replace(context, findings=replace(context.findings, measurements=()))
    part = observation(build_bundle(unmeasured, ()), "Volume of the whole tumour, lesion 1")
    assert len(part["component"]) == 2


def test_a_tiny_volume_does_not_become_nothing(context: ResultContext) -> None:
    report = context.findings.report
    tiny = replace(report, volume_ml=dict.fromkeys(REGIONS, 1.23456789e-7), volume_interval_ml=None)
    bundle = build_bundle(replace(context, findings=replace(context.findings, report=tiny)), ())
    whole = observation(bundle, "Volume of the whole tumour, all lesions together")
    assert whole["valueQuantity"]["value"] == pytest.approx(1.23457e-7)


def test_an_interval_without_a_method_is_told_without_one(context: ResultContext) -> None:
    report = replace(context.findings.report, interval_method=None)
    bundle = build_bundle(replace(context, findings=replace(context.findings, report=report)), ())
    whole = observation(bundle, "Volume of the whole tumour, all lesions together")
    assert whole["component"][1]["code"] == {"text": "Interval of the volume"}


def test_an_interval_that_ends_before_it_begins_is_refused(context: ResultContext) -> None:
    report = replace(context.findings.report, volume_interval_ml=dict.fromkeys(REGIONS, (3.0, 2.0)))
    with pytest.raises(ReportError, match=r"begins at 3\.0 mL and ends at 2\.0 mL"):
        build_bundle(replace(context, findings=replace(context.findings, report=report)), ())


def test_lesions_hold_their_regions_and_the_tracking_uids_of_dicom(context: ResultContext, bundle: Json) -> None:
    lesion = observation(bundle, "Measurements of lesion 2")
    assert len(lesion["hasMember"]) == 1
    tracking = lesion["identifier"][1]
    assert tracking["system"] == "urn:dicom:uid"
    assert tracking["value"] == f"urn:oid:{context.findings.lesion_uids[2]}"
    part = observation(bundle, "Volume of the whole tumour, lesion 2")
    uid = context.findings.region_uid(2, Region.WT, context.uids)
    assert part["identifier"][1]["value"] == f"urn:oid:{uid}"


def test_flags_are_notes_of_the_summary_with_their_text_escaped(bundle: Json) -> None:
    summary = observation(bundle, "Measurements of all lesions")
    flag = "Quality warning, MISSING-SEQUENCE: no FLAIR < was > given."
    assert {"text": flag} in summary["note"]
    assert "no FLAIR &lt; was &gt; given" in summary["text"]["div"]
    assert summary["component"] == [{"code": {"text": "Number of lesions"}, "valueInteger": 2}]
    (report,) = resources(bundle, "DiagnosticReport")
    assert flag in report["conclusion"]


def test_what_was_only_noted_is_no_part_of_the_conclusion(context: ResultContext) -> None:
    note = QualityFlag(code="SERIES-READ", severity=Severity.INFO, message="series 4 was read as t1ce.")
    report = replace(context.findings.report, quality=(note,))
    bundle = build_bundle(replace(context, findings=replace(context.findings, report=report)), ())
    summary = observation(bundle, "Measurements of all lesions")
    assert {"text": "Quality info, SERIES-READ: series 4 was read as t1ce."} in summary["note"]
    assert "SERIES-READ" not in resources(bundle, "DiagnosticReport")[0]["conclusion"]


def test_the_conclusion_tells_volumes_with_intervals(context: ResultContext, bundle: Json) -> None:
    (report,) = resources(bundle, "DiagnosticReport")
    low, high = (factor * context.findings.report.volume_ml[Region.WT] for factor in (0.8, 1.25))
    assert "by glioma 1.2.0 found 2 lesions. Volumes: whole tumour " in report["conclusion"]
    assert f"({low:.2f} to {high:.2f} mL)" in report["conclusion"]
    assert "Lesion 2: whole tumour" in report["conclusion"]
    assert "Intervals of volumes: split conformal, 90 %." in report["conclusion"]


def test_nothing_found_is_told_as_such(empty_context: ResultContext) -> None:
    bundle = build_bundle(empty_context, ())
    (report,) = resources(bundle, "DiagnosticReport")
    assert report["conclusion"].endswith("by glioma 1.2.0 found no lesion; this does not exclude one.")
    whole = observation(bundle, "Volume of the whole tumour, all lesions together")
    assert whole["valueQuantity"]["value"] == 0
    assert len(whole["component"]) == 1


def test_one_lesion_is_not_told_twice(context: ResultContext) -> None:
    report = context.findings.report
    one = replace(report, lesions=report.lesions[:1])
    bundle = build_bundle(replace(context, findings=replace(context.findings, report=one)), ())
    (told,) = resources(bundle, "DiagnosticReport")
    assert "found 1 lesion. Volumes:" in told["conclusion"]
    assert "Lesion 1" not in told["conclusion"]


def test_results_are_preliminary_until_somebody_signs(context: ResultContext, bundle: Json) -> None:
    (report,) = resources(bundle, "DiagnosticReport")
    assert report["status"] == "preliminary"
    assert "resultsInterpreter" not in report
    assert report["issued"] == "2026-03-04T05:06:07Z"
    assert {one["status"] for one in resources(bundle, "Observation")} == {"preliminary"}
    signed = build_bundle(context, (), options=FhirOptions(signature=SIGNATURE))
    (report,) = resources(signed, "DiagnosticReport")
    assert report["status"] == "final"
    assert report["resultsInterpreter"] == [{"reference": "Practitioner/42"}]
    assert report["issued"] == "2026-03-05T09:00:00Z"
    assert "Not reviewed" not in json.dumps(signed)
    assert "Signed by the person named as interpreter." in report["conclusion"]


def test_a_signed_report_replaces_the_preliminary_one(context: ResultContext, bundle: Json) -> None:
    signed = build_bundle(context, (), options=FhirOptions(signature=SIGNATURE))
    drafts = {one["fullUrl"]: one for one in bundle["entry"]}
    for entry in signed["entry"]:
        kind, request = entry["resource"]["resourceType"], entry["request"]
        if kind in {"DiagnosticReport", "Observation"}:
            assert request["method"] == "PUT"
            draft = drafts[entry["fullUrl"]]["request"]
            assert request["url"] == f"{kind}?{draft['ifNoneExist']}"
    (provenance,) = resources(signed, "Provenance")
    assert [one["type"]["coding"][0]["code"] for one in provenance["agent"]] == ["assembler", "verifier"]
    assert provenance["meta"]["tag"] != resources(bundle, "Provenance")[0]["meta"]["tag"]


def test_provenance_names_the_model_the_study_and_every_result(bundle: Json) -> None:
    (provenance,) = resources(bundle, "Provenance")
    by_url = {one["fullUrl"]: one["resource"]["resourceType"] for one in bundle["entry"]}
    targets = Counter(by_url[one["reference"]] for one in provenance["target"])
    assert targets == {"Observation": len(resources(bundle, "Observation")), "DiagnosticReport": 1}
    assert by_url[provenance["agent"][0]["who"]["reference"]] == "Device"
    assert by_url[provenance["entity"][0]["what"]["reference"]] == "ImagingStudy"


def test_the_pdf_is_held_whole(context: ResultContext) -> None:
    pdf = bytes(range(256)) * 9
    bundle = build_bundle(context, (), options=FhirOptions(pdf=pdf))
    (attachment,) = resources(bundle, "DiagnosticReport")[0]["presentedForm"]
    assert base64.b64decode(attachment["data"]) == pdf
    assert attachment["contentType"] == "application/pdf"
    assert RESEARCH_USE_NOTICE in attachment["title"]


def test_the_device_is_the_model_with_its_hash(context: ResultContext, bundle: Json) -> None:
    (device,) = resources(bundle, "Device")
    digest = base64.urlsafe_b64encode(bytes.fromhex("ab" * 32)).decode().rstrip("=")
    assert device["identifier"][1] == {"system": "urn:ietf:rfc:3986", "value": f"ni:///sha-256;{digest}"}
    versions = {(one["type"]["text"], one["value"]) for one in device["version"]}
    assert ("SHA-256 of the model's manifest", "ab" * 32) in versions
    assert {("software", "0.1.0"), ("software", "1.2.0"), ("model", "1.2.0")} <= versions
    other = build_bundle(replace(context, equipment=Equipment(software=("0.2.0",))), ())
    assert resources(other, "Device")[0]["identifier"][0] != device["identifier"][0]


def test_the_device_tells_nothing_of_one_patient_or_signer(context: ResultContext, bundle: Json) -> None:
    report = replace(context.findings.report, phantom=True)
    phantom = replace(context, findings=replace(context.findings, report=report), uids=Uids.reproducible("other"))
    signed = build_bundle(phantom, (), options=FhirOptions(signature=SIGNATURE))
    assert resources(signed, "Device") == resources(bundle, "Device")


def test_software_without_a_version_has_that_of_the_model(context: ResultContext) -> None:
    (device,) = resources(build_bundle(replace(context, equipment=Equipment()), ()), "Device")
    assert {"type": {"text": "software"}, "value": "1.2.0"} in device["version"]


@pytest.mark.parametrize("digest", ["xy" * 32, "abc", "", "ab" * 31])
def test_a_model_without_a_hash_is_refused(context: ResultContext, digest: str) -> None:
    report = context.findings.report
    nameless = replace(report, model=replace(report.model, sha256=digest))
    with pytest.raises(ReportError, match="SHA-256"):
        build_bundle(replace(context, findings=replace(context.findings, report=nameless)), ())


def test_a_bundle_that_the_definitions_refuse_is_not_given_out(context: ResultContext, objects: Objects) -> None:
    broken = replace(objects[0], sop_instance_uid="Jane Roe^4711")
    with pytest.raises(ReportError, match="not make a valid R4 bundle") as caught:
        build_bundle(context, (broken,))
    assert "Roe" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_missing_library_is_named(context: ResultContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fhir.resources", None)
    with pytest.raises(ClinicalDependency, match=r"tds-clinical\[fhir\]"):
        build_bundle(context, ())
