"""Volumes of any geometry, and whether what was read of them is the same image."""

from pathlib import Path

import numpy as np
import pydicom
from hypothesis import strategies as st
from numpy.typing import NDArray

from tds_clinical.dicom import read_series, read_series_headers
from tds_data.volume import Volume


def read_only_series(folder: Path) -> Volume:
    (series,) = read_series_headers(folder)
    return read_series(series)


def edit(path: Path, **values: object) -> None:
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def assert_same_image(read: Volume, written: Volume, tolerance_mm: float = 1e-3) -> None:
    """Every voxel of one volume lies on a voxel of the other that has the same value."""
    indices = np.indices(read.shape).reshape(3, -1)
    places = read.ras_from_voxel[:3, :3] @ indices + read.ras_from_voxel[:3, 3:]
    back = np.linalg.inv(written.ras_from_voxel)
    found = np.rint(back[:3, :3] @ places + back[:3, 3:]).astype(int)
    there = written.ras_from_voxel[:3, :3] @ found + written.ras_from_voxel[:3, 3:]
    assert np.linalg.norm(there - places, axis=0).max() < tolerance_mm
    assert sorted(map(tuple, found.T)) == sorted(np.ndindex(written.shape))
    np.testing.assert_array_equal(read.voxels[tuple(indices)], written.voxels[tuple(found)])


@st.composite
def affines(draw: st.DrawFn) -> NDArray[np.float64]:
    quaternion = np.array([draw(st.floats(-1, 1)) for _ in range(4)])
    if np.linalg.norm(quaternion) < 0.1:
        quaternion = np.array([1.0, 0.0, 0.0, 0.0])
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    signs = [draw(st.sampled_from((-1, 1))) for _ in range(3)]
    spacing_mm = [draw(st.floats(0.3, 6.0)) for _ in range(3)]
    affine = np.eye(4)
    affine[:3, :3] = turn[:, draw(st.permutations(range(3)))] * signs * spacing_mm
    affine[:3, 3] = [draw(st.floats(-250, 250)) for _ in range(3)]
    return affine


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    shape = tuple(draw(st.integers(low, 4)) for low in (1, 1, 2))
    dtype = draw(st.sampled_from((np.uint16, np.int16)))
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    voxels = rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    return Volume(voxels, draw(affines()))
