from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from tds_clinical.codes import LONG_AXIS, VOLUME
from tds_clinical.dicom.source import SourceSeries
from tds_clinical.dicom.writing import _measurement_groups, _sr_reading
from tds_clinical.dicom.writing.segmentation import build_segmentation
from tds_clinical.dicom.writing.structured_report import build_structured_report
from tds_clinical.errors import ResultsDisagree
from tds_clinical.fhir import build_bundle
from tds_clinical.findings import Equipment, ResultContext
from tds_clinical.measurement import LesionMeasurement
from tds_data.report import RESEARCH_USE_NOTICE
from tds_data.vocabulary import Label, Region
from tds_data.volume import Volume


def saved(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read_back(context: ResultContext) -> Dataset:
    segmentation = build_segmentation(context) if context.findings.segments else None
    return pydicom.dcmread(BytesIO(saved(build_structured_report(context, segmentation))))


def items(dataset: Dataset) -> list[Dataset]:
    below = [item for child in dataset.get("ContentSequence", []) for item in items(child)]
    return [dataset, *below]


def named(dataset: Dataset, meaning: str) -> list[Dataset]:
    return [item for item in items(dataset) if item.ConceptNameCodeSequence[0].CodeMeaning == meaning]


def texts(dataset: Dataset) -> list[str]:
    return [item.TextValue for item in items(dataset) if "TextValue" in item]


@pytest.fixture(scope="module")
def report(context: ResultContext) -> Dataset:
    return read_back(context)


def with_report(context: ResultContext, **changes: Any) -> ResultContext:
    findings = context.findings
    return replace(context, findings=replace(findings, report=replace(findings.report, **changes)))


def with_headers(context: ResultContext, **elements: object) -> ResultContext:
    """Return a context whose source's headers have other elements, or lack those that are `None`."""
    headers = deepcopy(context.source.headers)
    for header in headers:
        for keyword, value in elements.items():
            if value is None:
                delattr(header, keyword)
            else:
                setattr(header, keyword, value)
    source = context.source
    changed = SourceSeries(
        shape=source.shape, ras_from_voxel=source.ras_from_voxel, headers=headers, frames=source.frames
    )
    return replace(context, source=changed)


def longer(context: ResultContext) -> tuple[LesionMeasurement, ...]:
    first, *others = context.findings.measurements
    whole = replace(first.diameters[Region.WT], longest_mm=first.diameters[Region.WT].longest_mm + 1)
    return (replace(first, diameters={**first.diameters, Region.WT: whole}), *others)


def test_it_is_complete_preliminary_and_unverified(report: Dataset) -> None:
    assert (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag) == (
        "COMPLETE",
        "PRELIMINARY",
        "UNVERIFIED",
    )
    assert "VerifyingObserverSequence" not in report


def test_the_observer_is_a_device_and_no_person(report: Dataset, context: ResultContext) -> None:
    (observer,) = named(report, "Observer Type")
    assert observer.ConceptCodeSequence[0].CodeMeaning == "Device"
    assert [item.ValueType for item in items(report) if item.ValueType == "PNAME"] == []
    (device,) = named(report, "Device Observer UID")
    again = replace(context, equipment=Equipment(software=("9.9",)))
    (other,) = named(read_back(again), "Device Observer UID")
    assert device.UID != other.UID


def test_the_observer_is_the_device_of_the_fhir_bundle(report: Dataset, context: ResultContext) -> None:
    pytest.importorskip("fhir.resources", reason="the extra tds-clinical[fhir] is not installed")
    entries = [entry["resource"] for entry in build_bundle(context, ())["entry"]]
    (device,) = (resource for resource in entries if resource["resourceType"] == "Device")
    (observer,) = named(report, "Device Observer UID")
    assert device["identifier"][0]["value"] == f"urn:oid:{observer.UID}"


def test_it_says_that_it_is_for_research_only(report: Dataset) -> None:
    assert RESEARCH_USE_NOTICE in texts(report)


def test_it_repeats_the_quality_flags(report: Dataset) -> None:
    assert "Quality warning THICK-SLICES: Slices are thick. Value: 4 mm." in texts(report)
    assert "Quality info LOW-CONTRAST (t2): Contrast is low." in texts(report)


def test_it_names_the_model_and_its_hash_in_each_group(report: Dataset, context: ResultContext) -> None:
    groups = named(report, "Measurement Group")
    model = context.findings.report.model
    parameters = f"architecture={model.architecture} sha256={model.sha256}"
    assert [item.TextValue for item in named(report, "Algorithm Parameters")] == [parameters] * len(groups)


def test_no_text_tells_whose_it_is(report: Dataset) -> None:
    said = " ".join(texts(report))
    assert not [word for word in ("PHANTOM", "Made up", report.StudyInstanceUID) if word in said]


def test_each_segment_has_a_group_that_refers_to_it(report: Dataset, context: ResultContext) -> None:
    groups = {group.tracking_id: group for group in _sr_reading.read_groups(report) if group.template == "1411"}
    segmentation = build_segmentation(context)
    assert {name: group.segments for name, group in groups.items()} == {
        segment.tracking_id: (segmentation.SOPInstanceUID, (segment.number,)) for segment in context.findings.segments
    }
    assert {name: group.tracking_uid for name, group in groups.items()} == {
        segment.tracking_id: segment.tracking_uid for segment in context.findings.segments
    }


def test_only_enhancing_segments_have_diameters(report: Dataset, context: ResultContext) -> None:
    groups = {group.tracking_id: group for group in _sr_reading.read_groups(report)}
    for segment in context.findings.segments:
        assert (LONG_AXIS.value in groups[segment.tracking_id].numbers) == (segment.label is Label.ET)


def test_nested_regions_have_groups_of_their_own(report: Dataset) -> None:
    groups = [group.tracking_id for group in _sr_reading.read_groups(report) if group.template == "1501"]
    lesions = [f"lesion-{n}/{region}" for n in (1, 2, 3) for region in ("WT", "TC")]
    assert groups == [*lesions, "all-lesions/WT", "all-lesions/TC", "all-lesions/ET"]


def test_regions_name_the_segments_that_they_are_made_of(report: Dataset) -> None:
    groups = {group.tracking_id: group for group in _sr_reading.read_groups(report)}
    segments = {
        name: group.segments[1] for name, group in groups.items() if group.segments and group.template == "1501"
    }
    assert segments["lesion-1/WT"] == (1, 2, 3)
    assert segments["lesion-1/TC"] == (1, 3)
    assert segments["lesion-3/TC"] == (6,)
    assert segments["all-lesions/WT"] == (1, 2, 3, 4, 5, 6)
    assert segments["all-lesions/ET"] == (3, 5, 6)


def test_diameters_lie_where_they_were_measured_in_lps(report: Dataset, context: ResultContext) -> None:
    groups = {group.tracking_id: group for group in _sr_reading.read_groups(report)}
    for entry in context.findings.measurements:
        line = groups[f"lesion-{entry.lesion}/WT"].numbers[LONG_AXIS.value].line_lps_mm
        assert line is not None
        ends = np.array(entry.diameters[Region.WT].longest_ends_mm)
        np.testing.assert_allclose(line[:, :2], -ends[:, :2], atol=1e-4)
        np.testing.assert_allclose(line[:, 2], ends[:, 2], atol=1e-4)
    frames = {i.ReferencedFrameOfReferenceUID for i in items(report) if "ReferencedFrameOfReferenceUID" in i}
    assert frames == {context.source.frame_of_reference_uid}


def test_intervals_are_given_as_distances_from_the_volume(report: Dataset, context: ResultContext) -> None:
    groups = {group.tracking_id: group for group in _sr_reading.read_groups(report)}
    lesion = context.findings.report.lesions[0]
    assert lesion.volume_interval_ml is not None
    for name, region in (("lesion-1/WT", Region.WT), ("lesion-1/TC", Region.TC), ("lesion-1/ET", Region.ET)):
        low, high = lesion.volume_interval_ml[region]
        volume = groups[name].numbers[VOLUME.value]
        assert volume.upper == pytest.approx(high - lesion.volume_ml[region])
        assert volume.lower == pytest.approx(lesion.volume_ml[region] - low)
    assert groups["lesion-1/NCR"].numbers[VOLUME.value].upper is None
    assert "Intervals of volumes: a made-up method." in texts(report)


def test_an_interval_that_does_not_hold_the_volume_is_said_in_words(context: ResultContext) -> None:
    volume = context.findings.report.volume_ml[Region.WT]
    intervals = dict.fromkeys(Region, (volume + 1, volume + 2))
    report = read_back(with_report(context, volume_interval_ml=intervals))
    groups = {group.tracking_id: group for group in _sr_reading.read_groups(report)}
    assert groups["all-lesions/WT"].numbers[VOLUME.value].upper is None
    expected = f"{volume + 1:.3f} to {volume + 2:.3f} mL, which does not hold the measured {volume:.3f} mL."
    assert f"Interval of the volume of all lesions, WT: {expected}" in texts(report)


def test_without_intervals_none_are_given(context: ResultContext) -> None:
    lesions = tuple(replace(lesion, volume_interval_ml=None) for lesion in context.findings.report.lesions)
    report = read_back(with_report(context, volume_interval_ml=None, interval_method=None, lesions=lesions))
    assert named(report, "+, range of upper measurement uncertainty") == []
    assert not [text for text in texts(report) if "nterval" in text]


def test_a_phantom_is_called_one(context: ResultContext, report: Dataset) -> None:
    sentence = "The images are those of a synthetic phantom, not of a patient."
    assert sentence in texts(read_back(with_report(context, phantom=True)))
    assert sentence not in texts(report)


def test_nothing_found_is_said_in_code_words_and_numbers(empty_context: ResultContext) -> None:
    report = read_back(empty_context)
    (lesion,) = named(report, "Lesion")
    assert lesion.ConceptCodeSequence[0].CodeMeaning == "Absent"
    assert "No lesion was found by the software." in texts(report)
    volumes = [group.numbers[VOLUME.value].value for group in _sr_reading.read_groups(report)]
    assert volumes == [0.0, 0.0, 0.0]
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    assert [len(series.ReferencedSOPSequence) for series in study.ReferencedSeriesSequence] == [10]


def test_segments_without_a_segmentation_are_refused(context: ResultContext) -> None:
    with pytest.raises(ResultsDisagree, match="6 segments and no segmentation object"):
        build_structured_report(context, None)


def test_evidence_is_all_images_and_the_segmentation(report: Dataset, context: ResultContext) -> None:
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == context.source.header.StudyInstanceUID
    images, segmentation = study.ReferencedSeriesSequence
    assert images.SeriesInstanceUID == context.source.header.SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in images.ReferencedSOPSequence} == {
        header.SOPInstanceUID for header in context.source.headers
    }
    assert len(segmentation.ReferencedSOPSequence) == 1


