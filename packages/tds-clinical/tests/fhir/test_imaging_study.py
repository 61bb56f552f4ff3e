import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tds_clinical import ReportError
from tds_clinical.dicom.writing.objects import ObjectReference
from tds_clinical.fhir import FhirOptions
from tds_clinical.fhir._dates import study_started
from tds_clinical.fhir._imaging_study import imaging_study_entry
from tds_clinical.fhir._names import Names
from tds_clinical.fhir._parts import Parts
from tds_clinical.findings import ResultContext

Json = dict[str, Any]
Objects = tuple[ObjectReference, ...]


def study(context: ResultContext, objects: Objects = (), options: FhirOptions | None = None) -> Json:
    parts = Parts(
        context=context,
        objects=objects,
        options=options or FhirOptions(),
        names=Names(context.uids),
        subject={"reference": "Patient/1"},
    )
    found: Json = imaging_study_entry(parts)["resource"]
    return found


def with_header(context: ResultContext, change: Callable[[Dataset], Any]) -> ResultContext:
    header = copy.deepcopy(context.source.header)
    change(header)
    return replace(context, source=replace(context.source, headers=(header, *context.source.headers[1:])))


def test_the_source_and_the_written_objects_are_listed(context: ResultContext, objects: Objects) -> None:
    found = study(context, objects)
    source, segmentation, pictures = found["series"]
    headers = context.source.headers
    assert source["uid"] == headers[0].SeriesInstanceUID
    assert source["number"] == 4
    assert [one["uid"] for one in source["instance"]] == [header.SOPInstanceUID for header in headers]
    assert segmentation["modality"]["code"] == "SEG"
    assert segmentation["instance"] == [
        {
            "uid": "2.25.101",
            "sopClass": {
                "system": "urn:ietf:rfc:3986",
                "code": "urn:oid:1.2.840.10008.5.1.4.1.1.66.4",
                "display": "Segmentation Storage",
            },
        }
    ]
    assert [one["uid"] for one in pictures["instance"]] == ["2.25.201", "2.25.202"]
    assert [one["code"] for one in found["modality"]] == ["MR", "SEG", "OT"]


def test_how_many_series_the_study_has_is_left_open(context: ResultContext, objects: Objects) -> None:
    found = study(context, objects)
    assert "numberOfSeries" not in found
    assert [one["numberOfInstances"] for one in found["series"]] == [len(context.source.headers), 1, 2]


def test_an_endpoint_is_named_on_request(context: ResultContext) -> None:
    assert "endpoint" not in study(context)
    named = study(context, options=FhirOptions(endpoint_reference="Endpoint/3"))
    assert named["endpoint"] == [{"reference": "Endpoint/3"}]


def test_the_order_is_named_by_its_accession_number(context: ResultContext) -> None:
    (order,) = study(context)["basedOn"]
    assert order["identifier"]["value"] == "ACC77"
    assert "basedOn" not in study(with_header(context, lambda header: delattr(header, "AccessionNumber")))


def test_a_study_without_a_uid_is_refused(context: ResultContext) -> None:
    with pytest.raises(ReportError, match="no Study Instance UID"):
        study(with_header(context, lambda header: delattr(header, "StudyInstanceUID")))
    with pytest.raises(ReportError, match="no Study Instance UID"):
        study(with_header(context, lambda header: header.add_new("StudyInstanceUID", "LO", "Roe^Jane")))


def test_numbers_that_fhir_has_no_room_for_are_left_out(context: ResultContext) -> None:
    def spoil(header: Dataset) -> None:
        header.SeriesNumber = -4
        del header.InstanceNumber

    series = study(with_header(context, spoil))["series"][0]
    assert "number" not in series
    assert "number" not in series["instance"][0]
    assert "number" in series["instance"][1]


def test_a_study_without_a_date_has_no_beginning(context: ResultContext) -> None:
    assert "started" not in study(with_header(context, lambda header: delattr(header, "StudyDate")))


@pytest.mark.parametrize(
    ("date", "time", "zone", "expected"),
    [
        ("20260304", "050607.25", "+0130", "2026-03-04T05:06:07+01:30"),
        ("20260304", "050607", "", "2026-03-04"),
        ("20260304", "", "+0130", "2026-03-04"),
        ("20260304", "0506", "+0100", "2026-03-04T05:06:00+01:00"),
        ("20260304", "05", "+0100", "2026-03-04"),
        ("20260304", "250607", "+0100", "2026-03-04"),
        ("20260304", "050607", "+1", "2026-03-04"),
        ("202634", "050607", "+0100", None),
        ("20260399", "050607", "+0100", None),
        ("", "050607", "+0100", None),
        ("2026", "050607", "+0100", None),
    ],
)
def test_a_time_of_day_is_told_with_its_zone_or_not_at_all(
    date: str, time: str, zone: str, expected: str | None
) -> None:
    header = Dataset()
    header.add_new("StudyTime", "LO", time)
    header.add_new("StudyDate", "LO", date)
    header.add_new("TimezoneOffsetFromUTC", "LO", zone)
    assert study_started(header) == expected
