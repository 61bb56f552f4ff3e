import tracemalloc
from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import RLELossless

from tds_clinical.dicom import read_series, read_series_headers
from tds_clinical.dicom.reading_back import ReadOptions, read_segment_numbers, read_segmentation
from tds_clinical.errors import DicomReadError, ResultsDisagree
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_clinical.testing.damage import damage_file
from tds_data.vocabulary import Label
from tds_data.volume import Volume

Labels = NDArray[np.uint8]
WriteSegmentation = Callable[..., Path]

KINDS = {1: codes.SCT.Necrosis, 2: codes.SCT.Edema, 3: codes.NCIt.EnhancingLesion}


@pytest.fixture
def image(volume: Volume, tmp_path: Path) -> Volume:
    write_classic_series(volume, tmp_path / "series", ClassicSeriesOptions(seed=5))
    return read_series(read_series_headers(tmp_path / "series")[0])


@pytest.fixture
def labels(image: Volume) -> Labels:
    labels = np.zeros(image.shape, np.uint8)
    labels[1:4, 1:3, 1:3] = Label.ED
    labels[2, 2, 1:3] = Label.ET
    labels[2, 1, 2] = Label.NCR
    return labels


@pytest.fixture
def other_software(labels: Labels, tmp_path: Path) -> WriteSegmentation:
    """Return what writes the labels, or other pixels (slice, row, column[, segment]), with highdicom."""

    def write(pixels: NDArray[np.generic] | None = None, **options: object) -> Path:
        kinds = options.pop("kinds", KINDS)
        assert isinstance(kinds, dict)
        sources = [pydicom.dcmread(path) for path in (tmp_path / "series").iterdir()]
        sources.sort(
            key=lambda source: (
                np.cross(*np.reshape(source.ImageOrientationPatient, (2, 3))) @ np.array(source.ImagePositionPatient)
            )
        )
        described = [
            hd.seg.SegmentDescription(
                segment_number=number,
                segment_label=f"part {number}",
                segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
                segmented_property_type=kind,
                algorithm_type="MANUAL",
                tracking_id=f"part {number}",
                tracking_uid=f"1.2.3.{number}",
            )
            for number, kind in kinds.items()
        ]
        written = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=labels.transpose(2, 1, 0) if pixels is None else pixels,
            segment_descriptions=described,
            series_instance_uid="1.2.3",
            series_number=1,
            sop_instance_uid="1.2.3.4",
            instance_number=1,
            manufacturer="Other",
            manufacturer_model_name="Other",
            software_versions="1",
            device_serial_number="1",
            **{"segmentation_type": "BINARY", **options},
        )
        written.save_as(tmp_path / "other.dcm")
        return tmp_path / "other.dcm"

    return write


@pytest.fixture
def edit(other_software: WriteSegmentation) -> Callable[[Callable[[Dataset], None]], Path]:
    """Return what changes a segmentation of other software."""

    def change(how: Callable[[Dataset], None], **options: object) -> Path:
        path = other_software(**options)
        dataset = pydicom.dcmread(path)
        how(dataset)
        dataset.save_as(path)
        return path

    return change


Edit = Callable[..., Path]


@pytest.mark.parametrize("options", [{}, {"segmentation_type": "LABELMAP"}, {"omit_empty_frames": False}], ids=str)
def test_segmentations_of_other_software_are_read(
    other_software: WriteSegmentation, image: Volume, labels: Labels, options: dict[str, object]
) -> None:
    mask, segments = read_segmentation(other_software(**options), ReadOptions(onto=image))
    np.testing.assert_array_equal(mask.voxels, labels)
    assert mask.same_grid(image)
    assert [(s.number, s.name, s.label, s.voxels) for s in segments] == [
        (n, f"part {n}", Label(n), int((labels == n).sum())) for n in (1, 2, 3)
    ]
    assert [(s.algorithm, s.tracking_id, s.tracking_uid) for s in segments] == [
        ("MANUAL", f"part {n}", f"1.2.3.{n}") for n in (1, 2, 3)
    ]
    assert segments[2].kind is not None
    assert segments[2].kind.meaning == "Enhancing Lesion"
    assert segments[2].category is not None
    assert segments[2].category.value == "49755003"


