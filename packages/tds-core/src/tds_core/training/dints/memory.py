"""How much memory the networks of a space take for their features, by MONAI's model of its layers.

The model counts the numbers that each layer of a cell keeps for the backward pass. It says which of two networks takes
more, not how many bytes a GPU needs, so memory is given as a share of the largest network of the space: the one with
every path and the costliest operation on each.
"""

from itertools import product
from typing import Final

import numpy as np
from monai.networks.nets.dints import TopologySearch
from numpy.typing import NDArray

from tds_core.training.dints.architecture import Architecture
from tds_core.training.dints.networks import architecture_codes

_HALVED: Final = 4
"""From one level to the next there are twice the channels and an eighth of the voxels."""


def path_memory(space: TopologySearch) -> NDArray[np.float64]:
    """Return the memory of each path of each block with each operation, of shape (block, path, operation).

    Args:
        space: That of the search. The unit is a feature map of its finest level.
    """
    sizes = 1.0 / _HALVED ** np.asarray(space.arch_code2out, np.float64)
    memory: NDArray[np.float64] = (1 + space.ram_cost) * sizes[None, :, None]
    return memory


def largest_memory(memory: NDArray[np.float64]) -> float:
    """Return what the network with every path and the costliest operations takes.

    Args:
        memory: Of `path_memory`.
    """
    return float(memory.max(-1).sum())


def smallest_memory(memory: NDArray[np.float64]) -> float:
    """Return what the smallest network takes: one path from block to block.

    Args:
        memory: Of `path_memory`.
    """
    cheapest = memory.min(-1)
    levels = (memory.shape[1] + 2) // 3
    least = np.zeros(levels)  # to reach each level with one path
    for block in cheapest:
        reached = np.full(levels, np.inf)
        for source, target in product(range(levels), repeat=2):
            if abs(source - target) <= 1:
                reached[target] = min(reached[target], least[source] + block[2 * target + source])
        least = reached
    return float(least.min())


def found_memory(memory: NDArray[np.float64], architecture: Architecture) -> float:
    """Return what an architecture of the space takes.

    Args:
        memory: Of `path_memory`.
        architecture: The network.
    """
    _, paths, operations = architecture_codes(architecture)
    chosen = np.take_along_axis(memory, operations[..., None], -1)[..., 0]
    return float((chosen * paths).sum())
