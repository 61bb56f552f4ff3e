from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tds_data import GridMismatch, Volume, VolumeWriteError, VoxelError, read_volumes
from tds_data.formats import open_image, write_images
from tds_data.formats._stack import common_dtype
from tds_data.nifti import write_volumes

PLACE = np.diag([-1.0, -2.0, 3.0, 1.0])
SHAPE = (2, 3, 4)
WIDER_THAN_DOUBLE = pytest.mark.skipif(np.dtype("g").itemsize == 8, reason="here long double is double")


def filled(value: float, code: str) -> np.ndarray:
    return np.full(SHAPE, value, code)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([(1, "u1"), (2, "u1")], "uint8"),
        ([(1, "?"), (0, "?")], "uint8"),
        ([(1, "?"), (-3, "i2")], "int16"),
        ([(1, "u1"), (2, "i1")], "int16"),
        ([(1, "u2"), (-2, "i2")], "int32"),
        ([(1, "u4"), (-2, "i4")], "int8"),
        ([(2**32 - 1, "u4"), (-2, "i4")], "float64"),
        ([(1, ">i2"), (2, "<i2")], "int16"),
        ([(0.1, "f4"), (2, "i2")], "float32"),
        ([(0.1, "f4"), (2**24 + 1, "i4")], "float64"),
        ([(0.1, "f4"), (0.1, "f8")], "float64"),
        ([(0.5, "f2"), (0.5, "f2")], "float32"),
        ([(7, "i8"), (-1, "i8")], "int8"),
        ([(2**33 + 1, "i8"), (-1, "i8")], "float64"),
        ([(np.nan, "f4"), (1, "u1")], "float32"),
    ],
)
def test_the_type_holds_every_value(tmp_path: Path, members: list[tuple[float, str]], expected: str) -> None:
    volumes = [Volume(filled(value, code), PLACE) for value, code in members]
    write_volumes(tmp_path / "v.nii.gz", volumes)
    image = open_image(tmp_path / "v.nii.gz")
    assert image.dtype == np.dtype(expected)
    for back, volume in zip(image.read_all(), volumes, strict=True):
        assert np.array_equal(back.voxels.astype(np.float64), volume.voxels.astype(np.float64), equal_nan=True)
        assert back.same_grid(volume)


@pytest.mark.parametrize(
    "members",
    [
        [(2**53 + 1, "i8"), (-1, "i8")],
        [(2**64 - 1, "u8"), (-1, "i8")],
        [(2**53 + 1, "i8"), (0.5, "f4")],
        pytest.param([(np.longdouble(1) / 3, "g"), (1, "u1")], marks=WIDER_THAN_DOUBLE),
    ],
)
def test_values_that_no_type_holds_are_refused(tmp_path: Path, members: list[tuple[float, str]]) -> None:
    with pytest.raises(VoxelError, match="no type holds every value"):
        write_volumes(tmp_path / "v.nii", [Volume(np.full(SHAPE, v, c), PLACE) for v, c in members])
    assert list(tmp_path.iterdir()) == []


def test_nibabel_reads_the_stack(tmp_path: Path) -> None:
    stack = np.arange(2 * 3 * 4 * 4, dtype=np.int16).reshape(2, 3, 4, 4)
    write_volumes(tmp_path / "v.nii.gz", [Volume(stack[..., n], PLACE) for n in range(4)])
    image = nib.load(tmp_path / "v.nii.gz")
    assert np.array_equal(np.asanyarray(image.dataobj), stack)
    assert np.array_equal(image.affine, PLACE)
    assert image.header.get_zooms() == (1, 2, 3, 1)
    assert len(read_volumes(tmp_path / "v.nii.gz")) == 4


def test_other_grids_and_no_volumes_are_refused(tmp_path: Path) -> None:
    volume = Volume(filled(1, "u1"), PLACE)
    with pytest.raises(GridMismatch, match="volume 1 is on another grid"):
        write_volumes(tmp_path / "v.nii", [volume, Volume(filled(1, "u1"), np.eye(4))])
    with pytest.raises(VoxelError, match="at least one"):
        write_volumes(tmp_path / "v.nii", [])
    with pytest.raises(VolumeWriteError, match=r"ends in \.nii"):
        write_volumes(tmp_path / "v.nrrd", [volume])
    with pytest.raises(VolumeWriteError, match="one of them"):
        write_images(tmp_path / "v.nhdr", [volume])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_stacks_come_back_in_every_format(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    codes = st.sampled_from(["?", "u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
    members = [data.draw(arrays(data.draw(codes), SHAPE)) for _ in range(data.draw(st.integers(1, 4)))]
    path = tmp_path_factory.getbasetemp() / data.draw(
        st.sampled_from(["s.nii", "s.nii.gz", "s.nrrd", "s.mha", "s.npz"])
    )
    volumes = [Volume(member, PLACE) for member in members]
    try:
        common_dtype(members)
    except VoxelError:
        with pytest.raises(VoxelError):
            write_images(path, volumes)
        return
    write_images(path, volumes)
    for back, member in zip(open_image(path).read_all(), members, strict=True):
        assert np.array_equal(back.voxels.astype(member.dtype), member, equal_nan=member.dtype.kind == "f")
