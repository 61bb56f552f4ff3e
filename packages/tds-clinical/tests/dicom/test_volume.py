import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from tds_clinical.dicom import read_series, read_series_headers
from tds_clinical.errors import DicomReadError, GeometryNotSupported, IncompleteSeries
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data.volume import Volume

from .geometry import assert_same_image, edit, read_only_series, volumes


@pytest.fixture
def series_files(volume: Volume, tmp_path: Path) -> tuple[Path, ...]:
    return write_classic_series(volume, tmp_path / "series", ClassicSeriesOptions(seed=3))


@settings(max_examples=60, deadline=None)
@given(volume=volumes(), reverse_slices=st.booleans(), shuffle=st.booleans(), seed=st.integers(0, 99))
def test_every_voxel_keeps_its_place_and_value(
    volume: Volume, *, reverse_slices: bool, shuffle: bool, seed: int
) -> None:
    options = ClassicSeriesOptions(
        seed=seed, reverse_slices=reverse_slices, shuffle=shuffle, signed=volume.voxels.dtype == np.int16
    )
    with tempfile.TemporaryDirectory() as folder:
        write_classic_series(volume, Path(folder), options)
        read = read_only_series(Path(folder))
    assert_same_image(read, volume)
    assert read.voxels.dtype == volume.voxels.dtype
    assert np.linalg.det(read.ras_from_voxel) > 0


@pytest.mark.exhaustive
@settings(max_examples=2000, deadline=None)
@given(volume=volumes(), reverse_slices=st.booleans(), seed=st.integers(0, 99))
def test_every_voxel_keeps_its_place_and_value_exhaustively(volume: Volume, *, reverse_slices: bool, seed: int) -> None:
    signed = volume.voxels.dtype == np.int16
    options = ClassicSeriesOptions(seed=seed, reverse_slices=reverse_slices, signed=signed)
    with tempfile.TemporaryDirectory() as folder:
        write_classic_series(volume, Path(folder), options)
        assert_same_image(read_only_series(Path(folder)), volume)


def test_lps_series_becomes_ras_volume(tmp_path: Path) -> None:
    # The head-first supine axial image of a scanner: columns run to the patient's left, rows to the back.
    voxels = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    volume = Volume(voxels, [[-2, 0, 0, 90], [0, -3, 0, 100], [0, 0, 5, -40], [0, 0, 0, 1]])
    write_classic_series(volume, tmp_path, ClassicSeriesOptions())
    top = max((pydicom.dcmread(p) for p in tmp_path.iterdir()), key=lambda d: d.ImagePositionPatient[2])
    assert list(top.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    assert list(top.ImagePositionPatient) == [-90, -100, -25]
    read = read_only_series(tmp_path)
    np.testing.assert_allclose(read.ras_from_voxel, volume.ras_from_voxel)
    np.testing.assert_array_equal(read.voxels, voxels)
    np.testing.assert_array_equal(read.voxels[:, :, 3].T, top.pixel_array)


def test_rescale_of_each_slice_is_applied(series_files: tuple[Path, ...], volume: Volume, tmp_path: Path) -> None:
    edit(series_files[1], RescaleSlope="0.5", RescaleIntercept="-10")
    edit(series_files[2], RescaleSlope=None, RescaleIntercept=None)
    read = read_only_series(tmp_path)
    expected = volume.voxels.astype(np.float32)
    expected[:, :, 1] = expected[:, :, 1] * 0.5 - 10
    assert read.voxels.dtype == np.float32
    np.testing.assert_array_equal(read.voxels, expected)


def test_private_scale_factors_are_not_applied(series_files: tuple[Path, ...], volume: Volume, tmp_path: Path) -> None:
    for path in series_files:
        dataset = pydicom.dcmread(path)
        dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 4.0)
        dataset.save_as(path)
    np.testing.assert_array_equal(read_only_series(tmp_path).voxels, volume.voxels)


