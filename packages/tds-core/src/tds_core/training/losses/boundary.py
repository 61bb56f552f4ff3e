"""The boundary loss: what is wrong costs more the further it lies from the boundary."""

from typing import Final

import torch
from torch import Tensor

from tds_core.training.config import Heads
from tds_core.training.losses.terms import Term

_INSIDE: Final = 0.5
_SPATIAL: Final = (-3, -2, -1)


class Boundary(Term):
    """The boundary loss of Kervadec et al. 2019 (MIDL, arXiv:1812.07032), with distances cut at a limit.

    Every voxel's error, |target - probability|, is weighted by its distance to the boundary of the target, in voxels,
    over the limit. This is Kervadec's integral of probability times signed distance plus a constant, such that a
    perfect prediction costs 0. Voxels further than the limit weigh 1, and so does every voxel of a patch that the
    region is not in: what is found there is pushed down. Targets that are shares have their boundary at one half.

    Args:
        heads: What the outputs are.
        weights: One weight a channel, of mean 1.
        limit: Voxels.
    """

    def __init__(self, heads: Heads, weights: Tensor, limit: int) -> None:
        super().__init__(heads, weights)
        self.limit = limit

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over patches.

        Args:
            logits: Float32 tensor of shape (batch, channel, x, y, z).
            target: Float32 tensor of the same shape, in [0, 1].
        """
        mask = self.foreground(target) > _INSIDE
        distance = signed_distance(mask, self.limit) / self.limit
        errors = distance * (self.foreground(self.probabilities(logits)) - mask.float())
        return self.weighted(errors.flatten(2).mean(2))


@torch.no_grad()
def signed_distance(mask: Tensor, limit: int) -> Tensor:
    """Return distances to the boundary of a mask in voxels, negative inside, float32 between `-limit` and `limit`.

    Outside it is the distance to the nearest voxel of the mask, inside that to the nearest outside less 1, as Kervadec
    et al. have it: the mask's own outermost voxels are 0.

    Args:
        mask: Booleans of shape (..., x, y, z).
        limit: Voxels.
    """
    outside = distance_to(mask, limit)
    inside = distance_to(~mask, limit + 1) - 1
    return torch.where(mask, -inside, outside)


@torch.no_grad()
def distance_to(mask: Tensor, limit: int) -> Tensor:
    """Return each voxel's Euclidean distance to the nearest of a mask, in voxels and at most `limit`, as float32.

    Squared distances are minimised along one axis after another, which is exact (Felzenszwalb and Huttenlocher 2012,
    Theory of Computing 8); with a limit, a few shifts along each axis are enough, on any device.

    Args:
        mask: Booleans of shape (..., x, y, z).
        limit: Voxels, at most 100.
    """
    squares = torch.where(mask, 0, limit * limit).to(torch.int16)
    for axis in _SPATIAL:
        nearest = squares.clone()
        size = squares.shape[axis]
        for step in range(1, min(limit, size)):
            ahead, behind = nearest.narrow(axis, step, size - step), nearest.narrow(axis, 0, size - step)
            torch.minimum(ahead, squares.narrow(axis, 0, size - step) + step * step, out=ahead)
            torch.minimum(behind, squares.narrow(axis, step, size - step) + step * step, out=behind)
        squares = nearest
    return squares.float().sqrt()
