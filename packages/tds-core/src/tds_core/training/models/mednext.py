"""MedNeXt: depthwise convolutions with large kernels, in a U-Net that is built of them throughout."""

import math
from dataclasses import dataclass
from typing import Final

from monai.networks.nets.mednext import MedNeXt
from torch import Tensor, nn

from tds_core.errors import ConfigError
from tds_core.training.config import Shape
from tds_core.training.config.checks import check_choice, check_ranges
from tds_core.training.models.spec import ModelSpec, NetworkRequest

_KERNELS: Final = (3, 5, 7)
_FACTOR: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    """Expansions and blocks of the four encoder levels and of the bottleneck; the decoder mirrors the encoder."""

    expansions: tuple[int, int, int, int]
    bottleneck_expansion: int
    blocks: tuple[int, int, int, int]
    bottleneck_blocks: int


_SIZES: Final = {
    "S": _Size(expansions=(2, 2, 2, 2), bottleneck_expansion=2, blocks=(2, 2, 2, 2), bottleneck_blocks=2),
    "B": _Size(expansions=(2, 3, 4, 4), bottleneck_expansion=4, blocks=(2, 2, 2, 2), bottleneck_blocks=2),
    "M": _Size(expansions=(2, 3, 4, 4), bottleneck_expansion=4, blocks=(3, 4, 4, 4), bottleneck_blocks=4),
    "L": _Size(expansions=(3, 4, 8, 8), bottleneck_expansion=8, blocks=(3, 4, 8, 8), bottleneck_blocks=8),
}
"""Table 1 of the paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MedNeXtOptions:
    """Shape of a MedNeXt.

    Attributes:
        size: `S`, `B`, `M` or `L`, as in the paper.
        kernel: Edge of the depthwise kernels, 3, 5 or 7.
        channels: Of the first level, 32 in the paper; doubled at each level below.
    """

    size: str = "S"
    kernel: int = 3
    channels: int = 32

    def __post_init__(self) -> None:
        check_choice("size", self.size, _SIZES)
        check_ranges(1, math.inf, channels=self.channels)
        if self.kernel not in _KERNELS:
            message = f"kernel must be 3, 5 or 7, not {self.kernel}"
            raise ConfigError(message)


class SupervisedMedNeXt(nn.Module):
    """The layers of a MedNeXt, with an output at each of its coarser levels while it trains.

    Parameters are named as in MONAI's class, apart from `heads`.

    Args:
        network: Whose layers are taken over.
    """

    def __init__(self, network: MedNeXt) -> None:
        super().__init__()
        self.stem = network.stem
        self.enc_stages = network.enc_stages
        self.down_blocks = network.down_blocks
        self.bottleneck = network.bottleneck
        self.up_blocks = network.up_blocks
        self.dec_stages = network.dec_stages
        self.out_0 = network.out_0
        self.heads = network.out_blocks

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Return logits, or in training mode those of every level, finest first.

        Args:
            x: Shape (batch, channel, x, y, z).
        """
        x = self.stem(x)
        skips: list[Tensor] = []
        for stage, down in zip(self.enc_stages, self.down_blocks, strict=True):
            skips.append(stage(x))
            x = down(skips[-1])
        x = self.bottleneck(x)
        coarser: list[Tensor] = []
        for head, up, stage in zip(self.heads, self.up_blocks, self.dec_stages, strict=True):
            if self.training:
                coarser.append(head(x))
            x = stage(up(x) + skips.pop())
        final: Tensor = self.out_0(x)
        return [final, *reversed(coarser)] if coarser else final


def _factors(options: MedNeXtOptions, patch: Shape) -> Shape:
    del options, patch
    return _FACTOR, _FACTOR, _FACTOR


def _build(options: MedNeXtOptions, request: NetworkRequest) -> nn.Module:
    size = _SIZES[options.size]
    network = MedNeXt(
        spatial_dims=3,
        init_filters=options.channels,
        in_channels=request.in_channels,
        out_channels=request.out_channels,
        encoder_expansion_ratio=size.expansions,
        decoder_expansion_ratio=size.expansions[::-1],
        bottleneck_expansion_ratio=size.bottleneck_expansion,
        kernel_size=options.kernel,
        deep_supervision=request.deep_supervision,
        use_residual_connection=True,
        blocks_down=size.blocks,
        blocks_bottleneck=size.bottleneck_blocks,
        blocks_up=size.blocks[::-1],
        norm_type="group",
    )
    if request.deep_supervision:
        return SupervisedMedNeXt(network)
    plain: nn.Module = network
    return plain


SPEC: Final = ModelSpec(
    name="mednext",
    summary="A U-Net of ConvNeXt blocks: depthwise convolutions with large kernels between expansions.",
    paper="Roy et al. 2023, MedNeXt, MICCAI, arXiv:2303.09975",
    memory="channels times expansion at the patch's full resolution, in every block: the most of all networks here.",
    options=MedNeXtOptions,
    factors=_factors,
    build=_build,
    deep_supervision=True,
)
