"""Each object is changed in one way at a time, in the bytes that would be written; each change must be found."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from tds_clinical.codes import LONG_AXIS, VOLUME
from tds_clinical.dicom.writing.cross_check import BuiltObject, cross_check
from tds_clinical.dicom.writing.encapsulated_pdf import build_encapsulated_pdf
from tds_clinical.dicom.writing.key_images import KeyPicture, build_key_images
from tds_clinical.dicom.writing.objects import ResultKind
from tds_clinical.dicom.writing.segmentation import SegmentationKind, build_segmentation
from tds_clinical.dicom.writing.structure_set import build_structure_set
from tds_clinical.dicom.writing.structured_report import build_structured_report
from tds_clinical.errors import ResultsDisagree
from tds_clinical.findings import ResultContext

PDF = b"%PDF-1.4 report"
PICTURES = tuple(KeyPicture(pixels=np.full((4, 6, 3), n, np.uint8), title=f"{n}") for n in (1, 2))
OTHER_UID = "2.25.12345"

Change = Callable[[Dataset], object]


def built(context: ResultContext, kind: SegmentationKind = SegmentationKind.BINARY) -> tuple[BuiltObject, ...]:
    segmentation = build_segmentation(context, kind=kind)
    key_images = build_key_images(context, PICTURES)
    datasets = (
        (ResultKind.SEGMENTATION, "seg.dcm", segmentation),
        (ResultKind.STRUCTURE_SET, "rtstruct.dcm", build_structure_set(context, segmentation)),
        *((ResultKind.KEY_IMAGE, f"key-image-{n}.dcm", image) for n, image in enumerate(key_images, start=1)),
        (ResultKind.REPORT, "report.dcm", build_encapsulated_pdf(context, PDF)),
        (ResultKind.STRUCTURED_REPORT, "sr.dcm", build_structured_report(context, segmentation)),
    )
    return tuple(BuiltObject(kind=k, file_name=name, data=to_bytes(dataset)) for k, name, dataset in datasets)


def to_bytes(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def objects(context: ResultContext) -> tuple[BuiltObject, ...]:
    return built(context)


def changed(objects: tuple[BuiltObject, ...], name: str, change: Change) -> tuple[BuiltObject, ...]:
    def one(entry: BuiltObject) -> BuiltObject:
        if entry.file_name != name:
            return entry
        dataset = entry.read()
        change(dataset)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        return replace(entry, data=to_bytes(dataset))

    return tuple(map(one, objects))


def refuse(context: ResultContext, objects: tuple[BuiltObject, ...], match: str) -> None:
    with pytest.raises(ResultsDisagree, match=match) as caught:
        cross_check(context, objects, pictures=PICTURES, pdf=PDF)
    message = str(caught.value)
    assert message.endswith("; nothing was written")
    header = context.source.header
    told = [str(header.PatientName), header.PatientID, "2.25.", header.StudyInstanceUID]
    assert not [identifier for identifier in told if identifier in message]


def test_what_was_built_agrees(context: ResultContext, objects: tuple[BuiltObject, ...]) -> None:
    cross_check(context, objects, pictures=PICTURES, pdf=PDF)


def test_what_was_built_with_a_label_map_agrees(context: ResultContext) -> None:
    cross_check(context, built(context, SegmentationKind.LABELMAP), pictures=PICTURES, pdf=PDF)


def test_a_part_of_the_objects_can_be_checked(context: ResultContext, objects: tuple[BuiltObject, ...]) -> None:
    cross_check(context, objects[4:5], pictures=PICTURES, pdf=PDF)


@pytest.mark.parametrize("name", ["seg.dcm", "rtstruct.dcm", "key-image-1.dcm", "report.dcm", "sr.dcm"])
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "another"),
        ("PatientName", "Another^One"),
        ("StudyInstanceUID", OTHER_UID),
        ("AccessionNumber", "A1"),
        ("StudyID", "2"),
    ],
)
def test_an_object_of_another_patient_or_study_is_found(
    context: ResultContext, objects: tuple[BuiltObject, ...], name: str, keyword: str, value: str
) -> None:
    def change(dataset: Dataset) -> None:
        setattr(dataset, keyword, value)

    refuse(context, changed(objects, name, change), f"{name}, {keyword}: the object and the results do not say")


# Segmentation


def set_bit(dataset: Dataset) -> None:
    data = bytearray(dataset.PixelData)
    data[0] ^= 1
    dataset.PixelData = bytes(data)


def mirror_frames(dataset: Dataset) -> None:
    pixels = dataset.pixel_array[:, :, ::-1]
    packed = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)


def turn_orientation(dataset: Dataset) -> None:
    group = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    group.ImageOrientationPatient = [-float(value) for value in group.ImageOrientationPatient]


def move_frames(dataset: Dataset) -> None:
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        x, y, z = map(float, groups.PlanePositionSequence[0].ImagePositionPatient)
        groups.PlanePositionSequence[0].ImagePositionPatient = [x, y + 0.5, z]


def stretch_pixels(dataset: Dataset) -> None:
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1.1, 0.95]


def give_a_frame_to_another_segment(dataset: Dataset) -> None:
    groups = dataset.PerFrameFunctionalGroupsSequence[0]
    groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 2


def give_a_frame_to_no_segment(dataset: Dataset) -> None:
    groups = dataset.PerFrameFunctionalGroupsSequence[-1]
    groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 99


def set_segment(number: int, keyword: str, value: object) -> Change:
    return lambda dataset: setattr(dataset.SegmentSequence[number - 1], keyword, value)


def set_label_code(dataset: Dataset) -> None:
    dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue = "79654002"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (set_bit, r"segment 1, voxels: the object says \d+, the results say \d+"),
        (mirror_frames, "segment 1, x of its centroid"),
        (turn_orientation, "segment 1, x of its centroid"),
        (move_frames, "segment 1, y of its centroid"),
        (stretch_pixels, "segment 1, x of its centroid"),
        (give_a_frame_to_another_segment, "segment 1, voxels"),
        (give_a_frame_to_no_segment, "segment 6, voxels"),
        (set_segment(2, "TrackingUID", OTHER_UID), "segment 2, tracking UID"),
        (set_segment(2, "TrackingID", "lesion-9/ED"), "segment 2, tracking ID: the object says 'lesion-9/ED'"),
        (set_segment(2, "SegmentNumber", 7), "segment 2, number: the object says 7"),
        (set_label_code, "segment 1, code of the label"),
        (lambda dataset: dataset.SegmentSequence.pop(), "number of segments: the object says 5"),
        (lambda dataset: setattr(dataset, "FrameOfReferenceUID", OTHER_UID), "seg.dcm, frame of reference"),
    ],
)
def test_a_changed_segmentation_is_found(
    context: ResultContext, objects: tuple[BuiltObject, ...], change: Change, match: str
) -> None:
    refuse(context, changed(objects, "seg.dcm", change), match)


def test_voxels_that_swap_their_places_about_the_same_centre_are_found(
    context: ResultContext, objects: tuple[BuiltObject, ...]
) -> None:
    def swap(dataset: Dataset) -> None:
        pixels = dataset.pixel_array
        frame = next(f for f in pixels if f.any(axis=0).sum() > 3)
        rows, columns = np.nonzero(frame)
        row = np.bincount(rows).argmax()
        left, right = columns[rows == row].min(), columns[rows == row].max()
        frame[row, [left, right]] = 0  # two voxels go out by one column, each to its side: the centre stays
        frame[row, [left - 1, right + 1]] = 1
        packed = np.packbits(pixels.ravel(), bitorder="little").tobytes()
        dataset.PixelData = packed + b"\0" * (len(packed) % 2)

    found = "stored voxels that lie where the mask has another label or lesion: the object says 2, the results say 0"
    refuse(context, changed(objects, "seg.dcm", swap), found)


def test_a_label_map_whose_numbers_are_swapped_is_found(context: ResultContext) -> None:
    def swap(dataset: Dataset) -> None:
        dataset.PixelData = dataset.PixelData.translate(bytes.maketrans(b"\1\2", b"\2\1"))

    refuse(context, changed(built(context, SegmentationKind.LABELMAP), "seg.dcm", swap), "segment 1, voxels")


def test_a_label_map_with_a_number_of_no_segment_is_found(context: ResultContext) -> None:
    def add(dataset: Dataset) -> None:
        dataset.PixelData = b"\x09" + dataset.PixelData[1:]

    changed_objects = changed(built(context, SegmentationKind.LABELMAP), "seg.dcm", add)
    refuse(context, changed_objects, r"segments that have voxels: the object says \[1, 2, 3, 4, 5, 6, 9\]")


# Structured report


def items(dataset: Dataset) -> Iterator[Dataset]:
    yield dataset
    for child in dataset.get("ContentSequence", []):
        yield from items(child)


def item(dataset: Dataset, code: str, index: int = 0) -> Dataset:
    return [i for i in items(dataset) if i.ConceptNameCodeSequence[0].CodeValue == code][index]


def set_number(code: str, keyword: str, value: object, index: int = 0) -> Change:
    return lambda dataset: setattr(item(dataset, code, index).MeasuredValueSequence[0], keyword, value)


def drop_intervals(dataset: Dataset) -> None:
    item(dataset, VOLUME.value, 2).ContentSequence.pop()


def set_unit(dataset: Dataset) -> None:
    item(dataset, VOLUME.value).MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue = "mm3"


def set_reference(keyword: str, value: object) -> Change:
    return lambda dataset: setattr(item(dataset, "121191").ReferencedSOPSequence[0], keyword, value)


def set_sources(dataset: Dataset) -> None:
    region = next(i for i in item(dataset, "125007", 6).ContentSequence if i.ValueType == "IMAGE")
    region.ReferencedSOPSequence[0].ReferencedSegmentNumber = [1, 2]


def set_tracking_uid(dataset: Dataset) -> None:
    item(dataset, "112040").UID = OTHER_UID


def set_finding(dataset: Dataset) -> None:
    item(dataset, "121071").ConceptCodeSequence[0].CodeValue = "79654002"


def set_template(dataset: Dataset) -> None:
    item(dataset, "125007").ContentTemplateSequence[0].TemplateIdentifier = "1501"


def drop_group(dataset: Dataset) -> None:
    item(dataset, "126010").ContentSequence.pop()


def drop_diameter(dataset: Dataset) -> None:
    group = item(dataset, "125007", 2)
    group.ContentSequence = [i for i in group.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue != "103339001"]


def repeat_group(dataset: Dataset) -> None:
    measurements = item(dataset, "126010")
    measurements.ContentSequence.insert(0, deepcopy(measurements.ContentSequence[0]))
    item(dataset, VOLUME.value).MeasuredValueSequence[0].FloatingPointValue = 2.5


def drop_line(dataset: Dataset) -> None:
    holder = next(i for i in items(dataset) if any(c.ValueType == "SCOORD3D" for c in i.get("ContentSequence", ())))
    holder.ContentSequence = [i for i in holder.ContentSequence if i.ValueType != "SCOORD3D"]


def mirror_line(dataset: Dataset) -> None:
    line = next(i for i in items(dataset) if i.get("ValueType") == "SCOORD3D")
    line.GraphicData = [-line.GraphicData[0], *line.GraphicData[1:]]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (set_number(VOLUME.value, "FloatingPointValue", 2.5), "lesion-1/NCR, volume: the object says 2.5"),
        (set_number(VOLUME.value, "FloatingPointValue", float("nan")), "lesion-1/NCR, volume: the object says nan"),
        (set_number(VOLUME.value, "NumericValue", "2.5"), "lesion-1/NCR, volume in decimal: the object says 2.5"),
        (set_number(VOLUME.value, "NumericValue", "1", -1), "all-lesions/ET, volume in decimal"),
        (set_number(LONG_AXIS.value, "FloatingPointValue", 1.0), "lesion-1/ET, longest diameter: the object says 1.0"),
        (set_number("103340004", "FloatingPointValue", 1.0), "lesion-1/ET, perpendicular diameter"),
        (set_number("371886008", "FloatingPointValue", 9.0), "lesion-1/ET, volume, upper end of its interval"),
        (set_number("371885007", "FloatingPointValue", 9.0), "lesion-1/ET, volume, lower end of its interval"),
        (drop_intervals, "lesion-1/ET, volume, lower end of its interval: the object says None"),
        (set_unit, "lesion-1/NCR, volume, unit: the object says 'mm3'"),
        (set_reference("ReferencedSegmentNumber", 2), "lesion-1/NCR, referenced segments"),
        (set_reference("ReferencedSOPInstanceUID", OTHER_UID), "sr.dcm: it refers to an object that is neither"),
        (set_reference("ReferencedSOPClassUID", "1.2.840.10008.5.1.4.1.1.4"), "sr.dcm: it refers to an object"),
        (set_sources, "lesion-1/WT, referenced segments"),
        (set_tracking_uid, "lesion-1/NCR, tracking UID"),
        (set_finding, "lesion-1/NCR, finding"),
        (set_template, "lesion-1/NCR, template: the object says '1501', the results say '1411'"),
        (drop_group, "measurement groups"),
        (repeat_group, "measurement groups"),
        (drop_line, "lesion-1/WT, longest diameter, is drawn as a line: the object says False"),
        (drop_diameter, "lesion-1/ET, measurements"),
        (mirror_line, "lesion-1/WT, longest diameter, distance of its ends from where they are"),
    ],
)
def test_a_changed_structured_report_is_found(
    context: ResultContext, objects: tuple[BuiltObject, ...], change: Change, match: str
) -> None:
    refuse(context, changed(objects, "sr.dcm", change), match)


def test_a_report_that_refers_to_a_segmentation_that_is_not_filed_is_found(
    context: ResultContext, objects: tuple[BuiltObject, ...]
) -> None:
    refuse(context, objects[5:], "sr.dcm: it refers to an object that is neither in the source nor in the results")


def test_a_report_that_refers_to_the_segment_of_an_image_is_found(
    context: ResultContext, objects: tuple[BuiltObject, ...]
) -> None:
    header = context.source.header

    def change(dataset: Dataset) -> None:
        for found in (i for i in items(dataset) if i.ConceptNameCodeSequence[0].CodeValue == "121191"):
            found.ReferencedSOPSequence[0].ReferencedSOPClassUID = header.SOPClassUID
            found.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = header.SOPInstanceUID

    refuse(context, changed(objects, "sr.dcm", change), "lesion-1/NCR, referenced segments")


# Structure set


def set_region(keyword: str, value: object) -> Change:
    return lambda dataset: setattr(dataset.StructureSetROISequence[1], keyword, value)


def cut_description(part: str) -> Change:
    def change(dataset: Dataset) -> None:
        region = dataset.StructureSetROISequence[0]
        region.ROIDescription = region.ROIDescription.replace(part, "")

    return change


def mirror_contours(dataset: Dataset) -> None:
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        points = np.array(contour.ContourData, float).reshape(-1, 3) * (-1, 1, 1)
        contour.ContourData = [f"{value:.5f}" for value in points.ravel()]


def move_contours(axis: str, by_voxels: float) -> Change:
    def change(dataset: Dataset) -> None:
        planes = dataset.ROIContourSequence[0].SourcePixelPlanesCharacteristicsSequence[0]
        across, down = np.array(planes.ImageOrientationPatient, float).reshape(2, 3)
        row_mm, column_mm = map(float, planes.PixelSpacing)
        normal = np.cross(across, down) * float(planes.SpacingBetweenSlices)
        step = {"i": across * column_mm, "j": down * row_mm, "k": normal}[axis] * by_voxels
        for contour in dataset.ROIContourSequence[0].ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3) + step
            contour.ContourData = [f"{value:.5f}" for value in points.ravel()]

    return change


def shrink_contours(dataset: Dataset) -> None:
    for contour in dataset.ROIContourSequence[1].ContourSequence:
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        points = points.mean(axis=0) + 0.98 * (points - points.mean(axis=0))
        contour.ContourData = [f"{value:.5f}" for value in points.ravel()]


def set_origin(keyword: str, value: object) -> Change:
    def change(dataset: Dataset) -> None:
        setattr(dataset.StructureSetROISequence[0].DefinitionSourceSequence[0], keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (set_region("ROIName", "Lesion 1 ET"), "region of interest 2, name: the object says 'Lesion 1 ET'"),
        (set_region("ROINumber", 9), "region of interest 2, number"),
        (set_region("ROIVolume", "12"), "region of interest 2, volume: the object says 12"),
        (set_region("ReferencedFrameOfReferenceUID", OTHER_UID), "rtstruct.dcm, frame of reference"),
        (cut_description("lesion-1/NCR"), "region of interest 1, tracking ID in its description"),
        (cut_description("2.25."), "region of interest 1, tracking UID in its description"),
        (set_origin("ReferencedSegmentNumber", 3), "region of interest 1, segment of its source"),
        (set_origin("ReferencedSOPInstanceUID", OTHER_UID), "rtstruct.dcm: it refers to an object that is neither"),
        (mirror_contours, "region of interest 1, lower end along x in voxels"),
        (move_contours("k", 1.0), "region of interest 1, . of its centroid"),
        (move_contours("k", -1.0), "region of interest 1, . of its centroid"),
        (move_contours("k", 0.1), "region of interest 1, . of its centroid"),
        (move_contours("i", 0.45), "region of interest 1, . of its centroid"),
        (move_contours("j", -0.2), "region of interest 1, . of its centroid"),
        (shrink_contours, "region of interest 2, voxels that it encloses"),
        (lambda dataset: dataset.StructureSetROISequence.pop(), "number of regions of interest"),
        (lambda dataset: dataset.ROIContourSequence.pop(), "number of outlined regions"),
        (
            lambda dataset: setattr(dataset.ROIContourSequence[0], "ReferencedROINumber", 4),
            "contours of region 1: the object says 4",
        ),
    ],
)
def test_a_changed_structure_set_is_found(
    context: ResultContext, objects: tuple[BuiltObject, ...], change: Change, match: str
) -> None:
    refuse(context, changed(objects, "rtstruct.dcm", change), match)


def test_a_structure_set_that_was_drawn_on_another_segmentation_is_found(
    context: ResultContext, objects: tuple[BuiltObject, ...]
) -> None:
    header = context.source.header

    def change(dataset: Dataset) -> None:
        origin = dataset.StructureSetROISequence[0].DefinitionSourceSequence[0]
        origin.ReferencedSOPClassUID, origin.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID

    refuse(context, changed(objects, "rtstruct.dcm", change), "region of interest 1, source")


# Key images, report, identifiers


def test_a_changed_picture_is_found(context: ResultContext, objects: tuple[BuiltObject, ...]) -> None:
    def change(dataset: Dataset) -> None:
        dataset.PixelData = b"\xff" + dataset.PixelData[1:]

    refuse(context, changed(objects, "key-image-2.dcm", change), "key image 2: its pixels are not those")


def test_a_picture_of_another_shape_is_found(context: ResultContext, objects: tuple[BuiltObject, ...]) -> None:
    def change(dataset: Dataset) -> None:
        dataset.Rows, dataset.Columns = dataset.Columns, dataset.Rows

    refuse(context, changed(objects, "key-image-1.dcm", change), r"key image 1, shape: the object says \(6, 4, 3\)")


def test_a_missing_picture_is_found(context: ResultContext, objects: tuple[BuiltObject, ...]) -> None:
    refuse(context, objects[:2] + objects[3:], "number of key images: the object says 1, the results say 2")


@pytest.mark.parametrize("document", [b"%PDF-1.4 REPORT!", b"<html> no PDF!!!"])
def test_a_changed_pdf_is_found(context: ResultContext, objects: tuple[BuiltObject, ...], document: bytes) -> None:
    def change(dataset: Dataset) -> None:
        dataset.EncapsulatedDocument = document

    refuse(context, changed(objects, "report.dcm", change), "does not hold the PDF")


def test_two_objects_with_one_uid_are_found(context: ResultContext, objects: tuple[BuiltObject, ...]) -> None:
    uid = objects[2].read().SOPInstanceUID
    changed_objects = changed(objects, "report.dcm", lambda dataset: setattr(dataset, "SOPInstanceUID", uid))
    refuse(context, changed_objects, "report.dcm: another object has the same SOP Instance UID")


def test_an_object_with_the_uid_of_an_image_is_found(context: ResultContext, objects: tuple[BuiltObject, ...]) -> None:
    uid = context.source.headers[3].SOPInstanceUID
    changed_objects = changed(objects, "report.dcm", lambda dataset: setattr(dataset, "SOPInstanceUID", uid))
    refuse(context, changed_objects, "report.dcm: another object has the same SOP Instance UID")


def test_objects_of_two_kinds_in_one_series_are_found(context: ResultContext, objects: tuple[BuiltObject, ...]) -> None:
    for series in (objects[0].read().SeriesInstanceUID, context.source.header.SeriesInstanceUID):
        dataset = objects[5].read()
        dataset.SeriesInstanceUID = series
        moved = replace(objects[5], data=to_bytes(dataset))
        refuse(context, (*objects[:5], moved), "sr.dcm: its series is that of objects of another kind")


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID"])
def test_an_identifier_that_is_not_valid_is_found(
    context: ResultContext, objects: tuple[BuiltObject, ...], keyword: str
) -> None:
    changed_objects = changed(objects, "report.dcm", lambda dataset: setattr(dataset, keyword, "1.02.3"))
    refuse(context, changed_objects, "report.dcm: its UID or that of its series is not valid")


@pytest.mark.parametrize("uid", ["1.02.3", "1." * 40 + "1", "", None])
def test_tracking_identifiers_that_are_not_valid_or_not_unique_are_found(
    context: ResultContext, objects: tuple[BuiltObject, ...], uid: str | None
) -> None:
    findings = context.findings
    first = findings.segments[0].tracking_uid
    lesion_uids = {**findings.lesion_uids, 1: first if uid is None else uid}
    clumsy = replace(context, findings=replace(findings, lesion_uids=lesion_uids))
    refuse(clumsy, objects, "a tracking UID is not valid, or two things have the same one")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("seg.dcm", lambda dataset: delattr(dataset.SegmentSequence[0], "TrackingUID")),
        ("seg.dcm", lambda dataset: delattr(dataset, "PerFrameFunctionalGroupsSequence")),
        ("rtstruct.dcm", lambda dataset: delattr(dataset.StructureSetROISequence[0], "ROIName")),
        ("rtstruct.dcm", lambda dataset: dataset.ROIContourSequence[0].ContourSequence.clear()),
        ("rtstruct.dcm", lambda dataset: delattr(dataset.StructureSetROISequence[0], "DefinitionSourceSequence")),
        ("sr.dcm", lambda dataset: item(dataset, "125007").ContentSequence.pop(1)),
        ("key-image-1.dcm", lambda dataset: delattr(dataset, "Rows")),
        ("report.dcm", lambda dataset: delattr(dataset, "EncapsulatedDocument")),
    ],
)
def test_what_is_missing_is_a_disagreement(
    context: ResultContext, objects: tuple[BuiltObject, ...], name: str, change: Change
) -> None:
    refuse(context, changed(objects, name, change), "an object lacks something that it must have")


def test_objects_are_read_back_from_their_bytes(objects: tuple[BuiltObject, ...]) -> None:
    assert [entry.read().Modality for entry in objects] == ["SEG", "RTSTRUCT", "OT", "OT", "DOC", "SR"]
    assert pydicom.dcmread(BytesIO(objects[0].data)) == objects[0].read()
