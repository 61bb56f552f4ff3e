"""How weights move: AdamW, or SGD with Nesterov momentum."""

from collections.abc import Iterable
from typing import Final

import torch
from torch import nn

from tds_core.training.config import OptimiserConfig

_MATRIX: Final = 2
"""Weights with fewer axes than this are scales and shifts."""


def build_optimiser(config: OptimiserConfig, network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser of a network's trainable weights.

    Only the weights of convolutions and linear layers decay. Scales and shifts of norms, biases and tables of positions
    do not: pulling them to zero makes no function simpler, it only takes range away. The groups come in this order:
    what decays, then what does not; an empty group is left out.

    Args:
        config: What the optimiser is told.
        network: On the device of the run.
    """
    weights = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
    return optimise(config, weights)


def optimise(config: OptimiserConfig, weights: Iterable[tuple[str, nn.Parameter]]) -> torch.optim.Optimizer:
    """Return the optimiser of some of a network's weights.

    Args:
        config: What the optimiser is told.
        weights: Names and weights, in an order that is the same in each run.
    """
    weights = list(weights)
    groups = [
        {"params": [weight for name, weight in weights if decays(name, weight) is decaying], "weight_decay": decay}
        for decaying, decay in ((True, config.weight_decay), (False, 0.0))
    ]
    groups = [group for group in groups if group["params"]]
    # One kernel over all weights on a GPU. On the CPU one weight after the other, so that a run repeats bit by bit.
    together = all(weight.is_cuda for _, weight in weights)
    if config.name == "sgd":
        nesterov = config.momentum > 0
        return torch.optim.SGD(
            groups, lr=config.learning_rate, momentum=config.momentum, nesterov=nesterov, foreach=together, fused=False
        )
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, foreach=together, fused=False)


def decays(name: str, weight: torch.Tensor) -> bool:
    """Return whether weight decay applies to a weight.

    Args:
        name: Its dotted name in the network.
        weight: The weight.
    """
    return weight.ndim >= _MATRIX and "position" not in name


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group.

    Args:
        optimiser: Changed in place.
        rate: The learning rate.
    """
    for group in optimiser.param_groups:
        group["lr"] = rate