def test_fractional_values_survive_to_within_one_stored_step(volume: Volume, tmp_path: Path) -> None:
    wanted = volume.with_voxels(np.random.default_rng(1).normal(0, 5, volume.shape).astype(np.float32))
    write_classic_series(wanted, tmp_path, ClassicSeriesOptions(signed=True))
    step = np.ptp(wanted.voxels) / 65535
    np.testing.assert_allclose(read_only_series(tmp_path).voxels, wanted.voxels, atol=step)


def test_slices_may_be_stored_with_and_without_sign(
    series_files: tuple[Path, ...], volume: Volume, tmp_path: Path
) -> None:
    edit(series_files[0], PixelRepresentation=1)
    read = read_only_series(tmp_path)
    assert read.voxels.dtype == np.int32
    np.testing.assert_array_equal(read.voxels, volume.voxels)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=["RLE", "JPEG 2000"])
def test_compressed_pixels_are_decoded(tmp_path: Path, syntax: UID) -> None:
    volume = Volume(np.random.default_rng(5).integers(0, 4096, (64, 48, 2)).astype(np.uint16), np.eye(4))
    for path in write_classic_series(volume, tmp_path, ClassicSeriesOptions()):
        dataset = pydicom.dcmread(path)
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(path)
    np.testing.assert_array_equal(read_only_series(tmp_path).voxels, volume.voxels)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian], ids=["implicit", "deflated"]
)
def test_other_uncompressed_encodings_are_read(
    series_files: tuple[Path, ...], volume: Volume, tmp_path: Path, syntax: UID
) -> None:
    for path in series_files:
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    np.testing.assert_array_equal(read_only_series(tmp_path).voxels, volume.voxels)


def test_overlong_decimals_are_harmless(series_files: tuple[Path, ...], volume: Volume, tmp_path: Path) -> None:
    for path in series_files:
        overlong = b"1.1" + 20 * b"0" + b"\\0.9" + 20 * b"0" + b" "
        encoded = b"DS" + len(overlong).to_bytes(2, "little") + overlong
        changed = path.read_bytes().replace(b"DS\x08\x001.1\\0.9 ", encoded)
        assert overlong in changed
        path.write_bytes(changed)
    assert read_only_series(tmp_path).same_grid(volume)


