"""Losses by name, over one output or several."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from tds_core.errors import ConfigError, TrainingError
from tds_core.training.config import Heads, LossConfig, parse
from tds_core.training.config.checks import check_choice, check_ranges
from tds_core.training.losses.boundary import Boundary
from tds_core.training.losses.options import (
    BoundaryOptions,
    DiceCEOptions,
    DiceFocalOptions,
    DiceOptions,
    FocalOptions,
    TverskyOptions,
)
from tds_core.training.losses.targets import channel_targets, shrink
from tds_core.training.losses.terms import CrossEntropy, Dice, Focal, Term, Tversky, channel_weights
from tds_data.task import Task

Terms = list[tuple[float, Term]]
"""Parts of a loss, each with its weight."""


class SegmentationLoss(nn.Module):
    """A loss that is the mean of one value per patch, so that any split of a batch gives the same gradient.

    Everything is computed in float32, also under autocast. Coarser outputs weigh 1/2, 1/4 and so on against the finest,
    over their sum; each is compared with the target's mean over the voxels that it covers, in which a lesion smaller
    than a voxel keeps its share instead of vanishing or filling it.

    Args:
        terms: Its parts, each with its weight.
        task: What is learned.
        heads: What the outputs are.
    """

    def __init__(self, terms: Terms, task: Task, heads: Heads) -> None:
        super().__init__()
        self.shares = [share for share, _ in terms]
        self.terms = nn.ModuleList(term for _, term in terms)
        self.task = task
        self.heads = heads

    def forward(self, outputs: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """Return the mean loss of the patches, a float32 scalar.

        Args:
            outputs: Logits of shape (batch, channel, x, y, z), or several, finest first.
            target: Labels of shape (batch, x, y, z), or shares of regions in [0, 1] of shape (batch, region, x, y, z).

        Raises:
            TrainingError: If outputs and target do not belong together.
        """
        levels = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        with torch.autocast(levels[0].device.type, enabled=False):
            channels = channel_targets(target, self.task, self.heads)
            _check_shapes(levels[0], channels)
            weights = [0.5**level for level in range(len(levels))]
            losses = [self._level(logits.float(), shrink(channels, logits.shape[2:])) for logits in levels]
            total = sum(
                (w * loss for w, loss in zip(weights, losses, strict=True)), torch.zeros((), device=target.device)
            )
            return total / sum(weights)

    def _level(self, logits: Tensor, target: Tensor) -> Tensor:
        parts = [share * term(logits, target) for share, term in zip(self.shares, self.terms, strict=True)]
        return torch.stack(parts).sum()


def _check_shapes(logits: Tensor, target: Tensor) -> None:
    if logits.shape != target.shape:
        message = (
            f"the network gives {tuple(logits.shape)}, but the target is {tuple(target.shape)}; give it one output a "
            "region, or one a class with the background first"
        )
        raise TrainingError(message)


def _dice(options: DiceOptions, heads: Heads, weights: Tensor) -> Terms:
    return [(1.0, Dice(heads, weights, options.smooth))]


def _dice_ce(options: DiceCEOptions, heads: Heads, weights: Tensor) -> Terms:
    return [(options.dice, Dice(heads, weights, options.smooth)), (options.ce, CrossEntropy(heads, weights))]


def _focal(options: FocalOptions, heads: Heads, weights: Tensor) -> Terms:
    return [(1.0, Focal(heads, weights, options.gamma))]


def _dice_focal(options: DiceFocalOptions, heads: Heads, weights: Tensor) -> Terms:
    dice, focal = Dice(heads, weights, options.smooth), Focal(heads, weights, options.gamma)
    return [(options.dice, dice), (options.focal, focal)]


def _tversky(options: TverskyOptions, heads: Heads, weights: Tensor) -> Terms:
    term = Tversky(heads, weights, alpha=options.alpha, beta=options.beta, smooth=options.smooth)
    return [(1.0, term)]


def _boundary(options: BoundaryOptions, heads: Heads, weights: Tensor) -> Terms:
    return [
        (options.dice, Dice(heads, weights, options.smooth)),
        (options.ce, CrossEntropy(heads, weights)),
        (options.boundary, Boundary(heads, weights, int(options.limit))),
    ]


_LOSSES: Final[dict[str, tuple[type[Any], Callable[[Any, Heads, Tensor], Terms]]]] = {
    "dice_ce": (DiceCEOptions, _dice_ce),
    "dice_focal": (DiceFocalOptions, _dice_focal),
    "dice": (DiceOptions, _dice),
    "focal": (FocalOptions, _focal),
    "tversky": (TverskyOptions, _tversky),
    "boundary": (BoundaryOptions, _boundary),
}

LOSS_NAMES: Final = tuple(_LOSSES)
"""Losses that a configuration may name."""


def build_loss(config: LossConfig, task: Task, heads: Heads) -> SegmentationLoss:
    """Return a loss.

    Args:
        config: Which loss, and what it is told.
        task: What is learned.
        heads: What the network's outputs are.

    Raises:
        ConfigError: If there is no such loss, it has no such option, or the weights are not those of the outputs.
    """
    check_choice("loss.name", config.name, LOSS_NAMES)
    kind, terms = _LOSSES[config.name]
    options = parse(kind, config.options, "loss.options.")
    channels = len(task.regions) if heads is Heads.REGIONS else len(task.labels) + 1
    _check_weights(config.class_weights, channels, heads)
    return SegmentationLoss(terms(options, heads, channel_weights(config.class_weights, channels)), task, heads)


def _check_weights(weights: tuple[float, ...], channels: int, heads: Heads) -> None:
    if not weights:
        return
    if len(weights) != channels:
        what = "regions" if heads is Heads.REGIONS else "classes, background first"
        message = f"loss.class_weights has {len(weights)} numbers, but there are {channels} {what}; give one each"
        raise ConfigError(message)
    check_ranges(0, float("inf"), **{"each of loss.class_weights": min(weights)})
    if not any(weights if heads is Heads.REGIONS else weights[1:]):
        message = f"loss.class_weights {list(weights)} leaves nothing to learn; give a region or label more than 0"
        raise ConfigError(message)
