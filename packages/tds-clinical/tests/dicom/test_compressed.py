"""Every compressed transfer syntax that something here can write is read back."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    MPEG2MPML,
    UID,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tds_clinical.dicom import inspect_study, read_sequences, read_series, reading_notes, scan_folder
from tds_clinical.dicom._dataset import read_dataset
from tds_clinical.dicom._pixels import decode_pixels, is_lossy
from tds_clinical.errors import DicomReadError
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data.report import Severity
from tds_data.volume import Volume

Encode = Callable[[FileDataset, Path], None]


@pytest.fixture
def smooth() -> Volume:
    """A volume of 12 bits that compresses with little loss."""
    i, j, k = np.meshgrid(np.arange(72), np.arange(64), np.arange(3), indexing="ij")
    return Volume((1500 + 900 * np.sin(i / 9) * np.cos(j / 7) + 100 * k).astype(np.uint16), np.eye(4))


@pytest.fixture
def dark() -> Volume:
    """A volume of 8 bits."""
    i, j, k = np.meshgrid(np.arange(72), np.arange(64), np.arange(3), indexing="ij")
    return Volume((120 + 60 * np.sin(i / 9) * np.cos(j / 7) + 10 * k).astype(np.uint8), np.eye(4))


def by_pydicom(syntax: UID, **options: Any) -> Encode:
    def encode(dataset: FileDataset, path: Path) -> None:
        dataset.compress(syntax, generate_instance_uid=False, **options)
        dataset.save_as(path)

    return encode


def by_gdcm(syntax: UID) -> Encode:
    def encode(dataset: FileDataset, path: Path) -> None:
        gdcm = pytest.importorskip("gdcm", reason="install tds-clinical[gdcm]")
        dataset.save_as(path)
        reader, change = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(path))
        assert writer.Write()
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax

    return encode


def by_pillow(dataset: FileDataset, path: Path) -> None:
    stream = BytesIO()
    Image.fromarray(dataset.pixel_array.astype(np.uint8)).save(stream, "JPEG", quality=95)
    dataset.PixelData = encapsulate([stream.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio = "5"
    dataset.LossyImageCompressionMethod = "ISO_10918_1"
    dataset.save_as(path)


def compressed(volume: Volume, folder: Path, encode: Encode, **tags: Any) -> Path:
    shallow = volume.voxels.dtype == np.uint8
    for path in write_classic_series(volume, folder, ClassicSeriesOptions(tags=tags)):
        dataset = pydicom.dcmread(path)
        if shallow:
            dataset.PixelData = dataset.pixel_array.astype(np.uint8).tobytes()
            dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        else:
            dataset.BitsStored, dataset.HighBit = 12, 11
        encode(dataset, path)
    return folder


def voxels_of(folder: Path) -> NDArray[np.int64]:
    (series,) = scan_folder(folder).series
    return np.asarray(read_series(series).voxels, np.int64)


def needs_decoder(syntax: UID) -> None:
    if not get_decoder(syntax).available_plugins:
        pytest.skip("install tds-clinical[jpeg] or tds-clinical[gdcm]")


LOSSLESS: list[tuple[UID, Encode]] = [
    (RLELossless, by_pydicom(RLELossless)),
    (JPEG2000Lossless, by_pydicom(JPEG2000Lossless)),
    (JPEGLSLossless, by_gdcm(JPEGLSLossless)),
    (JPEGLossless, by_gdcm(JPEGLossless)),
    (JPEGLosslessSV1, by_gdcm(JPEGLosslessSV1)),
]


@pytest.mark.parametrize(("syntax", "encode"), LOSSLESS, ids=[row[0].name for row in LOSSLESS])
def test_lossless_compression_changes_no_voxel(smooth: Volume, tmp_path: Path, syntax: UID, encode: Encode) -> None:
    folder = compressed(smooth, tmp_path / "s", encode)
    needs_decoder(syntax)
    np.testing.assert_array_equal(voxels_of(folder), smooth.voxels)
    assert not any(note.code == "LOSSY-COMPRESSION" for note in reading_notes(read_sequences(folder)))


@pytest.mark.parametrize(
    ("syntax", "encode", "plugin"),
    [(*row, plugin) for row in LOSSLESS for plugin in ("pydicom" if row[0] == RLELossless else "gdcm", "pylibjpeg")],
    ids=str,
)
def test_each_decoder_gives_the_same(
    smooth: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: UID, encode: Encode, plugin: str
) -> None:
    folder = compressed(smooth, tmp_path / "s", encode)
    if plugin not in get_decoder(syntax).available_plugins:
        pytest.skip(f"install tds-clinical[jpeg] and tds-clinical[gdcm]: {plugin} does not read {syntax.name} here")
    monkeypatch.setattr("tds_clinical.dicom._pixels._ORDER", (plugin,))
    np.testing.assert_array_equal(voxels_of(folder), smooth.voxels)


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("MR_small_RLE.dcm", RLELossless),
        ("MR_small_jp2klossless.dcm", JPEG2000Lossless),
        ("MR_small_jpeg_ls_lossless.dcm", JPEGLSLossless),
    ],
)
def test_samples_of_pydicom_equal_their_uncompressed_original(name: str, syntax: UID) -> None:
    needs_decoder(syntax)
    paths = [Path(str(get_testdata_file(each, download=False))) for each in ("MR_small.dcm", name)]
    original, decoded = (decode_pixels(path, read_dataset(path, pixels=True)) for path in paths)
    assert read_dataset(paths[1]).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(decoded, original)


def test_lossy_jpeg_2000_is_read_and_noted(smooth: Volume, tmp_path: Path) -> None:
    folder = compressed(smooth, tmp_path / "s", by_pydicom(JPEG2000, j2k_psnr=[70]), LossyImageCompression="01")
    assert np.abs(voxels_of(folder) - np.asarray(smooth.voxels, np.int64)).max() <= 20
    (note,) = [note for note in reading_notes(read_sequences(folder)) if note.code == "LOSSY-COMPRESSION"]
    assert note.severity is Severity.WARNING
    assert "series 1" in note.message


def test_baseline_jpeg_is_read_and_noted(dark: Volume, tmp_path: Path) -> None:
    folder = compressed(dark, tmp_path / "s", by_pillow)
    assert np.abs(voxels_of(folder) - np.asarray(dark.voxels, np.int64)).max() <= 4
    assert "LOSSY-COMPRESSION" in [note.code for note in reading_notes(read_sequences(folder))]


def test_near_lossless_jpeg_ls_is_lossy_even_if_no_tag_says_so(smooth: Volume, tmp_path: Path) -> None:
    (path, *_) = write_classic_series(smooth, tmp_path, ClassicSeriesOptions())
    header = pydicom.dcmread(path)
    assert not is_lossy(header)
    header.file_meta.TransferSyntaxUID = JPEGLSNearLossless
    assert is_lossy(header)


def without_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tds_clinical.dicom._pixels._ORDER", ())


@pytest.mark.parametrize(
    ("syntax", "way_out"),
    [
        (JPEGLossless, r"install tds-clinical\[jpeg\] or tds-clinical\[gdcm\]"),
        (JPEGLosslessSV1, r"install tds-clinical\[jpeg\] or tds-clinical\[gdcm\]"),
        (JPEGExtended12Bit, r"install tds-clinical\[jpeg\] or tds-clinical\[gdcm\]"),
        (JPEGLSLossless, r"install tds-clinical\[jpeg\] or tds-clinical\[gdcm\]"),
        (HTJ2KLossless, "install pylibjpeg-openjpeg"),
        (RLELossless, "install pylibjpeg-rle"),
        (MPEG2MPML, "export it uncompressed"),
    ],
)
def test_what_is_missing_to_decode_is_named(
    smooth: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: UID, way_out: str
) -> None:
    folder = compressed(smooth, tmp_path / "s", by_pydicom(RLELossless))
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path)
    without_decoders(monkeypatch)
    with pytest.raises(DicomReadError, match=f"nothing that is installed can decode its pixels.*{way_out}"):
        voxels_of(folder)
    (row,) = inspect_study(folder).rows
    assert "nothing that is installed can decode" in row.refused_because
    assert row.spacing_mm == (1.0, 1.0, 1.0)


def test_compressed_pixels_that_are_damaged_name_who_failed(smooth: Volume, tmp_path: Path) -> None:
    folder = compressed(smooth, tmp_path / "s", by_pydicom(JPEG2000Lossless))
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(40)])
        dataset.save_as(path)
    with pytest.raises(DicomReadError, match=r"cannot be decoded \(transfer syntax JPEG 2000.*pylibjpeg: \w+"):
        voxels_of(folder)


def test_a_panic_of_a_decoder_is_damage_and_a_stop_is_none(
    smooth: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PanicException(BaseException):  # its name is what tells it
        pass

    def fail_with(error: BaseException) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("tds_clinical.dicom._pixels.pixel_array", fail)

    folder = compressed(smooth, tmp_path / "s", by_pydicom(RLELossless))
    fail_with(PanicException())
    with pytest.raises(DicomReadError, match="pylibjpeg: PanicException, pydicom: PanicException"):
        voxels_of(folder)
    fail_with(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        voxels_of(folder)


def test_an_unknown_transfer_syntax_is_not_repeated(smooth: Volume, tmp_path: Path) -> None:
    path = write_classic_series(smooth, tmp_path, ClassicSeriesOptions())[0]
    dataset = read_dataset(path, pixels=True)
    dataset.file_meta.TransferSyntaxUID = UID("1.2.3.4711")
    with pytest.raises(DicomReadError, match="an unknown transfer syntax") as raised:
        decode_pixels(path, dataset)
    assert "4711" not in str(raised.value)


@pytest.mark.parametrize("claims", [{"Rows": 60000, "Columns": 60000}, {"NumberOfFrames": 10**9}, {"Columns": 0}])
def test_absurd_sizes_are_refused_before_decoding(smooth: Volume, tmp_path: Path, claims: dict[str, int]) -> None:
    path = min(compressed(smooth, tmp_path / "s", by_pydicom(RLELossless)).iterdir())
    dataset = read_dataset(path, pixels=True)
    for keyword, value in claims.items():
        setattr(dataset, keyword, value)
    with pytest.raises(DicomReadError, match=r"its header claims \d+ bytes of pixels, \d+ are stored"):
        decode_pixels(path, dataset)


def test_a_header_without_a_size_is_said_to_have_none(smooth: Volume, tmp_path: Path) -> None:
    path = write_classic_series(smooth, tmp_path, ClassicSeriesOptions())[0]
    dataset = read_dataset(path, pixels=True)
    del dataset.Rows
    with pytest.raises(DicomReadError, match="does not say how many pixels there are"):
        decode_pixels(path, dataset)
