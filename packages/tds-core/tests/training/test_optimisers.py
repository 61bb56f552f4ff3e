import pytest
import torch
from monai.networks.nets.segresnet import SegResNet
from torch import nn

from tds_core.training.config import OptimiserConfig
from tds_core.training.optimisers import build_optimiser, set_rate


class Positioned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.position_embeddings = nn.Parameter(torch.ones(1, 4, 2))
        self.layer = nn.Linear(2, 2)
        self.frozen = nn.Linear(2, 2).requires_grad_(requires_grad=False)


def names_by_decay(network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, float]:
    by_id = {id(weight): name for name, weight in network.named_parameters()}
    return {by_id[id(w)]: group["weight_decay"] for group in optimiser.param_groups for w in group["params"]}


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_matrices_and_kernels_decay(name: str) -> None:
    network = Positioned()
    optimiser = build_optimiser(OptimiserConfig(name=name, weight_decay=0.1), network)
    assert names_by_decay(network, optimiser) == {"position_embeddings": 0.0, "layer.weight": 0.1, "layer.bias": 0.0}


def test_every_trainable_weight_of_a_real_network_is_in_exactly_one_group() -> None:
    network = SegResNet(init_filters=8, blocks_down=(1, 1), blocks_up=(1,))
    optimiser = build_optimiser(OptimiserConfig(), network)
    groups = [id(w) for group in optimiser.param_groups for w in group["params"]]
    assert sorted(groups) == sorted(id(w) for w in network.parameters())
    found = names_by_decay(network, optimiser)
    assert all(found[k] == 1e-4 for k in found if "conv" in k and k.endswith("conv.weight"))
    assert all(found[k] == 0 for k in found if "norm" in k)


def test_a_network_of_norms_alone_has_one_group() -> None:
    optimiser = build_optimiser(OptimiserConfig(weight_decay=1.0), nn.GroupNorm(1, 4))
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.0]


def test_sgd_is_torchs_with_nesterov_momentum() -> None:
    ours, theirs = nn.Linear(3, 1, bias=False), nn.Linear(3, 1, bias=False)
    theirs.load_state_dict(ours.state_dict())
    config = OptimiserConfig(name="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0.01)
    step = build_optimiser(config, ours)
    oracle = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True)
    for _ in range(4):
        for network, optimiser in ((ours, step), (theirs, oracle)):
            optimiser.zero_grad()
            network(torch.ones(2, 3)).square().mean().backward()
            optimiser.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_sgd_without_momentum_is_possible() -> None:
    optimiser = build_optimiser(OptimiserConfig(name="sgd", momentum=0.0), nn.Linear(2, 2))
    assert optimiser.param_groups[0]["nesterov"] is False


def test_the_rate_of_every_group_is_set() -> None:
    optimiser = build_optimiser(OptimiserConfig(), nn.Linear(2, 2))
    set_rate(optimiser, 0.25)
    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.25]


def test_on_the_cpu_weights_move_one_after_the_other() -> None:
    optimiser = build_optimiser(OptimiserConfig(), nn.Linear(2, 2))
    assert all(group["foreach"] is False and group["fused"] is False for group in optimiser.param_groups)