def test_one_context_gives_the_same_bytes(context: ResultContext) -> None:
    segmentation = build_segmentation(context)
    first, again = (saved(build_structured_report(context, segmentation)) for _ in range(2))
    assert first == again


def test_another_content_has_another_uid(context: ResultContext, report: Dataset) -> None:
    findings = context.findings
    others = [
        with_report(context, quality=()),
        with_report(context, interval_method="another method"),
        with_report(context, modalities=findings.report.modalities[:2]),
        replace(context, equipment=Equipment(serial_number="2")),
        replace(context, made_at=context.made_at + timedelta(seconds=1)),
        replace(context, findings=replace(findings, measurements=longer(context))),
    ]
    uids = {read_back(other).SOPInstanceUID for other in others} | {report.SOPInstanceUID}
    assert len(uids) == len(others) + 1
    assert {read_back(other).SeriesInstanceUID for other in others} == {report.SeriesInstanceUID}


def test_what_is_not_in_the_content_does_not_change_the_uid(context: ResultContext, report: Dataset) -> None:
    assert read_back(with_report(context, timings_s={"segment": 3.0})).SOPInstanceUID == report.SOPInstanceUID


def test_the_library_says_where_each_image_lies(report: Dataset, context: ResultContext) -> None:
    heights = [i.MeasuredValueSequence[0].FloatingPointValue for i in named(report, "Image Position (Patient) Z")]
    assert heights == [float(header.ImagePositionPatient[2]) for header in context.source.headers]
    (rows,) = named(report, "Pixel Data Rows")
    assert rows.MeasuredValueSequence[0].NumericValue == context.source.header.Rows


