"""Real scanner files against the volumes that dcm2niix makes of them.

All series are time series; dcm2niix makes one four-dimensional image of each. It stores rows from back to front, so its
second axis runs against ours: both are compared in canonical (RAS) order of axes.
"""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tds_clinical.dicom import read_series, read_series_headers, read_source, read_study, read_time_series
from tds_clinical.errors import MixedPatients
from tds_data.errors import SequenceNotFound
from tds_data.volume import Volume

ROOT = os.environ.get("TDS_REAL_DATA")
DATA = Path(ROOT or ".") / "dicom" / "dcm_qa_nih"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not ROOT or not DATA.is_dir(), reason="TDS_REAL_DATA holds no dicom/dcm_qa_nih"),
]

GE = [("20180918GE", number, f"DCM2NIIX_regression_test_{number}", 15, 10) for number in (4, 5, 6, 7)]
SIEMENS = [
    ("20180918Si", number, f"EPI_PE={direction}_{number}", 5, 2)
    for number, direction in ((3, "AP"), (4, "PA"), (5, "RL"), (6, "LR"))
]


@pytest.mark.parametrize(("study", "number", "reference", "slices", "times"), GE + SIEMENS)
def test_every_time_point_equals_that_of_dcm2niix(
    study: str, number: int, reference: str, slices: int, times: int
) -> None:
    volumes = [v for v in read_series_headers(DATA / "In" / study) if v.number == number]
    assert [len(v.slices) for v in volumes] == [slices] * times
    read = read_time_series(volumes)
    ours = nib.as_closest_canonical(nib.Nifti1Image(read.voxels.astype(np.int16), read.ras_from_voxel))
    theirs = nib.as_closest_canonical(nib.load(DATA / "Ref" / f"{reference}.nii"))
    assert theirs.shape == (*ours.shape[:3], times)
    np.testing.assert_array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-4)


def test_volumes_of_a_series_are_named() -> None:
    volumes = [v for v in read_series_headers(DATA / "In" / "20180918GE") if v.number == 4]
    assert [v.label for v in volumes] == [f"series 4, volume {n} of 10" for n in range(1, 11)]
    mosaics = [v for v in read_series_headers(DATA / "In" / "20180918Si") if v.number == 3]
    assert [v.label for v in mosaics] == [f"series 3, acquisition {n} of 2" for n in (1, 2)]
    assert [v.name for v in mosaics] == ["3.1", "3.2"]


@pytest.mark.parametrize(("study", "frames"), [("20180918GE", 15), ("20180918Si", None)])
def test_what_results_refer_to_lies_on_the_grid_that_was_read(study: str, frames: int | None) -> None:
    for series in read_series_headers(DATA / "In" / study):
        source = read_source(series)
        volume = read_series(series)
        assert source.is_grid_of(Volume(volume.voxels, volume.ras_from_voxel))
        assert (None if source.frames is None else len(source.frames)) == frames
        assert len(source.headers) == (frames or 1)


def test_two_studies_are_refused() -> None:
    with pytest.raises(MixedPatients, match=r"1 patient\(s\) and 2 study\(ies\)"):
        read_series_headers(DATA / "In")


@pytest.mark.parametrize("study", ["20180918GE", "20180918Si"])
def test_functional_series_are_no_structural_sequences(study: str) -> None:
    with pytest.raises(SequenceNotFound, match="not a structural image"):
        read_study(DATA / "In" / study)
