"""Losses by name, each the mean of one value per patch.

`terms` and `boundary` hold the parts, `targets` what output channels should say, `options` what a loss may be told,
`registry` puts them together.
"""

from tds_core.training.losses.registry import LOSS_NAMES, SegmentationLoss, build_loss
from tds_core.training.losses.targets import region_targets

__all__ = ["LOSS_NAMES", "SegmentationLoss", "build_loss", "region_targets"]
