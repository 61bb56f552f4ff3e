import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless

from tds_clinical.dicom import read_series, read_series_headers, read_source, read_time_series
from tds_clinical.errors import DicomReadError
from tds_clinical.testing import ClassicSeriesOptions, MosaicSeriesOptions, write_classic_series, write_mosaic_series
from tds_clinical.testing.mosaic_series import csa_header
from tds_data.volume import Volume

from .geometry import assert_same_image, read_only_series, volumes


@settings(max_examples=40, deadline=None)
@given(volume=volumes(), reverse=st.booleans(), count=st.integers(1, 2))
def test_every_voxel_of_every_volume_keeps_its_place_and_value(volume: Volume, *, reverse: bool, count: int) -> None:
    several = [volume.with_voxels(np.roll(volume.voxels, n)) for n in range(count)]
    signed = volume.voxels.dtype == np.int16
    options = MosaicSeriesOptions(series=ClassicSeriesOptions(signed=signed), reverse_tiles=reverse)
    with tempfile.TemporaryDirectory() as folder:
        write_mosaic_series(several, Path(folder), options)
        read = [read_series(one) for one in read_series_headers(Path(folder))]
    assert len(read) == count
    for one, wanted in zip(read, several, strict=True):
        assert_same_image(one, wanted)
        assert one.voxels.dtype == wanted.voxels.dtype


@pytest.mark.exhaustive
@settings(max_examples=1000, deadline=None)
@given(volume=volumes(), reverse=st.booleans())
def test_every_voxel_keeps_its_place_and_value_exhaustively(volume: Volume, *, reverse: bool) -> None:
    options = MosaicSeriesOptions(
        series=ClassicSeriesOptions(signed=volume.voxels.dtype == np.int16), reverse_tiles=reverse
    )
    with tempfile.TemporaryDirectory() as folder:
        write_mosaic_series([volume], Path(folder), options)
        assert_same_image(read_only_series(Path(folder)), volume)


def test_mosaics_of_a_series_are_its_time_points(volume: Volume, tmp_path: Path) -> None:
    several = [volume.with_voxels(volume.voxels + n) for n in range(3)]
    write_mosaic_series(several, tmp_path, MosaicSeriesOptions())
    series = read_series_headers(tmp_path)
    assert [s.label for s in series] == [f"series 1, acquisition {n} of 3" for n in (1, 2, 3)]
    assert all(s.is_mosaic and not s.is_multi_frame for s in series)
    read = read_time_series(series)
    assert read.voxels.shape == (*volume.shape, 3)
    assert read.labels[2] == "series 1, acquisition 3 of 3"
    np.testing.assert_array_equal(read.voxels[..., 2], several[2].voxels)
    assert not read.voxels.flags.writeable


def test_source_refers_to_the_whole_mosaic(volume: Volume, tmp_path: Path) -> None:
    write_mosaic_series([volume], tmp_path, MosaicSeriesOptions())
    (series,) = read_series_headers(tmp_path)
    source = read_source(series)
    assert source.frames is None
    assert len(source.headers) == 1
    assert source.is_grid_of(read_series(series))


def test_compressed_mosaics_are_read(tmp_path: Path) -> None:
    volume = Volume(np.random.default_rng(5).integers(0, 4096, (64, 48, 5)).astype(np.uint16), np.eye(4))
    (path,) = write_mosaic_series([volume], tmp_path, MosaicSeriesOptions())
    dataset = pydicom.dcmread(path)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.save_as(path)
    assert_same_image(read_only_series(tmp_path), volume)


def block(image: Dataset, group: int, creator: str) -> pydicom.dataset.PrivateBlock:
    return image.private_block(group, creator)


def set_csa(image: Dataset, content: bytes) -> None:
    block(image, 0x0029, "SIEMENS CSA HEADER")[0x10].value = content


NORMAL = ["0", "0", "1"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda i: set_csa(i, b"SV10"), r"which says how many slices it holds.*ValueError"),
        (lambda i: set_csa(i, b"XX10" + bytes(99)), "which says how many slices it holds"),
        (lambda i: set_csa(i, csa_header({"NumberOfImagesInMosaic": ["4"]})), "no slice normal that fits"),
        (
            lambda i: set_csa(i, csa_header({"NumberOfImagesInMosaic": ["4"], "SliceNormalVector": ["a", "0", "1"]})),
            "no slice normal that fits",
        ),
        (
            lambda i: set_csa(i, csa_header({"NumberOfImagesInMosaic": ["4"], "SliceNormalVector": ["1", "0", "0"]})),
            "no slice normal that fits",
        ),
        (
            lambda i: set_csa(i, csa_header({"NumberOfImagesInMosaic": ["3"], "SliceNormalVector": NORMAL})),
            "number of slices in the mosaic is 3 and 4",
        ),
        (lambda i: setattr(i, "Rows", 9), "do not fit a mosaic of 9 rows"),
        (lambda i: delattr(i, "SpacingBetweenSlices"), "without a positive SpacingBetweenSlices"),
        (lambda i: delattr(i, "PixelSpacing"), "no usable PixelSpacing"),
        (lambda i: setattr(i, "PixelData", i.PixelData[:-2]), "240 bytes of pixels, 238 are stored"),
    ],
)
def test_mosaics_that_cannot_be_taken_apart_are_listed_and_refused(
    volume: Volume, tmp_path: Path, how: Callable[[Dataset], None], message: str
) -> None:
    (path,) = write_mosaic_series([volume], tmp_path / "mosaic", MosaicSeriesOptions())
    write_classic_series(volume, tmp_path / "classic", ClassicSeriesOptions(series_number=2))
    dataset = pydicom.dcmread(path)
    how(dataset)
    dataset.save_as(path)
    mosaic, classic = read_series_headers(tmp_path)
    with pytest.raises(DicomReadError, match=message):
        read_series(mosaic)
    assert read_series(classic).same_grid(volume)


def test_mosaics_without_private_header_are_refused(volume: Volume, tmp_path: Path) -> None:
    write_mosaic_series([volume], tmp_path, MosaicSeriesOptions(with_private_header=False))
    with pytest.raises(DicomReadError, match=r"private header \(0029,1010\).*export it with private elements"):
        read_only_series(tmp_path)


def test_number_of_slices_may_stand_in_one_place_only(volume: Volume, tmp_path: Path) -> None:
    (path,) = write_mosaic_series([volume], tmp_path, MosaicSeriesOptions())
    dataset = pydicom.dcmread(path)
    del block(dataset, 0x0019, "SIEMENS MR HEADER")[0x0A]
    del dataset[0x0019, 0x0010]
    dataset.save_as(path)
    assert_same_image(read_only_series(tmp_path), volume)


@pytest.mark.parametrize(
    ("written", "said"), [("0", "0"), ("-4", "-4"), ("many", "no number"), ("9" * 400, "no number"), ("1000", "1000")]
)
def test_an_impossible_number_of_slices_is_refused(volume: Volume, tmp_path: Path, written: str, said: str) -> None:
    (path,) = write_mosaic_series([volume], tmp_path, MosaicSeriesOptions())
    dataset = pydicom.dcmread(path)
    del dataset[0x0019, 0x100A]
    set_csa(dataset, csa_header({"NumberOfImagesInMosaic": [written], "SliceNormalVector": NORMAL}))
    dataset.save_as(path)
    with pytest.raises(DicomReadError, match=f"number of slices in the mosaic is {said}"):
        read_only_series(tmp_path)
