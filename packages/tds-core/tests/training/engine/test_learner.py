import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tds_core.errors import CheckpointMismatch
from tds_core.training.averaging import WeightAverage
from tds_core.training.config import OptimiserConfig, Precision, TrainingConfig
from tds_core.training.distributed import World
from tds_core.training.engine import Batch, StepSettings, SupervisedLearner
from tds_core.training.guards.memory import PeerOutOfMemory
from tds_core.training.optimisers import build_optimiser

Same = Callable[[object, object], bool]


class Mean(nn.Module):
    """A loss per patch, and the mean over patches."""

    def forward(self, outputs: Tensor | list[Tensor], target: Tensor) -> Tensor:
        outputs = outputs if isinstance(outputs, list) else [outputs]
        assert all(output.dtype == torch.float32 for output in outputs)
        losses = [nn.functional.binary_cross_entropy_with_logits(o[:, 0], target.float()) for o in outputs]
        return torch.stack(losses).mean()


def learner_with(network: nn.Module, **settings: Any) -> SupervisedLearner:
    optimiser = build_optimiser(OptimiserConfig(name="sgd", momentum=0.0, weight_decay=0.0), network)
    return SupervisedLearner(
        network,
        Mean(),
        optimiser,
        average=WeightAverage(network, 0.9),
        settings=StepSettings(**settings),
        world=World(),
    )


