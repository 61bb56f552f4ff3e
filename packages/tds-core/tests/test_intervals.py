import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tds_core.intervals import INTERVAL_METHOD, Bounds, band, measured_again
from tds_data import REGION_LABELS, REGIONS, LesionReport, ModelIdentity, Region, Volume

ML = 0.008
MODEL = ModelIdentity(name="m", version="1", sha256="0" * 64, architecture="a", licence="MIT")
REPORT = LesionReport(case="c", modalities=(), lesions=(), volume_ml={}, quality=(), model=MODEL)


def volume(labels: NDArray[np.generic]) -> Volume:
    return Volume(labels.astype(np.uint8), np.diag([2.0, 2.0, 2.0, 1.0]))


def row(*labels: int) -> Volume:
    return volume(np.array(labels).reshape(-1, 1, 1))


def measured(narrow: Volume, mask: Volume, wide: Volume) -> LesionReport:
    return measured_again(REPORT, mask, Bounds(narrow=narrow, wide=wide))


def test_a_band_lies_around_its_threshold_symmetrically_in_log_odds() -> None:
    for threshold in (0.05, 0.5, 0.93):
        low, high = band(threshold)
        odds = [p / (1 - p) for p in (low, threshold, high)]
        assert odds[1] / odds[0] == pytest.approx(np.e)
        assert odds[2] / odds[1] == pytest.approx(np.e)
    assert all(0 < end < 1 for threshold in (0.0, 1.0) for end in band(threshold))


def test_ends_are_the_volumes_of_the_narrow_and_the_wide_mask() -> None:
    report = measured(row(0, 0, 3, 1, 0, 0, 0), row(0, 2, 3, 1, 0, 0, 0), row(2, 3, 3, 1, 2, 0, 0))
    (lesion,) = report.lesions
    assert lesion.volume_ml == pytest.approx({Region.WT: 3 * ML, Region.TC: 2 * ML, Region.ET: ML})
    assert lesion.volume_interval_ml is not None
    assert lesion.volume_interval_ml[Region.WT] == pytest.approx((2 * ML, 5 * ML))
    assert lesion.volume_interval_ml[Region.TC] == pytest.approx((2 * ML, 3 * ML))
    assert lesion.volume_interval_ml[Region.ET] == pytest.approx((ML, 2 * ML))
    assert report.volume_interval_ml == lesion.volume_interval_ml
    assert report.interval_method == INTERVAL_METHOD


def test_what_is_possible_far_from_any_lesion_counts_for_the_study_alone() -> None:
    report = measured(row(3, 0, 0, 0), row(3, 0, 0, 0), row(3, 0, 0, 2))
    assert report.lesions[0].volume_interval_ml is not None
    assert report.lesions[0].volume_interval_ml[Region.WT] == pytest.approx((ML, ML))
    assert report.volume_interval_ml is not None
    assert report.volume_interval_ml[Region.WT] == pytest.approx((ML, 2 * ML))


def test_the_nearer_lesion_is_so_in_millimetres() -> None:
    labels = np.zeros((5, 1, 3), np.uint8)
    labels[0, 0, 0] = labels[4, 0, 2] = 3
    possible = labels.copy()
    possible[:, 0, 0] = possible[4, 0, :] = 3
    thick = np.diag([1.0, 1.0, 5.0, 1.0])
    mask = Volume(labels, thick)
    report = measured(mask, mask, Volume(possible, thick))
    high_ml = {}
    for lesion in report.lesions:
        assert lesion.volume_interval_ml is not None
        high_ml[round(lesion.centroid_mm[0])] = lesion.volume_interval_ml[Region.WT][1]
    assert high_ml == pytest.approx({0: 5 * 0.005, 4: 2 * 0.005})


def test_voxels_between_two_lesions_join_the_nearer_one() -> None:
    mask = row(3, 3, 0, 0, 0, 2, 0)
    report = measured(mask, mask, row(3, 3, 2, 2, 2, 2, 2))
    first, second = (lesion.volume_interval_ml for lesion in report.lesions)
    assert first is not None
    assert second is not None
    # The voxel in the middle is as near to either and goes to one of them.
    assert first[Region.WT][1] + second[Region.WT][1] == pytest.approx(7 * ML)
    assert first[Region.WT][1] >= 3 * ML - 1e-9
    assert second[Region.WT][1] >= 3 * ML - 1e-9


def test_without_bounds_there_are_no_intervals() -> None:
    report = measured_again(measured(row(3), row(3), row(3)), row(0, 3, 3))
    assert report.volume_interval_ml is None
    assert report.interval_method is None
    assert report.lesions[0].volume_interval_ml is None
    assert report.volume_ml[Region.ET] == pytest.approx(2 * ML)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_intervals_hold_the_volume_and_lesions_add_up_to_no_more_than_the_study(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    size = int(np.prod(shape))
    # Ranks of the regions at each voxel, wider ones first: 0 for nothing to 3 for enhancing tumour.
    wide = np.array(data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))).reshape(shape)
    mask = np.where(np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size))).reshape(shape), wide, 0)
    narrow = np.where(
        np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size))).reshape(shape), mask, 0
    )
    report = measured(volume(narrow), volume(mask), volume(wide))
    assert report.volume_interval_ml is not None
    for region in REGIONS:
        inside = list(REGION_LABELS[region])
        low, high = report.volume_interval_ml[region]
        assert low == pytest.approx(np.isin(narrow, inside).sum() * ML)
        assert high == pytest.approx(np.isin(wide, inside).sum() * ML)
        ends = [lesion.volume_interval_ml[region] for lesion in report.lesions if lesion.volume_interval_ml]
        assert len(ends) == len(report.lesions)
        assert sum(end[0] for end in ends) == pytest.approx(low)
        assert sum(end[1] for end in ends) <= high + 1e-9
        for lesion, end in zip(report.lesions, ends, strict=True):
            assert end[0] <= lesion.volume_ml[region] <= end[1]