def test_without_a_grid_the_mask_spans_the_slices_that_are_stored(
    other_software: WriteSegmentation, labels: Labels, image: Volume
) -> None:
    mask, _ = read_segmentation(other_software())
    np.testing.assert_array_equal(mask.voxels, labels[:, :, 1:3])
    np.testing.assert_allclose(mask.ras_from_voxel[:3, :3], image.ras_from_voxel[:3, :3], atol=1e-9)
    first = image.ras_from_voxel @ (0, 0, 1, 1)
    np.testing.assert_allclose(mask.ras_from_voxel[:, 3], first, atol=1e-9)


def test_compressed_label_maps_are_read(edit: Edit, image: Volume, labels: Labels) -> None:
    def compress(dataset: Dataset) -> None:
        dataset.compress(RLELossless)

    mask, _ = read_segmentation(edit(compress, segmentation_type="LABELMAP"), ReadOptions(onto=image))
    np.testing.assert_array_equal(mask.voxels, labels)


def test_a_mask_goes_onto_a_volume_stored_in_any_order(
    other_software: WriteSegmentation, image: Volume, labels: Labels
) -> None:
    turn = np.array([[0, -1, 0, 0], [0, 0, 1, 0], [-1, 0, 0, 0], [0, 0, 0, 1]], float)  # new index from old
    shape = (image.shape[1], image.shape[2], image.shape[0])
    turn[:3, 3] = (image.shape[1] - 1, 0, image.shape[0] - 1)
    onto = Volume(np.zeros(shape, np.uint8), image.ras_from_voxel @ np.linalg.inv(turn))
    mask, _ = read_segmentation(other_software(), ReadOptions(onto=onto))
    np.testing.assert_array_equal(mask.voxels, labels.transpose(1, 2, 0)[::-1, :, ::-1])
    assert mask.same_grid(onto)


def _shifted(image: Volume) -> Volume:
    affine = image.ras_from_voxel.copy()
    affine[0, 3] += 0.3
    return Volume(image.voxels, affine)


def _smaller(image: Volume) -> Volume:
    return Volume(image.voxels[:, :, :2], image.ras_from_voxel)


def _coarser(image: Volume) -> Volume:
    return Volume(image.voxels, image.ras_from_voxel @ np.diag([2.0, 1.0, 1.0, 1.0]))


@pytest.mark.parametrize("other", [_shifted, _smaller, _coarser])
def test_another_grid_is_refused(
    other_software: WriteSegmentation, image: Volume, other: Callable[[Volume], Volume]
) -> None:
    with pytest.raises(ResultsDisagree, match="does not lie on the voxels of the volume"):
        read_segmentation(other_software(), ReadOptions(onto=other(image)))


def test_fractions_are_refused_without_a_threshold(
    other_software: WriteSegmentation, image: Volume, labels: Labels
) -> None:
    fractions = np.where(labels.transpose(2, 1, 0) == 2, 0.5, 0.0)
    fractions[1, 0, 0] = 0.25
    path = other_software(
        fractions, segmentation_type="FRACTIONAL", kinds={1: codes.SCT.Edema}, max_fractional_value=200
    )
    with pytest.raises(DicomReadError, match=r"it is fractional.*give a threshold"):
        read_segmentation(path)
    mask, _ = read_segmentation(path, ReadOptions(threshold=0.5, onto=image))
    np.testing.assert_array_equal(mask.voxels == Label.ED, labels == 2)
    mask, _ = read_segmentation(path, ReadOptions(threshold=0.25, onto=image))
    assert np.count_nonzero(mask.voxels) == np.count_nonzero(labels == 2) + 1


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.01, float("nan")])
def test_a_threshold_is_a_fraction(threshold: float) -> None:
    with pytest.raises(ValueError, match="lies above 0 and at most at 1"):
        ReadOptions(threshold=threshold)


def test_overlapping_segments_are_refused(other_software: WriteSegmentation, labels: Labels) -> None:
    both = np.stack([labels.transpose(2, 1, 0) == n for n in (1, 2, 3)], axis=-1).astype(np.uint8)
    both[2, 2, 2, :] = 1
    with pytest.raises(DicomReadError, match="segments 1 and 2 overlap"):
        read_segmentation(other_software(both))


def test_unknown_segments_need_a_label(other_software: WriteSegmentation, image: Volume, labels: Labels) -> None:
    path = other_software(kinds={**KINDS, 3: codes.SCT.Tissue})
    with pytest.raises(DicomReadError, match="segment 3 has the type 'Tissue', which is none of our labels"):
        read_segmentation(path)
    mask, segments = read_segmentation(path, ReadOptions(labels={3: Label.ET}, onto=image))
    np.testing.assert_array_equal(mask.voxels, labels)
    assert segments[2].label is Label.ET
    numbers, segments = read_segment_numbers(path, ReadOptions(onto=image))
    np.testing.assert_array_equal(numbers.voxels, labels)
    assert segments[2].label is None


