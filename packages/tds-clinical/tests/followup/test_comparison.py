from dataclasses import replace

import numpy as np
import pytest

from tds_clinical.errors import FollowUpError, ResultsDisagree
from tds_clinical.followup import (
    Alignment,
    ChangeKind,
    Clinical,
    ClinicalStatus,
    FollowUp,
    FollowUpOptions,
    TimePoint,
    compare,
)
from tds_clinical.uids import Uids
from tds_data.report import QualityFlag, Severity
from tds_data.vocabulary import Label, Modality, Region
from tds_data.volume import Volume

from .points import FIRST, SECOND, THIRD, Ball, grid, paint, point

TRUST = FollowUpOptions(alignment=Alignment.HEADERS)
LEFT, RIGHT, TOP = (-18.0, 0.0, 0.0), (18.0, 0.0, 0.0), (0.0, 0.0, 24.0)


def followed(*points: TimePoint, options: FollowUpOptions = TRUST) -> FollowUp:
    return compare(points, options, uids=Uids("tests"))


def kinds(found: FollowUp, step: int = 0) -> list[tuple[ChangeKind, tuple[int, ...], tuple[int, ...]]]:
    return [(change.kind, change.before, change.after) for change in found.changes[step]]


def test_a_lesion_that_grows_is_matched_and_keeps_its_name() -> None:
    found = followed(point([Ball(at=LEFT, radius=6)]), point([Ball(at=LEFT, radius=10)], SECOND))
    assert kinds(found) == [(ChangeKind.MATCHED, (1,), (1,))]
    assert found.lesion_uids[0][1] == found.lesion_uids[1][1]
    (change,) = found.changes[0]
    before, after = change.volume_ml[Region.WT]
    assert after / before == pytest.approx((10 / 6) ** 3, rel=0.05)
    assert change.is_certain
    assert change.place_mm == pytest.approx(LEFT, abs=0.6)


def test_a_lesion_that_hardly_changes_is_not_certain_to_change() -> None:
    found = followed(point([Ball(at=LEFT, radius=10)]), point([Ball(at=LEFT, radius=10.2)], SECOND))
    assert not found.changes[0][0].is_certain


def test_new_and_gone_lesions_are_told_apart() -> None:
    found = followed(
        point([Ball(at=LEFT, radius=8), Ball(at=TOP, radius=6)]),
        point([Ball(at=LEFT, radius=8), Ball(at=RIGHT, radius=5)], SECOND),
    )
    assert kinds(found) == [
        (ChangeKind.MATCHED, (1,), (1,)),
        (ChangeKind.NEW, (), (2,)),
        (ChangeKind.GONE, (2,), ()),
    ]
    new, gone = found.changes[0][1:]
    assert new.volume_ml[Region.ET][0] == 0.0
    assert new.place_mm == pytest.approx(RIGHT, abs=0.6)
    assert gone.volume_ml[Region.ET][1] == 0.0
    assert gone.place_mm == pytest.approx(TOP, abs=0.6)
    assert new.is_certain
    assert gone.is_certain
    assert found.lesion_uids[1][2] not in found.lesion_uids[0].values()


def test_a_lesion_that_splits_leaves_its_name_to_the_largest_piece() -> None:
    whole = [Ball(at=(0, 0, 0), radius=9), Ball(at=(-12, 0, 0), radius=6), Ball(at=(12, 0, 0), radius=5)]
    found = followed(point(whole), point(whole[1:], SECOND))
    assert kinds(found) == [(ChangeKind.SPLIT, (1,), (1, 2))]
    assert found.lesion_uids[1][1] == found.lesion_uids[0][1]
    assert found.lesion_uids[1][2] != found.lesion_uids[0][1]


def test_lesions_that_merge_go_on_under_the_name_of_the_largest() -> None:
    parts = [Ball(at=(-12, 0, 0), radius=6), Ball(at=(12, 0, 0), radius=5)]
    found = followed(point(parts), point([Ball(at=(0, 0, 0), radius=9), *parts], SECOND))
    assert kinds(found) == [(ChangeKind.MERGED, (1, 2), (1,))]
    assert found.lesion_uids[1][1] == found.lesion_uids[0][1]
    before, after = found.changes[0][0].volume_ml[Region.WT]
    assert before == pytest.approx(sum(lesion.volume_ml[Region.WT] for lesion in found.points[0].report.lesions))
    assert after > before


def test_neighbours_with_their_own_predecessors_are_not_taken_for_a_merger() -> None:
    close = [Ball(at=(-7, 0, 0), radius=5), Ball(at=(5, 0, 0), radius=5)]
    found = followed(point(close), point(close, SECOND))
    assert {kind for kind, _, _ in kinds(found)} == {ChangeKind.MATCHED}
    assert len(found.changes[0]) == 2


