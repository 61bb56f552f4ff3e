"""Pixels of every width, sign and byte order."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from tds_clinical.dicom import read_series, read_series_headers
from tds_clinical.errors import DicomReadError
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data.volume import Volume

from .geometry import edit, read_only_series

RNG = np.random.default_rng(11)


def store(folder: Path, stored: np.ndarray, syntax: UID = ExplicitVRLittleEndian, **values: object) -> None:
    """Write a classic series whose pixels are stored exactly as given, shape (slices, rows, columns)."""
    slices, rows, columns = stored.shape
    volume = Volume(np.zeros((columns, rows, slices), np.uint16), np.diag([1.0, 1, 2, 1]))
    bits = 8 * stored.dtype.itemsize
    for k, path in enumerate(write_classic_series(volume, folder, ClassicSeriesOptions(shuffle=False))):
        dataset = pydicom.dcmread(path)
        dataset.BitsAllocated = dataset.BitsStored = bits
        dataset.HighBit = bits - 1
        dataset.PixelRepresentation = int(stored.dtype.kind == "i")
        is_little = syntax != ExplicitVRBigEndian
        pixels = stored[k].astype(stored.dtype.newbyteorder("<" if is_little else ">")).tobytes()
        if bits == 8 and not is_little:
            padded = pixels + b"\0" * (len(pixels) % 2)
            pixels = np.frombuffer(padded, "<u2").byteswap().tobytes()  # words of two pixels (PS3.5, section 8.1.1)
        dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, dataset, implicit_vr=False, little_endian=is_little, force_encoding=True)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_pixels_of_every_type_and_byte_order_are_read(tmp_path: Path, dtype: str, syntax: UID) -> None:
    limits = np.iinfo(dtype)
    stored = RNG.integers(limits.min, limits.max, (3, 5, 7), dtype=dtype, endpoint=True)
    store(tmp_path, stored, syntax)
    read = read_only_series(tmp_path)
    assert read.voxels.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(read.voxels.T, stored)


@settings(max_examples=40, deadline=None)
@given(
    stored_bits=st.integers(1, 16),
    shift=st.integers(0, 15),
    signed=st.booleans(),
    syntax=st.sampled_from([ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]),
)
def test_bits_that_are_not_of_the_pixel_are_cut_off(
    tmp_path_factory: pytest.TempPathFactory, stored_bits: int, shift: int, syntax: UID, *, signed: bool
) -> None:
    high = min(stored_bits - 1 + shift, 15)
    low = high + 1 - stored_bits
    words = RNG.integers(0, 2**16, (2, 4, 4), dtype=np.uint16)
    expected = (words.astype(np.int64) >> low) & (2**stored_bits - 1)
    if signed:
        expected = np.where(expected >= 2 ** (stored_bits - 1), expected - 2**stored_bits, expected)
    folder = tmp_path_factory.mktemp("bits")
    store(folder, words, syntax, BitsStored=stored_bits, HighBit=high, PixelRepresentation=int(signed))
    np.testing.assert_array_equal(read_only_series(folder).voxels.T, expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"BitsAllocated": 64}, "have 64 bits and sign 0"),
        ({"BitsAllocated": 12}, "have 12 bits"),
        ({"PixelRepresentation": 2}, "sign 2"),
        ({"BitsStored": 17}, "17 bits up to bit 15 do not fit into 16 bits"),
        ({"HighBit": 3}, "16 bits up to bit 3 do not fit"),
    ],
)
def test_impossible_pixels_are_refused(tmp_path: Path, values: dict[str, object], message: str) -> None:
    store(tmp_path, np.zeros((2, 4, 4), np.uint16), **values)
    with pytest.raises(DicomReadError, match=message):
        read_only_series(tmp_path)


def test_a_missing_sign_is_refused(tmp_path: Path) -> None:
    store(tmp_path, np.zeros((2, 4, 4), np.uint16))
    for path in tmp_path.iterdir():
        edit(path, PixelRepresentation=None)
    with pytest.raises(DicomReadError, match="have 16 bits and sign no"):
        read_only_series(tmp_path)


def test_missing_widths_are_those_allocated(tmp_path: Path) -> None:
    stored = RNG.integers(0, 2**16, (2, 4, 4), dtype=np.uint16)
    store(tmp_path, stored)
    for path in tmp_path.iterdir():
        edit(path, BitsStored=None, HighBit=None)
    np.testing.assert_array_equal(read_only_series(tmp_path).voxels.T, stored)


def test_more_deflated_pixels_than_the_header_says_are_refused(tmp_path: Path) -> None:
    store(tmp_path, np.zeros((2, 4, 4), np.uint16), DeflatedExplicitVRLittleEndian, PixelData=bytes(64))
    with pytest.raises(DicomReadError, match="claims 32 bytes of pixels, 64 are stored"):
        read_only_series(tmp_path)


def test_compressed_pixels_of_another_shape_are_refused(tmp_path: Path) -> None:
    store(tmp_path, np.zeros((2, 4, 4), np.uint16))
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.NumberOfFrames = 2
        dataset.PixelData = bytes(64)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.NumberOfFrames = 1
        dataset.save_as(path)
    (series,) = read_series_headers(tmp_path)
    for file in series.slices:
        dataset = pydicom.dcmread(file.path)
        dataset.NumberOfFrames = 2
        dataset.save_as(file.path)
    with pytest.raises(DicomReadError, match=r"pixels have shape \(2, 4, 4\), its header says \(4, 4\)"):
        read_series(series)


@pytest.mark.parametrize("change", ["cut", "gone"])
def test_a_file_that_changes_after_the_scan_is_named(tmp_path: Path, change: str) -> None:
    store(tmp_path, np.zeros((2, 4, 4), np.uint16))
    (series,) = read_series_headers(tmp_path)
    path = series.slices[0].path
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-4])
    else:
        path.unlink()
    with pytest.raises(DicomReadError, match=rf"{path.name}.*(28 are stored|cannot be opened)"):
        read_series(series)
