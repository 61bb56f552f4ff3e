import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tds_core.errors import CheckpointMismatch, ConfigError
from tds_core.training.config import OptimiserConfig, Precision, SamplingConfig
from tds_core.training.dints import SearchLearner
from tds_core.training.distributed import World
from tds_core.training.guards.memory import UpdateTorn

from .conftest import Loss, make_batch, make_config, make_learner, make_network, same

WARM, TOTAL = 2, 8


def state(learner: SearchLearner) -> dict[str, Any]:
    """A copy that stays as it is, by the way of a file."""
    buffer = io.BytesIO()
    torch.save(learner.state_dict(), buffer)
    buffer.seek(0)
    loaded: dict[str, Any] = torch.load(buffer, weights_only=True)
    return loaded


def alphas(learner: SearchLearner) -> list[Tensor]:
    space: Any = learner.network.dints_space
    return [space.log_alpha_a.detach().clone(), space.log_alpha_c.detach().clone()]


def weights(learner: SearchLearner) -> list[Tensor]:
    return [w.detach().clone() for name, w in learner.network.named_parameters() if "log_alpha" not in name]


def step(learner: SearchLearner, number: int, **changes: Any) -> Any:
    return learner.step(make_batch(number), **{"micro_batch": 4, "rate": 0.01, **changes})


