"""Whatever was found, its bundle holds together."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tds_clinical.dicom.writing.objects import ObjectReference
from tds_clinical.fhir import FhirOptions, FhirVersion, build_bundle
from tds_clinical.findings import ResultContext, find_findings
from tds_data.report import LesionReport
from tds_data.vocabulary import REGIONS
from tds_data.volume import Volume

pytest.importorskip("fhir.resources")

Json = dict[str, Any]
Box = tuple[slice, slice, slice]

EDGE = 4
LABELS = st.lists(st.integers(0, 3), min_size=EDGE * EDGE * 2, max_size=EDGE * EDGE * 2)
PLACES = ((0, 0, 0), (8, 0, 0), (0, 8, 4), (16, 12, 4))


def draw_mask(context: ResultContext, drawn: list[list[int]]) -> tuple[Volume, tuple[Box, ...]]:
    """Return a mask with a lesion at each place, which hangs together by a plane of oedema."""
    labels = np.zeros(context.source.shape, np.uint8)
    boxes = []
    for (x, y, z), values in zip(PLACES, drawn, strict=False):
        box = (slice(x, x + EDGE), slice(y, y + EDGE), slice(z, z + 3))
        labels[box] = np.concatenate([np.full(EDGE * EDGE, 2), values]).reshape(3, EDGE, EDGE).transpose(1, 2, 0)
        boxes.append(box)
    return context.findings.mask.with_voxels(labels), tuple(boxes)


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["reference"]} if isinstance(value.get("reference"), str) else set()
        return own.union(*(references(one) for one in value.values()))
    return set().union(*(references(one) for one in value)) if isinstance(value, list) else set()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(drawn=st.lists(LABELS, max_size=len(PLACES)), version=st.sampled_from(FhirVersion))
def test_entries_are_told_apart_and_refer_to_earlier_ones(
    context: ResultContext,
    objects: tuple[ObjectReference, ...],
    report_of: Callable[[Volume, tuple[Box, ...]], LesionReport],
    drawn: list[list[int]],
    version: FhirVersion,
) -> None:
    mask, boxes = draw_mask(context, drawn)
    report = report_of(mask, boxes)
    findings = find_findings(mask, report, context.uids)
    bundle = build_bundle(replace(context, findings=findings), objects, options=FhirOptions(version=version))
    seen: set[str] = set()
    for entry in bundle["entry"]:
        assert entry["fullUrl"] not in seen
        assert references(entry["resource"]) <= seen
        seen.add(entry["fullUrl"])
    conditions = [entry["request"]["ifNoneExist"] for entry in bundle["entry"]]
    assert len(set(conditions)) == len(conditions)
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    present = sum(lesion.volume_ml[region] > 0 for lesion in report.lesions for region in REGIONS)
    assert kinds.count("Observation") == len(REGIONS) + present + len(boxes) + 1
    assert kinds.count("ImagingSelection") == (len(findings.segments) if version is FhirVersion.R5 else 0)