def test_headers_that_do_not_say_where_images_lie_are_listed_all_the_same(empty_context: ResultContext) -> None:
    bare = with_headers(
        empty_context, ImagePositionPatient=None, PixelSpacing=None, FrameOfReferenceUID=None, Rows=None, Columns=None
    )
    report = read_back(bare)
    assert named(report, "Image Position (Patient) Z") == []
    assert named(report, "Frame of Reference UID") == []
    assert len([item for item in items(report) if item.ValueType == "IMAGE"]) == 10


def test_a_source_without_frame_of_reference_has_lengths_without_places(context: ResultContext) -> None:
    segmentation = build_segmentation(context)
    bare = with_headers(context, FrameOfReferenceUID=None)
    report = build_structured_report(bare, segmentation)
    groups = {group.tracking_id: group for group in _sr_reading.read_groups(report)}
    assert groups["lesion-1/WT"].numbers[LONG_AXIS.value].line_lps_mm is None


@pytest.mark.parametrize("name", ["Müller^Jörg", "Yamada^Tarou=山田^太郎=やまだ^たろう"])
def test_names_in_any_script_are_kept(context: ResultContext, name: str) -> None:
    assert read_back(with_headers(context, PatientName=name)).PatientName == name


@given(value=st.floats(0, 1e6), below=st.floats(0, 1), above=st.floats(0, 10))
def test_volumes_and_intervals_come_back_as_they_were(value: float, below: float, above: float) -> None:
    interval = (value * (1 - below), value * (1 + above))
    number = _sr_reading._number(_measurement_groups._volume(value, interval)[0])
    assert number.value == value
    assert number.decimal == pytest.approx(value, rel=1e-9)
    assert number.upper == interval[1] - value
    assert number.lower == value - interval[0]


def test_a_lesion_of_oedema_alone_has_no_core(mask: Volume, make_context: Any) -> None:
    oedema = make_context(mask.with_voxels(np.where(mask.voxels == Label.ED, mask.voxels, 0).astype(np.uint8)))
    names = [group.tracking_id for group in _sr_reading.read_groups(read_back(oedema))]
    assert "lesion-1/WT" in names
    assert "lesion-1/TC" not in names
