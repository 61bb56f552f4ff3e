import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from tds_core.errors import CheckpointMismatch
from tds_core.training.averaging import WeightAverage


def make() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def move(network: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator))
        network(torch.randn(8, 3, generator=generator))


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_late_in_a_run_it_is_torchs_exponential_average(decay: float) -> None:
    network = make()
    ours = WeightAverage(network, decay)
    oracle = AveragedModel(network, avg_fn=get_ema_avg_fn(decay))
    oracle.n_averaged.fill_(1)  # torch's first update is a plain copy
    for i in range(5):
        move(network, i)
        ours.update(100_000 + i)
        oracle.update_parameters(network)
    torch.testing.assert_close(ours.network.state_dict(), oracle.module.state_dict())


def test_early_in_a_run_the_decay_is_small() -> None:
    network = nn.Linear(1, 1, bias=False)
    average = WeightAverage(network, 0.99)
    with torch.no_grad():
        network.weight += 1
    before = average.network.state_dict()["weight"].clone()
    average.update(1)
    moved = average.network.state_dict()["weight"] - before
    torch.testing.assert_close(moved, torch.full_like(moved, 1 - 2 / 11))


def test_buffers_are_followed_not_averaged() -> None:
    network = make()
    average = WeightAverage(network, 0.9)
    move(network, 1)
    average.update(5000)
    assert all(torch.equal(a, b) for a, b in zip(average.network.buffers(), network.buffers(), strict=True))


def test_the_network_is_never_changed_and_the_average_never_trained() -> None:
    network = make()
    average = WeightAverage(network, 0.9)
    before = copy.deepcopy(network.state_dict())
    average.update(3)
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert not any(weight.requires_grad for weight in average.network.parameters())
    assert network.training
    assert not average.network.training


def test_without_decay_the_average_is_the_network_itself() -> None:
    network = make()
    average = WeightAverage(network, None)
    average.update(1)
    assert average.network is network
    assert average.state_dict() == {}
    average.load_state_dict({})


def test_a_restored_average_goes_on_alike() -> None:
    network = make()
    first = WeightAverage(network, 0.9)
    move(network, 1)
    first.update(1)
    second = WeightAverage(make(), 0.9)
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(second.network.state_dict(), first.network.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(("made", "read"), [(0.9, None), (None, 0.9)])
def test_a_checkpoint_with_other_averaging_is_refused(made: float | None, read: float | None) -> None:
    state = WeightAverage(make(), made).state_dict()
    with pytest.raises(CheckpointMismatch, match="set average_decay alike"):
        WeightAverage(make(), read).load_state_dict(state)


def test_the_average_of_another_network_is_refused() -> None:
    state = WeightAverage(nn.Linear(2, 2), 0.9).state_dict()
    with pytest.raises(CheckpointMismatch, match="another network"):
        WeightAverage(make(), 0.9).load_state_dict(state)