def test_segments_can_be_taken_out_by_calling_them_background(
    other_software: WriteSegmentation, image: Volume, labels: Labels
) -> None:
    mask, _ = read_segmentation(other_software(), ReadOptions(labels={2: Label.BACKGROUND}, onto=image))
    np.testing.assert_array_equal(mask.voxels, np.where(labels == 2, 0, labels))


def test_codes_of_snomed_rt_are_understood(edit: Edit) -> None:
    def older(dataset: Dataset) -> None:
        for item, value in zip(dataset.SegmentSequence, ("M-54000", "M-36300"), strict=False):
            code = item.SegmentedPropertyTypeCodeSequence[0]
            code.CodeValue, code.CodingSchemeDesignator = value, "SRT"

    _, segments = read_segmentation(edit(older))
    assert [s.label for s in segments] == [Label.NCR, Label.ED, Label.ET]


@pytest.mark.parametrize("spacing", [None, 1.7, 400.0])
def test_spacing_is_seen_where_the_file_says_none_or_a_wrong_one(
    edit: Edit, image: Volume, labels: Labels, spacing: float | None
) -> None:
    def change(dataset: Dataset) -> None:
        measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SliceThickness = 0.5
        measures.SpacingBetweenSlices = spacing

    path = edit(change)
    mask, _ = read_segmentation(path)
    np.testing.assert_array_equal(mask.voxels, labels[:, :, 1:3])
    assert mask.spacing_mm[2] == pytest.approx(4.0)
    mask, _ = read_segmentation(path, ReadOptions(onto=image))
    np.testing.assert_array_equal(mask.voxels, labels)


def test_far_slices_without_spacing_find_their_place_on_a_grid(
    other_software: WriteSegmentation, image: Volume
) -> None:
    apart = np.zeros(image.shape, np.uint8)
    apart[2, 3, [0, 3]] = Label.ED
    path = other_software(apart.transpose(2, 1, 0))
    dataset = pydicom.dcmread(path)
    del dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices
    dataset.save_as(path)
    mask, _ = read_segmentation(path, ReadOptions(onto=image))
    np.testing.assert_array_equal(mask.voxels, apart)


def test_a_single_slice_is_as_thick_as_the_file_says(
    other_software: WriteSegmentation, image: Volume, labels: Labels
) -> None:
    one = labels.copy()
    one[:, :, 2] = 0
    path = other_software(one.transpose(2, 1, 0))
    mask, _ = read_segmentation(path)
    np.testing.assert_array_equal(mask.voxels, one[:, :, 1:2])
    assert mask.spacing_mm[2] == pytest.approx(4.0)
    dataset = pydicom.dcmread(path)
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    del measures.SliceThickness
    measures.SpacingBetweenSlices = 0
    dataset.save_as(path)
    with pytest.raises(DicomReadError, match="says neither spacing nor thickness"):
        read_segmentation(path)
    mask, _ = read_segmentation(path, ReadOptions(onto=image))
    np.testing.assert_array_equal(mask.voxels, one)


