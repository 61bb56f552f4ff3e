"""What a search makes small besides the segmentation loss (He et al. 2021, section 3.3)."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from monai.networks.nets.dints import TopologySearch
from torch import Tensor

from tds_core.training.dints.memory import largest_memory, path_memory
from tds_core.training.dints.options import SearchConfig

_EPS: Final = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Penalties:
    """Numbers of a search, each a scalar tensor.

    Attributes:
        operations: Mean entropy of the choice between a cell's operations, times their probabilities.
        paths: The same of the choice between a block's sets of paths.
        topology: Cross-entropy between the levels that a block writes and those that the next one reads.
        memory: Expected memory, as a share of the largest network of the space.
    """

    operations: Tensor
    paths: Tensor
    topology: Tensor
    memory: Tensor

    def total(self, config: SearchConfig, pressure: float) -> Tensor:
        """Return their weighted sum.

        Args:
            config: The weights, and the memory that is wanted.
            pressure: From 0 to 1; how much they count yet.
        """
        decided = config.entropy_weight * (self.operations + self.paths) + config.topology_weight * self.topology
        memory = config.memory_weight * (self.memory - config.memory).abs()
        return pressure * (decided + memory)


class PenaltyMeter:
    """Computes the penalties of a search from its probabilities.

    Args:
        space: On its device; what it is made of does not change, only its probabilities do.
    """

    def __init__(self, space: TopologySearch) -> None:
        self._space = space
        device = space.log_alpha_a.device
        memory = path_memory(space)
        self._memory = torch.from_numpy(memory / largest_memory(memory)).to(device, torch.float32)
        self._written = _node_sets(space, space.arch_code2out).to(device)
        self._read = _node_sets(space, space.arch_code2in).to(device)

    def measure(self) -> Penalties:
        """Return the penalties as they are now, with gradients."""
        sets, paths = self._space.get_prob_a(child=True)
        log_operations = torch.log_softmax(self._space.log_alpha_c, -1)
        operations = log_operations.exp()
        return Penalties(
            operations=-(operations * log_operations).mean(),
            paths=-(sets * (sets + _EPS).log()).mean(),
            topology=self._mismatch(sets),
            memory=(paths * (operations * self._memory).sum(-1)).sum(),
        )

    def _mismatch(self, sets: Tensor) -> Tensor:
        written, read = sets[:-1] @ self._written, sets[1:] @ self._read
        return -(written * (read + _EPS).log() + (1 - written) * (1 - read + _EPS).log()).sum()


def _node_sets(space: TopologySearch, level_of_path: list[int]) -> Tensor:
    """Return which set of levels each set of paths touches, of shape (set of paths, set of levels), 0 or 1."""
    children = np.asarray(space.child_list)
    touched = np.stack(
        [children[:, np.asarray(level_of_path) == level].any(1) for level in range(space.num_depths)], axis=1
    )
    same = (touched[:, None] == np.asarray(space.node_act_list, bool)[None]).all(-1)
    return torch.from_numpy(same).float()