def test_an_image_that_is_there_twice_is_read_once(
    series_files: tuple[Path, ...], volume: Volume, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(series_files[1], tmp_path / "again.dcm")
    with caplog.at_level(logging.WARNING, logger="tds_clinical"):
        read = read_only_series(tmp_path)
    np.testing.assert_array_equal(read.voxels, volume.voxels)
    assert "duplicated_files_dropped series=1 count=1" in caplog.text


@pytest.mark.usefixtures("series_files")
def test_an_image_that_another_file_contradicts_is_refused(volume: Volume, tmp_path: Path) -> None:
    write_classic_series(volume.with_voxels(volume.voxels + 1), tmp_path / "later", ClassicSeriesOptions(seed=3))
    with pytest.raises(DicomReadError, match="claims to be the same image") as raised:
        read_only_series(tmp_path)
    assert "2.25" not in str(raised.value)


def test_an_image_with_the_same_uid_at_another_place_is_refused(series_files: tuple[Path, ...], tmp_path: Path) -> None:
    shutil.copy(series_files[1], tmp_path / "again.dcm")
    edit(tmp_path / "again.dcm", ImagePositionPatient=[0, 0, 0])
    with pytest.raises(DicomReadError, match="claims to be the same image"):
        read_only_series(tmp_path)


def test_an_image_that_is_there_in_another_encoding_is_read_once(
    series_files: tuple[Path, ...], volume: Volume, tmp_path: Path
) -> None:
    dataset = pydicom.dcmread(series_files[1])
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(tmp_path / "again.dcm", implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read_only_series(tmp_path).voxels, volume.voxels)


def test_a_duplicate_that_vanishes_is_named(series_files: tuple[Path, ...], tmp_path: Path) -> None:
    shutil.copy(series_files[1], tmp_path / "series" / "zz.dcm")
    (series,) = read_series_headers(tmp_path)
    (tmp_path / "series" / "zz.dcm").unlink()
    with pytest.raises(DicomReadError, match=r"zz\.dcm.*cannot be opened"):
        read_series(series)


def test_images_that_were_sent_again_under_other_uids_are_read_once(
    series_files: tuple[Path, ...], volume: Volume, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for n, path in enumerate(series_files):
        shutil.copy(path, tmp_path / f"again{n}.dcm")
        edit(tmp_path / f"again{n}.dcm", SOPInstanceUID=f"2.25.{n + 1}")
    with caplog.at_level(logging.WARNING, logger="tds_clinical"):
        np.testing.assert_array_equal(read_only_series(tmp_path).voxels, volume.voxels)
    assert "identical_slices_dropped series=1 places=4" in caplog.text


def test_images_that_nothing_tells_apart_are_refused(series_files: tuple[Path, ...], tmp_path: Path) -> None:
    for n, path in enumerate(series_files):
        shutil.copy(path, tmp_path / f"again{n}.dcm")
        edit(tmp_path / f"again{n}.dcm", SOPInstanceUID=f"2.25.{n + 1}", RescaleIntercept=n)
    with pytest.raises(GeometryNotSupported, match=r"series 1: 4 of its 4 slice places hold more than one image"):
        read_only_series(tmp_path)


def test_a_missing_slice_is_named_with_its_gap(series_files: tuple[Path, ...], tmp_path: Path) -> None:
    series_files[1].unlink()
    with pytest.raises(IncompleteSeries, match=r"series 1: 8\.00 mm lie between slices 1 and 2") as raised:
        read_only_series(tmp_path)
    assert raised.value.gap_mm == pytest.approx(8.0)
    assert raised.value.expected_mm == pytest.approx(4.0)


def test_uneven_slices_are_refused(series_files: tuple[Path, ...], tmp_path: Path) -> None:
    dataset = pydicom.dcmread(series_files[3])
    x, y, z = dataset.ImagePositionPatient
    edit(series_files[3], ImagePositionPatient=[x, y, z + 1])
    with pytest.raises(IncompleteSeries, match=r"5\.00 mm lie between slices 3 and 4"):
        read_only_series(tmp_path)


def test_slices_that_creep_off_their_grid_little_by_little_are_refused(tmp_path: Path) -> None:
    image = Volume(np.zeros((3, 2, 60), np.uint16), np.diag([1.0, 1.0, 2.0, 1.0]))
    for path in write_classic_series(image, tmp_path / "series", ClassicSeriesOptions()):
        x, y, z = pydicom.dcmread(path).ImagePositionPatient
        edit(path, ImagePositionPatient=[x, y, z if z < 60 else z + 0.045 * (z - 60)])
    with pytest.raises(IncompleteSeries, match=r"2\.09 mm lie between slices .* unevenly spaced"):
        read_only_series(tmp_path)


def test_sheared_slices_are_refused(series_files: tuple[Path, ...], tmp_path: Path) -> None:
    for k, path in enumerate(series_files):
        x, y, z = pydicom.dcmread(path).ImagePositionPatient
        edit(path, ImagePositionPatient=[x + k, y, z])
    with pytest.raises(GeometryNotSupported, match=r"shifted against each other by up to 3\.00 mm"):
        read_only_series(tmp_path)


def test_a_single_slice_is_refused(series_files: tuple[Path, ...], tmp_path: Path) -> None:
    for path in series_files[1:]:
        path.unlink()
    with pytest.raises(GeometryNotSupported, match="a single slice"):
        read_only_series(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "different orientation"),
        ({"PixelSpacing": [1.0, 1.0]}, "pixel spacings"),
        ({"Rows": 6, "Columns": 5}, "rows and columns are mixed"),
    ],
)
def test_slices_that_differ_are_refused(
    series_files: tuple[Path, ...], tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    edit(series_files[2], **values)
    with pytest.raises(GeometryNotSupported, match=message):
        read_only_series(tmp_path)


@pytest.mark.parametrize(
    "keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns"]
)
def test_an_image_without_geometry_is_named(series_files: tuple[Path, ...], tmp_path: Path, keyword: str) -> None:
    edit(series_files[2], **{keyword: None})
    with pytest.raises(DicomReadError, match=f"{series_files[2].name}.*no usable {keyword}"):
        read_only_series(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"PixelSpacing": [0, 1]}, "impossible"),
        ({"PixelSpacing": ["1e-300", "1e-300"]}, "impossible"),
        ({"PixelSpacing": ["1e300", "1e300"]}, "impossible"),
        ({"ImagePositionPatient": ["1e300", 0, 0]}, "impossible"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "impossible"),
        ({"ImageOrientationPatient": [2, 0, 0, 0, 1, 0]}, "impossible"),
        ({"ImagePositionPatient": [1, 2]}, "no usable ImagePositionPatient"),
        ({"SamplesPerPixel": 3}, "only MONOCHROME2"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "only MONOCHROME2"),
        ({"RescaleSlope": 0}, "rescale slope is 0"),
        ({"RescaleSlope": "1e30"}, r"rescale slope 1e\+30 and intercept 0 lead beyond single precision"),
        ({"RescaleIntercept": "-1e39"}, r"intercept -1e\+39 lead beyond"),
    ],
)
def test_impossible_headers_are_refused(
    series_files: tuple[Path, ...], tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    for path in series_files:
        edit(path, **values)
    with pytest.raises(DicomReadError, match=message):
        read_only_series(tmp_path)


def test_a_malformed_number_counts_as_missing(series_files: tuple[Path, ...], tmp_path: Path) -> None:
    path = series_files[0]
    path.write_bytes(path.read_bytes().replace(b"DS\x08\x001.1\\0.9 ", b"DS\x08\x00one\\two "))
    with pytest.raises(DicomReadError, match="no usable PixelSpacing"):
        read_only_series(tmp_path)


def test_truncated_pixels_are_damaged(series_files: tuple[Path, ...], tmp_path: Path) -> None:
    path = series_files[0]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DicomReadError, match=f"{path.name}.*60 bytes of pixels, 50 are stored"):
        read_only_series(tmp_path)


