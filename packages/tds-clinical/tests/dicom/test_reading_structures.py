import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, RTStructureSetStorage
from rt_utils import RTStructBuilder

from tds_clinical.codes import LABEL_CODES
from tds_clinical.dicom import read_series_headers, read_source, reading_structures
from tds_clinical.dicom.reading_structures import Structure, read_structure_set, structures_as_labels
from tds_clinical.dicom.source import SourceSeries
from tds_clinical.errors import DicomReadError, ResultsDisagree
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data.vocabulary import Label
from tds_data.volume import Volume

SHAPE = (12, 12, 4)
Corners = Sequence[tuple[float, float]]
SQUARE = ((1.5, 1.5), (8.5, 1.5), (8.5, 8.5), (1.5, 8.5))
INNER = ((3.5, 3.5), (6.5, 3.5), (6.5, 6.5), (3.5, 6.5))


@pytest.fixture
def folder(tmp_path: Path, oblique_affine: NDArray[np.float64]) -> Path:
    affine = oblique_affine.copy()
    affine[:3, 1] *= 0.9 / 1.1  # square pixels, which rt-utils needs
    image = Volume(np.random.default_rng(3).integers(0, 900, SHAPE).astype(np.uint16), affine)
    write_classic_series(image, tmp_path / "series", ClassicSeriesOptions())
    return tmp_path / "series"


@pytest.fixture
def source(folder: Path) -> SourceSeries:
    (series,) = read_series_headers(folder)
    return read_source(series)


def contour(source: SourceSeries, corners: Corners, *, slice_index: float = 1, kind: str = "CLOSED_PLANAR") -> Dataset:
    """Return a contour as another maker writes it: without contour number or image, rounded to 0.01 mm."""
    voxels = np.array([(x, y, slice_index) for x, y in corners], float)
    ras = voxels @ source.ras_from_voxel[:3, :3].T + source.ras_from_voxel[:3, 3]
    item = Dataset()
    item.ContourGeometricType = kind
    item.NumberOfContourPoints = len(corners)
    item.ContourData = [f"{value:.2f}" for value in (ras * (-1, -1, 1)).ravel()]
    return item


def structure_set(path: Path, source: SourceSeries, *rois: Sequence[Dataset], name: str = "Lesion 1 ET") -> Path:
    dataset = Dataset()
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.SOPInstanceUID = "1.2.3"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.StructureSetROISequence, dataset.ROIContourSequence, dataset.RTROIObservationsSequence = [], [], []
    for number, contours in enumerate(rois, start=7):
        region, drawn = Dataset(), Dataset()
        region.ROINumber = drawn.ReferencedROINumber = number
        region.ROIName = name
        region.ReferencedFrameOfReferenceUID = source.frame_of_reference_uid
        drawn.ContourSequence = list(contours)
        dataset.StructureSetROISequence.append(region)
        dataset.ROIContourSequence.append(drawn)
    dataset.save_as(path, enforce_file_format=True)
    return path


def pixels(structure: Structure, slice_index: int = 1) -> NDArray[np.bool_]:
    return np.asarray(structure.volume.voxels[:, :, slice_index], bool)


def square(first: int, last: int) -> NDArray[np.bool_]:
    picture = np.zeros(SHAPE[:2], bool)
    picture[first : last + 1, first : last + 1] = True
    return picture


def read_one(tmp_path: Path, source: SourceSeries, *contours: Dataset, name: str = "Lesion 1 ET") -> Structure:
    path = structure_set(tmp_path / "rt.dcm", source, contours, name=name)
    (structure,) = read_structure_set(path, source)
    return structure


