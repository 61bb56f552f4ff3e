from collections.abc import Callable, Mapping
from typing import Final

import pytest

from tds_core.training.config import NetworkConfig, Shape

DINTS_BLOCKS: Final = [
    [
        {"source": 0, "target": 0, "operation": "skip_connect"},
        {"source": 0, "target": 1, "operation": "conv_3x3x1"},
    ],
    [
        {"source": 0, "target": 0, "operation": "conv_1x3x3"},
        {"source": 1, "target": 0, "operation": "conv_3x3x3"},
    ],
]

SMALL: Final[Mapping[str, Mapping[str, object]]] = {
    "segresnet": {"init_filters": 8, "blocks_down": [1, 1, 1], "blocks_up": [1, 1]},
    "unet": {"channels": [4, 8, 16], "residual_units": 1},
    "dynunet": {"channels": 4},
    "mednext": {"channels": 4},
    "unetr": {"feature_size": 4, "hidden_size": 24, "mlp_size": 24, "heads": 2},
    "swin_unetr": {"feature_size": 12, "depths": [1, 1, 1, 1], "window": 4},
    "dints": {"architecture": {"channels": 4, "depths": 2, "downsample": True, "blocks": DINTS_BLOCKS}},
    "dints_search": {"channels": 4, "depths": 2, "blocks": 2},
}

SmallConfig = Callable[..., NetworkConfig]


@pytest.fixture
def small() -> SmallConfig:
    """Every network in as few numbers as its shape allows."""

    def config(name: str, *, deep_supervision: bool = False) -> NetworkConfig:
        return NetworkConfig(name=name, options=SMALL[name], deep_supervision=deep_supervision)

    return config


@pytest.fixture
def patch() -> Shape:
    """The smallest patch that all of them take, in which no two axes are alike in the same way."""
    return (64, 32, 32)
