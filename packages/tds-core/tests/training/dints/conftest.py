from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from monai.networks.nets.dints import DiNTS
from torch import Tensor, nn

from tds_core.training.config import (
    DataConfig,
    DatasetConfig,
    LengthConfig,
    NetworkConfig,
    OptimiserConfig,
    Precision,
    SamplingConfig,
    TrainingConfig,
)
from tds_core.training.dints import Architecture, Edge, SearchLearner, build_search_network
from tds_core.training.dints.options import DintsSearchOptions
from tds_core.training.distributed import World
from tds_core.training.engine.protocols import Batch

SPACE: Mapping[str, Any] = {"channels": 4, "blocks": 3, "depths": 2, "downsample": False}


class Loss(nn.Module):
    """Cross-entropy of one channel."""

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], target.float())


def make_batch(number: int, size: int = 4, edge: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(number)
    images = torch.randn(size, 2, edge, edge, edge, generator=generator)
    return Batch(images=images, target=(images.sum(1) > 0).to(torch.uint8))


def make_config(search: Mapping[str, Any] | None = None, **changes: Any) -> TrainingConfig:
    config = TrainingConfig(
        name="search",
        data=DataConfig(datasets=(DatasetConfig(phantoms=1),)),
        network=NetworkConfig(
            name="dints_search",
            options={**SPACE, "search": {"warmup_share": 0.25, "learning_rate": 0.05, **(search or {})}},
        ),
        sampling=SamplingConfig(batch=4, steps_per_epoch=4),
        optimiser=OptimiserConfig(learning_rate=0.01, average_decay=None),
        length=LengthConfig(epochs=2),
        precision=Precision.FP32,
    )
    return replace(config, **changes)


def make_network(seed: int = 0, **changes: Any) -> DiNTS:
    torch.manual_seed(seed)
    return build_search_network(DintsSearchOptions(**{**SPACE, **changes}), 2, 1)


def make_learner(config: TrainingConfig | None = None, loss: nn.Module | None = None, seed: int = 0) -> SearchLearner:
    return SearchLearner(make_network(seed), loss or Loss(), config or make_config(), world=World())


def edge(source: int, target: int, operation: str = "conv_3x3x3") -> Edge:
    return Edge(source=source, target=target, operation=operation)


@pytest.fixture
def found() -> Architecture:
    """Splits, leaves level 0, comes back."""
    return Architecture(
        channels=4,
        depths=3,
        downsample=True,
        blocks=(
            (edge(0, 0), edge(0, 1, "conv_3x3x1"), edge(1, 1, "conv_3x1x3")),
            (edge(0, 1, "skip_connect"), edge(1, 2, "conv_1x3x3")),
            (edge(1, 1), edge(2, 1, "skip_connect"), edge(2, 2, "conv_3x3x1")),
        ),
    )


def same(first: Any, second: Any) -> bool:
    """Whether two states are the same to the last bit."""
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    return bool(first == second)
