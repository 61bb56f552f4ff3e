import pytest

from tds_core import EvaluationError
from tds_core.evaluation.summary import ScoredCase, summarise


def scored(case: str, dice: float, hd95: float | None, *, phantom: bool = False) -> ScoredCase:
    return ScoredCase(case=case, phantom=phantom, values={"WT": {"dice": dice, "hd95_mm": hd95}})


def test_numbers_are_those_of_the_cases() -> None:
    dice, hd95 = summarise([scored("a", 0.2, 1.0), scored("b", 0.4, None), scored("c", 0.9, 3.0)])
    assert (dice.region, dice.metric, dice.cases, dice.undefined) == ("WT", "dice", 3, 0)
    assert dice.mean == pytest.approx(0.5)
    assert dice.quartiles == pytest.approx((0.3, 0.4, 0.65))
    assert (dice.lowest, dice.highest) == (0.2, 0.9)
    assert dice.deviation == pytest.approx(0.36056, abs=1e-5)
    assert dice.interval is not None
    assert 0.2 <= dice.interval.low < 0.5 < dice.interval.high <= 0.9
    assert (hd95.metric, hd95.cases, hd95.undefined, hd95.mean) == ("hd95_mm", 2, 1, 2.0)


def test_phantoms_are_summed_up_apart_from_patients() -> None:
    found = summarise([scored("a", 0.5, 1.0), scored("p", 1.0, 0.0, phantom=True)])
    assert [(s.phantom, s.metric, s.mean) for s in found] == [
        (False, "dice", 0.5),
        (False, "hd95_mm", 1.0),
        (True, "dice", 1.0),
        (True, "hd95_mm", 0.0),
    ]


def test_single_case_has_no_interval_and_no_spread() -> None:
    dice, _ = summarise([scored("a", 0.5, 1.0)])
    assert (dice.interval, dice.deviation) == (None, 0.0)


def test_metric_that_no_case_has_is_left_out() -> None:
    assert [s.metric for s in summarise([scored("a", 0.5, None)])] == ["dice"]


def test_distances_that_stand_in_for_an_empty_mask_are_counted() -> None:
    def with_volumes(case: str, found: float, truth: float) -> ScoredCase:
        row: dict[str, float | None] = {"dice": 0.5, "hd95_mm": 9.0, "volume_ml_found": found, "volume_ml_truth": truth}
        return ScoredCase(case=case, phantom=case == "p", values={"WT": row})

    cases = [with_volumes("a", 0.0, 2.0), with_volumes("b", 2.0, 0.0), with_volumes("c", 0.0, 0.0)]
    found = summarise([*cases, with_volumes("d", 1.0, 2.0), with_volumes("p", 0.0, 1.0)])
    assert {(s.phantom, s.metric): s.stand_ins for s in found if s.metric in {"dice", "hd95_mm"}} == {
        (False, "dice"): 0,
        (False, "hd95_mm"): 2,
        (True, "dice"): 0,
        (True, "hd95_mm"): 1,
    }
    assert [s.stand_ins for s in summarise([scored("a", 0.5, 1.0)])] == [0, 0]


def test_nothing_cannot_be_summed_up() -> None:
    with pytest.raises(EvaluationError, match="no case was evaluated"):
        summarise([])
