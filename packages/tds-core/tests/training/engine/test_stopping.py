import math

from tds_core.training.engine import EarlyStopping


def test_patience_counts_validations_since_the_last_progress() -> None:
    stopping = EarlyStopping(patience=3, min_rise=0.01)
    due = []
    for step, score in enumerate([0.2, 0.5, 0.505, 0.509, 0.52, 0.52, 0.1, 0.3]):
        stopping.observe(score, step)
        due.append(stopping.is_due)
    assert due == [False] * 7 + [True]
    assert (stopping.best_score, stopping.best_step, stopping.without_progress) == (0.52, 4, 3)


def test_small_rises_add_up_to_progress_and_each_is_the_best_so_far() -> None:
    stopping = EarlyStopping(patience=4, min_rise=0.01)
    assert [stopping.observe(0.5 + 0.004 * n, n) for n in range(9)] == [True] * 9
    assert not stopping.is_due
    assert stopping.best_step == 8


def test_equal_score_is_not_better() -> None:
    stopping = EarlyStopping(patience=None, min_rise=0.0)
    assert stopping.observe(0.5, 1)
    assert not stopping.observe(0.5, 2)
    assert stopping.best_step == 1


def test_score_that_is_not_a_number_is_no_progress_and_never_the_best() -> None:
    stopping = EarlyStopping(patience=2, min_rise=0.01)
    assert not stopping.observe(math.nan, 1)
    assert stopping.best_score is None
    assert stopping.observe(0.4, 2)
    assert not stopping.observe(math.nan, 3)
    assert stopping.best_step == 2
    assert stopping.without_progress == 1


def test_without_patience_it_never_ends() -> None:
    stopping = EarlyStopping(patience=None, min_rise=0.01)
    for step in range(100):
        stopping.observe(0.1, step)
    assert not stopping.is_due


def test_state_goes_on_where_it_was() -> None:
    one, two = (EarlyStopping(patience=2, min_rise=0.01) for _ in range(2))
    one.observe(0.5, 1)
    one.observe(0.4, 2)
    two.load_state_dict(one.state_dict())
    two.observe(0.3, 3)
    assert two.is_due
    assert (two.best_score, two.best_step) == (0.5, 1)