def snapshot(learner: SupervisedLearner) -> dict[str, Any]:
    def copy(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.clone()
        if isinstance(value, dict):
            return {key: copy(item) for key, item in value.items()}
        return [copy(item) for item in value] if isinstance(value, list) else value

    result: dict[str, Any] = copy(learner.state_dict())
    return result


def test_step_is_what_a_plain_loop_makes(network_of: Callable[..., nn.Module], batch: Batch) -> None:
    network, plain = network_of(), network_of()
    learner = learner_with(network, clip_norm=0.05)
    optimiser = torch.optim.SGD(plain.parameters(), lr=0.3)
    for _ in range(3):
        optimiser.zero_grad()
        loss = Mean()(plain(batch.images), batch.target)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(plain.parameters(), 0.05)
        optimiser.step()
        result = learner.step(batch, micro_batch=5, rate=0.3)
        assert result.loss == pytest.approx(loss.item(), rel=1e-6)
        assert result.gradient_norm == pytest.approx(norm.item(), rel=1e-6)
    for ours, theirs in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-7)


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 4, 9])
def test_any_micro_batch_gives_the_same_step(
    network_of: Callable[..., nn.Module], batch: Batch, micro_batch: int
) -> None:
    whole, pieces = network_of(), network_of()
    one = learner_with(whole).step(batch, micro_batch=5, rate=0.3)
    other = learner_with(pieces).step(batch, micro_batch=micro_batch, rate=0.3)
    assert other.loss == pytest.approx(one.loss, rel=1e-6)
    assert other.gradient_norm == pytest.approx(one.gradient_norm, rel=1e-5)
    for a, b in zip(whole.parameters(), pieces.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_average_follows_the_network(network_of: Callable[..., nn.Module], batch: Batch) -> None:
    network = network_of()
    before = [weight.detach().clone() for weight in network.parameters()]
    learner = learner_with(network)
    learner.step(batch, micro_batch=5, rate=0.3)
    assert learner.network is network
    for start, now, average in zip(before, network.parameters(), learner.evaluated.parameters(), strict=True):
        share = 1 - 2 / 11
        assert torch.allclose(average, start + share * (now - start), atol=1e-7)


def test_steps_draw_alike_after_a_reload_and_unlike_one_another(
    network_of: Callable[..., nn.Module], batch: Batch, same: Same
) -> None:
    def losses(learner: SupervisedLearner, count: int) -> list[float]:
        return [learner.step(batch, micro_batch=2, rate=1e-9).loss for _ in range(count)]

    first = learner_with(network_of(dropout=0.5), seed=1)
    straight = losses(first, 4)
    second = learner_with(network_of(dropout=0.5), seed=1)
    assert losses(second, 2) == straight[:2]
    third = learner_with(network_of(dropout=0.5, seed=9), seed=1)
    third.load_state_dict(second.state_dict())
    assert losses(third, 2) == straight[2:]
    assert same(first.state_dict(), third.state_dict())
    assert len(set(straight)) == 4
    assert losses(learner_with(network_of(dropout=0.5), seed=2), 4) != straight


def test_micro_batches_of_a_step_draw_unlike_one_another(network_of: Callable[..., nn.Module], batch: Batch) -> None:
    drawn: list[Tensor] = []
    network = network_of(dropout=0.5)
    network.get_submodule("drop").register_forward_hook(lambda _m, _i, output: drawn.append(output == 0))
    twice = Batch(images=batch.images[:1].repeat(2, 1, 1, 1, 1), target=batch.target[:1].repeat(2, 1, 1, 1))
    learner_with(network).step(twice, micro_batch=1, rate=0.1)
    assert not torch.equal(drawn[0], drawn[1])


def test_step_leaves_the_callers_random_numbers_alone(network_of: Callable[..., nn.Module], batch: Batch) -> None:
    learner = learner_with(network_of(dropout=0.5))
    torch.manual_seed(11)
    expected = torch.randn(3)
    torch.manual_seed(11)
    learner.step(batch, micro_batch=2, rate=0.1)
    assert torch.equal(torch.randn(3), expected)


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("where", ["images", "target"])
def test_loss_that_is_not_finite_leaves_everything_as_it_was(
    network_of: Callable[..., nn.Module], batch: Batch, same: Same, precision: Precision, where: str
) -> None:
    learner = learner_with(network_of(), precision=precision, clip_norm=1.0)
    learner.step(batch, micro_batch=5, rate=0.1)
    before = snapshot(learner)
    images, target = batch.images.clone(), batch.target.float()
    (images if where == "images" else target)[-1, 0, 0, 0] = torch.nan
    result = learner.step(Batch(images=images, target=target), micro_batch=2, rate=0.1)
    assert not math.isfinite(result.loss)
    assert not result.skipped
    assert same(learner.state_dict(), before)
    again = learner.step(batch, micro_batch=5, rate=0.1)
    assert math.isfinite(again.loss)
    assert not again.skipped
    assert not same(learner.state_dict(), before)


class Steep(nn.Module):
    """Its gradient overflows once it is scaled, or anyway."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, outputs: Tensor, _: Tensor) -> Tensor:
        return (outputs * self.slope).mean() - (outputs.detach() * self.slope).mean()


def steep_learner(network: nn.Module, slope: float, precision: Precision) -> SupervisedLearner:
    optimiser = build_optimiser(OptimiserConfig(name="sgd", momentum=0.0), network)
    return SupervisedLearner(
        network,
        Steep(slope),
        optimiser,
        average=WeightAverage(network, 0.9),
        settings=StepSettings(precision=precision),
        world=World(),
    )


def test_overflow_in_fp16_skips_steps_until_the_scale_fits(
    network_of: Callable[..., nn.Module], batch: Batch, same: Same
) -> None:
    learner = steep_learner(network_of(), 2e4, Precision.FP16)
    before = snapshot(learner)
    results = [learner.step(batch, micro_batch=5, rate=1e-6) for _ in range(20)]
    skipped = [result.skipped for result in results]
    assert skipped[0]
    assert not skipped[-1]
    assert skipped == sorted(skipped, reverse=True)
    assert all(math.isfinite(result.gradient_norm) is not result.skipped for result in results)
    count = skipped.count(True)
    assert learner.state_dict()["scaler"]["scale"] == 65536.0 / 2**count
    assert not same(learner.state_dict()["network"], before["network"])


def test_skipped_step_moves_no_weight_and_no_average(
    network_of: Callable[..., nn.Module], batch: Batch, same: Same
) -> None:
    learner = steep_learner(network_of(), 2e4, Precision.FP16)
    before = snapshot(learner)
    result = learner.step(batch, micro_batch=5, rate=0.1)
    assert result.skipped
    assert math.isfinite(result.loss)
    after = learner.state_dict()
    assert same(after["network"], before["network"])
    assert same(after["average"], before["average"])
    assert after["steps"] == before["steps"] + 1


class Corner(nn.Module):
    """A finite loss whose gradient never is."""

    def forward(self, outputs: Tensor, _: Tensor) -> Tensor:
        return (outputs * 0).abs().sqrt().sum()


def test_gradient_that_is_never_finite_is_in_the_end_no_matter_of_the_scale(
    network_of: Callable[..., nn.Module], batch: Batch, same: Same
) -> None:
    network = network_of()
    learner = SupervisedLearner(
        network,
        Corner(),
        build_optimiser(OptimiserConfig(), network),
        average=WeightAverage(network, None),
        settings=StepSettings(precision=Precision.FP16),
        world=World(),
    )
    results = [learner.step(batch, micro_batch=5, rate=0.1) for _ in range(16)]
    assert all(result.skipped for result in results)
    before = snapshot(learner)
    result = learner.step(batch, micro_batch=5, rate=0.1)
    assert (result.loss, result.skipped) == (0.0, False)
    assert not math.isfinite(result.gradient_norm)
    assert same(learner.state_dict(), before)


def test_bf16_computes_in_bf16_and_keeps_weights_in_float32(network_of: Callable[..., nn.Module], batch: Batch) -> None:
    network = network_of()
    dtypes: list[torch.dtype] = []
    network.get_submodule("last").register_forward_hook(lambda _m, _i, output: dtypes.append(output.dtype))
    learner_with(network, precision=Precision.BF16).step(batch, micro_batch=5, rate=0.1)
    assert dtypes == [torch.bfloat16]
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


class Two(nn.Module):
    """Gives a coarser output besides while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(2, 1, 1)

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        out = self.convolution(images)
        return [out, out * 2] if self.training else out


def test_outputs_of_deep_supervision_reach_the_loss_as_float32(batch: Batch) -> None:
    learner = learner_with(Two().eval(), precision=Precision.BF16)
    assert math.isfinite(learner.step(batch, micro_batch=2, rate=0.1).loss)


class Hungry(nn.Module):
    """A network whose memory runs out in the second micro-batch."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(2, 1, 1)
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == 2:
            message = "DefaultCPUAllocator: can't allocate memory"
            raise RuntimeError(message)
        out: Tensor = self.convolution(images)
        return out


def test_step_that_ran_out_of_memory_changes_nothing_and_can_be_made_again(batch: Batch, same: Same) -> None:
    network = Hungry()
    learner = learner_with(network)
    before = snapshot(learner)
    with pytest.raises(RuntimeError, match="can't allocate"):
        learner.step(batch, micro_batch=3, rate=0.1)
    assert same(learner.state_dict(), before)
    assert all(weight.grad is None for weight in network.parameters())
    assert math.isfinite(learner.step(batch, micro_batch=1, rate=0.1).loss)


class Neighbour(World):
    """A world of two in which the other process never has memory."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 2

    def sum(self, values: Tensor) -> Tensor:
        return values.double() * 2

    def any(self, flag: bool) -> bool:  # noqa: FBT001  # as in World
        del flag
        return True


def test_step_fails_where_another_process_ran_out_of_memory(
    network_of: Callable[..., nn.Module], batch: Batch, same: Same
) -> None:
    network = network_of()
    learner = SupervisedLearner(
        network,
        Mean(),
        build_optimiser(OptimiserConfig(), network),
        average=WeightAverage(network, None),
        settings=StepSettings(),
        world=Neighbour(),
    )
    before = snapshot(learner)
    with pytest.raises(PeerOutOfMemory):
        learner.step(batch, micro_batch=5, rate=0.1)
    assert same(learner.state_dict(), before)
    assert all(weight.grad is None for weight in network.parameters())


def test_state_of_another_network_or_optimiser_is_refused(
    network_of: Callable[..., nn.Module],
    learner_of: Callable[..., SupervisedLearner],
    config_of: Callable[..., TrainingConfig],
) -> None:
    config = config_of()
    learner = learner_of(config)
    with pytest.raises(CheckpointMismatch, match="another network or optimiser"):
        learner.load_state_dict(learner_of(config, network_of(width=8)).state_dict())
    state = learner.state_dict()
    state["optimiser"]["param_groups"] = state["optimiser"]["param_groups"][:1]
    with pytest.raises(CheckpointMismatch, match="another network or optimiser"):
        learner.load_state_dict(state)


def test_state_of_another_precision_is_refused(network_of: Callable[..., nn.Module]) -> None:
    fp16 = learner_with(network_of(), precision=Precision.FP16)
    with pytest.raises(CheckpointMismatch, match="another precision"):
        fp16.load_state_dict(learner_with(network_of()).state_dict())


def test_scale_of_fp16_comes_back(network_of: Callable[..., nn.Module], batch: Batch) -> None:
    one = steep_learner(network_of(), 2e4, Precision.FP16)
    one.step(batch, micro_batch=5, rate=0.1)
    other = steep_learner(network_of(), 2e4, Precision.FP16)
    other.load_state_dict(one.state_dict())
    assert other.state_dict()["scaler"] == one.state_dict()["scaler"]
    assert one.state_dict()["scaler"]["scale"] == 32768.0


def test_means_of_the_optimiser_stay_those_of_this_device(network_of: Callable[..., nn.Module], batch: Batch) -> None:
    one, other = learner_with(network_of()), learner_with(network_of())
    one.step(batch, micro_batch=5, rate=0.1)
    state = one.state_dict()
    for group in state["optimiser"]["param_groups"]:
        group["foreach"] = True
    other.load_state_dict(state)
    assert [group["foreach"] for group in other.state_dict()["optimiser"]["param_groups"]] == [False] * 2