def _no_position(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence


def _no_segment(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence


def _two_orientations(dataset: Dataset) -> None:
    item = Dataset()
    item.ImageOrientationPatient = [0, 1, 0, 0, 0, 1]
    dataset.PerFrameFunctionalGroupsSequence[0].PlaneOrientationSequence = [item]


def _no_orientation(dataset: Dataset) -> None:
    item = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    item.ImageOrientationPatient = [1, 0, 0, 1, 0, 0]


def _move(dataset: Dataset, shift: float, axis: int) -> None:
    for frame in dataset.PerFrameFunctionalGroupsSequence[:2]:
        item = frame.PlanePositionSequence[0]
        place = [float(c) for c in item.ImagePositionPatient]
        place[axis] += shift
        item.ImagePositionPatient = place


def _drifting(dataset: Dataset) -> None:
    _move(dataset, 1.0, 0)


def _far_away(dataset: Dataset) -> None:
    _move(dataset, 4.0 * 5000, 2)


def _uneven(dataset: Dataset) -> None:
    _move(dataset, 1.5, 2)


def _fewer_described(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[-1]


def _no_image(dataset: Dataset) -> None:
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"


def _unknown_type(dataset: Dataset) -> None:
    dataset.SegmentationType = "SURFACE"


def _same_numbers(dataset: Dataset) -> None:
    dataset.SegmentSequence[1].SegmentNumber = 1


def _huge_number(dataset: Dataset) -> None:
    dataset.SegmentSequence[1]["SegmentNumber"].VR = "UL"
    dataset.SegmentSequence[1].SegmentNumber = 900_000_000


def _no_description(dataset: Dataset) -> None:
    del dataset.SegmentSequence[2]


def _no_type(dataset: Dataset) -> None:
    del dataset.SegmentSequence[2].SegmentedPropertyTypeCodeSequence


def _short_pixels(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:4]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_position, "frame 2 has no usable ImagePositionPatient"),
        (_no_segment, "frame 1 does not say which segment"),
        (_two_orientations, "frames differ in ImageOrientationPatient"),
        (_no_orientation, "orientation or pixel spacing is impossible"),
        (_drifting, "off a regular grid"),
        (_far_away, "its frames span"),
        (_uneven, "unevenly spaced"),
        (_fewer_described, "says 5 frames and describes 4"),
        (_no_image, "no DICOM Segmentation"),
        (_unknown_type, "its type is SURFACE"),
        (_same_numbers, "not numbered, each by a number of its own"),
        (_huge_number, "not numbered, each by a number of its own"),
        (_no_description, "voxels of segment 3, which it does not describe"),
        (_no_type, "segment 3 has no type"),
        (_short_pixels, "pixels"),
    ],
)
def test_damaged_files_are_refused(edit: Edit, damage: Callable[[Dataset], None], message: str) -> None:
    with pytest.raises(DicomReadError, match=message):
        read_segmentation(edit(damage))


def test_slices_far_apart_take_no_more_memory_than_their_voxels(edit: Edit) -> None:
    def move(dataset: Dataset) -> None:
        side = 64
        del dataset.PerFrameFunctionalGroupsSequence[2:]
        dataset.NumberOfFrames, dataset.Rows, dataset.Columns = 2, side, side
        dataset.PixelData = bytes(2 * side * side // 8)
        place = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
        x, y, z = map(float, place.ImagePositionPatient)
        place.ImagePositionPatient = [x, y, z + 4.0 * 4000]

    path = edit(move)
    tracemalloc.start()
    mask, _ = read_segmentation(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mask.shape[2] > 3900
    assert peak_bytes < 5 * mask.voxels.nbytes  # uint16 numbers, then uint8 labels


def test_another_background_than_zero_is_understood(edit: Edit, image: Volume, labels: Labels) -> None:
    def renumber(dataset: Dataset) -> None:
        stored = np.frombuffer(dataset.PixelData, np.uint8).copy()
        stored[stored == 0] = 9
        dataset.PixelData = stored.tobytes()
        dataset.PixelPaddingValue = 9
        dataset.SegmentSequence[0].SegmentNumber = 9

    mask, segments = read_segmentation(edit(renumber, segmentation_type="LABELMAP"), ReadOptions(onto=image))
    np.testing.assert_array_equal(mask.voxels, labels)
    assert [s.number for s in segments] == [1, 2, 3]


def test_a_label_map_whose_zero_is_a_segment_is_refused(edit: Edit) -> None:
    def name_zero(dataset: Dataset) -> None:
        del dataset.PixelPaddingValue
        dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue = "1"

    with pytest.raises(DicomReadError, match="number 0 is a segment and not the background"):
        read_segmentation(edit(name_zero, segmentation_type="LABELMAP"))


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_damaged_bytes_are_read_or_refused_and_nothing_else(other_software: WriteSegmentation, kind: str) -> None:
    path = other_software(segmentation_type=kind)
    assert_read_or_refused(path, range(400))


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_ten_thousand_damaged_files_are_read_or_refused_and_nothing_else(
    other_software: WriteSegmentation, kind: str
) -> None:
    path = other_software(segmentation_type=kind)
    assert_read_or_refused(path, range(5000))


def assert_read_or_refused(path: Path, seeds: range) -> None:
    whole = path.read_bytes()
    messages = []
    for seed in seeds:
        path.write_bytes(damage_file(whole, seed))
        try:
            read_segmentation(path)
        except DicomReadError as error:
            messages.append(str(error))
    assert len(messages) > len(seeds) // 2
    assert not [message for message in messages if "Phantom" in message or str(path.parent) in message]
