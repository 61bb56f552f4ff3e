import importlib
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest

from tds_clinical.testing import ClassicSeriesOptions, MosaicSeriesOptions, write_mosaic_series
from tds_data.volume import Volume


def nibabel_module(name: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of being experimental
        return importlib.import_module(f"nibabel.nicom.{name}")


@pytest.mark.parametrize("reverse", [False, True])
def test_nibabel_reads_the_same_voxels_at_the_same_places(volume: Volume, tmp_path: Path, *, reverse: bool) -> None:
    options = MosaicSeriesOptions(reverse_tiles=reverse)
    (path,) = write_mosaic_series([volume], tmp_path, options)
    wrapper = nibabel_module("dicomwrappers").wrapper_from_file(path)
    assert wrapper.is_mosaic
    ras_from_voxel = np.diag([-1, -1, 1, 1]) @ wrapper.affine
    read = wrapper.get_data().transpose(1, 0, 2)
    affine = ras_from_voxel[:, [1, 0, 2, 3]]  # nibabel counts rows first
    expected = volume.voxels[:, :, ::-1] if reverse else volume.voxels
    np.testing.assert_array_equal(read, expected)
    corner = volume.ras_from_voxel @ (0, 0, volume.shape[2] - 1 if reverse else 0, 1)
    np.testing.assert_allclose(affine @ (0, 0, 0, 1), corner, atol=1e-4)


def test_nibabel_reads_the_private_header(volume: Volume, tmp_path: Path) -> None:
    (path,) = write_mosaic_series([volume], tmp_path, MosaicSeriesOptions())
    nibabel_csa = nibabel_module("csareader")
    csa = nibabel_csa.get_csa_header(pydicom.dcmread(path), "image")
    assert nibabel_csa.is_mosaic(csa)
    assert nibabel_csa.get_n_mosaic(csa) == 4
    assert nibabel_csa.get_slice_normal(csa) is not None


def test_one_file_is_written_for_each_volume_and_no_other(volume: Volume, tmp_path: Path) -> None:
    options = MosaicSeriesOptions(series=ClassicSeriesOptions(series_number=3), with_private_header=False)
    paths = write_mosaic_series([volume, volume], tmp_path, options)
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    headers = [pydicom.dcmread(path) for path in paths]
    assert [header.AcquisitionNumber for header in headers] == [1, 2]
    assert len({header.SOPInstanceUID for header in headers}) == 2
    assert all((0x0029, 0x1010) not in header for header in headers)
