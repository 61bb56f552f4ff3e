"""The U-Net of nnU-Net."""

from dataclasses import dataclass
from typing import Final

from monai.networks.nets.dynunet import DynUNet
from torch import Tensor, nn

from tds_core.errors import ConfigError
from tds_core.training.config import Shape
from tds_core.training.config.checks import check_positive, check_ranges
from tds_core.training.models.spec import ModelSpec, NetworkRequest
from tds_core.training.models.topology import Topology, derive_topology

_MIN_LEVELS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DynUNetOptions:
    """Shape of nnU-Net's U-Net.

    Attributes:
        spacing_mm: Edges of the voxels that the network sees along x, y, z, millimetres; only their ratios matter.
        channels: Of the first level; doubled at each level below.
        max_channels: Most channels of a level.
        residual: Whether blocks have a shortcut.
        dropout: Share of channels that are dropped behind every convolution.
        strides: Of each level along x, y, z, the first 1, 1, 1; from patch and spacing by nnU-Net's rules if empty.
        kernels: Of each level along x, y, z; as many as strides.
    """

    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: int = 32
    max_channels: int = 320
    residual: bool = False
    dropout: float = 0.0
    strides: tuple[Shape, ...] = ()
    kernels: tuple[Shape, ...] = ()

    def __post_init__(self) -> None:
        check_positive(spacing_mm=min(self.spacing_mm))
        check_ranges(1, self.max_channels, channels=self.channels)
        check_ranges(0, 0.9, dropout=self.dropout)
        if len(self.strides) != len(self.kernels):
            message = f"there are {len(self.strides)} strides and {len(self.kernels)} kernels; give one of each a level"
            raise ConfigError(message)
        if not self.strides:
            return
        if len(self.strides) < _MIN_LEVELS or self.strides[0] != (1, 1, 1):
            message = (
                f"strides must be at least {_MIN_LEVELS}, the first 1, 1, 1; they are {[list(s) for s in self.strides]}"
            )
            raise ConfigError(message)
        check_ranges(1, 2, **{"each of strides": _worst([n for stride in self.strides for n in stride], 1, 2)})
        even = [n for kernel in self.kernels for n in kernel if n < 1 or n % 2 == 0]
        if even:
            message = f"kernels must be odd, not {even[0]}"
            raise ConfigError(message)


class SupervisedDynUNet(nn.Module):
    """The layers of a DynUNet in the order in which they work, each once, with an output at its coarser levels.

    MONAI's own class interpolates coarser outputs to the finest and keeps them, which costs memory and cannot be copied
    while it trains. Parameters are named as there, apart from `heads`.

    Args:
        network: Whose layers are taken over.
    """

    def __init__(self, network: DynUNet) -> None:
        super().__init__()
        self.input_block = network.input_block
        self.downsamples = network.downsamples
        self.bottleneck = network.bottleneck
        self.upsamples = network.upsamples
        self.output_block = network.output_block
        if network.deep_supervision:
            self.heads = network.deep_supervision_heads
        else:
            self.heads = nn.ModuleList()

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Return logits, or in training mode those of every supervised level, finest first.

        Args:
            x: Shape (batch, channel, x, y, z).
        """
        x = self.input_block(x)
        skips = [x]
        for down in self.downsamples:
            x = down(x)
            skips.append(x)
        x = self.bottleneck(x)
        coarser: list[Tensor] = []
        for level, up in zip(reversed(range(len(skips))), self.upsamples, strict=True):
            x = up(x, skips[level])
            if self.training and 0 < level <= len(self.heads):
                coarser.append(self.heads[level - 1](x))
        final: Tensor = self.output_block(x)
        return [final, *reversed(coarser)] if coarser else final


def _worst(values: list[int], low: int, high: int) -> int:
    return next((n for n in values if not low <= n <= high), low)


def _topology(options: DynUNetOptions, patch: Shape) -> Topology:
    if options.strides:
        return Topology(strides=options.strides, kernels=options.kernels)
    return derive_topology(patch, options.spacing_mm)


def _factors(options: DynUNetOptions, patch: Shape) -> Shape:
    return _topology(options, patch).factors


def _build(options: DynUNetOptions, request: NetworkRequest) -> nn.Module:
    shape = _topology(options, request.patch)
    levels = len(shape.strides)
    network = DynUNet(
        spatial_dims=3,
        in_channels=request.in_channels,
        out_channels=request.out_channels,
        kernel_size=shape.kernels,
        strides=shape.strides,
        upsample_kernel_size=shape.strides[1:],
        filters=[min(options.channels * 2**level, options.max_channels) for level in range(levels)],
        dropout=options.dropout or None,
        deep_supervision=request.deep_supervision,
        deep_supr_num=max(levels - 3, 1),  # nnU-Net trains no output at the two coarsest levels
        res_block=options.residual,
        trans_bias=True,
    )
    return SupervisedDynUNet(network)


SPEC: Final = ModelSpec(
    name="dynunet",
    summary="nnU-Net's plain U-Net, whose depth, strides and kernels follow from patch and voxels.",
    paper="Isensee et al. 2021, nnU-Net, Nature Methods 18, 203-211, doi 10.1038/s41592-020-01008-z",
    memory="channels at the patch's full resolution, twice in the decoder, where skips are concatenated.",
    options=DynUNetOptions,
    factors=_factors,
    build=_build,
    deep_supervision=True,
)