@pytest.mark.parametrize(("reach_mm", "kind"), [(3.0, ChangeKind.MATCHED), (0.5, ChangeKind.NEW)])
def test_a_small_lesion_is_found_again_within_reach(reach_mm: float, kind: ChangeKind) -> None:
    options = replace(TRUST, reach_mm=reach_mm)
    before, after = point([Ball(at=(0, 0, 0), radius=2)]), point([Ball(at=(6, 0, 0), radius=2)], SECOND)
    assert kinds(followed(before, after, options=options))[0][0] is kind


def test_a_lesion_that_comes_back_gets_its_name_back() -> None:
    both = [Ball(at=LEFT, radius=8), Ball(at=RIGHT, radius=6)]
    found = followed(point(both), point(both[:1], SECOND), point(both, THIRD))
    assert kinds(found, 1)[1] == (ChangeKind.NEW, (), (2,))
    assert found.lesion_uids[2][2] == found.lesion_uids[0][2]


def test_names_that_are_known_are_carried_on() -> None:
    points = [point([Ball(at=LEFT, radius=8)]), point([Ball(at=LEFT, radius=8)], SECOND)]
    found = compare(points, TRUST, tracked={1: "2.25.7"})
    assert found.lesion_uids == ({1: "2.25.7"}, {1: "2.25.7"})


def test_the_same_input_gives_the_same_names() -> None:
    points = [point([Ball(at=LEFT, radius=8)]), point([Ball(at=RIGHT, radius=8)], SECOND)]
    assert followed(*points) == followed(*points)


def test_grids_may_differ() -> None:
    turned = grid(1.5)
    affine = turned.ras_from_voxel.copy()
    affine[:3, :3] = affine[:3, [2, 0, 1]] * [1, -1, 1]
    affine[:3, 3] = (-36.0, -36.0, -36.0)
    affine[0, 3] = 34.5
    affine[:3, 3] = -(affine[:3, :3] @ (np.array(turned.shape) - 1)) / 2
    other = Volume(turned.voxels, affine)
    balls = [Ball(at=LEFT, radius=8), Ball(at=RIGHT, radius=6)]
    found = followed(point(balls), point(balls, SECOND, space=other))
    assert [kind for kind, _, _ in kinds(found)] == [ChangeKind.MATCHED] * 2
    assert found.changes[0][0].place_mm == pytest.approx(LEFT, abs=0.8)


def test_no_lesions_at_all_is_a_result_too() -> None:
    found = followed(point([]), point([], SECOND))
    assert found.changes == ((),)
    assert [entry.category for entry in found.assessments] == ["NE"] * 3


def test_volumes_keep_the_intervals_of_their_reports() -> None:
    points = [point([Ball(at=LEFT, radius=8)], day, relative_interval=0.25) for day in (FIRST, SECOND)]
    found = followed(*points)
    volume = found.points[0].report.volume_ml[Region.WT]
    assert found.points[0].volume_interval_ml[Region.WT] == pytest.approx((0.75 * volume, 1.25 * volume))
    assert found.points[0].interval_method == "made by hand"
    assert found.changes[0][0].volume_interval_ml[Region.WT][1] == pytest.approx((0.75 * volume, 1.25 * volume))


def test_without_intervals_the_boundary_may_be_half_a_voxel_off() -> None:
    found = followed(point([Ball(at=LEFT, radius=8)]), point([Ball(at=LEFT, radius=8)], SECOND))
    low, high = found.points[0].volume_interval_ml[Region.WT]
    assert low == pytest.approx(4 / 3 * np.pi * 7.5**3 / 1000, rel=0.06)
    assert high == pytest.approx(4 / 3 * np.pi * 8.5**3 / 1000, rel=0.06)
    assert "half a voxel" in found.points[0].interval_method


def test_one_time_point_is_refused() -> None:
    with pytest.raises(FollowUpError, match="at least two"):
        followed(point([]))


@pytest.mark.parametrize("day", [FIRST, SECOND])
def test_dates_out_of_order_are_refused(day: object) -> None:
    with pytest.raises(FollowUpError, match="oldest first"):
        followed(point([], SECOND), point([], day))  # type: ignore[arg-type]  # a date


def test_dates_may_be_unknown() -> None:
    found = followed(point([], None), point([], None))
    assert [entry.when for entry in found.points] == [None, None]


def test_phantoms_and_patients_are_not_compared() -> None:
    with pytest.raises(FollowUpError, match="phantoms"):
        followed(point([]), point([], SECOND, phantom=False))


def other_model(entry: TimePoint) -> TimePoint:
    model = replace(entry.report.model, version="2", sha256="1" * 64)
    return replace(entry, report=replace(entry.report, model=model))


