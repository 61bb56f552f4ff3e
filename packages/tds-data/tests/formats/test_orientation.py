"""Every orientation in every format against nibabel and SimpleITK."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data import Volume
from tds_data.formats import open_image, read_image, write_image

sitk = pytest.importorskip("SimpleITK")
RAMP = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
BY_BOTH = ("v.nii", "v.nrrd", "v.mha")


def itk_affine(image: "sitk.Image") -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return RAS_FROM_LPS @ affine


def itk_image(voxels: np.ndarray, affine: np.ndarray) -> "sitk.Image":
    lps = RAS_FROM_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(voxels.transpose())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


@pytest.mark.parametrize("name", BY_BOTH)
def test_all_48_orientations_written_by_simpleitk_are_read(
    tmp_path: Path, name: str, orientations: list[np.ndarray]
) -> None:
    assert len({matrix.tobytes() for matrix in orientations}) == 48
    for affine in orientations:
        sitk.WriteImage(itk_image(RAMP, affine), str(tmp_path / name))
        volume = read_image(tmp_path / name)
        assert np.array_equal(volume.voxels, RAMP)
        assert np.allclose(volume.ras_from_voxel, affine, atol=1e-5)


@pytest.mark.parametrize("name", BY_BOTH)
def test_all_48_orientations_are_written_for_simpleitk(
    tmp_path: Path, name: str, orientations: list[np.ndarray]
) -> None:
    for affine in orientations:
        write_image(tmp_path / name, Volume(RAMP, affine))
        image = sitk.ReadImage(str(tmp_path / name))
        assert np.array_equal(sitk.GetArrayFromImage(image).transpose(), RAMP)
        assert np.allclose(itk_affine(image), affine, atol=1e-5)


def test_all_48_orientations_equal_nibabels(tmp_path: Path, orientations: list[np.ndarray]) -> None:
    for affine in orientations:
        nib.save(nib.Nifti1Image(RAMP, affine), tmp_path / "v.nii")
        volume, oracle = read_image(tmp_path / "v.nii"), nib.load(tmp_path / "v.nii")
        assert np.array_equal(volume.ras_from_voxel, oracle.affine)
        assert np.array_equal(volume.voxels, np.asanyarray(oracle.dataobj))
        write_image(tmp_path / "w.nii.gz", volume)
        assert nib.aff2axcodes(nib.load(tmp_path / "w.nii.gz").affine) == nib.aff2axcodes(affine)


@settings(max_examples=60, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    spacing=st.tuples(*[st.floats(0.2, 7.0)] * 3),
    origin=st.tuples(*[st.floats(-300.0, 300.0)] * 3),
    flip=st.booleans(),
    name=st.sampled_from(BY_BOTH),
)
def test_oblique_images_lie_where_simpleitk_and_nibabel_put_them(
    *,
    tmp_path_factory: pytest.TempPathFactory,
    angles: tuple[float, float, float],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    flip: bool,
    name: str,
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = nib.eulerangles.euler2mat(*angles) * spacing * (1, 1, -1 if flip else 1)
    affine[:3, 3] = origin
    path = tmp_path_factory.getbasetemp() / name
    sitk.WriteImage(itk_image(RAMP, affine), str(path))
    theirs = open_image(path)
    assert np.allclose(theirs.ras_from_voxel, affine, atol=1e-3)
    write_image(path, Volume(RAMP, affine))
    image = sitk.ReadImage(str(path))
    assert np.allclose(itk_affine(image), affine, atol=1e-3)
    assert np.array_equal(sitk.GetArrayFromImage(image).transpose(), RAMP)
    if name.endswith(".nii"):
        assert np.array_equal(open_image(path).ras_from_voxel, nib.load(path).affine)


@pytest.mark.real_data
@pytest.mark.parametrize("name", [*BY_BOTH, "v.nii.gz", "v.npz"])
def test_real_image_is_the_same_in_every_format(tmp_path: Path, real_patients: list[Path], name: str) -> None:
    source = next(real_patients[0].glob("*_t1ce.nii.gz"))
    oracle = nib.load(source)
    write_image(tmp_path / name, read_image(source))
    back = read_image(tmp_path / name)
    assert np.array_equal(back.voxels, np.asanyarray(oracle.dataobj))
    assert back.voxels.dtype == oracle.get_data_dtype()
    assert np.array_equal(back.ras_from_voxel, oracle.affine)
    if name in BY_BOTH:
        image = sitk.ReadImage(str(tmp_path / name))
        assert np.array_equal(sitk.GetArrayFromImage(image).transpose(), back.voxels)
        assert np.allclose(itk_affine(image), oracle.affine, atol=1e-4)
