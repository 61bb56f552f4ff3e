"""Swin UNETR: a transformer with attention inside shifted windows, with a convolutional decoder."""

import math
from dataclasses import dataclass
from typing import Final

from monai.networks.nets.swin_unetr import SwinUNETR
from torch import nn

from tds_core.training.config import Shape
from tds_core.training.config.checks import check_multiple, check_ranges
from tds_core.training.models.spec import ModelSpec, NetworkRequest

_FACTOR: Final = 32
_EMBEDDING: Final = 12
_Stages = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SwinUNETROptions:
    """Shape of a Swin UNETR.

    Attributes:
        feature_size: Channels of the finest level, a multiple of 12; doubled at each level below.
        depths: Transformer layers of each stage.
        heads: Attention heads of each stage.
        window: Edge of the attention's windows, in tokens.
        dropout: Share of numbers that are dropped.
        attention_dropout: Share of attention weights that are dropped.
        path_dropout: Share of layers that are passed over, rising with depth to this.
        residual_stages: Whether each stage begins with a residual convolution (Swin UNETR version 2).
        checkpointing: Whether features are computed twice instead of kept, for less memory.
    """

    feature_size: int = 48
    depths: _Stages = (2, 2, 2, 2)
    heads: _Stages = (3, 6, 12, 24)
    window: int = 7
    dropout: float = 0.0
    attention_dropout: float = 0.0
    path_dropout: float = 0.0
    residual_stages: bool = False
    checkpointing: bool = False

    def __post_init__(self) -> None:
        check_multiple("feature_size", self.feature_size, _EMBEDDING)
        check_ranges(1, math.inf, window=self.window, depths=min(self.depths), heads=min(self.heads))
        for stage, heads in enumerate(self.heads):
            check_multiple(f"feature_size times {2**stage}", self.feature_size * 2**stage, heads)
        check_ranges(0, 0.9, dropout=self.dropout, attention_dropout=self.attention_dropout)
        check_ranges(0, 0.9, path_dropout=self.path_dropout)


def _factors(options: SwinUNETROptions, patch: Shape) -> Shape:
    del options, patch
    return _FACTOR, _FACTOR, _FACTOR


def _build(options: SwinUNETROptions, request: NetworkRequest) -> nn.Module:
    network: nn.Module = SwinUNETR(
        in_channels=request.in_channels,
        out_channels=request.out_channels,
        depths=options.depths,
        num_heads=options.heads,
        window_size=options.window,
        feature_size=options.feature_size,
        norm_name="instance",
        drop_rate=options.dropout,
        attn_drop_rate=options.attention_dropout,
        dropout_path_rate=options.path_dropout,
        use_v2=options.residual_stages,
        use_checkpoint=options.checkpointing,
    )
    return network


SPEC: Final = ModelSpec(
    name="swin_unetr",
    summary="A transformer with attention inside shifted windows, with a convolutional decoder.",
    paper="Hatamizadeh et al. 2022, Swin UNETR, BrainLes, arXiv:2201.01266",
    memory="feature_size at the patch's full resolution; checkpointing saves much of the transformer's part.",
    options=SwinUNETROptions,
    factors=_factors,
    build=_build,
    fixed_size=True,
)
