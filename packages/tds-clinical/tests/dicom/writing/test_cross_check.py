"""Each object is changed in one way at a time, in the bytes that would be written; each change must be found."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from tds_clinical.dicom.writing.cross_check import BuiltObject, cross_check
from tds_clinical.dicom.writing.segmentation import SegmentationKind
from tds_clinical.findings import ResultContext

from .cross_checking import OTHER_UID, PDF, PICTURES, Change, built, changed, item, refuse, to_bytes


@pytest.fixture(scope="module")
def objects(context: ResultContext) -> tuple[BuiltObject, ...]:
    return built(context)


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