def test_a_contour_covers_the_centres_inside_it_on_its_slice_alone(tmp_path: Path, source: SourceSeries) -> None:
    structure = read_one(tmp_path, source, contour(source, SQUARE))
    np.testing.assert_array_equal(pixels(structure), square(2, 8))
    assert structure.volume.voxels.sum() == square(2, 8).sum()
    assert (structure.number, structure.name, structure.tracking_uid) == (7, "Lesion 1 ET", "")


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
@pytest.mark.parametrize("inner_first", [False, True])
def test_a_contour_within_another_is_a_hole(
    tmp_path: Path, source: SourceSeries, kind: str, *, inner_first: bool
) -> None:
    both = [contour(source, corners, kind=kind) for corners in (SQUARE, INNER)]
    structure = read_one(tmp_path, source, *both[:: -1 if inner_first else 1])
    np.testing.assert_array_equal(pixels(structure), square(2, 8) & ~square(4, 6))


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_a_contour_within_a_hole_is_an_island(tmp_path: Path, source: SourceSeries, kind: str) -> None:
    island = ((4.5, 4.5), (5.5, 4.5), (5.5, 5.5), (4.5, 5.5))
    drawn = [contour(source, corners, kind=kind) for corners in (island, SQUARE, INNER)]
    np.testing.assert_array_equal(
        pixels(read_one(tmp_path, source, *drawn)), (square(2, 8) & ~square(4, 6)) | square(5, 5)
    )


def test_a_channel_to_a_hole_takes_nothing_away(tmp_path: Path, source: SourceSeries) -> None:
    hole = ((5, 3.5), (3.5, 3.5), (3.5, 6.5), (6.5, 6.5), (6.5, 3.5), (5, 3.5))
    keyhole = ((5, 1.5), *hole, (5, 1.5), (8.5, 1.5), (8.5, 8.5), (1.5, 8.5), (1.5, 1.5))  # through centres
    structure = read_one(tmp_path, source, contour(source, keyhole))
    np.testing.assert_array_equal(pixels(structure), square(2, 8) & ~square(4, 6))


def test_contours_that_overlap_in_part_are_taken_together_with_a_warning(
    tmp_path: Path, source: SourceSeries, caplog: pytest.LogCaptureFixture
) -> None:
    moved = tuple((x + 2, y + 2) for x, y in SQUARE)
    with caplog.at_level(logging.WARNING):
        structure = read_one(tmp_path, source, contour(source, SQUARE), contour(source, moved))
    np.testing.assert_array_equal(pixels(structure), square(2, 8) | square(4, 10))
    assert caplog.messages == ["structure_contours_overlap region=7 contours=1"]


@pytest.mark.parametrize("again", [SQUARE, SQUARE[2:] + SQUARE[:2], SQUARE[::-1]])
def test_a_contour_drawn_twice_is_no_hole(
    tmp_path: Path, source: SourceSeries, caplog: pytest.LogCaptureFixture, again: Corners
) -> None:
    with caplog.at_level(logging.WARNING):
        structure = read_one(tmp_path, source, contour(source, SQUARE), contour(source, again))
    np.testing.assert_array_equal(pixels(structure), square(2, 8))
    assert caplog.messages == []


def test_contours_that_touch_are_taken_together(tmp_path: Path, source: SourceSeries) -> None:
    left = ((1.5, 1.5), (4.5, 1.5), (4.5, 8.5), (1.5, 8.5))
    right = ((4.5, 1.5), (8.5, 1.5), (8.5, 8.5), (4.5, 8.5))
    structure = read_one(tmp_path, source, contour(source, left), contour(source, right))
    np.testing.assert_array_equal(pixels(structure), square(2, 8))


def test_a_contour_through_centres_includes_them(tmp_path: Path, source: SourceSeries) -> None:
    through = ((2, 2), (8, 2), (8, 8), (2, 8))
    np.testing.assert_array_equal(pixels(read_one(tmp_path, source, contour(source, through))), square(2, 8))


def test_what_lies_beyond_the_image_is_cut_off(tmp_path: Path, source: SourceSeries) -> None:
    large = ((-30, -30), (40, -30), (40, 40), (-30, 40))
    assert pixels(read_one(tmp_path, source, contour(source, large))).all()


