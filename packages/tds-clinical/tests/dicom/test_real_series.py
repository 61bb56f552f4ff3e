"""Real scanner files against the volumes that dcm2niix makes of them.

The GE series are time series: one time point of each is a classic volume. dcm2niix stores rows from back to front,
so its second axis runs against ours.
"""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from tds_clinical.dicom import SeriesFiles, read_series, read_series_headers, read_study
from tds_clinical.errors import GeometryNotSupported, MixedPatients
from tds_data.errors import SequenceNotFound

ROOT = os.environ.get("TDS_REAL_DATA")
DATA = Path(ROOT or ".") / "dicom" / "dcm_qa_nih"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not ROOT or not DATA.is_dir(), reason="TDS_REAL_DATA holds no dicom/dcm_qa_nih"),
]

SLICES = 15


@pytest.mark.parametrize("number", [4, 5, 6, 7])
def test_one_time_point_equals_the_dcm2niix_volume(number: int) -> None:
    (series,) = read_series_headers(DATA / "In" / "20180918GE" / f"mr_{number:04d}")
    by_place = {}
    for file in series.slices:
        instance = int(pydicom.dcmread(file.path, specific_tags=["InstanceNumber"]).InstanceNumber)
        by_place.setdefault(float(file.header.ImagePositionPatient[2]), []).append((instance, file))
    first = tuple(min(files, key=lambda pair: pair[0])[1] for files in by_place.values())
    assert len(first) == SLICES
    volume = read_series(SeriesFiles(uid=series.uid, number=series.number, slices=first))
    reference = nib.load(DATA / "Ref" / f"DCM2NIIX_regression_test_{number}.nii")
    np.testing.assert_array_equal(volume.voxels[:, ::-1], np.asarray(reference.dataobj)[..., 0])
    flip = np.diag([1.0, -1.0, 1.0, 1.0])
    flip[1, 3] = volume.shape[1] - 1
    np.testing.assert_allclose(volume.ras_from_voxel @ flip, reference.affine, atol=1e-4)


def test_a_time_series_is_refused() -> None:
    (series,) = read_series_headers(DATA / "In" / "20180918GE" / "mr_0004")
    with pytest.raises(GeometryNotSupported, match="series 4: 15 of its 15 slice places hold more than one image"):
        read_series(series)


def test_a_mosaic_is_refused() -> None:
    (series,) = read_series_headers(DATA / "In" / "20180918Si" / "mr_0003")
    with pytest.raises(GeometryNotSupported, match="series 3: mosaic"):
        read_series(series)


def test_two_studies_are_refused() -> None:
    with pytest.raises(MixedPatients, match=r"1 patient\(s\) and 2 study\(ies\)"):
        read_series_headers(DATA / "In")


@pytest.mark.parametrize("study", ["20180918GE", "20180918Si"])
def test_functional_series_are_no_structural_sequences(study: str) -> None:
    with pytest.raises(SequenceNotFound, match="not a structural image"):
        read_study(DATA / "In" / study)
