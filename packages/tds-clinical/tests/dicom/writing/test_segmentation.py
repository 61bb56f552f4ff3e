import os
import shutil
import subprocess
from copy import deepcopy
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from tds_clinical.codes import LABEL_CIELAB, LABEL_CODES
from tds_clinical.dicom import SourceFrame, SourceSeries, read_series, read_series_headers, read_source
from tds_clinical.dicom.reading_back import ReadOptions, read_segmentation
from tds_clinical.dicom.writing.segmentation import (
    LABEL_MAP_STORAGE,
    SegmentationKind,
    build_segmentation,
    segment_numbers,
)
from tds_clinical.errors import ResultsDisagree
from tds_clinical.findings import ResultContext, find_findings
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data.vocabulary import Label
from tds_data.volume import Volume

from .conftest import report_on

DCIODVFY = shutil.which("dciodvfy")

needs_dciodvfy = pytest.mark.skipif(
    DCIODVFY is None and os.environ.get("CI") != "true",  # under CI its absence is a failure, not a skip
    reason="dciodvfy is not installed: apt-get install dicom3tools",
)


def as_bytes(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def verdict(dataset: Dataset, folder: Path) -> list[str]:
    assert DCIODVFY, "dciodvfy is not installed: apt-get install dicom3tools"
    dataset.save_as(folder / "seg.dcm", enforce_file_format=True)
    ran = subprocess.run([DCIODVFY, "-new", folder / "seg.dcm"], capture_output=True, text=True, check=False)  # noqa: S603  # a fixed program
    return ran.stderr.splitlines()


def with_header(context: ResultContext, **values: object) -> ResultContext:
    """Return the context with other elements in every header of the source."""
    headers = []
    for header in context.source.headers:
        changed = deepcopy(header)
        for keyword, value in values.items():
            setattr(changed, keyword, value)
        headers.append(changed)
    return replace(context, source=replace(context.source, headers=tuple(headers)))


@pytest.fixture(scope="module")
def binary(context: ResultContext) -> Dataset:
    return build_segmentation(context)


@pytest.fixture(scope="module")
def label_map(context: ResultContext) -> Dataset:
    return build_segmentation(context, kind=SegmentationKind.LABELMAP)


@needs_dciodvfy
def test_dciodvfy_has_nothing_to_say(binary: Dataset, tmp_path: Path) -> None:
    assert verdict(binary, tmp_path) == ["Segmentation"]


@needs_dciodvfy
def test_dciodvfy_has_nothing_to_say_of_a_segmentation_with_its_own_geometry(
    context: ResultContext, tmp_path: Path
) -> None:
    resampled = replace(context, source=replace(context.source, frames=None))
    assert verdict(build_segmentation(resampled), tmp_path) == ["Segmentation"]


@needs_dciodvfy
def test_dciodvfy_knows_no_label_maps_and_finds_nothing_else(label_map: Dataset, tmp_path: Path) -> None:
    # Label maps came with DICOM 2024d; the validator of 2022 takes them for unknown objects whose numbers start at 1.
    said = verdict(label_map, tmp_path)
    assert said[-1] == "Error - Information Object Not found"
    assert all("SegmentNumber of 0" in line for line in said[:-1])
    as_binary = deepcopy(label_map)  # the modules that both objects share
    as_binary.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    as_binary.file_meta.MediaStorageSOPClassUID = as_binary.SOPClassUID
    complaints = [line for line in verdict(as_binary, tmp_path) if "Error" in line]
    known = (
        "SegmentNumber",
        "SegmentationType",
        "LABELMAP",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "Pixel",
        "SegmentIdentification",
    )
    assert all(any(word in line for word in known) for line in complaints), complaints


def test_there_is_a_segment_for_each_label_of_each_lesion(context: ResultContext, binary: Dataset) -> None:
    segments = context.findings.segments
    assert len({segment.lesion for segment in segments}) == 3
    described = [(s.SegmentNumber, s.SegmentLabel, s.TrackingID, s.TrackingUID) for s in binary.SegmentSequence]
    assert described == [
        (s.number, f"Lesion {s.lesion} {s.label.name}", s.tracking_id, s.tracking_uid) for s in segments
    ]
    for item, segment in zip(binary.SegmentSequence, segments, strict=True):
        (kind,) = item.SegmentedPropertyTypeCodeSequence
        assert kind.CodeValue == LABEL_CODES[segment.label].value
        assert tuple(item.RecommendedDisplayCIELabValue) == LABEL_CIELAB[segment.label]
        assert item.AnatomicRegionSequence[0].CodeMeaning == "Brain"
        assert item.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"


def test_each_segment_names_the_model_its_version_and_its_hash(context: ResultContext, binary: Dataset) -> None:
    model = context.findings.report.model
    for item in binary.SegmentSequence:
        assert (item.SegmentAlgorithmType, item.SegmentAlgorithmName) == ("AUTOMATIC", model.name)
        (algorithm,) = item.SegmentationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (model.name, model.version)
        assert model.sha256 in algorithm.AlgorithmParameters
        assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"


def test_patient_study_and_frame_of_reference_are_those_of_the_source(context: ResultContext, binary: Dataset) -> None:
    header = context.source.header
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "FrameOfReferenceUID"):
        assert binary[keyword].value == header[keyword].value
    assert binary.SeriesInstanceUID != header.SeriesInstanceUID
    assert (binary.Modality, binary.SeriesNumber) == ("SEG", context.first_series_number)


