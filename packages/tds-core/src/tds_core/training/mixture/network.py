"""Networks by configuration."""

from monai.networks.nets.segresnet import SegResNet
from torch import nn

from tds_core.training.mixture.config import NetworkConfig


def build_network(config: NetworkConfig) -> nn.Module:
    """Return a SegResNet that maps (batch, 4, x, y, z) to logits (batch, 3, x, y, z).

    Args:
        config: Its shape; every axis of the input must be a multiple of 2 to the number of levels less one.
    """
    return SegResNet(
        spatial_dims=3,
        init_filters=config.init_filters,
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        blocks_down=config.blocks_down,
        blocks_up=config.blocks_up,
        norm=("GROUP", {"num_groups": 8}),
    )
