import copy
from dataclasses import replace
from typing import Any

import pytest

from tds_clinical.dicom.writing.objects import ObjectReference
from tds_clinical.fhir import FhirOptions, FhirVersion, build_bundle
from tds_clinical.findings import ResultContext

pytest.importorskip("fhir.resources")

Json = dict[str, Any]
Objects = tuple[ObjectReference, ...]

R5 = FhirOptions(version=FhirVersion.R5)


@pytest.fixture(scope="module")
def r5_bundle(context: ResultContext, objects: Objects) -> Json:
    return build_bundle(context, objects, options=R5)


def resources(bundle: Json, kind: str) -> list[Json]:
    return [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == kind]


def observation(bundle: Json, words: str) -> Json:
    (found,) = (one for one in resources(bundle, "Observation") if one["code"]["text"] == words)
    return found


def test_an_r5_bundle_has_the_elements_of_r5(r5_bundle: Json) -> None:
    (report,) = resources(r5_bundle, "DiagnosticReport")
    assert "imagingStudy" not in report
    assert len(report["study"]) == 1
    (device,) = resources(r5_bundle, "Device")
    assert device["name"] == [{"value": "glioma", "type": "user-friendly-name"}]
    (study,) = resources(r5_bundle, "ImagingStudy")
    assert study["modality"][0]["coding"][0]["code"] == "MR"
    assert study["series"][0]["bodySite"]["concept"]["coding"][0]["code"] == "12738006"


def test_an_r5_bundle_points_to_each_segment(context: ResultContext, r5_bundle: Json) -> None:
    selections = resources(r5_bundle, "ImagingSelection")
    segments = context.findings.segments
    assert [one["instance"][0]["subset"] for one in selections] == [[str(one.number)] for one in segments]
    assert {one["instance"][0]["uid"] for one in selections} == {"2.25.101"}
    assert {one["seriesUid"] for one in selections} == {"2.25.100"}
    assert selections[0]["frameOfReferenceUid"] == context.source.frame_of_reference_uid
    tracked = [one["identifier"][1]["value"] for one in selections]
    assert tracked == [f"urn:oid:{one.tracking_uid}" for one in segments]


def test_regions_are_derived_from_the_segments_that_make_them_up(context: ResultContext, r5_bundle: Json) -> None:
    subset = {
        one["fullUrl"]: one["resource"]["instance"][0]["subset"][0]
        for one in r5_bundle["entry"]
        if one["resource"]["resourceType"] == "ImagingSelection"
    }
    core = observation(r5_bundle, "Volume of the tumour core, lesion 1")
    named = {subset[one["reference"]] for one in core["derivedFrom"] if one["reference"] in subset}
    expected = {str(one.number) for one in context.findings.segments if one.lesion == 1 and one.label.name != "ED"}
    assert named == expected


def test_without_a_segmentation_nothing_points_to_segments(context: ResultContext, objects: Objects) -> None:
    bundle = build_bundle(context, objects[1:], options=R5)
    assert resources(bundle, "ImagingSelection") == []
    assert all(len(one["derivedFrom"]) == 1 for one in resources(bundle, "Observation"))


def test_a_selection_needs_no_frame_of_reference(context: ResultContext, objects: Objects) -> None:
    header = copy.deepcopy(context.source.header)
    del header.FrameOfReferenceUID
    source = replace(context.source, headers=(header, *context.source.headers[1:]))
    bundle = build_bundle(replace(context, source=source), objects, options=R5)
    assert "frameOfReferenceUid" not in resources(bundle, "ImagingSelection")[0]
