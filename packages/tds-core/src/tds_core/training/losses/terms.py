"""The parts that losses are made of: each gives one number per patch and channel, or per patch.

Overlaps (Dice, Tversky) are MONAI's in the form that is right for soft targets: their minimum is where prediction and
target are equal (Wang et al. 2023, Dice semimetric losses, MICCAI). Of softmax heads they leave the background out,
which the others cover, as nnU-Net does (Isensee et al. 2021). Everything is float32.
"""

from abc import ABC, abstractmethod

import torch
from monai.losses.dice import DiceLoss
from monai.losses.tversky import TverskyLoss
from torch import Tensor, nn
from torch.nn import functional

from tds_core.training.config import Heads


class Term(nn.Module, ABC):
    """One part of a loss.

    Args:
        heads: What the outputs are.
        weights: One weight a channel, of mean 1.
    """

    weights: Tensor

    def __init__(self, heads: Heads, weights: Tensor) -> None:
        super().__init__()
        self.heads = heads
        self.register_buffer("weights", weights, persistent=False)

    @abstractmethod
    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over patches.

        Args:
            logits: Float32 tensor of shape (batch, channel, x, y, z).
            target: Float32 tensor of the same shape, in [0, 1].
        """

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return what the heads make of logits, in [0, 1].

        Args:
            logits: Float32 tensor of shape (batch, channel, x, y, z).
        """
        return logits.sigmoid() if self.heads is Heads.REGIONS else logits.softmax(1)

    def foreground(self, values: Tensor) -> Tensor:
        """Return the channels that are no background.

        Args:
            values: With channels along axis 1.
        """
        return values if self.heads is Heads.REGIONS else values[:, 1:]

    def weighted(self, values: Tensor) -> Tensor:
        """Return the mean over patches of the weighted mean over foreground channels.

        Args:
            values: Shape (batch, foreground channel).
        """
        weights = self.foreground(self.weights[None])
        return (values * weights).mean() / weights.mean()


class Dice(Term):
    """One less the soft Dice.

    With `smooth` voxels added above and below, a patch without a region costs nothing when nothing is found in it, and
    what is found there is pushed down.

    Args:
        heads: What the outputs are.
        weights: One weight a channel, of mean 1.
        smooth: Voxels.
    """

    def __init__(self, heads: Heads, weights: Tensor, smooth: float) -> None:
        super().__init__(heads, weights)
        self.loss = DiceLoss(smooth_nr=smooth, smooth_dr=smooth, soft_label=True, reduction="none")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over patches.

        Args:
            logits: Float32 tensor of shape (batch, channel, x, y, z).
            target: Float32 tensor of the same shape, in [0, 1].
        """
        values: Tensor = self.loss(self.foreground(self.probabilities(logits)), self.foreground(target))
        return self.weighted(values.flatten(1))


class Tversky(Term):
    """One less the Tversky index (Salehi et al. 2017, arXiv:1706.05721).

    Args:
        heads: What the outputs are.
        weights: One weight a channel, of mean 1.
        alpha: Weight of what is found and is not there.
        beta: Weight of what is there and is not found.
        smooth: Voxels.
    """

    def __init__(self, heads: Heads, weights: Tensor, *, alpha: float, beta: float, smooth: float) -> None:
        super().__init__(heads, weights)
        self.loss = TverskyLoss(
            alpha=alpha, beta=beta, smooth_nr=smooth, smooth_dr=smooth, soft_label=True, reduction="none"
        )

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over patches.

        Args:
            logits: Float32 tensor of shape (batch, channel, x, y, z).
            target: Float32 tensor of the same shape, in [0, 1].
        """
        values: Tensor = self.loss(self.foreground(self.probabilities(logits)), self.foreground(target))
        return self.weighted(values.flatten(1))


class CrossEntropy(Term):
    """Mean cross-entropy of voxels: binary for each region, or over all classes with the background."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over patches.

        Args:
            logits: Float32 tensor of shape (batch, channel, x, y, z).
            target: Float32 tensor of the same shape, in [0, 1].
        """
        if self.heads is Heads.CLASSES:
            return functional.cross_entropy(logits, target, weight=self.weights)
        voxels = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return self.weighted(voxels.flatten(2).mean(2))


class Focal(Term):
    """Cross-entropy that looks away from what is already right (Lin et al. 2017, arXiv:1708.02002).

    Each voxel's cross-entropy is multiplied by |target - probability| to the power `gamma` (Li et al. 2020,
    arXiv:2006.04388), which is Lin's factor where the target is 0 or 1 and has its minimum at the target where it is
    between.

    Args:
        heads: What the outputs are.
        weights: One weight a channel, of mean 1.
        gamma: Exponent; 0 is the plain cross-entropy.
    """

    def __init__(self, heads: Heads, weights: Tensor, gamma: float) -> None:
        super().__init__(heads, weights)
        self.gamma = gamma

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over patches.

        Args:
            logits: Float32 tensor of shape (batch, channel, x, y, z).
            target: Float32 tensor of the same shape, in [0, 1].
        """
        factor = (target - self.probabilities(logits)).abs() ** self.gamma
        if self.heads is Heads.CLASSES:
            voxels = -factor * target * logits.log_softmax(1)
            weights = self.weights.reshape(1, -1, 1, 1, 1)
            return (voxels * weights).sum(1).mean()
        voxels = factor * functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return self.weighted(voxels.flatten(2).mean(2))


def channel_weights(weights: tuple[float, ...], channels: int) -> Tensor:
    """Return one weight a channel, of mean 1, so that weights do not change how large a loss is.

    Args:
        weights: As configured; all alike if empty.
        channels: How many there are.
    """
    values = torch.tensor(weights or (1.0,) * channels, dtype=torch.float32)
    return values / values.mean()
