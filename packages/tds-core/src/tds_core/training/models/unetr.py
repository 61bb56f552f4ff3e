"""UNETR: a vision transformer that sees the whole patch, with a convolutional decoder."""

import math
from dataclasses import dataclass
from typing import Final

from monai.networks.nets.unetr import UNETR
from torch import nn

from tds_core.training.config import Shape
from tds_core.training.config.checks import check_multiple, check_ranges
from tds_core.training.models.spec import ModelSpec, NetworkRequest

_TOKEN: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class UNETROptions:
    """Shape of a UNETR; its twelve transformer layers are given.

    Attributes:
        feature_size: Channels of the finest decoder level.
        hidden_size: Numbers in a token, a multiple of `heads`.
        mlp_size: Numbers inside a transformer layer's perceptron.
        heads: Attention heads.
        dropout: Share of numbers that are dropped in the transformer.
    """

    feature_size: int = 16
    hidden_size: int = 768
    mlp_size: int = 3072
    heads: int = 12
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(1, math.inf, feature_size=self.feature_size, mlp_size=self.mlp_size, heads=self.heads)
        check_multiple("hidden_size", self.hidden_size, self.heads)
        check_ranges(0, 0.9, dropout=self.dropout)


def _factors(options: UNETROptions, patch: Shape) -> Shape:
    del options, patch
    return _TOKEN, _TOKEN, _TOKEN


def _build(options: UNETROptions, request: NetworkRequest) -> nn.Module:
    network = UNETR(
        in_channels=request.in_channels,
        out_channels=request.out_channels,
        img_size=request.patch,
        feature_size=options.feature_size,
        hidden_size=options.hidden_size,
        mlp_dim=options.mlp_size,
        num_heads=options.heads,
        norm_name="instance",
        dropout_rate=options.dropout,
    )
    for layer in network.vit.blocks:
        # MONAI gives each layer a norm for an attention that UNETR does not have: weights without a gradient.
        layer.norm_cross_attn = nn.Identity()
    made: nn.Module = network
    return made


SPEC: Final = ModelSpec(
    name="unetr",
    summary="A vision transformer over tokens of 16 voxels cubed, with a convolutional decoder.",
    paper="Hatamizadeh et al. 2022, UNETR, WACV, arXiv:2103.10504",
    memory="feature_size at the patch's full resolution, and weights and optimiser state of the transformer.",
    options=UNETROptions,
    factors=_factors,
    build=_build,
    fixed_size=True,
)
