from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_clinical.dicom import read_series_headers, read_source
from tds_clinical.dicom._slice_axes import SliceAxes, slice_axes
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data.volume import Volume


@pytest.fixture
def axes(volume: Volume, tmp_path: Path) -> SliceAxes:
    write_classic_series(volume, tmp_path, ClassicSeriesOptions())
    (series,) = read_series_headers(tmp_path)
    return slice_axes(read_source(series))


def test_points_are_where_the_affine_puts_them(volume: Volume, tmp_path: Path) -> None:
    write_classic_series(volume, tmp_path, ClassicSeriesOptions())
    (series,) = read_series_headers(tmp_path)
    source = read_source(series)
    voxels = np.array([(0, 0, 0), (5, 4, 3), (2.5, 1.25, 1)])
    ras = voxels @ source.ras_from_voxel[:3, :3].T + source.ras_from_voxel[:3, 3]
    for frames in (source.frames, None):
        found = slice_axes(replace(source, frames=frames)).to_lps(voxels[:, :2], voxels[:, 2].astype(np.int64))
        np.testing.assert_allclose(found * (-1, -1, 1), ras, atol=1e-6)


def test_points_come_back_to_their_slice(axes: SliceAxes) -> None:
    points = np.array([(0.0, 0.0), (3.5, -2.0), (5.0, 4.25)])
    for index in range(4):
        placed = axes.to_lps(points, np.full(3, index))
        np.testing.assert_allclose(axes.to_slice(placed, index), points, atol=1e-9)
        assert axes.nearest_slice(placed) == (index, pytest.approx(0, abs=1e-9))


@given(off_mm=st.floats(-1.9, 1.9))
def test_the_distance_from_the_nearest_slice_is_told(off_mm: float) -> None:
    normal = np.array([0.0, 0.6, 0.8])
    axes = SliceAxes(
        planes=None,  # type: ignore[arg-type]  # distances need none of the header's words
        in_plane=np.array([(1.0, 0, 0), (0, 0.8, -0.6)]),
        positions=np.arange(4)[:, None] * 4 * normal,
        normal=normal,
    )
    placed = axes.to_lps(np.array([(1.0, 2.0), (3.0, 1.0)]), np.array([2, 2])) + off_mm * normal
    assert axes.nearest_slice(placed) == (2, pytest.approx(abs(off_mm), abs=1e-9))
