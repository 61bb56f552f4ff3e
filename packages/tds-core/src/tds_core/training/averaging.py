"""An exponential moving average of the weights: what is validated and exported."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from tds_core.errors import CheckpointMismatch


class WeightAverage:
    """Follows a network (Polyak and Juditsky 1992; the decay warms up, so that early weights are forgotten soon).

    At step n the decay is min(decay, (1 + n) / (10 + n)). Buffers are copied, not averaged.

    Args:
        network: Is followed, and never changed.
        decay: In [0, 1); `None` averages nothing, and `network` is then the network itself, not a copy.
    """

    def __init__(self, network: nn.Module, decay: float | None) -> None:
        self._source, self._decay = network, decay
        self._average = network if decay is None else deepcopy(network).requires_grad_(requires_grad=False).eval()

    @property
    def network(self) -> nn.Module:
        """The averaged weights."""
        return self._average

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the network.

        Args:
            step: Optimiser steps done, this one included.
        """
        if self._decay is None:
            return
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        for slow, fast in zip(self._average.parameters(), self._source.parameters(), strict=True):
            slow.lerp_(fast, share)
        for kept, seen in zip(self._average.buffers(), self._source.buffers(), strict=True):
            kept.copy_(seen)

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs: the averaged weights, or nothing where nothing is averaged."""
        return {} if self._decay is None else {"network": self._average.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned.

        Args:
            state: That.

        Raises:
            CheckpointMismatch: If it was made with averaging and this run has none, or the other way round, or it is of
                another network.
        """
        if ("network" in state) is (self._decay is None):
            made, wanted = ("with", "without") if self._decay is None else ("without", "with")
            message = f"the checkpoint was made {made} averaged weights, this run is {wanted}; set average_decay alike"
            raise CheckpointMismatch(message)
        if self._decay is None:
            return
        try:
            self._average.load_state_dict(state["network"])
        except RuntimeError as error:
            message = "the averaged weights of the checkpoint are of another network; check the network's options"
            raise CheckpointMismatch(message) from error
