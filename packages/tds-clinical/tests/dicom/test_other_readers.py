"""Other readers put the same voxels at the same places as we do, and what another program converts reads the same."""

import tempfile
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813  # its usual name
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tds_clinical.dicom import identify_sequence, read_series, read_series_headers
from tds_clinical.testing import (
    ClassicSeriesOptions,
    EnhancedSeriesOptions,
    write_classic_series,
    write_enhanced_series,
)
from tds_data.volume import Volume

from .geometry import assert_same_image, read_only_series, volumes

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def by_simple_itk(folder: Path) -> Volume:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image).T, RAS_FROM_LPS @ lps)


def by_highdicom(path: Path) -> Volume:
    volume = highdicom.imread(path).get_volume()
    return Volume(volume.array, RAS_FROM_LPS @ volume.affine)


@settings(max_examples=30, deadline=None)
@given(volume=volumes(), shuffle=st.booleans(), reverse=st.booleans())
def test_simple_itk_reads_the_same_classic_image(volume: Volume, *, shuffle: bool, reverse: bool) -> None:
    assume(min(volume.shape[:2]) > 1)  # SimpleITK takes a stack of rows for an image
    signed = volume.voxels.dtype == np.int16
    options = ClassicSeriesOptions(shuffle=shuffle, reverse_slices=reverse, signed=signed)
    with tempfile.TemporaryDirectory() as folder:
        write_classic_series(volume, Path(folder), options)
        assert_same_image(read_only_series(Path(folder)), by_simple_itk(Path(folder)), tolerance_mm=1e-2)


@settings(max_examples=30, deadline=None)
@given(volume=volumes(), shuffle=st.booleans(), per_frame=st.booleans(), legacy=st.booleans())
def test_highdicom_reads_the_same_enhanced_image(
    volume: Volume, *, shuffle: bool, per_frame: bool, legacy: bool
) -> None:
    options = EnhancedSeriesOptions(shuffle=shuffle, geometry_per_frame=per_frame, legacy=legacy)
    with tempfile.TemporaryDirectory() as folder:
        path = write_enhanced_series([volume], Path(folder) / "enhanced.dcm", options)
        (series,) = read_series_headers(path)
        assert_same_image(read_series(series), by_highdicom(path), tolerance_mm=1e-2)


@settings(max_examples=25, deadline=None)
@given(volume=volumes(), shuffle=st.booleans())
def test_what_highdicom_converts_to_an_enhanced_image_reads_as_before(volume: Volume, *, shuffle: bool) -> None:
    signed = volume.voxels.dtype == np.int16
    undated = {"AcquisitionDate": None, "AcquisitionTime": None}  # older releases stumble over them
    options = ClassicSeriesOptions(shuffle=shuffle, signed=signed, tags=undated)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_classic_series(volume, Path(folder) / "classic", options)
        (classic,) = read_series_headers(Path(folder))
        converted = highdicom.legacy.LegacyConvertedEnhancedMRImage(
            [pydicom.dcmread(path) for path in paths],
            series_instance_uid="2.25.1",
            series_number=2,
            sop_instance_uid="2.25.2",
            instance_number=1,
        )
        converted.save_as(Path(folder) / "enhanced.dcm")
        (enhanced,) = read_series_headers(Path(folder) / "enhanced.dcm")
        assert_same_image(read_series(enhanced), read_series(classic))
        assert identify_sequence(enhanced.header).modality is identify_sequence(classic.header).modality
