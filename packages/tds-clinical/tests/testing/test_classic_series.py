import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tds_clinical.errors import DicomWriteError, GeometryNotSupported
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series, write_classic_study
from tds_data.case import Case
from tds_data.vocabulary import MODALITIES, Modality
from tds_data.volume import Volume

DCIODVFY = shutil.which("dciodvfy")


@pytest.mark.skipif(
    DCIODVFY is None and os.environ.get("CI") != "true",  # under CI its absence is a failure, not a skip
    reason="dciodvfy is not installed: apt-get install dicom3tools",
)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("modality", MODALITIES)
def test_files_are_valid_mr_images(volume: Volume, tmp_path: Path, modality: Modality, *, signed: bool) -> None:
    assert DCIODVFY, "dciodvfy is not installed: apt-get install dicom3tools"
    options = ClassicSeriesOptions(modality=modality, signed=signed)
    path = write_classic_series(volume, tmp_path, options)[0]
    command = [DCIODVFY, "-new", str(path)]
    report = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # a fixed program
    assert "MRImage" in report.stderr
    assert "Error" not in report.stderr


def test_one_seed_writes_the_same_bytes_and_another_does_not(case: Case, tmp_path: Path) -> None:
    first, again, other = (
        write_classic_study(case, tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert [p.name for p in first] == [p.name for p in again]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    assert not {pydicom.dcmread(p).SOPInstanceUID for p in first} & {pydicom.dcmread(p).SOPInstanceUID for p in other}


def test_a_study_shares_patient_study_and_frame_of_reference(case: Case, tmp_path: Path) -> None:
    headers = [pydicom.dcmread(p) for p in write_classic_study(case, tmp_path)]
    for keyword, expected in (("PatientID", 1), ("StudyInstanceUID", 1), ("FrameOfReferenceUID", 1)):
        assert len({h[keyword].value for h in headers}) == expected
    assert len({h.SeriesInstanceUID for h in headers}) == len(MODALITIES)
    assert len({h.SOPInstanceUID for h in headers}) == len(headers)


def test_names_are_shuffled_unless_told_otherwise(tmp_path: Path) -> None:
    volume = Volume(np.zeros((2, 2, 12), np.uint16), np.eye(4))
    shuffled = [p.name for p in write_classic_series(volume, tmp_path / "a", ClassicSeriesOptions())]
    ordered = [p.name for p in write_classic_series(volume, tmp_path / "b", ClassicSeriesOptions(shuffle=False))]
    assert ordered == sorted(ordered) == sorted(shuffled)
    assert shuffled != ordered


def test_slices_can_be_numbered_backwards(volume: Volume, tmp_path: Path) -> None:
    paths = write_classic_series(volume, tmp_path, ClassicSeriesOptions(reverse_slices=True))
    assert [pydicom.dcmread(p).InstanceNumber for p in paths] == [4, 3, 2, 1]


def test_rescale_can_be_chosen(volume: Volume, tmp_path: Path) -> None:
    path = write_classic_series(volume, tmp_path, ClassicSeriesOptions(rescale=(2.0, -100.0)))[0]
    dataset = pydicom.dcmread(path)
    np.testing.assert_allclose(dataset.pixel_array.T * 2.0 - 100.0, volume.voxels[:, :, 0], atol=1.0)


def test_a_constant_fractional_image_can_be_written(tmp_path: Path) -> None:
    volume = Volume(np.full((2, 2, 2), 0.5, np.float32), np.eye(4))
    dataset = pydicom.dcmread(write_classic_series(volume, tmp_path, ClassicSeriesOptions())[0])
    np.testing.assert_allclose(dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept), 0.5)


def test_sheared_volumes_are_refused(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 2] = 0.5
    with pytest.raises(GeometryNotSupported, match="not at right angles"):
        write_classic_series(Volume(np.zeros((2, 2, 2), np.uint16), affine), tmp_path, ClassicSeriesOptions())


def test_an_unwritable_folder_is_an_error(volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(DicomWriteError, match="choose a writable folder"):
        write_classic_series(volume, tmp_path / "taken", ClassicSeriesOptions())
