import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from tds_clinical.dicom import identify_sequence, read_series, read_series_headers, read_source, read_time_series
from tds_clinical.errors import DicomReadError, GeometryNotSupported, IncompleteSeries
from tds_clinical.testing import EnhancedDimension, EnhancedSeriesOptions, write_enhanced_series
from tds_data.vocabulary import MODALITIES, Modality
from tds_data.volume import Volume

from .geometry import assert_same_image, read_only_series, volumes


def written(volume: Volume, folder: Path, count: int = 2, **options: object) -> list[Volume]:
    several = [volume.with_voxels(volume.voxels + 100 * n) for n in range(count)]
    write_enhanced_series(several, folder / "enhanced.dcm", EnhancedSeriesOptions(**options))
    return several


def change(folder: Path, how: Callable[[Dataset], None]) -> None:
    (path,) = folder.iterdir()
    dataset = pydicom.dcmread(path)
    how(dataset)
    dataset.save_as(path)


@settings(max_examples=60, deadline=None)
@given(
    volume=volumes(),
    count=st.integers(1, 3),
    shuffle=st.booleans(),
    per_frame=st.booleans(),
    legacy=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_voxel_of_every_volume_keeps_its_place_and_value(
    volume: Volume, *, count: int, shuffle: bool, per_frame: bool, legacy: bool, seed: int
) -> None:
    several = [volume.with_voxels(np.roll(volume.voxels, n)) for n in range(count)]
    options = EnhancedSeriesOptions(seed=seed, shuffle=shuffle, geometry_per_frame=per_frame, legacy=legacy)
    with tempfile.TemporaryDirectory() as folder:
        write_enhanced_series(several, Path(folder) / "enhanced.dcm", options)
        series = read_series_headers(Path(folder))
        read = [read_series(one) for one in series]
        sources = [read_source(one) for one in series]
    assert len(read) == count
    for one, wanted, source in zip(read, several, sources, strict=True):
        assert_same_image(one, wanted)
        assert one.voxels.dtype == wanted.voxels.dtype
        assert source.is_grid_of(one)


@pytest.mark.exhaustive
@settings(max_examples=2000, deadline=None)
@given(volume=volumes(), per_frame=st.booleans(), seed=st.integers(0, 99))
def test_every_voxel_keeps_its_place_and_value_exhaustively(volume: Volume, *, per_frame: bool, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        options = EnhancedSeriesOptions(seed=seed, geometry_per_frame=per_frame)
        write_enhanced_series([volume], Path(folder) / "enhanced.dcm", options)
        assert_same_image(read_only_series(Path(folder)), volume)


@pytest.mark.parametrize(
    ("dimension", "word"),
    [
        (EnhancedDimension.ECHO, "echo"),
        (EnhancedDimension.TIME, "time point"),
        (EnhancedDimension.B_VALUE, "b-value"),
        (EnhancedDimension.STACK, "stack"),
    ],
)
def test_volumes_are_told_apart_by_what_differs(
    volume: Volume, tmp_path: Path, dimension: EnhancedDimension, word: str
) -> None:
    several = written(volume, tmp_path, count=3, dimension=dimension, series_number=4)
    series = read_series_headers(tmp_path)
    assert [s.label for s in series] == [f"series 4, {word} {n} of 3" for n in (1, 2, 3)]
    assert [s.name for s in series] == ["4.1", "4.2", "4.3"]
    assert len({s.key for s in series}) == 3
    assert all(s.is_multi_frame and not s.is_mosaic for s in series)
    for one, wanted in zip(series, several, strict=True):
        np.testing.assert_array_equal(read_series(one).voxels, wanted.voxels)


def test_stacks_may_lie_anywhere(volume: Volume, tmp_path: Path) -> None:
    turned = Volume(volume.voxels, volume.ras_from_voxel[:, [1, 2, 0, 3]])
    options = EnhancedSeriesOptions(dimension=EnhancedDimension.STACK)
    write_enhanced_series([volume, turned], tmp_path / "stacks.dcm", options)
    first, second = read_series_headers(tmp_path)
    assert_same_image(read_series(first), volume)
    assert_same_image(read_series(second), turned)
    with pytest.raises(GeometryNotSupported, match="does not lie on the grid of series 1, stack 1 of 2"):
        read_time_series([first, second])


def test_a_stack_for_each_frame_does_not_split(volume: Volume, tmp_path: Path) -> None:
    write_enhanced_series([volume], tmp_path / "e.dcm", EnhancedSeriesOptions())

    def stack_each(image: Dataset) -> None:
        for n, groups in enumerate(image.PerFrameFunctionalGroupsSequence):
            groups.FrameContentSequence[0].StackID = str(n)

    change(tmp_path, stack_each)
    assert_same_image(read_only_series(tmp_path), volume)


def test_several_files_of_one_series_are_several_volumes(volume: Volume, tmp_path: Path) -> None:
    for number in (2, 1):
        tags = {"InstanceNumber": number, "SOPInstanceUID": f"2.25.{number}"}
        later = volume.with_voxels(volume.voxels + number)
        write_enhanced_series([later], tmp_path / f"{9 - number}.dcm", EnhancedSeriesOptions(tags=tags))
    first, second = read_series_headers(tmp_path)
    assert (first.part, second.part) == ("volume 1 of 2", "volume 2 of 2")
    np.testing.assert_array_equal(read_series(first).voxels, volume.voxels + 1)
    np.testing.assert_array_equal(read_series(second).voxels, volume.voxels + 2)


def test_frames_that_only_a_dimension_of_their_own_tells_apart_are_told_apart(volume: Volume, tmp_path: Path) -> None:
    several = written(volume, tmp_path, dimension=EnhancedDimension.TIME)

    def hide_time(image: Dataset) -> None:
        for groups in image.PerFrameFunctionalGroupsSequence:
            del groups.FrameContentSequence[0].TemporalPositionIndex

    change(tmp_path, hide_time)
    series = read_series_headers(tmp_path)
    assert [s.part for s in series] == ["volume 1 of 2", "volume 2 of 2"]
    for one, wanted in zip(series, several, strict=True):
        np.testing.assert_array_equal(read_series(one).voxels, wanted.voxels)


def test_source_names_the_frames(volume: Volume, tmp_path: Path) -> None:
    written(volume, tmp_path, shuffle=True)
    for series in read_series_headers(tmp_path):
        source = read_source(series)
        (header,) = source.headers
        assert source.frames is not None
        for k, frame in enumerate(source.frames):
            groups = header.PerFrameFunctionalGroupsSequence[frame.frame - 1]
            place = source.ras_from_voxel @ (0, 0, k, 1)
            position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
            np.testing.assert_allclose(place[:3], position * (-1, -1, 1), atol=1e-6)
            assert frame.instance == 0


def test_rescale_of_all_frames_is_applied(volume: Volume, tmp_path: Path) -> None:
    stored = volume.with_voxels((volume.voxels // 2 * 2).astype(np.uint16))
    write_enhanced_series([stored], tmp_path / "e.dcm", EnhancedSeriesOptions(rescale=(2.0, 0.0)))
    read = read_only_series(tmp_path)
    assert read.voxels.dtype == np.float32
    np.testing.assert_array_equal(read.voxels, stored.voxels)


def test_rescale_of_one_frame_is_applied_to_it(volume: Volume, tmp_path: Path) -> None:
    write_enhanced_series([volume], tmp_path / "e.dcm", EnhancedSeriesOptions(shuffle=False))

    def scale_one(image: Dataset) -> None:
        shared = image.SharedFunctionalGroupsSequence[0]
        for k, groups in enumerate(image.PerFrameFunctionalGroupsSequence):
            groups.PixelValueTransformationSequence = [Dataset(shared.PixelValueTransformationSequence[0])]
            if k == 1:
                own = Dataset()
                own.RescaleSlope, own.RescaleIntercept = 0.5, -10
                groups.PixelValueTransformationSequence = [own]
        del shared.PixelValueTransformationSequence

    change(tmp_path, scale_one)
    expected = volume.voxels.astype(np.float32)
    expected[:, :, 1] = expected[:, :, 1] * 0.5 - 10
    np.testing.assert_array_equal(read_only_series(tmp_path).voxels, expected)


@pytest.mark.parametrize("modality", MODALITIES)
def test_enhanced_images_are_recognised(volume: Volume, tmp_path: Path, modality: Modality) -> None:
    tags = {"SeriesDescription": ""}
    write_enhanced_series([volume], tmp_path / "e.dcm", EnhancedSeriesOptions(modality=modality, tags=tags))
    (series,) = read_series_headers(tmp_path)
    plain = Modality.T1 if modality is Modality.T1CE else modality  # nothing names a contrast agent here
    assert identify_sequence(series.header).modality is plain


def test_legacy_images_tell_their_timing(volume: Volume, tmp_path: Path) -> None:
    write_enhanced_series([volume], tmp_path / "e.dcm", EnhancedSeriesOptions(legacy=True))
    (series,) = read_series_headers(tmp_path)
    assert (series.header.RepetitionTime, series.header.EchoTime, series.header.InversionTime) == (1900, 2.5, 900)
    assert list(series.header.ScanningSequence) == ["GR", "IR"]


def test_echo_planar_and_several_inversion_times_are_told(volume: Volume, tmp_path: Path) -> None:
    options = EnhancedSeriesOptions(modality=Modality.FLAIR, tags={"EchoPlanarPulseSequence": "YES"})
    write_enhanced_series([volume], tmp_path / "e.dcm", options)

    def add_inversion(image: Dataset) -> None:
        image.SharedFunctionalGroupsSequence[0].MRModifierSequence[0].InversionTimes = [2500, 100]

    change(tmp_path, add_inversion)
    (series,) = read_series_headers(tmp_path)
    assert list(series.header.ScanningSequence) == ["SE", "EP", "IR"]
    assert series.header.InversionTime == 2500


@pytest.mark.parametrize(("administered", "expected"), [("YES", Modality.T1CE), ("NO", Modality.T1)])
def test_frames_from_before_the_agent_are_not_taken_for_those_after_it(
    volume: Volume, tmp_path: Path, administered: str, expected: Modality
) -> None:
    written(volume, tmp_path, 1, modality=Modality.T1)

    def use(dataset: Dataset) -> None:
        usage = Dataset()
        usage.ContrastBolusAgentNumber, usage.ContrastBolusAgentAdministered = 1, administered
        dataset.SharedFunctionalGroupsSequence[0].ContrastBolusUsageSequence = [usage]
        agent = Dataset()
        agent.ContrastBolusAgentNumber = 1
        dataset.ContrastBolusAgentSequence = [agent]
        dataset.SeriesDescription = "AX T1"

    change(tmp_path, use)
    (series,) = read_series_headers(tmp_path)
    assert identify_sequence(series.header).modality is expected


def test_the_contrast_that_a_frame_declares_is_heard(volume: Volume, tmp_path: Path) -> None:
    written(volume, tmp_path, 1, modality=Modality.T2)

    def declare(dataset: Dataset) -> None:
        dataset.AcquisitionContrast = "MIXED"
        dataset.SeriesDescription = dataset.ProtocolName = ""
        for groups in (dataset.SharedFunctionalGroupsSequence[0], *dataset.PerFrameFunctionalGroupsSequence):
            for kind in groups.get("MRImageFrameTypeSequence", []):
                kind.AcquisitionContrast = "FLUID_ATTENUATED"

    change(tmp_path, declare)
    (series,) = read_series_headers(tmp_path)
    assert identify_sequence(series.header).modality is Modality.FLAIR


def test_gradient_directions_tell_volumes_apart(volume: Volume, tmp_path: Path) -> None:
    written(volume, tmp_path, dimension=EnhancedDimension.B_VALUE)

    def turn(image: Dataset) -> None:
        for groups in image.PerFrameFunctionalGroupsSequence:
            (diffusion,) = groups.MRDiffusionSequence
            direction = Dataset()
            direction.DiffusionGradientOrientation = [1.0, 0.0, 0.0] if diffusion.DiffusionBValue else [0.0, 1.0, 0.0]
            diffusion.DiffusionBValue = 1000.0
            diffusion.DiffusionGradientDirectionSequence = [direction]

    change(tmp_path, turn)
    assert [s.part for s in read_series_headers(tmp_path)] == ["direction 1 of 2", "direction 2 of 2"]


@pytest.mark.parametrize("syntax", [RLELossless, ImplicitVRLittleEndian], ids=["RLE", "implicit"])
def test_other_encodings_are_read(volume: Volume, tmp_path: Path, syntax: UID) -> None:
    several = written(volume, tmp_path)
    (path,) = tmp_path.iterdir()
    dataset = pydicom.dcmread(path)
    if syntax == RLELossless:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    for one, wanted in zip(read_series_headers(tmp_path), several, strict=True):
        np.testing.assert_array_equal(read_series(one).voxels, wanted.voxels)


def test_big_endian_frames_are_read(volume: Volume, tmp_path: Path) -> None:
    several = written(volume, tmp_path)
    (path,) = tmp_path.iterdir()
    dataset = pydicom.dcmread(path)
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(path, dataset, implicit_vr=False, little_endian=False, force_encoding=True)
    for one, wanted in zip(read_series_headers(tmp_path), several, strict=True):
        np.testing.assert_array_equal(read_series(one).voxels, wanted.voxels)


def test_a_missing_frame_is_named_with_its_gap(volume: Volume, tmp_path: Path) -> None:
    write_enhanced_series([volume], tmp_path / "e.dcm", EnhancedSeriesOptions(shuffle=False))

    def drop(image: Dataset) -> None:
        del image.PerFrameFunctionalGroupsSequence[1]
        size = 2 * volume.shape[0] * volume.shape[1]
        image.PixelData = image.PixelData[:size] + image.PixelData[2 * size :]
        image.NumberOfFrames = 3

    change(tmp_path, drop)
    with pytest.raises(IncompleteSeries, match=r"8\.00 mm lie between slices 1 and 2.*1 slice\(s\) are missing"):
        read_only_series(tmp_path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda image: image.PerFrameFunctionalGroupsSequence.pop(), "describe 3 of 4 frames"),
        (lambda image: delattr(image, "PerFrameFunctionalGroupsSequence"), "describe 0 of 4 frames"),
        (lambda image: delattr(image, "SharedFunctionalGroupsSequence"), "no usable ImageOrientationPatient"),
        (
            lambda image: delattr(image.PerFrameFunctionalGroupsSequence[0], "PlanePositionSequence"),
            "no usable ImagePositionPatient",
        ),
        (lambda image: setattr(image, "PixelData", image.PixelData[:-2]), "claims 240 bytes of pixels, 238 are stored"),
    ],
)
def test_damaged_images_are_listed_and_refused(
    volume: Volume, tmp_path: Path, how: Callable[[Dataset], None], message: str
) -> None:
    write_enhanced_series([volume], tmp_path / "e.dcm", EnhancedSeriesOptions())
    change(tmp_path, how)
    (series,) = read_series_headers(tmp_path)
    with pytest.raises(DicomReadError, match=message):
        read_series(series)


def test_compressed_pixels_under_the_name_of_uncompressed_ones_are_refused(volume: Volume, tmp_path: Path) -> None:
    written(volume, tmp_path)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    begin = content.rindex(b"\xe0\x7f\x10\x00OW") + 8
    item, end = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
    fragments = item + bytes(4) + item + content[begin:] + end + bytes(4)
    path.write_bytes(content[:begin] + b"\xff\xff\xff\xff" + fragments)
    with pytest.raises(DicomReadError, match="its pixels are compressed, and its transfer syntax says that they are"):
        read_only_series(tmp_path)


def test_frames_smaller_than_those_that_are_stored_are_refused(volume: Volume, tmp_path: Path) -> None:
    written(volume, tmp_path)
    change(tmp_path, lambda dataset: setattr(dataset, "Rows", dataset.Rows // 2))
    with pytest.raises(DicomReadError, match=r"its header claims \d+ bytes of pixels, \d+ are stored"):
        read_series(read_series_headers(tmp_path)[0])


def test_dimensions_without_end_take_no_time(volume: Volume, tmp_path: Path) -> None:
    several = written(volume, tmp_path)

    def index(dataset: Dataset) -> None:
        for groups in dataset.PerFrameFunctionalGroupsSequence:
            groups.FrameContentSequence[0].DimensionIndexValues = [1] * 10_000
            del groups.FrameContentSequence[0].TemporalPositionIndex

    change(tmp_path, index)
    began_s = time.perf_counter()
    assert len(read_series_headers(tmp_path)) == len(several)
    assert time.perf_counter() - began_s < 5.0


def test_no_memory_is_asked_for_frames_that_are_not_there(tmp_path: Path) -> None:
    image = Volume(np.zeros((2, 2, 200), np.uint16), np.diag([1.0, 1.0, 2.0, 1.0]))
    write_enhanced_series([image], tmp_path / "enhanced.dcm", EnhancedSeriesOptions())

    def claim(dataset: Dataset) -> None:
        dataset.Rows = dataset.Columns = 1000
        dataset.PixelData = bytes(1000 * 1000 * 2)

    change(tmp_path, claim)
    tracemalloc.start()
    with pytest.raises(DicomReadError, match=r"claims \d+ bytes of pixels, 2000000 are stored"):
        read_only_series(tmp_path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 100 << 20


def test_a_damaged_value_in_a_functional_group_is_named(volume: Volume, tmp_path: Path) -> None:
    path = write_enhanced_series([volume], tmp_path / "e.dcm", EnhancedSeriesOptions())
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\x18\x00\x80\x00DS", b"\x18\x00\x80\x00ZZ"))
    (series,) = read_series_headers(tmp_path)
    with pytest.raises(DicomReadError, match=r"RepetitionTime is damaged|header is damaged"):
        read_series(series)