def test_surplus_padding_is_harmless(series_files: tuple[Path, ...], volume: Volume, tmp_path: Path) -> None:
    edit(series_files[0], PixelData=pydicom.dcmread(series_files[0]).PixelData + bytes(10))
    np.testing.assert_array_equal(read_only_series(tmp_path).voxels, volume.voxels)


def test_an_undeclared_second_frame_is_refused(series_files: tuple[Path, ...], tmp_path: Path) -> None:
    edit(series_files[0], PixelData=2 * pydicom.dcmread(series_files[0]).PixelData)
    with pytest.raises(DicomReadError, match=r"claims 60 bytes of pixels, 120 are stored"):
        read_only_series(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"NumberOfFrames": 4}, "holds several frames and no functional groups"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, r"mosaic without the scanner's private header"),
    ],
)
def test_several_slices_in_one_file_that_nothing_places_are_refused(
    series_files: tuple[Path, ...], tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    for path in series_files:
        edit(path, **values)
    with pytest.raises(DicomReadError, match=message):
        read_only_series(tmp_path)


def test_truncated_pixels_are_counted_in_the_message(tmp_path: Path) -> None:
    volume = Volume(np.zeros((20, 10, 3), np.uint16), np.eye(4))
    path = write_classic_series(volume, tmp_path, ClassicSeriesOptions())[1]
    path.write_bytes(path.read_bytes()[:-150])
    with pytest.raises(DicomReadError, match="claims 400 bytes of pixels, 250 are stored"):
        read_series(read_series_headers(tmp_path)[0])