def test_frames_without_voxels_are_left_out_of_a_binary_segmentation(context: ResultContext, binary: Dataset) -> None:
    numbers = segment_numbers(context.findings)
    expected = [
        (segment.number, k)
        for segment in context.findings.segments
        for k in range(numbers.shape[2])
        if (numbers[:, :, k] == segment.number).any()
    ]
    assert binary.NumberOfFrames == len(expected) < len(context.findings.segments) * numbers.shape[2]
    shown = [
        f.SegmentIdentificationSequence[0].ReferencedSegmentNumber for f in binary.PerFrameFunctionalGroupsSequence
    ]
    assert shown == [number for number, _ in expected]
    assert 0 not in [frame.sum() for frame in binary.pixel_array]


def test_dimension_indices_count_segments_and_positions(binary: Dataset) -> None:
    values = [tuple(f.FrameContentSequence[0].DimensionIndexValues) for f in binary.PerFrameFunctionalGroupsSequence]
    assert values == sorted(values)
    assert len(set(values)) == len(values)
    places: dict[int, set[tuple[float, ...]]] = {}
    for frame, (_, rank) in zip(binary.PerFrameFunctionalGroupsSequence, values, strict=True):
        places.setdefault(rank, set()).add(tuple(frame.PlanePositionSequence[0].ImagePositionPatient))
    assert sorted(places) == list(range(1, len(places) + 1))
    assert all(len(found) == 1 for found in places.values())


def test_each_frame_refers_to_the_image_at_its_place(context: ResultContext, binary: Dataset) -> None:
    by_uid = {header.SOPInstanceUID: header for header in context.source.headers}
    for frame in binary.PerFrameFunctionalGroupsSequence:
        (image,) = frame.DerivationImageSequence[0].SourceImageSequence
        header = by_uid[image.ReferencedSOPInstanceUID]
        assert "ReferencedFrameNumber" not in image
        assert frame.PlanePositionSequence[0].ImagePositionPatient == header.ImagePositionPatient
    (series,) = binary.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == context.source.header.SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == by_uid.keys()


def test_a_label_map_has_a_frame_for_each_slice_and_a_background(context: ResultContext, label_map: Dataset) -> None:
    assert label_map.SOPClassUID == LABEL_MAP_STORAGE == label_map.file_meta.MediaStorageSOPClassUID
    assert (label_map.SegmentationType, label_map.PixelPaddingValue, label_map.BitsAllocated) == ("LABELMAP", 0, 8)
    np.testing.assert_array_equal(label_map.pixel_array.transpose(2, 1, 0), segment_numbers(context.findings))
    background, *others = label_map.SegmentSequence
    assert background.SegmentNumber == 0
    assert background.SegmentedPropertyTypeCodeSequence[0].CodeValue == "125040"
    assert [item.SegmentNumber for item in others] == [s.number for s in context.findings.segments]


