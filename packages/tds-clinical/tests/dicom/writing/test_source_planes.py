from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from tds_clinical.dicom import SourceSeries
from tds_clinical.dicom.writing.source_planes import source_planes
from tds_clinical.errors import ResultsDisagree


def changed(source: SourceSeries, index: int, **values: object) -> SourceSeries:
    headers = list(source.headers)
    headers[index] = deepcopy(headers[index])
    for keyword, value in values.items():
        if value is None:
            delattr(headers[index], keyword)
        else:
            setattr(headers[index], keyword, value)
    return replace(source, headers=tuple(headers))


def test_planes_are_the_headers_own_digit_by_digit(source: SourceSeries) -> None:
    planes = source_planes(source)
    header = source.header
    assert planes.orientation == tuple(str(v) for v in header.ImageOrientationPatient)
    assert planes.pixel_spacing == tuple(str(v) for v in header.PixelSpacing)
    assert planes.thickness == str(header.SliceThickness)
    assert planes.positions == tuple(tuple(str(v) for v in h.ImagePositionPatient) for h in source.headers)


def test_planes_of_a_resampled_volume_follow_from_its_affine(source: SourceSeries) -> None:
    own, copied = source_planes(replace(source, frames=None)), source_planes(source)
    np.testing.assert_allclose(np.array(own.positions, float), np.array(copied.positions, float), atol=1e-6)
    np.testing.assert_allclose(np.array(own.orientation, float), np.array(copied.orientation, float), atol=1e-9)
    assert all(len(value) <= 16 for place in own.positions for value in place)
    assert float(own.slice_spacing) == pytest.approx(4.0)


def test_slices_in_another_order_than_the_grid_are_refused(source: SourceSeries) -> None:
    assert source.frames is not None
    with pytest.raises(ResultsDisagree, match=r"up to 36\.00 mm off the mask's grid"):
        source_planes(replace(source, frames=source.frames[::-1]))


def test_mirrored_rows_are_refused(source: SourceSeries) -> None:
    mirror = np.diag([1.0, -1.0, 1.0, 1.0])
    mirror[1, 3] = source.shape[1] - 1
    with pytest.raises(ResultsDisagree, match="off the mask's grid"):
        source_planes(replace(source, ras_from_voxel=source.ras_from_voxel @ mirror))


def test_a_frame_too_few_is_refused(source: SourceSeries) -> None:
    assert source.frames is not None
    with pytest.raises(ResultsDisagree, match="9 frames for 10 slices"):
        source_planes(replace(source, frames=source.frames[1:]))


def test_a_header_without_position_is_refused(source: SourceSeries) -> None:
    with pytest.raises(ResultsDisagree, match="no usable ImagePositionPatient"):
        source_planes(changed(source, 3, ImagePositionPatient=None))


@pytest.mark.parametrize("thickness", [None, "0"])
def test_without_thickness_slices_are_as_thick_as_they_are_apart(source: SourceSeries, thickness: str | None) -> None:
    assert float(source_planes(changed(source, 0, SliceThickness=thickness)).thickness) == pytest.approx(4.0)


def test_a_sheared_grid_is_no_frames(source: SourceSeries) -> None:
    shear = np.eye(4)
    shear[0, 2] = 0.5
    with pytest.raises(ResultsDisagree, match="not at right angles"):
        source_planes(replace(source, frames=None, ras_from_voxel=source.ras_from_voxel @ shear))
