"""SegResNet: a residual encoder and a light decoder, the network of the default bundle."""

from dataclasses import dataclass
from typing import Final

from monai.networks.nets.segresnet import SegResNet
from torch import Tensor, nn

from tds_core.errors import ConfigError
from tds_core.training.config import Shape
from tds_core.training.config.checks import check_choice, check_multiple, check_ranges
from tds_core.training.models.spec import ModelSpec, NetworkRequest

_MAX_LEVELS: Final = 6
_UPSAMPLING: Final = {"linear": "nontrainable", "transposed": "deconv"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SegResNetOptions:
    """Shape of a SegResNet.

    Attributes:
        init_filters: Channels of the first level, a multiple of `groups`; doubled at each level below.
        blocks_down: Residual blocks of each encoder level.
        blocks_up: Residual blocks of each decoder level, one level less.
        groups: Groups of the group normalisation.
        dropout: Share of channels that are dropped after the first convolution.
        upsampling: `linear` interpolates; `transposed` learns, and is exactly repeatable on CUDA.
    """

    init_filters: int = 16
    blocks_down: tuple[int, ...] = (1, 2, 2, 4)
    blocks_up: tuple[int, ...] = (1, 1, 1)
    groups: int = 8
    dropout: float = 0.0
    upsampling: str = "linear"

    def __post_init__(self) -> None:
        check_ranges(1, self.init_filters, groups=self.groups)
        check_multiple("init_filters", self.init_filters, self.groups)
        check_ranges(0, 0.9, dropout=self.dropout)
        check_choice("upsampling", self.upsampling, _UPSAMPLING)
        if not 1 <= len(self.blocks_down) <= _MAX_LEVELS or len(self.blocks_up) != len(self.blocks_down) - 1:
            message = (
                f"blocks_down {list(self.blocks_down)} and blocks_up {list(self.blocks_up)} do not fit: "
                f"give one to {_MAX_LEVELS} levels down and one less up"
            )
            raise ConfigError(message)
        check_ranges(1, float("inf"), **{"blocks_down and blocks_up": min(self.blocks_down + self.blocks_up)})


class SupervisedSegResNet(nn.Module):
    """A SegResNet with an output at every level of its decoder while it trains.

    Its parameters have the names that they have in a SegResNet; those of the coarser outputs are `heads` beside them.

    Args:
        network: Whose layers are taken over.
        out_channels: Logits per voxel.
        groups: Groups of the group normalisation before each head.
    """

    def __init__(self, network: SegResNet, out_channels: int, groups: int) -> None:
        super().__init__()
        self.convInit = network.convInit
        self.down_layers = network.down_layers
        self.up_layers = network.up_layers
        self.up_samples = network.up_samples
        self.conv_final = network.conv_final
        self.dropout: nn.Module = network.dropout if network.dropout_prob is not None else nn.Identity()
        finest = network.init_filters
        self.heads = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(groups, n), nn.ReLU(inplace=True), nn.Conv3d(n, out_channels, 1))
            for n in (finest * 2**level for level in range(len(self.up_layers) - 1, 0, -1))
        )

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Return logits, or in training mode those of every decoder level, finest first.

        Args:
            x: Shape (batch, channel, x, y, z).
        """
        x = self.dropout(self.convInit(x))
        skips = []
        for down in self.down_layers:
            x = down(x)
            skips.append(x)
        outputs: list[Tensor] = []
        for level, (up, blocks) in enumerate(zip(self.up_samples, self.up_layers, strict=True)):
            x = blocks(up(x) + skips[-2 - level])
            if self.training and level < len(self.heads):
                outputs.append(self.heads[level](x))
        final: Tensor = self.conv_final(x)
        return [final, *reversed(outputs)] if self.training else final


def _factors(options: SegResNetOptions, patch: Shape) -> Shape:
    del patch
    factor = 2 ** len(options.blocks_up)
    return factor, factor, factor


def _build(options: SegResNetOptions, request: NetworkRequest) -> nn.Module:
    network = SegResNet(
        spatial_dims=3,
        init_filters=options.init_filters,
        in_channels=request.in_channels,
        out_channels=request.out_channels,
        dropout_prob=options.dropout or None,
        norm=("GROUP", {"num_groups": options.groups}),
        blocks_down=options.blocks_down,
        blocks_up=options.blocks_up,
        upsample_mode=_UPSAMPLING[options.upsampling],
    )
    if not request.deep_supervision:
        plain: nn.Module = network
        return plain
    if len(options.blocks_up) <= 1:
        message = "deep supervision needs a decoder of at least two levels; give blocks_up two numbers or more"
        raise ConfigError(message)
    return SupervisedSegResNet(network, request.out_channels, options.groups)


SPEC: Final = ModelSpec(
    name="segresnet",
    summary="A residual encoder and a light decoder that adds skips instead of concatenating them.",
    paper="Myronenko 2018, 3D MRI brain tumor segmentation using autoencoder regularization, arXiv:1810.11654",
    memory="init_filters at the patch's full resolution; skips are added, so the decoder costs little.",
    options=SegResNetOptions,
    factors=_factors,
    build=_build,
    deep_supervision=True,
)
