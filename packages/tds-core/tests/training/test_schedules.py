import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tds_core.errors import CheckpointMismatch
from tds_core.training.config import ScheduleConfig
from tds_core.training.schedules import RateSchedule

NAMES = ("polynomial", "cosine", "plateau", "constant")
scores = st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), max_size=40)


def torch_plateau(config: ScheduleConfig, peak: float, seen: list[float]) -> list[float]:
    weight = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.SGD([weight], lr=peak)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser,
        mode="max",
        factor=config.factor,
        patience=config.patience,
        threshold=config.threshold,
        threshold_mode="abs",
        min_lr=config.floor * peak,
        eps=0,
    )
    rates = []
    for score in seen:
        oracle.step(score)
        rates.append(float(optimiser.param_groups[0]["lr"]))
    return rates


@given(scores, st.integers(0, 3), st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0.0, 0.2]))
def test_plateau_is_torchs_reduce_on_plateau(seen: list[float], patience: int, factor: float, floor: float) -> None:
    config = ScheduleConfig(name="plateau", patience=patience, factor=factor, floor=floor, threshold=0.01)
    schedule = RateSchedule(config, peak=0.3, total_steps=10)
    rates = []
    for score in seen:
        schedule.observe(score)
        rates.append(schedule.rate(5))
    assert rates == pytest.approx(torch_plateau(config, 0.3, seen))


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_cosine_is_torchs_cosine_annealing(floor: float) -> None:
    weight = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.SGD([weight], lr=0.5)
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=20, eta_min=floor * 0.5)
    schedule = RateSchedule(ScheduleConfig(name="cosine", floor=floor), peak=0.5, total_steps=20)
    for step in range(1, 21):
        assert schedule.rate(step) == pytest.approx(oracle.get_last_lr()[0])
        optimiser.step()
        oracle.step()


def test_polynomial_is_torchs_polynomial() -> None:
    weight = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.SGD([weight], lr=0.5)
    oracle = torch.optim.lr_scheduler.PolynomialLR(optimiser, total_iters=20, power=0.9)
    schedule = RateSchedule(ScheduleConfig(power=0.9), peak=0.5, total_steps=20)
    for step in range(1, 21):
        assert schedule.rate(step) == pytest.approx(oracle.get_last_lr()[0])
        optimiser.step()
        oracle.step()


@given(st.sampled_from(NAMES), st.integers(0, 30), st.integers(1, 40), st.floats(0, 1))
def test_rates_rise_to_the_peak_then_never_rise_and_end_above_the_floor(
    name: str, warmup: int, total: int, floor: float
) -> None:
    schedule = RateSchedule(ScheduleConfig(name=name, warmup_steps=warmup, floor=floor), peak=2.0, total_steps=total)
    rates = [schedule.rate(step) for step in range(1, max(total, warmup) + 5)]
    top = max(1, warmup) - 1
    assert rates[top] == pytest.approx(2.0)
    assert all(a < b for a, b in pairwise(rates[: top + 1]))
    assert all(a >= b for a, b in pairwise(rates[top:]))
    assert min(rates[top:]) >= 2.0 * floor - 1e-12


@pytest.mark.parametrize("name", ["polynomial", "cosine"])
def test_the_decay_ends_at_the_floor(name: str) -> None:
    schedule = RateSchedule(ScheduleConfig(name=name, floor=0.25), peak=4.0, total_steps=1000)
    assert schedule.rate(1001) == schedule.rate(5000) == pytest.approx(1.0)
    assert 1.0 < schedule.rate(1000) < 1.02


def test_scaling_multiplies_all_later_rates_and_adds_up() -> None:
    schedule = RateSchedule(ScheduleConfig(warmup_steps=3, floor=0.1), peak=1.0, total_steps=9)
    before = [schedule.rate(step) for step in range(1, 12)]
    schedule.scale(0.5)
    schedule.scale(0.5)
    assert [schedule.rate(step) for step in range(1, 12)] == [rate / 4 for rate in before]


@given(st.sampled_from(NAMES), scores, scores)
def test_a_restored_schedule_goes_on_alike(name: str, before: list[float], after: list[float]) -> None:
    config = ScheduleConfig(name=name, patience=1, warmup_steps=3)
    first = RateSchedule(config, peak=0.3, total_steps=50)
    for score in before:
        first.observe(score)
    first.scale(0.7)
    second = RateSchedule(config, peak=0.3, total_steps=50)
    second.load_state_dict(first.state_dict())
    for step, score in enumerate(after, start=1):
        first.observe(score)
        second.observe(score)
        assert first.rate(step) == second.rate(step)
    assert first.state_dict() == second.state_dict()


def test_the_state_of_something_else_is_refused() -> None:
    schedule = RateSchedule(ScheduleConfig(), peak=1.0, total_steps=1)
    with pytest.raises(CheckpointMismatch, match="it has step"):
        schedule.load_state_dict({"step": 1})
