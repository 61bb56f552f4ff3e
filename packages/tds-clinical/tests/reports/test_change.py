from dataclasses import replace

import pytest

from tds_clinical.errors import ReportError
from tds_clinical.followup.model import ChangeKind, FollowUp
from tds_clinical.reports.change import change_since
from tds_clinical.reports.language import ENGLISH, GERMAN, LANGUAGES, Language


def test_volumes_stand_before_and_now_with_their_intervals(follow_up: FollowUp) -> None:
    change = change_since(follow_up, None, ENGLISH)
    assert change.title == "Change since baseline (2025-01-03)"
    assert change.changes is not None
    assert change.changes.columns[:4] == ("What became of it", "Before", "Now", "Larger than the intervals?")
    still, new = change.changes.rows
    assert still[:4] == ("still there", "1", "1", "yes")
    assert still[4] == "20.5 (19.0 to 22.0); now 46.0 (44.0 to 48.0)"
    assert still[5:] == ("6.0; now 12.5", "3.0; now 3.2")
    assert new[:4] == ("new", "-", "2", "no: uncertain")


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=lambda language: language.code)
def test_every_kind_of_change_has_a_name_of_its_own(follow_up: FollowUp, language: Language) -> None:
    one = follow_up.changes[0][0]
    every = replace(follow_up, changes=(tuple(replace(one, kind=kind) for kind in ChangeKind),))
    table = change_since(every, None, language).changes
    assert table is not None
    assert len({row[0] for row in table.rows}) == len(ChangeKind)


def test_a_category_says_why_and_what_else_it_could_be(follow_up: FollowUp) -> None:
    rano, recist = change_since(follow_up, None, ENGLISH).assessed
    assert rano.title == "RANO 2.0: PD, progressive disease"
    assert rano.sums == "Sum at each time point: 800; 1300 mm²"
    assert rano.reasons == ("The sum grew by more than 25 %.", "There is a new lesion.")
    assert recist.title == "RECIST 1.1: uncertain: SD, stable disease or PD, progressive disease"
    assert recist.sums == "Sum at each time point: 36.0 (34.0 to 38.0); 40.2 (38.0 to 44.0) mm"


def test_a_small_volume_is_not_summed_to_nothing(follow_up: FollowUp) -> None:
    small = replace(
        follow_up.assessments[0], unit="ml", sum_mm=(2.5, 0.04), sum_interval=((2.0, 3.0), (0.004, 0.06)), possible=()
    )
    (assessed,) = change_since(replace(follow_up, assessments=(small,)), None, GERMAN).assessed
    assert assessed.sums == "Summe zu jedem Zeitpunkt: 2,5 (2,0 bis 3,0); 0,04 (< 0,01 bis 0,06) mL"


def test_a_category_that_is_not_known_is_shown_as_it_is(follow_up: FollowUp) -> None:
    odd = replace(follow_up.assessments[0], category="XY", unit="ml", sum_mm=())
    (assessed,) = change_since(replace(follow_up, assessments=(odd,)), None, ENGLISH).assessed
    assert assessed.title == "RANO 2.0: XY"
    assert assessed.sums == ""


def test_categories_come_with_the_caution_that_they_are_from_images_alone(follow_up: FollowUp) -> None:
    assert "images alone" in change_since(follow_up, None, ENGLISH).caution
    assert change_since(replace(follow_up, assessments=()), None, ENGLISH).caution == ""


def test_the_course_has_a_row_for_each_time_point(follow_up: FollowUp) -> None:
    later, last = follow_up.points
    undated = replace(follow_up, points=(replace(later, when=None), last))
    change = change_since(undated, None, GERMAN)
    assert change.title == "Veränderung seit baseline"
    assert [row[:4] for row in change.course.rows] == [
        ("baseline", "-", "1", "20,5"),
        ("2025-06-20", "2025-06-20", "1", change.course.rows[1][3]),
    ]


def test_a_date_that_is_the_label_is_not_said_twice(follow_up: FollowUp) -> None:
    first, last = follow_up.points
    turned = replace(follow_up, points=(replace(first, label="2025-01-03"), last))
    assert change_since(turned, None, ENGLISH).title == "Change since 2025-01-03"


def test_without_lesions_there_is_no_table_of_changes(follow_up: FollowUp) -> None:
    change = change_since(replace(follow_up, changes=((),)), None, ENGLISH)
    assert change.changes is None
    assert change.note == ""


def test_one_time_point_is_no_follow_up(follow_up: FollowUp) -> None:
    with pytest.raises(ReportError, match=r"1 time point\(s\) has no change to show"):
        change_since(replace(follow_up, points=follow_up.points[:1], changes=()), None, ENGLISH)


def test_a_picture_of_the_course_is_png_or_jpeg(follow_up: FollowUp, timeline: bytes) -> None:
    assert (change_since(follow_up, timeline, ENGLISH).timeline or "").startswith("data:image/png;base64,iVBOR")
    for wrong in (b"GIF89a", b"", timeline[:40]):
        with pytest.raises(ReportError, match="neither PNG nor JPEG, or damaged"):
            change_since(follow_up, wrong, ENGLISH)


def test_flags_of_the_comparison_are_shown(follow_up: FollowUp) -> None:
    (flag,) = change_since(follow_up, None, GERMAN).flags
    assert (flag.severity, flag.severity_name, flag.code) == ("warning", "Warnung", "OTHER-SCANNER")
