import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tds_core.errors import LossNotFinite
from tds_core.training.guards import Rollback, RollbackPolicy


@dataclass(frozen=True)
class Result:
    loss: float = 0.5
    gradient_norm: float = 1.0
    skipped: bool = False


BAD = Result(loss=math.nan)
Told = list[tuple[str, Mapping[str, object]]]


def _policy(retries: int = 3) -> tuple[RollbackPolicy, Told]:
    told: Told = []
    return RollbackPolicy(retries, 0.5, report=lambda *event: told.append(event)), told


def test_finite_steps_go_on() -> None:
    policy, told = _policy()
    assert policy.check(1, Result(), rate=0.1) is None
    assert policy.retries_used == 0
    assert told == []


@pytest.mark.parametrize("bad", [BAD, Result(loss=math.inf), Result(gradient_norm=math.nan)])
def test_first_failure_goes_back_with_a_lower_rate(bad: Result) -> None:
    policy, told = _policy()
    assert policy.check(7, bad, rate=0.1, cases=("a", "b")) == Rollback(rate_factor=0.5, leave_out=False)
    assert not policy.leaves_out(7)
    kind, values = told[0]
    assert kind == "rolled_back"
    assert (values["step"], values["cases"], values["retry"]) == (7, ["a", "b"], 1)
    json.dumps(values, allow_nan=False)


def test_batch_that_fails_again_is_left_out_at_the_same_rate() -> None:
    policy, told = _policy()
    policy.check(7, BAD, rate=0.1)
    assert policy.check(7, BAD, rate=0.05) == Rollback(rate_factor=1.0, leave_out=True)
    assert policy.leaves_out(7)
    assert not policy.leaves_out(8)
    assert [kind for kind, _ in told] == ["rolled_back", "batch_left_out"]


def test_retries_are_counted_over_the_whole_run_and_end_it_with_a_reason() -> None:
    policy, _ = _policy(retries=2)
    policy.check(1, Result(gradient_norm=1.25), rate=0.1)
    policy.check(2, Result(gradient_norm=333.0), rate=0.1)
    policy.check(3, BAD, rate=0.1)
    policy.check(9, BAD, rate=0.05)
    with pytest.raises(LossNotFinite) as caught:
        policy.check(12, BAD, rate=0.025, cases=("case-4",))
    for part in ("step 12", "nan", "2 of 2 times", "0.025", "1.25, 333", "case-4", "optimiser.learning_rate", "bf16"):
        assert part in str(caught.value)


def test_without_retries_the_first_failure_ends_the_run() -> None:
    policy, _ = _policy(retries=0)
    with pytest.raises(LossNotFinite, match="last good steps were none"):
        policy.check(1, BAD, rate=0.1)


def test_overflow_in_fp16_is_no_failure() -> None:
    policy, told = _policy()
    for step in range(1, 40):
        assert policy.check(step, Result(gradient_norm=math.inf, skipped=True), rate=0.1) is None
    assert policy.check(40, Result(), rate=0.1) is None
    assert told == []


def test_overflow_without_end_is_a_failure() -> None:
    policy, _ = _policy(retries=0)
    overflow = Result(gradient_norm=math.inf, skipped=True)
    for step in range(1, 50):
        assert policy.check(step, overflow, rate=0.1) is None
    with pytest.raises(LossNotFinite, match="fp16 gradients overflowed in 50 steps in a row, up to step 50"):
        policy.check(50, overflow, rate=0.1)


def test_state_goes_on_where_it_was() -> None:
    policy, _ = _policy(retries=3)
    policy.check(1, Result(gradient_norm=4.5), rate=0.1)
    policy.check(5, BAD, rate=0.1)
    policy.check(5, BAD, rate=0.05)
    again, _ = _policy(retries=3)
    again.load_state_dict(json.loads(json.dumps(policy.state_dict())))
    assert again.state_dict() == policy.state_dict()
    assert again.leaves_out(5)
    again.check(8, BAD, rate=0.05)
    with pytest.raises(LossNotFinite, match=r"3 of 3 times.*4\.5"):
        again.check(8, BAD, rate=0.02)
