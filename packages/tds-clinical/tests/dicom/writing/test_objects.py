from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset

from tds_clinical.dicom.writing.encapsulated_pdf import build_encapsulated_pdf
from tds_clinical.dicom.writing.objects import (
    add_equipment,
    add_file_meta,
    add_patient_and_study,
    device_uid,
    local_time,
    reference_to,
    stamp,
)
from tds_clinical.findings import Equipment, ResultContext


def read_back(dataset: Dataset) -> Dataset:
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.1"
    add_file_meta(dataset)
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return pydicom.dcmread(BytesIO(buffer.getvalue()))


def of_header(context: ResultContext, header: Dataset) -> ResultContext:
    return replace(context, source=replace(context.source, headers=(header,)))


@pytest.mark.parametrize(
    ("charset", "name", "description"),
    [
        ("ISO_IR 100", "Müller^Jörg", "Schädel"),
        ("ISO_IR 144", "Жил^Юлия", "щи"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "頭部"),
        ("GB18030", "Wang^XiaoDong=王^小东", "头"),
        ("ISO_IR 192", "Müller^Jörg=山田", "ß"),
    ],
)
def test_names_and_words_of_any_script_are_kept(
    context: ResultContext, charset: str | list[str], name: str, description: str
) -> None:
    header = Dataset()
    header.SpecificCharacterSet = charset
    header.PatientName, header.StudyDescription, header.StudyInstanceUID = name, description, "2.25.7"
    result = Dataset()
    add_patient_and_study(result, of_header(context, read_back(header)))
    read = read_back(result)
    assert read.SpecificCharacterSet == "ISO_IR 192"
    assert str(read.PatientName) == name
    assert read.StudyDescription == description


def test_what_the_standard_asks_for_is_there_even_if_the_source_lacks_it(context: ResultContext) -> None:
    header = deepcopy(context.source.header)
    for keyword in ("PatientBirthDate", "StudyID", "AccessionNumber", "ReferringPhysicianName", "PatientSex"):
        delattr(header, keyword)
    result = Dataset()
    add_patient_and_study(result, of_header(context, header))
    assert (result.PatientBirthDate, result.StudyID, result.AccessionNumber, result.PatientSex) == ("", "", "", "")
    assert "PatientWeight" not in result


def test_the_software_is_that_of_the_equipment_or_else_of_the_model(context: ResultContext) -> None:
    first, second = Dataset(), Dataset()
    add_equipment(first, context)
    add_equipment(second, replace(context, equipment=Equipment(software=("tds 1", "lib 2"))))
    assert first.SoftwareVersions == context.findings.report.model.version
    assert list(second.SoftwareVersions) == ["tds 1", "lib 2"]


@pytest.mark.parametrize(("offset", "expected"), [(timezone(timedelta(hours=5, minutes=30)), "+0530"), (None, None)])
def test_dates_have_the_time_zone_that_they_are_in(offset: timezone | None, expected: str | None) -> None:
    result = Dataset()
    stamp(result, datetime(2024, 2, 3, 4, 5, 6, 700, tzinfo=offset), "Content", "Series")
    assert (result.ContentDate, result.ContentTime) == ("20240203", "040506.000700")
    assert (result.SeriesDate, result.SeriesTime) == ("20240203", "040506.000700")
    assert result.get("TimezoneOffsetFromUTC") == expected


def test_results_keep_the_time_zone_that_the_study_is_in(context: ResultContext) -> None:
    header = deepcopy(context.source.header)
    header.StudyTime, header.TimezoneOffsetFromUTC = "101500", "-0530"
    made_at = datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)
    of_study = replace(context, made_at=made_at, source=replace(context.source, headers=(header,)))
    assert local_time(of_study) == made_at
    assert local_time(of_study).isoformat() == "2024-02-02T22:35:06-05:30"
    assert local_time(replace(context, made_at=made_at)).isoformat() == "2024-02-03T04:05:06+00:00"
    written = build_encapsulated_pdf(of_study, b"%PDF-1.4")
    assert (written.StudyTime, written.ContentTime) == ("101500", "223506.000000")
    assert written.TimezoneOffsetFromUTC == "-0530"


def test_a_device_is_the_same_in_all_results_and_another_one_with_another_model(context: ResultContext) -> None:
    findings = context.findings
    other = replace(findings.report, model=replace(findings.report.model, sha256="cd" * 32))
    assert device_uid(context) == device_uid(replace(context, first_series_number=1))
    assert device_uid(context) != device_uid(replace(context, findings=replace(findings, report=other)))


def test_a_reference_says_where_an_object_is() -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "2.25.1", "2.25.2"
    dataset.Modality = "OT"
    reference = reference_to(dataset, "key-image", "key-image-1.dcm")
    assert (reference.kind, reference.file_name, reference.modality) == ("key-image", "key-image-1.dcm", "OT")
    assert (reference.sop_class_uid, reference.sop_instance_uid, reference.series_uid) == ("1.2.3", "2.25.1", "2.25.2")
