"""As `test_cross_check.py`, for the structured report and the structure set."""

from copy import deepcopy

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tds_clinical.codes import LONG_AXIS, VOLUME
from tds_clinical.dicom.writing.cross_check import BuiltObject
from tds_clinical.findings import ResultContext

from .cross_checking import OTHER_UID, Change, built, changed, item, items, refuse


@pytest.fixture(scope="module")
def objects(context: ResultContext) -> tuple[BuiltObject, ...]:
    return built(context)


# Structured report


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
