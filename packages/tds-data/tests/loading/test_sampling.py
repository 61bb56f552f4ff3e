from collections import Counter

import numpy as np
import pytest

pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data import Region
from tds_data.cache import Cache
from tds_data.errors import LoadingError
from tds_data.loading import LoaderMeans, PatchConfig
from tds_data.loading.sampling import case_at, choose_region, choose_start, patch_rng


@settings(deadline=None)
@given(cases=st.integers(1, 12), seed=st.integers(0, 2**40), epoch=st.integers(0, 5), turn=st.integers(0, 5))
def test_every_case_comes_once_in_a_round(cases: int, seed: int, epoch: int, turn: int) -> None:
    found = [case_at(cases, seed, epoch, turn * cases + i) for i in range(cases)]
    assert sorted(found) == list(range(cases))


def test_rounds_and_epochs_are_ordered_differently() -> None:
    orders = {tuple(case_at(13, 0, epoch, turn * 13 + i) for i in range(13)) for epoch in range(3) for turn in range(3)}
    assert len(orders) == 9


def test_no_two_patches_share_their_randomness() -> None:
    keys = [(s, e, i, a) for s in (0, 1, 2**32) for e in range(4) for i in range(20) for a in range(2)]
    assert len({float(patch_rng(*key).random()) for key in keys}) == len(keys)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), shape=st.tuples(*[st.integers(3, 40)] * 3), region=st.sampled_from([None, *Region]))
def test_patch_lies_where_it_should(
    cache: Cache, seed: int, shape: tuple[int, int, int], region: Region | None
) -> None:
    case = cache.cases[0]
    arrays = case.arrays()
    start = choose_start(case, arrays.foreground, region, shape, np.random.default_rng(seed))
    for first, length, size in zip(start, shape, case.shape, strict=True):
        if size >= length:
            assert 0 <= first <= size - length
        else:
            assert size - length <= first <= 0
    if region is not None:
        inside = arrays.labels[tuple(slice(max(0, s), s + n) for s, n in zip(start, shape, strict=True))]
        wanted = {Region.WT: {1, 2, 3}, Region.TC: {1, 3}, Region.ET: {3}}[region]
        assert wanted & set(np.unique(inside).tolist())


def test_patch_at_a_lesion_by_the_border_stays_inside(cache: Cache) -> None:
    case = cache.cases[3]
    shape = (20, 24, 16)
    starts = [
        choose_start(case, case.arrays().foreground, Region.WT, shape, np.random.default_rng(seed))
        for seed in range(50)
    ]
    slack = [n - m for n, m in zip(case.shape, shape, strict=True)]
    assert all(0 <= s <= most for start in starts for s, most in zip(start, slack, strict=True))
    assert [max(start[axis] for start in starts) for axis in range(3)] == slack


def test_foreground_share_and_region_weights_are_kept(cache: Cache) -> None:
    rng = np.random.default_rng(0)
    weights = {Region.WT: 1.0, Region.TC: 1.0, Region.ET: 2.0}
    found = Counter(choose_region(cache.cases[0], 0.6, weights, rng) for _ in range(4000))
    assert found[None] / 4000 == pytest.approx(0.4, abs=0.03)
    assert found[Region.ET] / 4000 == pytest.approx(0.3, abs=0.03)
    assert found[Region.WT] / 4000 == pytest.approx(0.15, abs=0.03)


def test_region_that_a_case_lacks_is_not_chosen(cache: Cache) -> None:
    rng = np.random.default_rng(0)
    weights = dict.fromkeys(Region, 1.0)
    assert {choose_region(cache.cases[1], 1.0, weights, rng) for _ in range(200)} == {Region.WT, Region.TC}
    assert choose_region(cache.cases[1], 1.0, {Region.ET: 1.0}, rng) is None
    assert choose_region(cache.cases[4], 1.0, weights, rng) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": (8, 0, 8)}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"seed": -1}, "at least 1"),
        ({"foreground_share": 1.5}, "between 0 and 1"),
        ({"region_weights": {Region.WT: -1.0}}, "region_weights"),
        ({"region_weights": {}}, "region_weights"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(LoadingError, match=message):
        PatchConfig(**settings)


@pytest.mark.parametrize("settings", [{"workers": -1}, {"prefetch_batches": 0}, {"max_bytes": -1}])
def test_means_that_cannot_be_are_refused(settings: dict) -> None:
    with pytest.raises(LoadingError, match="at least"):
        LoaderMeans(**settings)