def test_points_and_open_lines_have_no_voxels(
    tmp_path: Path, source: SourceSeries, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        drawn = [contour(source, SQUARE, kind=kind) for kind in ("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR")]
        structure = read_one(tmp_path, source, *drawn)
    assert not structure.volume.voxels.any()
    assert caplog.messages == ["structure_contours_without_area region=7 contours=3"]


def test_a_region_without_contours_is_empty(tmp_path: Path, source: SourceSeries) -> None:
    path = structure_set(tmp_path / "rt.dcm", source, [contour(source, SQUARE)], [])
    drawn, empty = read_structure_set(path, source)
    assert drawn.volume.voxels.any()
    assert not empty.volume.voxels.any()


@pytest.mark.filterwarnings("ignore:.*will be removed in v4.0:DeprecationWarning")  # rt-utils's own
def test_a_structure_set_of_rt_utils_is_read_as_it_was_drawn(
    tmp_path: Path, folder: Path, source: SourceSeries
) -> None:
    grid = np.indices(SHAPE)
    ball = ((grid - np.array([5, 6, 1.5]).reshape(3, 1, 1, 1)) ** 2 / np.array([16, 12, 2]).reshape(3, 1, 1, 1)).sum(0)
    mask = (ball < 1) & ~((grid[0] == 5) & (grid[1] == 6))
    mask[0, 0, 3] = mask[2:6, 10, 3] = True
    structures = RTStructBuilder.create_new(dicom_series_path=str(folder))
    structures.add_roi(mask=np.ascontiguousarray(mask.transpose(1, 0, 2)), name="tumour")
    structures.save(str(tmp_path / "rt-utils.dcm"))
    (structure,) = read_structure_set(tmp_path / "rt-utils.dcm", source)
    np.testing.assert_array_equal(structure.volume.voxels, mask)


@pytest.mark.parametrize("off", [0.04, -0.04])
def test_contours_may_miss_their_slice_by_a_little(tmp_path: Path, source: SourceSeries, off: float) -> None:
    structure = read_one(tmp_path, source, contour(source, SQUARE, slice_index=1 + off))
    np.testing.assert_array_equal(pixels(structure), square(2, 8))


@pytest.mark.parametrize("slice_index", [1.5, -1, 4, 1.2])
def test_contours_off_the_slices_are_refused(tmp_path: Path, source: SourceSeries, slice_index: float) -> None:
    with pytest.raises(ResultsDisagree, match="mm off the nearest slice"):
        read_one(tmp_path, source, contour(source, SQUARE, slice_index=slice_index))


@pytest.mark.parametrize("uid", ["1.2.3.4.5", ""])
def test_another_frame_of_reference_is_refused(tmp_path: Path, source: SourceSeries, uid: str) -> None:
    region = Dataset()
    region.ROINumber = 1
    region.ReferencedFrameOfReferenceUID = uid
    with pytest.raises(ResultsDisagree, match="another frame of reference") as caught:
        _read_changed(tmp_path, source, StructureSetROISequence=[region])
    assert source.frame_of_reference_uid not in str(caught.value)


def test_an_image_is_no_structure_set(tmp_path: Path, source: SourceSeries) -> None:
    with pytest.raises(DicomReadError, match="no RT Structure Set"):
        _read_changed(tmp_path, source, SOPClassUID=MRImageStorage)


def test_a_region_without_number_is_refused(tmp_path: Path, source: SourceSeries) -> None:
    with pytest.raises(DicomReadError, match="has no number"):
        _read_changed(tmp_path, source, StructureSetROISequence=[Dataset()])


@pytest.mark.parametrize("data", [["1", "2"], [], ["nan", "1", "2"], ["1", "2", "x"]])
@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
def test_malformed_contours_are_refused(tmp_path: Path, source: SourceSeries, data: list[str]) -> None:
    item = contour(source, SQUARE)
    element = item.data_element("ContourData")
    assert element is not None
    element.VR, element.value = "LO", data  # which takes any text
    with pytest.raises(DicomReadError, match="a contour of region 7 is"):
        read_one(tmp_path, source, item)


def test_contours_in_two_parts_are_taken_together(tmp_path: Path, source: SourceSeries) -> None:
    path = structure_set(
        tmp_path / "rt.dcm", source, [contour(source, SQUARE)], [contour(source, SQUARE, slice_index=2)]
    )
    dataset = dcmread(path)
    dataset.StructureSetROISequence.pop()
    dataset.ROIContourSequence[1].ReferencedROINumber = 7
    dataset.save_as(path)
    (structure,) = read_structure_set(path, source)
    assert structure.volume.voxels.sum() == 2 * square(2, 8).sum()


def test_a_sequence_that_breaks_off_is_damaged(tmp_path: Path, source: SourceSeries) -> None:
    path = structure_set(tmp_path / "rt.dcm", source, [contour(source, SQUARE)])
    content = path.read_bytes()
    begin = content.index(b"\x06\x30\x39\x00SQ")  # ROI Contour Sequence, then an item and two bytes of the next
    path.write_bytes(content[: begin + 8] + b"\x0a\0\0\0" + b"\xfe\xff\x00\xe0\0\0\0\0" + b"\xfe\xff")
    with pytest.raises(DicomReadError, match=r"an element of it is damaged \(OSError\)"):
        read_structure_set(path, source)


def test_a_contour_that_crosses_the_image_without_end_is_refused(
    tmp_path: Path, source: SourceSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_structures, "_LONGEST_PATH", 1000)
    short = [(1.5, 1.5), (8.5, 8.5)] * 50
    assert read_one(tmp_path, source, contour(source, short)).volume.voxels.any()
    with pytest.raises(DicomReadError, match="a contour of region 7 crosses the image 1050 pixels far"):
        read_one(tmp_path, source, contour(source, short + [(1.5, 1.5), (8.5, 8.5)] * 25))


def test_contours_without_data_are_refused(tmp_path: Path, source: SourceSeries) -> None:
    item = contour(source, SQUARE)
    del item.ContourData
    with pytest.raises(DicomReadError, match="malformed"):
        read_one(tmp_path, source, item)


def _read_changed(tmp_path: Path, source: SourceSeries, **changes: object) -> None:

    path = structure_set(tmp_path / "rt.dcm", source, [contour(source, SQUARE)])
    dataset = dcmread(path)
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    read_structure_set(path, source)


@pytest.mark.parametrize("label", LABEL_CODES)
def test_labels_are_known_by_their_code_and_else_by_the_last_word_of_the_name(
    tmp_path: Path, source: SourceSeries, label: Label
) -> None:
    assert read_one(tmp_path, source, name=f"edited {label.name.lower()}").label is label
    path = structure_set(tmp_path / "rt.dcm", source, [contour(source, SQUARE)], name="anything")

    dataset = dcmread(path)
    observation = Dataset()
    observation.ReferencedROINumber = 7
    observation.RTROIIdentificationCodeSequence = [LABEL_CODES[label].to_dataset()]
    dataset.RTROIObservationsSequence = [observation]
    dataset.save_as(path, enforce_file_format=True)
    (structure,) = read_structure_set(path, source)
    assert structure.label is label


@pytest.mark.parametrize("name", ["", "brainstem", "BACKGROUND", "ET lesion"])
def test_other_names_are_no_labels(tmp_path: Path, source: SourceSeries, name: str) -> None:
    assert read_one(tmp_path, source, name=name).label is None


def structure(number: int, label: Label | None, *places: tuple[int, int, int]) -> Structure:
    voxels = np.zeros((2, 2, 2), bool)
    for place in places:
        voxels[place] = True
    return Structure(number=number, name="", tracking_uid="", label=label, volume=Volume(voxels, np.eye(4)))


def test_structures_become_one_mask() -> None:
    labels = structures_as_labels(
        [structure(1, Label.NCR, (0, 0, 0)), structure(2, Label.ET, (1, 1, 1)), structure(3, Label.ET, (1, 1, 1))]
    )
    assert labels.voxels.dtype == np.uint8
    assert (labels.voxels[0, 0, 0], labels.voxels[1, 1, 1], labels.voxels.sum()) == (1, 3, 4)


def test_two_labels_of_one_voxel_are_refused() -> None:
    both = [structure(1, Label.NCR, (0, 0, 0)), structure(2, Label.ET, (0, 0, 0), (1, 0, 0))]
    with pytest.raises(ResultsDisagree, match="region 2 of the structure set shares 1 voxels"):
        structures_as_labels(both)


def test_structures_without_label_are_refused() -> None:
    with pytest.raises(ResultsDisagree, match="region 4 is none of NCR, ED and ET"):
        structures_as_labels([structure(4, None)])


def test_no_structures_make_no_mask() -> None:
    with pytest.raises(ResultsDisagree, match="no regions of interest"):
        structures_as_labels([])
