import os
import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest

from tds_clinical.errors import DicomWriteError
from tds_clinical.testing import EnhancedDimension, EnhancedSeriesOptions, write_enhanced_series
from tds_data.vocabulary import MODALITIES, Modality
from tds_data.volume import Volume

DCIODVFY = shutil.which("dciodvfy")

KINDS = [(False, dimension) for dimension in EnhancedDimension] + [
    (True, dimension) for dimension in (EnhancedDimension.TIME, EnhancedDimension.STACK)
]


def said_by_dciodvfy(path: Path) -> str:
    assert DCIODVFY, "dciodvfy is not installed: apt-get install dicom3tools"
    command = [DCIODVFY, "-new", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr  # noqa: S603  # a fixed program


needs_dciodvfy = pytest.mark.skipif(
    DCIODVFY is None and os.environ.get("CI") != "true",  # under CI its absence is a failure, not a skip
    reason="dciodvfy is not installed: apt-get install dicom3tools",
)


@needs_dciodvfy
@pytest.mark.parametrize(("legacy", "dimension"), KINDS)
def test_files_are_valid_enhanced_images(
    volume: Volume, tmp_path: Path, dimension: EnhancedDimension, *, legacy: bool
) -> None:
    options = EnhancedSeriesOptions(legacy=legacy, dimension=dimension)
    path = write_enhanced_series([volume, volume], tmp_path / "enhanced.dcm", options)
    report = said_by_dciodvfy(path)
    assert ("LegacyConvertedEnhancedMRImage" if legacy else "EnhancedMRImage") in report
    assert "Error" not in report


@needs_dciodvfy
@pytest.mark.parametrize("modality", MODALITIES)
def test_files_of_every_sequence_are_valid(volume: Volume, tmp_path: Path, modality: Modality) -> None:
    options = EnhancedSeriesOptions(modality=modality, geometry_per_frame=True)
    report = said_by_dciodvfy(write_enhanced_series([volume], tmp_path / "enhanced.dcm", options))
    assert "EnhancedMRImage" in report
    assert "Error" not in report


def test_one_seed_writes_the_same_bytes_and_another_does_not(volume: Volume, tmp_path: Path) -> None:
    first, again, other = (
        write_enhanced_series([volume], tmp_path / f"{name}.dcm", EnhancedSeriesOptions(seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first.read_bytes() == again.read_bytes()
    assert pydicom.dcmread(first).SOPInstanceUID != pydicom.dcmread(other).SOPInstanceUID


def test_elements_can_be_set_and_removed(volume: Volume, tmp_path: Path) -> None:
    tags = {"SeriesDescription": "other", "DeviceSerialNumber": None}
    dataset = pydicom.dcmread(write_enhanced_series([volume], tmp_path / "e.dcm", EnhancedSeriesOptions(tags=tags)))
    assert dataset.SeriesDescription == "other"
    assert "DeviceSerialNumber" not in dataset


def test_frames_can_be_in_order(volume: Volume, tmp_path: Path) -> None:
    options = EnhancedSeriesOptions(shuffle=False)
    dataset = pydicom.dcmread(write_enhanced_series([volume, volume], tmp_path / "e.dcm", options))
    indices = [g.FrameContentSequence[0].DimensionIndexValues for g in dataset.PerFrameFunctionalGroupsSequence]
    assert [list(index) for index in indices] == [[v, k] for v in (1, 2) for k in (1, 2, 3, 4)]


def test_an_unwritable_folder_is_an_error(volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(DicomWriteError, match="choose a writable folder"):
        write_enhanced_series([volume], tmp_path / "taken" / "e.dcm", EnhancedSeriesOptions())
