"""The published numbers: Wen et al. 2023 (RANO 2.0) and Eisenhauer et al. 2009 (RECIST 1.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_clinical.followup.course import Course
from tds_clinical.followup.criteria import (
    ORDER,
    Category,
    Presence,
    Reading,
    Rule,
    possible_categories,
    read,
    target_category,
)
from tds_clinical.followup.rules import rano, rano_volume, recist
from tds_clinical.followup.sizes import LesionSize

from .courses import course, size

CR, PR, SD, PD, NE = Category.CR, Category.PR, Category.SD, Category.PD, Category.NE


@pytest.mark.parametrize(
    ("baseline", "lowest", "latest", "category"),
    [
        (1000, 1000, 0, CR),
        (1000, 1000, 1, PR),
        (1000, 1000, 500, PR),  # at least 50 % less
        (1000, 1000, 501, SD),
        (1000, 1000, 1000, SD),
        (1000, 1000, 1249, SD),
        (1000, 1000, 1250, PD),  # at least 25 % more
        (1000, 400, 499, PR),
        (1000, 400, 500, PD),  # against the smallest sum, though half of the baseline
        (1000, 0, 99, PR),  # what comes back too small to be measured
        (1000, 0, 100, PD),  # 10 mm by 10 mm
    ],
)
def test_rano_sums_of_products(baseline: float, lowest: float, latest: float, category: Category) -> None:
    assert target_category(rano(3), baseline, lowest, latest) is category


@pytest.mark.parametrize(
    ("baseline", "lowest", "latest", "category"),
    [
        (10.0, 10.0, 0.0, CR),
        (10.0, 10.0, 3.5, PR),  # at least 65 % less
        (10.0, 10.0, 3.6, SD),
        (10.0, 10.0, 13.9, SD),
        (10.0, 10.0, 14.0, PD),  # at least 40 % more
        (10.0, 2.0, 2.8, PD),
        (10.0, 0.0, 0.5, PR),
        (10.0, 0.0, 0.53, PD),
    ],
)
def test_rano_volumes(baseline: float, lowest: float, latest: float, category: Category) -> None:
    assert target_category(rano_volume(3), baseline, lowest, latest) is category


@pytest.mark.parametrize(
    ("baseline", "lowest", "latest", "category"),
    [
        (100, 100, 0, CR),
        (100, 100, 70, PR),  # at least 30 % less
        (100, 100, 70.1, SD),
        (100, 100, 119.9, SD),
        (100, 100, 120, PD),  # at least 20 % more
        (100, 50, 60, PD),
        (30, 20, 24, SD),  # 20 % more, but less than 5 mm
        (30, 20, 25, PD),
        (30, 0, 4.9, PR),
        (30, 0, 5, PD),
    ],
)
def test_recist_sums_of_diameters(baseline: float, lowest: float, latest: float, category: Category) -> None:
    assert target_category(recist(2), baseline, lowest, latest) is category


@given(
    baseline=st.floats(1, 1e4),
    share=st.floats(0.01, 1),
    latest=st.floats(0, 1e4),
    more=st.floats(0, 1e4),
)
def test_more_tumour_is_never_a_better_category(baseline: float, share: float, latest: float, more: float) -> None:
    for rule in (rano(3), rano_volume(3), recist(2)):
        lowest = baseline * share
        now, then = (target_category(rule, baseline, lowest, amount) for amount in (latest, latest + more))
        assert ORDER.index(then) >= ORDER.index(now)


def reading(rule: Rule, *points: list[LesionSize]) -> Reading:
    return read(course(*points), rule)


@pytest.mark.parametrize(
    ("lesion", "by_rano", "by_recist"),
    [
        (size(10, 10), True, True),
        (size(10, 9.9), False, True),
        (size(9.9, 9.9), False, False),
        (size(30, 10, slices=2), True, True),
        (size(30, 10, slices=1), False, True),
    ],
)
def test_measurable_lesions_become_targets(lesion: LesionSize, *, by_rano: bool, by_recist: bool) -> None:
    assert bool(reading(rano(3), [lesion], [lesion]).targets[0]) is by_rano
    assert bool(reading(recist(2), [lesion], [lesion]).targets[0]) is by_recist


def test_the_largest_lesions_are_targets_up_to_three_in_rano_and_two_in_recist() -> None:
    lesions = [size(20, 20), size(30, 11), size(25, 25), size(12, 12)]
    by_rano = reading(rano(3), lesions, lesions)
    assert by_rano.targets[0] == (1, 2, 3)
    assert by_rano.sums[0].value == pytest.approx(400 + 330 + 625)
    by_recist = reading(recist(2), lesions, lesions)
    assert by_recist.targets[0] == (2, 3)
    assert by_recist.sums[0].value == pytest.approx(55)
    assert by_rano.others == (4,)


def test_progression_is_against_the_smallest_sum() -> None:
    found = reading(rano(3), [size(40, 25)], [size(20, 20)], [size(25, 20)])
    assert found.lowest == 1
    assert possible_categories(found) == (PD, (PD,))


def test_intervals_that_reach_a_threshold_leave_it_open() -> None:
    found = reading(rano(3), [size(30, 30, share=0.05)], [size(33, 33, share=0.05)])
    assert possible_categories(found) == (SD, (SD, PD))


def test_intervals_that_reach_none_settle_it() -> None:
    found = reading(rano(3), [size(30, 30, share=0.02)], [size(31, 31, share=0.02)])
    assert possible_categories(found) == (SD, (SD,))


def test_the_smallest_sum_has_an_interval_too() -> None:
    found = reading(rano(3), [size(40, 40)], [size(20, 20, share=0.05)], [size(26, 20, share=0.05)])
    assert possible_categories(found) == (PD, (PR, SD, PD))


def test_categories_between_the_ends_are_possible_too() -> None:
    found = reading(rano(3), [size(30, 30, share=0.5)], [size(30, 30, share=0.5)])
    assert possible_categories(found) == (SD, (PR, SD, PD))


@pytest.mark.parametrize(
    ("new", "by_rano", "by_recist"),
    [
        (size(11, 11), (PD,), (PD,)),
        (size(11, 11, share=0.2), (SD, PD), (PD,)),
        (size(9.5, 9.5, share=0.1), (SD, PD), (PD,)),
        (size(6, 6), (SD,), (PD,)),  # too small for RANO to count
        (size(4, 4), (SD,), (SD, PD)),  # too small to be unequivocal
    ],
)
def test_new_lesions_count_by_their_size(
    new: LesionSize, by_rano: tuple[Category, ...], by_recist: tuple[Category, ...]
) -> None:
    before, after = [size(30, 30)], [size(30, 30), new]
    assert possible_categories(reading(rano(3), before, after))[1] == by_rano
    assert possible_categories(reading(recist(2), before, after))[1] == by_recist


def test_a_complete_response_needs_every_lesion_to_go() -> None:
    found = read(course([size(30, 30), size(8, 8)], []), rano(3))
    assert possible_categories(found) == (CR, (CR,))
    kept = course([size(8, 8), size(30, 30)], [size(8, 8)])
    assert possible_categories(read(kept, rano(3))) == (PR, (PR,))


def test_what_enhances_anew_leaves_no_complete_response_however_small_it_is() -> None:
    gone = Course(sizes=({1: size(30, 30)}, {1: size(6, 6)}), links=((),), returned=({}, {}))
    assert read(gone, rano(3)).fresh == (1,)
    assert possible_categories(read(gone, rano(3))) == (PR, (PR,))
    faint = Course(sizes=({1: size(30, 30)}, {1: size(4, 4)}), links=((),), returned=({}, {}))
    assert possible_categories(read(faint, recist(2))) == (PR, (PR, PD))


def test_a_target_that_stays_without_enhancing_adds_nothing() -> None:
    dark = Course(sizes=({1: size(30, 30)}, {}), links=(((1, 1),),), returned=({}, {}))
    found = read(dark, rano(3))
    assert found.targets == ((1,), ())
    assert found.sums[1].value == 0.0
    assert possible_categories(found) == (CR, (CR,))


def test_growth_of_other_lesions_inside_the_intervals_is_none() -> None:
    target = size(30, 30, volume_ml=9)
    later = size(13, 13, volume_ml=1.45, share=0.2)
    assert reading(rano(1), [target, size(12, 12, share=0.2)], [target, later]).growth is Presence.NO


def test_without_measurable_lesions_only_new_ones_can_be_judged() -> None:
    small = size(8, 8)
    assert possible_categories(reading(rano(3), [small], [small])) == (NE, (NE,))
    assert possible_categories(reading(rano(3), [small], [small, size(15, 15)])) == (PD, (PD,))
    perhaps = reading(rano(3), [small], [small, size(11, 11, share=0.2)])
    assert possible_categories(perhaps) == (NE, (NE, PD))


@pytest.mark.parametrize(
    ("volume_ml", "rule", "presence"),
    [
        (1.39, rano(1), Presence.NO),
        (1.40, rano(1), Presence.PERHAPS),
        (1.72, recist(1), Presence.NO),
        (1.73, recist(1), Presence.PERHAPS),
    ],
)
def test_other_lesions_that_grow_much_may_be_progression(volume_ml: float, rule: Rule, presence: Presence) -> None:
    target = size(30, 30, volume_ml=9)
    found = reading(rule, [target, size(12, 12)], [target, size(13, 13, volume_ml=volume_ml)])
    assert found.growth is presence
    assert possible_categories(found)[1] == ((SD,) if presence is Presence.NO else (SD, PD))