def test_more_than_255_segments_need_two_bytes_in_a_label_map(context: ResultContext, tmp_path: Path) -> None:
    labels = np.zeros((40, 36, 10), np.uint8)
    labels[::2, ::2, ::2] = Label.ED  # no two of them touch
    mask = Volume(labels, np.diag([-1.0, -1.0, 1.0, 1.0]))
    write_classic_series(mask.with_voxels(labels.astype(np.uint16)), tmp_path, ClassicSeriesOptions())
    source = read_source(read_series_headers(tmp_path)[0])
    assert source.is_grid_of(mask)
    findings = find_findings(mask, report_on(mask), context.uids)
    context = replace(context, source=source, findings=findings)
    assert len(context.findings.segments) == 20 * 18 * 5
    label_map = build_segmentation(context, kind=SegmentationKind.LABELMAP)
    assert label_map.BitsAllocated == 16
    np.testing.assert_array_equal(label_map.pixel_array.transpose(2, 1, 0), segment_numbers(context.findings))


@pytest.mark.parametrize("kind", SegmentationKind)
def test_the_same_context_gives_the_same_bytes(context: ResultContext, kind: SegmentationKind) -> None:
    assert as_bytes(build_segmentation(context, kind=kind)) == as_bytes(build_segmentation(context, kind=kind))


def test_both_kinds_and_other_results_have_identifiers_of_their_own(
    context: ResultContext, binary: Dataset, label_map: Dataset
) -> None:
    other = build_segmentation(replace(context, uids=type(context.uids)("something else")))
    assert len({d.SOPInstanceUID for d in (binary, label_map, other)}) == 3
    assert len({d.SeriesInstanceUID for d in (binary, label_map, other)}) == 3


def test_dates_are_those_of_the_context(binary: Dataset) -> None:
    assert (binary.ContentDate, binary.SeriesDate, binary.InstanceCreationDate) == ("20000102",) * 3
    assert binary.ContentTime.startswith("030405")
    assert binary.TimezoneOffsetFromUTC == "+0000"


@pytest.mark.parametrize("kind", SegmentationKind)
def test_highdicom_reads_what_was_written(context: ResultContext, kind: SegmentationKind, tmp_path: Path) -> None:
    build_segmentation(context, kind=kind).save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    read = hd.seg.segread(tmp_path / "seg.dcm")
    assert read.segment_numbers == [s.number for s in context.findings.segments]
    assert set(read.get_tracking_ids()) == {(s.tracking_id, s.tracking_uid) for s in context.findings.segments}
    uids = [header.SOPInstanceUID for header in context.source.headers]
    pixels = read.get_pixels_by_source_instance(uids, combine_segments=True, assert_missing_frames_are_empty=True)
    np.testing.assert_array_equal(pixels.transpose(2, 1, 0), segment_numbers(context.findings))