def test_different_models_are_refused() -> None:
    with pytest.raises(FollowUpError, match=r"hand-made 1 \(00000000\), hand-made 2 \(11111111\)"):
        followed(point([]), other_model(point([], SECOND)))


def test_different_models_are_compared_with_a_warning_when_allowed() -> None:
    found = followed(point([]), other_model(point([], SECOND)), options=replace(TRUST, allow_different_models=True))
    assert [flag.code for flag in found.quality] == ["DIFFERENT-MODELS"]


def test_a_mask_of_another_report_is_refused() -> None:
    entry = point([Ball(at=LEFT, radius=8)])
    with pytest.raises(ResultsDisagree):
        followed(replace(entry, mask=paint(grid(), [Ball(at=RIGHT, radius=8)])), point([], SECOND))


def test_without_contrast_agent_nothing_is_evaluated() -> None:
    found = followed(
        point([Ball(at=LEFT, radius=8)], modalities=(Modality.FLAIR,)), point([Ball(at=LEFT, radius=20)], SECOND)
    )
    assert [entry.category for entry in found.assessments] == ["NE"] * 3
    assert "no T1 with contrast agent" in found.assessments[0].reasons[0]
    assert found.quality[0].code == "NOT-EVALUABLE"


def test_a_lesion_beyond_the_other_images_is_not_called_gone_without_a_word() -> None:
    small = grid(1.0, 24.0)
    found = followed(
        point([Ball(at=LEFT, radius=6), Ball(at=(0, 0, 0), radius=6)]),
        point([Ball(at=(0, 0, 0), radius=6)], SECOND, space=small),
    )
    assert [entry.category for entry in found.assessments] == ["NE"] * 3
    assert "do not reach" in found.quality[0].message


def test_warnings_of_the_studies_are_passed_on() -> None:
    entry = point([])
    flags = (
        QualityFlag(code="NOISY", severity=Severity.WARNING, message="noisy", subject="t1ce"),
        QualityFlag(code="NOTE", severity=Severity.INFO, message="note"),
    )
    found = followed(replace(entry, report=replace(entry.report, quality=flags)), point([], SECOND))
    assert [(flag.code, flag.subject) for flag in found.quality] == [("NOISY", "time point 1, t1ce")]


def test_new_lesions_that_do_not_enhance_are_not_passed_over() -> None:
    balls = [Ball(at=LEFT, radius=8)]
    silent = Ball(at=RIGHT, radius=6, label=Label.ED)
    found = followed(point(balls), point([*balls, silent], SECOND))
    assert [flag.code for flag in found.quality] == ["NEW-NOT-ENHANCING"]
    assert "enhancing tumour: 2." in found.quality[0].message
    assert followed(point([*balls, silent]), point([*balls, silent], SECOND)).quality == ()


def test_a_lesion_that_begins_to_enhance_counts_as_new() -> None:
    silent, lit = Ball(at=RIGHT, radius=9, label=Label.ED), Ball(at=RIGHT, radius=9)
    target = Ball(at=LEFT, radius=12)
    found = followed(point([target, silent]), point([target, lit], SECOND))
    assert [entry.category for entry in found.assessments] == ["PD"] * 3
    assert "New enhancing lesions since the first time point: 2" in " ".join(found.assessments[0].reasons)


def test_targets_that_split_are_summed_and_merged_ones_count_once() -> None:
    parts = [Ball(at=(-14, 0, 0), radius=8), Ball(at=(14, 0, 0), radius=7)]
    whole = [Ball(at=(0, 0, 0), radius=9), *parts]
    split = followed(point(whole), point(parts, SECOND)).assessments[2]
    assert split.targets == ((1,), (1, 2))
    assert split.sum_mm[1] == pytest.approx(16 + 14, abs=1.2)
    merged = followed(point(parts), point(whole, SECOND)).assessments[2]
    assert merged.targets == ((1, 2), (1,))
    assert merged.sum_mm == pytest.approx((30, 43), abs=1.5)


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(FollowUpError, match="reach_mm"):
        FollowUpOptions(reach_mm=-1.0)
    with pytest.raises(FollowUpError, match="at least one target"):
        FollowUpOptions(rano_targets=0)


def test_the_clinic_is_heard() -> None:
    balls = [Ball(at=LEFT, radius=8)]
    options = replace(TRUST, clinical=Clinical(status=ClinicalStatus.WORSE))
    found = followed(point(balls), point(balls, SECOND), options=options)
    assert [entry.category for entry in found.assessments] == ["PD", "PD", "SD"]


def test_the_label_does_not_matter_for_matching() -> None:
    found = followed(
        point([Ball(at=LEFT, radius=8, label=Label.ED)]), point([Ball(at=LEFT, radius=8, label=Label.NCR)], SECOND)
    )
    assert kinds(found) == [(ChangeKind.MATCHED, (1,), (1,))]
