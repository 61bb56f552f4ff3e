from datetime import date, timedelta

import pytest

from tds_clinical.followup import Assessment, Clinical, ClinicalStatus, FollowUpOptions, Steroids
from tds_clinical.followup.assess import Setting, assess
from tds_clinical.followup.course import Course

from .courses import course, size

LATEST = date(2026, 7, 1)
SHRUNK = course([size(30, 30, volume_ml=9)], [size(15, 15, volume_ml=1)])
VANISHED = course([size(30, 30, volume_ml=9)], [])
STABLE = course([size(30, 30, volume_ml=9)], [size(30, 30, volume_ml=9)])
GROWN = course([size(30, 30, volume_ml=9)], [size(40, 40, volume_ml=20)])
KNOWN = {"steroids": Steroids.NONE, "status": ClinicalStatus.SAME, "radiotherapy_ended": LATEST - timedelta(days=400)}


def judge(
    lesions: Course, *, obstacles: tuple[str, ...] = (), when: date | None = LATEST, **clinic: object
) -> tuple[Assessment, ...]:
    clinical = Clinical(**clinic)  # type: ignore[arg-type]  # what each test gives
    labels = tuple(f"point {number}" for number in range(1, len(lesions.sizes) + 1))
    setting = Setting(labels=labels, latest=when, obstacles=obstacles, clinical=clinical)
    return assess(lesions, setting, FollowUpOptions())


def categories(found: tuple[Assessment, ...]) -> list[str]:
    return [entry.category for entry in found]


@pytest.mark.parametrize(("lesions", "category"), [(VANISHED, "CR"), (SHRUNK, "PR"), (STABLE, "SD"), (GROWN, "PD")])
def test_all_criteria_agree_on_clear_courses(lesions: Course, category: str) -> None:
    assert categories(judge(lesions, **KNOWN, is_confirmed=True)) == [category] * 3


def test_each_says_what_it_sums_in_its_unit() -> None:
    found = judge(GROWN)
    assert [(entry.criteria, entry.unit) for entry in found] == [
        ("RANO 2.0", "mm2"),
        ("RANO 2.0 (volume)", "ml"),
        ("RECIST 1.1", "mm"),
    ]
    assert found[0].sum_mm == pytest.approx((900, 1600))
    assert found[0].targets == ((1,), (1,))
    assert "The sum is now 1600 mm²" in found[0].reasons[1]
    assert "+78%" in found[0].reasons[2]
    assert "+20% and 5 mm" in found[2].reasons[2]


def test_what_is_not_known_is_said() -> None:
    told = " ".join(judge(SHRUNK)[0].reasons)
    for word in ("Steroids are not known", "four weeks later", "state is not known"):
        assert word in told
    assert "radiotherapy is not known" in " ".join(judge(GROWN)[0].reasons)
    assert "Only the brain" in judge(GROWN)[2].reasons[-1]


def test_what_is_known_is_not_asked_for() -> None:
    told = " ".join(judge(SHRUNK, **KNOWN, is_confirmed=True)[0].reasons)
    assert "not known" not in told


@pytest.mark.parametrize(
    ("lesions", "steroids", "category"),
    [
        (VANISHED, Steroids.NONE, "CR"),
        (VANISHED, Steroids.LOWER, "PR"),
        (VANISHED, Steroids.SAME, "PR"),
        (VANISHED, Steroids.HIGHER, "SD"),
        (SHRUNK, Steroids.SAME, "PR"),
        (SHRUNK, Steroids.HIGHER, "SD"),
        (STABLE, Steroids.HIGHER, "SD"),
        (GROWN, Steroids.HIGHER, "PD"),
    ],
)
def test_steroids_limit_a_response_in_rano(lesions: Course, steroids: Steroids, category: str) -> None:
    found = judge(lesions, steroids=steroids)
    assert found[0].category == category
    assert found[2].category == judge(lesions)[2].category


def test_a_response_that_was_not_confirmed_is_stable_disease() -> None:
    assert categories(judge(SHRUNK, is_confirmed=False))[:2] == ["SD", "SD"]
    assert categories(judge(GROWN, is_confirmed=False))[:2] == ["PD", "PD"]


