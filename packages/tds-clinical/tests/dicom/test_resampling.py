"""Slices off a regular grid: refused unless resampling was asked for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tds_clinical.dicom import (
    DicomSequences,
    DicomStudy,
    SeriesFiles,
    irregularity,
    read_sequences,
    read_series,
    read_series_headers,
    read_source,
    read_study,
    reading_notes,
)
from tds_clinical.errors import GeometryNotSupported, IncompleteSeries
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data.report import Severity
from tds_data.volume import Volume

from .geometry import affines, edit

SHAPE = (14, 12, 9)


def smooth(places_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a field that is linear in space, so that linear interpolation makes no error."""
    return 2000 + places_mm @ (3.0, -2.0, 1.5)


def write_slices(
    folder: Path, depths_mm: list[float], tilt: float = 0.0, affine: NDArray[np.float64] | None = None
) -> None:
    """Write slices of the field at depths along the slice normal, each shifted along the rows by `tilt` per mm."""
    affine = np.diag([2.0, 2.0, 1.0, 1.0]) if affine is None else affine
    columns, rows, _ = SHAPE
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    normal = np.cross(axes[:, 0], axes[:, 1])
    paths = []
    for n, depth in enumerate(depths_mm):
        one = np.eye(4)
        one[:3, :3] = np.stack([affine[:3, 0], affine[:3, 1], normal], axis=1)
        one[:3, 3] = affine[:3, 3] + depth * (normal + tilt * axes[:, 1])
        grid = np.moveaxis(np.indices((columns, rows, 1)), 0, -1)
        field = smooth(grid @ one[:3, :3].T + one[:3, 3])
        options = ClassicSeriesOptions(rescale=(0.05, 0.0), signed=False, shuffle=False)
        part = folder / f"{n}"
        (path,) = write_classic_series(Volume(field, one), part, options)
        edit(path, SOPInstanceUID=f"2.25.{n + 1}", InstanceNumber=n + 1, SpacingBetweenSlices=None)
        paths.append(path)


def only(folder: Path) -> SeriesFiles:
    (series,) = read_series_headers(folder)
    return series


def assert_field(volume: Volume, *, inside: NDArray[np.bool_] | None = None) -> None:
    grid = np.moveaxis(np.indices(volume.shape), 0, -1)
    expected = smooth(grid @ volume.ras_from_voxel[:3, :3].T + volume.ras_from_voxel[:3, 3])
    inside = np.ones(volume.shape, bool) if inside is None else inside
    np.testing.assert_allclose(volume.voxels[inside], expected[inside], atol=0.1)


UNEVEN = [0.0, 3.0, 6.4, 9.4, 12.0, 15.0]


def test_uneven_slices_are_resampled_to_even_ones_on_request(tmp_path: Path) -> None:
    write_slices(tmp_path, UNEVEN)
    with pytest.raises(IncompleteSeries, match=r"unevenly spaced: read them resampled") as raised:
        read_series(only(tmp_path))
    assert raised.value.missing == 0
    volume = read_series(only(tmp_path), resample=True)
    assert volume.shape == (*SHAPE[:2], 6)
    np.testing.assert_allclose(volume.spacing_mm, (2, 2, 3))
    assert_field(volume)
    assert irregularity(only(tmp_path)) == "unevenly spaced, 2.60 to 3.40 mm apart"


def test_tilted_slices_are_resampled_to_a_box_on_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tilt = np.tan(np.deg2rad(20.0))
    write_slices(tmp_path, [3.0 * n for n in range(6)], tilt=tilt)
    with pytest.raises(GeometryNotSupported, match=r"shifted against each other by up to 5\.46 mm; read it resampled"):
        read_series(only(tmp_path))
    volume = read_series(only(tmp_path), resample=True)
    assert volume.shape == (14, 12 + 3, 6)
    directions = volume.ras_from_voxel[:3, :3] / volume.spacing_mm
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-9)
    assert irregularity(only(tmp_path)) == "shifted against each other by up to 5.46 mm"
    assert "series_resampled series=1" in caplog.text
    reached = np.zeros(volume.shape, bool)
    for k in range(6):
        start = int(np.ceil(3.0 * k * tilt / 2.0 - 1e-9))
        reached[:, start : start + SHAPE[1] - 1, k] = True
    assert_field(volume, inside=reached)


@settings(max_examples=25, deadline=None)
@given(affine=affines(), rows_shifted=st.floats(-4.5, 4.5), uneven=st.booleans())
def test_resampled_voxels_lie_where_they_say(
    tmp_path_factory: pytest.TempPathFactory, affine: NDArray[np.float64], *, rows_shifted: float, uneven: bool
) -> None:
    folder = tmp_path_factory.mktemp("tilted")
    affine[:3, 3] *= 0.2
    tilt = rows_shifted * float(np.linalg.norm(affine[:3, 1])) / UNEVEN[-1]
    depths = UNEVEN if uneven else [3.0 * n for n in range(6)]
    write_slices(folder, depths, tilt=tilt, affine=affine)
    series = only(folder)
    volume = read_series(series, resample=True)
    source = read_source(series, resample=True)
    assert source.is_grid_of(volume)
    assert (source.frames is None) == bool(irregularity(series))
    middle = np.zeros(volume.shape, bool)
    rows = volume.shape[1] - SHAPE[1]
    middle[:, rows + 1 : volume.shape[1] - rows - 1, :] = True
    assert middle.any()
    assert_field(volume, inside=middle)


def test_regular_slices_stay_as_they_are_when_resampling_is_allowed(volume: Volume, tmp_path: Path) -> None:
    write_classic_series(volume, tmp_path, ClassicSeriesOptions())
    series = only(tmp_path)
    assert irregularity(series) == ""
    np.testing.assert_array_equal(read_series(series, resample=True).voxels, volume.voxels)
    assert read_source(series, resample=True).frames is not None


@pytest.mark.parametrize(
    ("depths", "words"),
    [
        ([0.0, 3.0, 6.0, 12.0, 15.0], r"6\.00 mm lie between slices 3 and 4.*1 slice\(s\) are missing"),
        ([0.0, 3.0, 12.0, 15.0, 18.0], r"9\.00 mm lie between slices 2 and 3.*2 slice\(s\) are missing"),
        ([0.0, 3.0, 6.0, 13.9, 16.9], r"7\.90 mm lie between slices 3 and 4.*2 slice\(s\) are missing"),
    ],
)
def test_missing_slices_are_never_made_up(tmp_path: Path, depths: list[float], words: str) -> None:
    write_slices(tmp_path, depths)
    for resample in (False, True):
        with pytest.raises(IncompleteSeries, match=words):
            read_series(only(tmp_path), resample=resample)


def test_slices_that_do_not_overlap_are_refused(tmp_path: Path) -> None:
    write_slices(tmp_path, [3.0 * n for n in range(6)], tilt=3.0)
    with pytest.raises(GeometryNotSupported, match=r"up to 45\.00 mm, so that some do not overlap"):
        read_series(only(tmp_path), resample=True)


@pytest.mark.parametrize("read", [read_sequences, read_study])
def test_a_study_tells_which_series_were_resampled(
    tmp_path: Path, read: Callable[..., DicomSequences | DicomStudy]
) -> None:
    write_slices(tmp_path, UNEVEN)
    with pytest.raises(IncompleteSeries):
        read(tmp_path)
    (note,) = [note for note in reading_notes(read(tmp_path, resample=True)) if note.code == "RESAMPLED"]
    assert note.severity is Severity.WARNING
    assert note.message.startswith("the slices of series 1, read as t1, are unevenly spaced, 2.60 to 3.40 mm apart")