class Spoiling(Loss):
    """Raises or gives NaN at some calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.faults: dict[int, float | Exception] = {}

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        fault = self.faults.get(self.calls)
        if isinstance(fault, Exception):
            raise fault
        loss = super().forward(outputs, target)
        return loss if fault is None else loss * fault


def test_in_the_warm_up_only_weights_move_then_both_do() -> None:
    learner = make_learner()
    for number in range(TOTAL):
        before = alphas(learner), weights(learner)
        result = step(learner, number)
        searching = number >= WARM
        assert same(before[0], alphas(learner)) is not searching
        assert not same(before[1], weights(learner))
        assert ("search/loss" in result.values) is searching


def test_pressure_grows_linearly_to_one() -> None:
    learner = make_learner()
    found = [step(learner, number).values["search/pressure"] for number in range(TOTAL + 1)]
    assert found == pytest.approx([0, 0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1, 1])


def test_a_step_is_told_in_numbers() -> None:
    result = step(make_learner(), 0)
    assert result.loss > 0
    assert result.gradient_norm > 0
    assert set(result.values) == {
        "search/operations",
        "search/paths",
        "search/topology",
        "search/memory",
        "search/pressure",
    }


def test_weights_see_every_second_patch_and_the_architecture_the_others() -> None:
    seen: list[Tensor] = []
    learner = make_learner(make_config({"warmup_share": 0.0}))
    learner.network.register_forward_pre_hook(lambda _module, arguments: seen.append(arguments[0].clone()))
    batch = make_batch(0)
    learner.step(batch, micro_batch=4, rate=0.01)
    architecture, weight = seen
    assert torch.equal(architecture, batch.images[1::2])
    assert torch.equal(weight, batch.images[0::2])


@pytest.mark.parametrize("decay", [None, 0.9])
def test_a_resumed_search_is_the_same_to_the_last_bit(decay: float | None) -> None:
    config = make_config(optimiser=OptimiserConfig(learning_rate=0.01, average_decay=decay))
    whole = make_learner(config)
    for number in range(4):
        step(whole, number)
    half = state(whole)
    resumed = make_learner(config, seed=9)
    assert not same(half, resumed.state_dict())
    resumed.load_state_dict(half)
    for number in range(4, TOTAL):
        assert step(whole, number) == step(resumed, number)
    assert same(whole.state_dict(), resumed.state_dict())
    assert same(whole.evaluated.state_dict(), resumed.evaluated.state_dict())


@pytest.mark.parametrize("micro_batch", [1, 3])
def test_micro_batches_make_the_same_step(micro_batch: int) -> None:
    one, many = make_learner(), make_learner()
    for number in range(3):
        first = one.step(make_batch(number, 6), micro_batch=6, rate=0.01)
        second = many.step(make_batch(number, 6), micro_batch=micro_batch, rate=0.01)
        assert second.loss == pytest.approx(first.loss, rel=1e-4)
        assert second.gradient_norm == pytest.approx(first.gradient_norm, rel=1e-3)
    for a, b in zip(alphas(one), alphas(many), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("fault", [RuntimeError("out of memory"), torch.nan, torch.inf])
def test_a_step_that_fails_changes_nothing_and_can_be_made_again(call: int, fault: float | Exception) -> None:
    config = make_config({"warmup_share": 0.0})
    loss = Spoiling()
    learner, other = make_learner(config, loss), make_learner(config)
    for number in range(2):
        step(learner, number)
        step(other, number)
    before = state(learner)
    loss.faults = {loss.calls + call: fault}
    if isinstance(fault, Exception):
        with pytest.raises(RuntimeError, match="out of memory"):
            step(learner, 2)
    else:
        result = step(learner, 2)
        assert not torch.isfinite(torch.tensor(result.loss))
        assert not result.skipped
    assert same(before, learner.state_dict())
    assert all(parameter.grad is None for parameter in learner.network.parameters())
    loss.faults = {}
    step(learner, 2)
    step(other, 2)
    assert same(learner.state_dict(), other.state_dict())


class Growing(nn.Module):
    """A gradient that overflows at a large scale while its loss is finite."""

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        return 1e36 * outputs.square().mean() + 0 * target.sum()


@pytest.mark.parametrize("warmup_share", [0.0, 0.9])
def test_an_overflow_in_fp16_skips_the_whole_step_and_lowers_the_scale(warmup_share: float) -> None:
    config = make_config({"warmup_share": warmup_share}, precision=Precision.FP16)
    learner = make_learner(config, Growing())
    before = state(learner)
    result = step(learner, 0)
    after = state(learner)
    assert result.skipped
    assert same(before["network"], after["network"])
    assert same(before["searcher"], after["searcher"])
    assert after["scaler"]["scale"] == before["scaler"]["scale"] / 2
    assert after["steps"] == 1


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16])
def test_a_search_in_half_precision_moves_both(precision: Precision) -> None:
    learner = make_learner(make_config({"warmup_share": 0.0}, precision=precision))
    before = alphas(learner), weights(learner)
    result = step(learner, 0)
    assert not result.skipped
    assert result.loss == pytest.approx(step(make_learner(make_config({"warmup_share": 0.0})), 0).loss, rel=0.05)
    assert not same(before[0], alphas(learner))
    assert not same(before[1], weights(learner))
    other = make_learner(make_config({"warmup_share": 0.0}, precision=precision), seed=4)
    other.load_state_dict(state(learner))
    assert same(other.state_dict(), learner.state_dict())


def test_memory_that_runs_out_while_weights_change_tears_the_step_but_not_the_architecture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learner = make_learner(make_config({"warmup_share": 0.0}))
    before = state(learner)

    def full(_closure: object = None) -> None:
        raise torch.OutOfMemoryError

    with monkeypatch.context() as patched:
        patched.setattr(learner._optimiser, "step", full)
        with pytest.raises(UpdateTorn):
            step(learner, 0)
    assert same(before, learner.state_dict())


def test_a_batch_of_one_cannot_be_split() -> None:
    with pytest.raises(ConfigError, match=r"set sampling\.batch to 2 or more"):
        make_learner(make_config(sampling=SamplingConfig(batch=1)))
    learner = make_learner(make_config(sampling=SamplingConfig(steps_per_epoch=4)))
    with pytest.raises(ConfigError, match="which 1 cannot be"):
        learner.step(make_batch(0, 1), micro_batch=1, rate=0.1)


def test_an_odd_batch_gives_weights_one_patch_more() -> None:
    result = make_learner().step(make_batch(0, 3), micro_batch=2, rate=0.01)
    assert result.loss > 0


def test_the_averaged_network_is_evaluated() -> None:
    learner = make_learner(make_config(optimiser=OptimiserConfig(average_decay=0.9)))
    assert learner.evaluated is not learner.network
    before = learner.evaluated.state_dict()["stem_finals.1.weight"].clone()
    step(learner, 0)
    assert not torch.equal(before, learner.evaluated.state_dict()["stem_finals.1.weight"])
    assert make_learner().evaluated is not None


def test_a_checkpoint_of_another_search_is_refused() -> None:
    learner = make_learner()
    small = SearchLearner(make_network(blocks=2), Loss(), make_config(), world=World())
    with pytest.raises(CheckpointMismatch, match="another space"):
        learner.load_state_dict(small.state_dict())
    with pytest.raises(CheckpointMismatch, match="another precision"):
        learner.load_state_dict(make_learner(make_config(precision=Precision.FP16)).state_dict())
    with pytest.raises(CheckpointMismatch, match="no search"):
        learner.load_state_dict({"network": learner.network.state_dict(), "scaler": {}})