def test_frames_of_a_multi_frame_source_are_referred_to_by_number(context: ResultContext) -> None:
    enhanced = _one_file(context.source)
    segmentation = build_segmentation(replace(context, source=enhanced))
    assert len(segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1
    groups = enhanced.header.PerFrameFunctionalGroupsSequence
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        (image,) = frame.DerivationImageSequence[0].SourceImageSequence
        source_frame = groups[image.ReferencedFrameNumber - 1]
        there = source_frame.PlanePositionSequence[0].ImagePositionPatient
        assert frame.PlanePositionSequence[0].ImagePositionPatient == there
    assert segmentation.PixelData == build_segmentation(context).PixelData


def _one_file(source: SourceSeries) -> SourceSeries:
    """Return the series as one multi-frame file, its last slice first."""
    header = deepcopy(source.header)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(header, keyword)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = source.header.PixelSpacing, source.header.SliceThickness
    orientation.ImageOrientationPatient = source.header.ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    header.SharedFunctionalGroupsSequence = [shared]
    header.PerFrameFunctionalGroupsSequence = []
    for single in reversed(source.headers):
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = single.ImagePositionPatient
        frame.PlanePositionSequence = [position]
        header.PerFrameFunctionalGroupsSequence.append(frame)
    count = len(source.headers)
    frames = tuple(SourceFrame(instance=0, frame=count - k) for k in range(count))
    return replace(source, headers=(header,), frames=frames)


def test_a_resampled_source_is_referred_to_as_a_whole_and_not_frame_by_frame(context: ResultContext) -> None:
    resampled = build_segmentation(replace(context, source=replace(context.source, frames=None)))
    direct = build_segmentation(context)
    for own, copied in zip(
        resampled.PerFrameFunctionalGroupsSequence, direct.PerFrameFunctionalGroupsSequence, strict=True
    ):
        assert "DerivationImageSequence" not in own
        np.testing.assert_allclose(
            np.array(own.PlanePositionSequence[0].ImagePositionPatient, float),
            np.array(copied.PlanePositionSequence[0].ImagePositionPatient, float),
            atol=1e-6,
        )
    images = resampled.SharedFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence
    assert [image.ReferencedSOPInstanceUID for image in images] == [h.SOPInstanceUID for h in context.source.headers]
    assert {image.SpatialLocationsPreserved for image in images} == {"NO"}
    assert len(resampled.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(images)
    assert resampled.FrameOfReferenceUID == context.source.frame_of_reference_uid


def test_loss_of_the_source_is_told(context: ResultContext) -> None:
    assert build_segmentation(context).LossyImageCompression == "00"
    lossy = with_header(context, LossyImageCompression="01", LossyImageCompressionRatio="8")
    segmentation = build_segmentation(lossy)
    assert (segmentation.LossyImageCompression, segmentation.LossyImageCompressionRatio) == ("01", 8)


def test_names_in_other_alphabets_survive(context: ResultContext, tmp_path: Path) -> None:
    header = deepcopy(context.source.header)
    header.SpecificCharacterSet = "ISO_IR 100"
    header.PatientName = "Öström^Åsa"
    header.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    headers = (pydicom.dcmread(tmp_path / "image.dcm"), *context.source.headers[1:])
    segmentation = build_segmentation(replace(context, source=replace(context.source, headers=headers)))
    segmentation.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    assert str(pydicom.dcmread(tmp_path / "seg.dcm").PatientName) == "Öström^Åsa"


def test_nothing_found_makes_no_segmentation(empty_context: ResultContext) -> None:
    with pytest.raises(ResultsDisagree, match="cannot be empty; file the report alone"):
        build_segmentation(empty_context)


def test_a_source_without_frame_of_reference_is_refused(context: ResultContext) -> None:
    with pytest.raises(ResultsDisagree, match="no Frame of Reference UID"):
        build_segmentation(with_header(context, FrameOfReferenceUID=""))


def test_a_tilted_series_gets_its_segmentation_on_the_resampled_grid(tmp_path: Path, context: ResultContext) -> None:
    image = Volume(np.zeros((12, 10, 8), np.uint16), np.diag([-1.0, -1.0, 3.0, 1.0]))
    for k, path in enumerate(write_classic_series(image, tmp_path / "tilted", ClassicSeriesOptions())):
        tilted = pydicom.dcmread(path)
        x, y, z = tilted.ImagePositionPatient
        tilted.ImagePositionPatient = [x, y + 0.8 * k, z]
        tilted.save_as(path)
    (series,) = read_series_headers(tmp_path / "tilted")
    grid, source = read_series(series, resample=True), read_source(series, resample=True)
    assert source.frames is None
    labels = np.zeros(grid.shape, np.uint8)
    labels[2:5, 3:4, 1:3], labels[7, 8, 6] = Label.ED, Label.ET
    mask = grid.with_voxels(labels)
    findings = find_findings(mask, report_on(mask), context.uids)
    segmentation = build_segmentation(replace(context, source=source, findings=findings))
    segmentation.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    read, _ = read_segmentation(tmp_path / "seg.dcm", ReadOptions(onto=grid))
    np.testing.assert_array_equal(read.voxels, labels)
    volume = hd.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    found = np.argwhere(volume.array) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    true = np.argwhere(labels) @ mask.ras_from_voxel[:3, :3].T + mask.ras_from_voxel[:3, 3]
    np.testing.assert_allclose(sorted(map(tuple, found * (-1, -1, 1))), sorted(map(tuple, true)), atol=1e-3)
