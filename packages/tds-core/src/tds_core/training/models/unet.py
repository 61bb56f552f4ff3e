"""The residual U-Net, the plainest network here."""

import math
from dataclasses import dataclass
from typing import Final

from monai.networks.nets.unet import UNet
from torch import nn

from tds_core.errors import ConfigError
from tds_core.training.config import Shape
from tds_core.training.config.checks import check_ranges
from tds_core.training.models.spec import ModelSpec, NetworkRequest

_MIN_LEVELS: Final = 2
_MAX_LEVELS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class UNetOptions:
    """Shape of a residual U-Net.

    Attributes:
        channels: Channels of each level, finest first; each level has half the resolution of the one before.
        residual_units: Convolutions of each residual unit; 0 for plain convolutions.
        dropout: Share of channels that are dropped in every block.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    residual_units: int = 2
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not _MIN_LEVELS <= len(self.channels) <= _MAX_LEVELS:
            message = f"channels {list(self.channels)} must have {_MIN_LEVELS} to {_MAX_LEVELS} levels"
            raise ConfigError(message)
        check_ranges(1, math.inf, channels=min(self.channels))
        check_ranges(0, math.inf, residual_units=self.residual_units)
        check_ranges(0, 0.9, dropout=self.dropout)


def _factors(options: UNetOptions, patch: Shape) -> Shape:
    del patch
    factor = 2 ** (len(options.channels) - 1)
    return factor, factor, factor


def _build(options: UNetOptions, request: NetworkRequest) -> nn.Module:
    # The body ends in features and a convolution of one voxel makes logits of them: MONAI's own last block would
    # normalise the logits themselves over the patch, so that a patch without a tumour could not say so.
    body = UNet(
        spatial_dims=3,
        in_channels=request.in_channels,
        out_channels=options.channels[0],
        channels=options.channels,
        strides=(2,) * (len(options.channels) - 1),
        num_res_units=options.residual_units,
        norm=("INSTANCE", {"affine": True}),
        dropout=options.dropout,
    )
    return nn.Sequential(body, nn.Conv3d(options.channels[0], request.out_channels, kernel_size=1))


SPEC: Final = ModelSpec(
    name="unet",
    summary="The U-Net with residual units, halved by strided convolutions.",
    paper="Kerfoot et al. 2018, Left-ventricle quantification using residual U-Net, doi 10.1007/978-3-030-12029-0_40",
    memory="channels[0] at the patch's full resolution, where only its last block works.",
    options=UNetOptions,
    factors=_factors,
    build=_build,
)