@pytest.mark.parametrize(("weeks", "category"), [(0, "uncertain"), (11, "uncertain"), (12, "PD"), (60, "PD")])
def test_progression_soon_after_radiotherapy_is_uncertain(weeks: int, category: str) -> None:
    found = judge(GROWN, radiotherapy_ended=LATEST - timedelta(weeks=weeks))
    assert categories(found) == [category, category, "PD"]
    if category == "uncertain":
        assert found[0].possible == ("SD", "PD")


def test_confirmed_progression_soon_after_radiotherapy_counts() -> None:
    assert judge(GROWN, radiotherapy_ended=LATEST - timedelta(weeks=4), is_confirmed=True)[0].category == "PD"


def test_radiotherapy_after_the_latest_time_point_protects_nothing() -> None:
    found = judge(GROWN, radiotherapy_ended=LATEST + timedelta(weeks=1))
    assert found[0].category == "PD"
    assert "ended after the latest time point" in " ".join(found[0].reasons)
    assert "ended after" not in " ".join(judge(STABLE, radiotherapy_ended=LATEST + timedelta(weeks=1))[0].reasons)


def test_without_a_date_the_weeks_since_radiotherapy_are_not_known() -> None:
    told = " ".join(judge(GROWN, when=None, radiotherapy_ended=LATEST)[0].reasons)
    assert "radiotherapy is not known" in told


def test_a_clear_decline_is_progression_in_rano() -> None:
    assert categories(judge(SHRUNK, status=ClinicalStatus.WORSE)) == ["PD", "PD", "PR"]


def test_an_uncertain_category_names_those_in_question() -> None:
    found = judge(course([size(30, 30, share=0.05)], [size(33, 33, share=0.05)]))[0]
    assert (found.category, found.possible) == ("uncertain", ("SD", "PD"))
    assert found.sum_interval[0] == pytest.approx((855, 945))
    assert found.sum_interval[1] == pytest.approx((1034.55, 1143.45))
    assert any("SD or PD" in reason for reason in found.reasons)


def test_obstacles_leave_nothing_to_evaluate() -> None:
    found = judge(GROWN, obstacles=("No contrast agent.",))
    assert categories(found) == ["NE"] * 3
    assert found[0].reasons == ("No contrast agent.",)


def test_a_clear_decline_is_progression_even_where_images_cannot_be_evaluated() -> None:
    found = judge(STABLE, obstacles=("No contrast agent.",), status=ClinicalStatus.WORSE)
    assert categories(found) == ["PD", "PD", "NE"]
    assert found[0].reasons[0] == "No contrast agent."
    assert "clearly worse" in found[0].reasons[1]


def test_without_targets_the_reasons_say_why() -> None:
    found = judge(course([size(8, 8)], [size(8, 8)]))
    assert categories(found) == ["NE"] * 3
    assert "in both directions" in found[0].reasons[0]
    assert "longest diameter" in found[2].reasons[0]


def test_new_and_other_lesions_are_told() -> None:
    many = [size(30, 30), size(28, 28), size(26, 26), size(24, 24, volume_ml=1)]
    later = [*many[:3], size(24, 24, volume_ml=2), size(6, 6)]
    told = " ".join(judge(course(many, later))[0].reasons)
    assert "New enhancing lesions since the first time point: 5. They are too small" in told
    assert "no target lesions: 4" in told
    assert "more than 40%" in told


def test_the_lowest_sum_is_named_and_growth_from_nothing_is_told() -> None:
    lesions = course([size(30, 30)], [size(15, 15)], [size(20, 20)])
    assert "(point 2)" in judge(lesions)[0].reasons[1]
    back = Course(sizes=(lesions.sizes[0], {}, lesions.sizes[2]), links=((), ()), returned=({}, {}, {1: (0, 1)}))
    found = judge(back)[0]
    assert found.category == "PD"
    assert "from nothing" in found.reasons[2]
    gone = Course(sizes=(lesions.sizes[0], {}, {}), links=((), ()), returned=({}, {}, {}))
    assert "no change" in judge(gone)[0].reasons[2]
    assert judge(gone)[0].category == "CR"
