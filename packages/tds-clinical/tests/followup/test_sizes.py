import numpy as np
import pytest

from tds_clinical.followup.intervals import VolumeIntervals
from tds_clinical.followup.sizes import LesionSize, find_sizes
from tds_clinical.measurement import map_lesions, measure_lesions
from tds_clinical.testing.mask_report import report_mask
from tds_data.vocabulary import Label, Region
from tds_data.volume import Volume


def block(*, slices: int = 3, slice_mm: float = 4.0) -> Volume:
    """Return an enhancing block of 11 x 11 mm in oedema that reaches two voxels further."""
    voxels = np.zeros((24, 24, slices + 4), np.uint8)
    voxels[3:18, 3:18, 1 : slices + 3] = Label.ED
    voxels[5:16, 5:16, 2 : slices + 2] = Label.ET
    return Volume(voxels, np.diag([1.0, 1.0, slice_mm, 1.0]))


def size_of(mask: Volume, core_share: tuple[float, float] = (1.0, 1.0)) -> LesionSize:
    """Return the size of the only lesion; `core_share` spreads the interval of its core."""
    report = report_mask(mask)
    lesions = map_lesions(mask, report)
    volumes = report.lesions[0].volume_ml
    intervals = {region: (volume, volume) for region, volume in volumes.items()}
    low, high = core_share
    intervals[Region.TC] = (low * volumes[Region.TC], high * volumes[Region.TC])
    found = VolumeIntervals(total=intervals, lesions={1: intervals}, method="given")
    return find_sizes(mask, lesions, report, measure_lesions(mask, lesions, report), found)[1]


def test_diameters_go_with_the_cube_root_of_the_core() -> None:
    found = size_of(block(), (1 / 8, 8.0))
    for estimate, power in ((found.longest_mm, 1), (found.perpendicular_mm, 1), (found.product_mm2, 2)):
        assert estimate.interval == pytest.approx((estimate.value / 2**power, estimate.value * 2**power))
    assert found.volume_ml.interval == pytest.approx((found.volume_ml.value, found.volume_ml.value))


@pytest.mark.parametrize(("slice_mm", "least_mm"), [(1.0, 10.0), (5.0, 10.0), (5.5, 11.0), (7.0, 14.0)])
def test_on_thick_slices_a_lesion_is_measurable_from_twice_their_distance(slice_mm: float, least_mm: float) -> None:
    assert size_of(block(slice_mm=slice_mm)).measurable_from_mm == pytest.approx(least_mm)


@pytest.mark.parametrize(("slices", "is_measurable"), [(1, False), (2, True)])
def test_slices_are_those_on_which_it_enhances(slices: int, *, is_measurable: bool) -> None:
    found = size_of(block(slices=slices))
    assert found.slices == slices
    assert found.is_two_way_measurable == (is_measurable,) * 3
