import os
import shutil
import subprocess
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from tds_clinical.codes import LABEL_CIELAB, LABEL_CODES
from tds_clinical.dicom.source import SourceFrame
from tds_clinical.dicom.writing.contours import HoleStyle
from tds_clinical.dicom.writing.segmentation import build_segmentation
from tds_clinical.dicom.writing.structure_set import build_structure_set
from tds_clinical.errors import ResultsDisagree
from tds_clinical.findings import Findings, ResultContext
from tds_clinical.reports.paint import LABEL_COLOURS
from tds_data.report import RESEARCH_USE_NOTICE
from tds_data.volume import Volume

DCIODVFY = shutil.which("dciodvfy")


def saved(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def reread(dataset: Dataset) -> Dataset:
    return pydicom.dcmread(BytesIO(saved(dataset)))


@pytest.fixture(scope="module")
def structure_set(context: ResultContext) -> Dataset:
    return reread(build_structure_set(context, build_segmentation(context)))


@pytest.fixture
def ringed(make_context: Callable[[Volume], ResultContext], mask: Volume) -> ResultContext:
    """A context whose first lesion has a hole in a slice."""
    voxels = np.zeros(mask.shape, np.uint8)
    voxels[4:9, 5:10, 3] = 3
    voxels[6, 7, 3] = 0
    return make_context(mask.with_voxels(voxels))


def contours(dataset: Dataset) -> list[Dataset]:
    return [contour for roi in dataset.ROIContourSequence for contour in roi.ContourSequence]


def test_each_segment_is_a_region_of_interest(structure_set: Dataset, context: ResultContext) -> None:
    segments = context.findings.segments
    for items in (structure_set.StructureSetROISequence, structure_set.ROIContourSequence):
        assert len(items) == len(segments)
    for item, segment in zip(structure_set.StructureSetROISequence, segments, strict=True):
        assert item.ROINumber == segment.number
        assert item.ROIName == f"Lesion {segment.lesion} {segment.label.name}"
        assert segment.tracking_id in item.ROIDescription
        assert segment.tracking_uid in item.ROIDescription
        assert item.ROIGenerationAlgorithm == "AUTOMATIC"
        assert item.ROIGenerationDescription == "phantom-model 1.2.3"
        assert float(item.ROIVolume) == pytest.approx(segment.volume_ml)
        (algorithm,) = item.ROIDerivationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("phantom-model", "1.2.3")


def test_regions_are_coded_and_coloured_by_their_label(structure_set: Dataset, context: ResultContext) -> None:
    for contour, observation, segment in zip(
        structure_set.ROIContourSequence,
        structure_set.RTROIObservationsSequence,
        context.findings.segments,
        strict=True,
    ):
        assert contour.ReferencedROINumber == observation.ReferencedROINumber == segment.number
        assert observation.RTROIIdentificationCodeSequence[0].CodeValue == LABEL_CODES[segment.label].value
        assert tuple(contour.ROIDisplayColor) == LABEL_COLOURS[segment.label]
        assert tuple(contour.RecommendedDisplayCIELabValue) == LABEL_CIELAB[segment.label]


def test_no_region_is_given_a_role_and_nothing_is_approved(structure_set: Dataset) -> None:
    assert structure_set.ApprovalStatus == "UNAPPROVED"
    assert all(item.RTROIInterpretedType == "" for item in structure_set.RTROIObservationsSequence)
    assert structure_set.StructureSetDescription == RESEARCH_USE_NOTICE
    assert "research use only" in structure_set.SeriesDescription


def test_it_belongs_to_the_patient_study_and_frame_of_reference(structure_set: Dataset, context: ResultContext) -> None:
    header = context.source.header
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert structure_set[keyword].value == header[keyword].value
    assert structure_set.SeriesInstanceUID != header.SeriesInstanceUID
    (frame,) = structure_set.ReferencedFrameOfReferenceSequence
    assert frame.FrameOfReferenceUID == header.FrameOfReferenceUID
    (study,) = frame.RTReferencedStudySequence
    assert study.ReferencedSOPInstanceUID == header.StudyInstanceUID
    (series,) = study.RTReferencedSeriesSequence
    assert series.SeriesInstanceUID == header.SeriesInstanceUID
    referred = {item.ReferencedSOPInstanceUID for item in series.ContourImageSequence}
    assert referred == {image.SOPInstanceUID for image in context.source.headers}
    for item in structure_set.StructureSetROISequence:
        assert item.ReferencedFrameOfReferenceUID == header.FrameOfReferenceUID


def test_regions_name_the_segments_that_they_are(structure_set: Dataset, context: ResultContext) -> None:
    segmentation = build_segmentation(context)
    for item in structure_set.StructureSetROISequence:
        (origin,) = item.DefinitionSourceSequence
        assert origin.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        assert origin.ReferencedSegmentNumber == item.ROINumber
    alone = build_structure_set(context)
    assert all("DefinitionSourceSequence" not in item for item in alone.StructureSetROISequence)


def test_contours_lie_in_the_planes_of_the_images_that_they_name(
    structure_set: Dataset, context: ResultContext
) -> None:
    images = {image.SOPInstanceUID: image for image in context.source.headers}
    for contour in contours(structure_set):
        (reference,) = contour.ContourImageSequence
        image = images[reference.ReferencedSOPInstanceUID]
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        assert len(points) == contour.NumberOfContourPoints
        cosines = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
        away = (points - np.array(image.ImagePositionPatient, float)) @ np.cross(*cosines)
        assert np.abs(away).max() < 2e-5


def test_contours_are_numbered_and_their_decimal_strings_fit(structure_set: Dataset) -> None:
    for roi in structure_set.ROIContourSequence:
        assert [int(contour.ContourNumber) for contour in roi.ContourSequence] == list(
            range(1, len(roi.ContourSequence) + 1)
        )
        for contour in roi.ContourSequence:
            assert all(len(str(value)) <= 16 for value in contour.ContourData)


def test_far_off_places_keep_their_precision(context: ResultContext) -> None:
    source = context.source
    far = source.ras_from_voxel.copy()
    far[:3, 3] = (-98765.4321, 87654.321, -76543.21)
    mask = Volume(context.findings.mask.voxels, far)
    moved = replace(
        context, source=replace(source, ras_from_voxel=far, frames=None), findings=with_mask(context.findings, mask)
    )
    pairs = zip(contours(build_structure_set(context)), contours(build_structure_set(moved)), strict=True)
    shift = (far[:3, 3] - source.ras_from_voxel[:3, 3]) * (-1, -1, 1)
    for near, away in pairs:
        stored = away.ContourData
        assert all(len(str(value)) <= 16 for value in stored)
        difference = np.array(stored, float) - np.array(near.ContourData, float)
        np.testing.assert_allclose(difference.reshape(-1, 3), np.broadcast_to(shift, (len(stored) // 3, 3)), atol=1e-4)


def with_mask(findings: Findings, mask: Volume) -> Findings:
    return replace(findings, mask=mask)


def test_holes_are_keyholes_by_default(ringed: ResultContext) -> None:
    (contour,) = contours(build_structure_set(ringed))
    assert contour.ContourGeometricType == "CLOSED_PLANAR"
    assert contour.NumberOfContourPoints == 11


def test_holes_can_be_exclusive_contours(ringed: ResultContext) -> None:
    dataset = build_structure_set(ringed, holes=HoleStyle.XOR)
    assert [contour.ContourGeometricType for contour in contours(dataset)] == ["CLOSEDPLANAR_XOR"] * 2
    assert dataset.SOPInstanceUID != build_structure_set(ringed).SOPInstanceUID


def test_regions_without_holes_need_no_exclusive_contours(context: ResultContext) -> None:
    dataset = build_structure_set(context, holes=HoleStyle.XOR)
    last = dataset.ROIContourSequence[-1]
    assert {contour.ContourGeometricType for contour in last.ContourSequence} == {"CLOSED_PLANAR"}


def test_a_resampled_source_has_contours_that_name_no_image(context: ResultContext) -> None:
    resampled = replace(context, source=replace(context.source, frames=None))
    dataset = build_structure_set(resampled)
    assert all("ContourImageSequence" not in contour for contour in contours(dataset))
    for with_images, without in zip(contours(build_structure_set(context)), contours(dataset), strict=True):
        np.testing.assert_allclose(
            np.array(without.ContourData, float), np.array(with_images.ContourData, float), atol=1e-4
        )
    (frame,) = dataset.ReferencedFrameOfReferenceSequence
    images = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].ContourImageSequence
    assert len(images) == len(context.source.headers)


def test_contours_of_a_multi_frame_image_name_the_frame(context: ResultContext) -> None:
    source = context.source
    count = source.shape[2]
    header = deepcopy(source.header)
    header.NumberOfFrames = count + 2
    header.PerFrameFunctionalGroupsSequence = [_groups(image) for image in (*source.headers, *source.headers[:2])]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        del header[keyword]
    frames = tuple(SourceFrame(instance=0, frame=index + 1) for index in range(count))
    multi = replace(context, source=replace(source, headers=(header,), frames=frames))
    dataset = build_structure_set(multi)
    plain = contours(build_structure_set(context))
    by_uid = {image.SOPInstanceUID: index + 1 for index, image in enumerate(source.headers)}
    for contour, single in zip(contours(dataset), plain, strict=True):
        assert contour.ContourData == single.ContourData
        expected = by_uid[single.ContourImageSequence[0].ReferencedSOPInstanceUID]
        assert contour.ContourImageSequence[0].ReferencedFrameNumber == expected
    (frame,) = dataset.ReferencedFrameOfReferenceSequence
    (image,) = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].ContourImageSequence
    assert list(image.ReferencedFrameNumber) == list(range(1, count + 1))
    header.NumberOfFrames = count
    (frame,) = build_structure_set(multi).ReferencedFrameOfReferenceSequence
    (image,) = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].ContourImageSequence
    assert "ReferencedFrameNumber" not in image  # all of them


def _groups(image: Dataset) -> Dataset:
    item = Dataset()
    for sequence, keywords in (
        ("PlanePositionSequence", ["ImagePositionPatient"]),
        ("PlaneOrientationSequence", ["ImageOrientationPatient"]),
        ("PixelMeasuresSequence", ["PixelSpacing", "SliceThickness"]),
    ):
        inner = Dataset()
        for keyword in keywords:
            inner[keyword] = image[keyword]
        setattr(item, sequence, [inner])
    return item


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_planes_are_described_as_a_stack(context: ResultContext, *, mirrored: bool) -> None:
    source = context.source
    if mirrored:
        affine = source.ras_from_voxel.copy()
        affine[:, 3] += affine[:, 2] * (source.shape[2] - 1)
        affine[:, 2] *= -1
        mask = Volume(context.findings.mask.voxels, affine)
        source = replace(source, ras_from_voxel=affine, frames=None)
        context = replace(context, source=source, findings=with_mask(context.findings, mask))
    roi = build_structure_set(context).ROIContourSequence[0]
    (planes,) = roi.SourcePixelPlanesCharacteristicsSequence
    assert (planes.Columns, planes.Rows, planes.NumberOfFrames) == source.shape
    normal = np.cross(*np.array(planes.ImageOrientationPatient, float).reshape(2, 3))
    first = np.array(planes.ImagePositionPatient, float)
    for contour in roi.ContourSequence:
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        steps = (points - first) @ normal / float(planes.SpacingBetweenSlices)
        np.testing.assert_allclose(steps, np.rint(steps[0]), atol=1e-4)
        assert 0 <= round(float(steps[0])) < source.shape[2]


def test_planes_that_are_no_even_stack_are_not_described_as_one(context: ResultContext) -> None:
    headers = [deepcopy(header) for header in context.source.headers]
    x, y, z = map(float, headers[4].ImagePositionPatient)
    headers[4].ImagePositionPatient = [x, y, z + 0.1]
    uneven = replace(context, source=replace(context.source, headers=tuple(headers)))
    for roi in build_structure_set(uneven).ROIContourSequence:
        assert "SourcePixelPlanesCharacteristicsSequence" not in roi


def test_the_same_context_gives_the_same_bytes(context: ResultContext) -> None:
    assert saved(build_structure_set(context)) == saved(build_structure_set(context))


def test_contours_beyond_what_explicit_vr_holds_can_be_stored(
    make_context: Callable[[Volume], ResultContext], mask: Volume, context: ResultContext
) -> None:
    shape = (1201, 3, 2)
    comb = np.ones(shape, bool)
    comb[1::2, :-1, :] = False
    labels = Volume(comb.astype(np.uint8), context.source.ras_from_voxel)
    source = replace(context.source, shape=shape, headers=context.source.headers[:2], frames=None)
    large = replace(context, source=source, findings=with_map(make_context(mask).findings, labels))
    stored = contours(reread(build_structure_set(large)))
    assert [len(contour.get_item("ContourData").value) > 0xFFFF for contour in stored] == [True, True]


def with_map(findings: Findings, labels: Volume) -> Findings:
    first = next(segment for segment in findings.segments if segment.label == 1)
    return replace(findings, mask=labels, lesion_map=labels.voxels.astype(np.uint16), segments=(first,))


def test_contours_are_the_same_in_another_transfer_syntax(context: ResultContext) -> None:
    implicit, explicit = build_structure_set(context), build_structure_set(context)
    explicit.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for first, second in zip(contours(reread(implicit)), contours(reread(explicit)), strict=True):
        assert first.ContourData == second.ContourData
        assert first == second


def test_nothing_to_outline_is_refused(empty_context: ResultContext) -> None:
    with pytest.raises(ResultsDisagree, match="nothing was found"):
        build_structure_set(empty_context)


def test_a_source_without_frame_of_reference_is_refused(context: ResultContext) -> None:
    header = deepcopy(context.source.header)
    del header.FrameOfReferenceUID
    nowhere = replace(context, source=replace(context.source, headers=(header, *context.source.headers[1:])))
    with pytest.raises(ResultsDisagree, match="no Frame of Reference UID"):
        build_structure_set(nowhere)


def test_series_of_one_context_are_numbered_apart(context: ResultContext) -> None:
    numbers = [build_segmentation(context).SeriesNumber, build_structure_set(context).SeriesNumber]
    assert all(a < b for a, b in pairwise(numbers))


@pytest.mark.skipif(
    DCIODVFY is None and os.environ.get("CI") != "true",  # under CI its absence is a failure, not a skip
    reason="dciodvfy is not installed: apt-get install dicom3tools",
)
@pytest.mark.parametrize("frames", [True, False])
def test_the_validator_finds_no_error(context: ResultContext, tmp_path: Path, *, frames: bool) -> None:
    assert DCIODVFY, "dciodvfy is not installed: apt-get install dicom3tools"
    if not frames:
        context = replace(context, source=replace(context.source, frames=None))
    path = tmp_path / "rtstruct.dcm"
    path.write_bytes(saved(build_structure_set(context, build_segmentation(context))))
    command = [DCIODVFY, "-new", str(path)]
    report = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # a fixed program
    assert "RTStructureSet" in report.stderr
    assert [line for line in report.stderr.splitlines() if line.startswith("Error")] == []
