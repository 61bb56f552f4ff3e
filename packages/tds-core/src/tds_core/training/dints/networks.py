"""The network that holds all others, and the one that was found. Both are MONAI's, wrapped."""

import contextlib
import io
from fractions import Fraction
from typing import Final

import numpy as np
import torch
from monai.networks.nets.dints import DiNTS, TopologyInstance, TopologySearch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tds_core.training.dints.architecture import OPERATIONS, Architecture
from tds_core.training.dints.options import DintsSearchOptions

_UNIT: Final = 32
"""MONAI counts channels in multiples of this."""

ARCHITECTURE_NAMES: Final = ("log_alpha_a", "log_alpha_c")
"""Parameters that are no weights: of paths and of operations."""


def build_search_network(options: DintsSearchOptions, in_channels: int, out_channels: int) -> DiNTS:
    """Return the network that holds all others, weighted by their probabilities.

    Args:
        options: The space.
        in_channels: Images that go in.
        out_channels: Logits per voxel.
    """
    norm = _norm(options.norm, options.groups)
    with contextlib.redirect_stdout(io.StringIO()):  # MONAI prints advice on the patch, which is checked elsewhere
        space = TopologySearch(
            channel_mul=options.channels / _UNIT,
            num_blocks=options.blocks,
            num_depths=options.depths,
            norm_name=norm,
            use_downsample=options.downsample,
        )
    return DiNTS(space, in_channels, out_channels, norm_name=norm, use_downsample=options.downsample)


def build_found_network(architecture: Architecture, in_channels: int, out_channels: int) -> "FoundNetwork":
    """Return a network that a search found, with new weights.

    Args:
        architecture: What was found.
        in_channels: Images that go in.
        out_channels: Logits per voxel.
    """
    nodes, paths, operations = architecture_codes(architecture)
    norm = _norm(architecture.norm, architecture.groups)
    with contextlib.redirect_stdout(io.StringIO()):  # as above
        space = TopologyInstance(
            arch_code=[paths, operations],
            channel_mul=architecture.channels / _UNIT,
            num_blocks=len(architecture.blocks),
            num_depths=architecture.depths,
            norm_name=norm,
            use_downsample=architecture.downsample,
        )
    whole = DiNTS(
        space, in_channels, out_channels, norm_name=norm, use_downsample=architecture.downsample, node_a=nodes
    )
    return FoundNetwork(whole, architecture)


class FoundNetwork(nn.Module):
    """The layers of MONAI's DiNTS that an architecture uses.

    MONAI's own forward pass computes the stems of unused levels too and asks tensors which path to take, which cannot
    be exported. Here the paths are fixed. The logits are the same.

    Args:
        whole: MONAI's network of the same architecture, whose layers are taken over.
        architecture: Which paths there are.
    """

    def __init__(self, whole: DiNTS, architecture: Architecture) -> None:
        super().__init__()
        nodes = architecture.nodes
        self._factor = 2 ** (architecture.depths - 1 + architecture.downsample)
        self._paths = tuple(
            tuple((edge.source, edge.target, f"{number}_{edge.source}_{edge.target}") for edge in block)
            for number, block in enumerate(architecture.blocks)
        )
        cells = {
            f"{number}_{edge.source}_{edge.target}": whole.dints_space.cell_tree[
                str((number, path_number(edge.source, edge.target)))
            ]
            for number, block in enumerate(architecture.blocks)
            for edge in block
        }
        self.stem_down = nn.ModuleDict({str(level): whole.stem_down[str(level)] for level in sorted(nodes[0])})
        self.cells = nn.ModuleDict(cells)
        self.stem_up = nn.ModuleDict({str(level): whole.stem_up[str(level)] for level in range(max(nodes[-1]) + 1)})
        self.final = whole.stem_finals
        _resize_by_whole_numbers(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (batch, out, x, y, z).

        Args:
            x: Shape (batch, channel, x, y, z).
        """
        # Changes nothing; tells the exporter that sizes are multiples, without which it cannot see that levels match.
        x = x.reshape(*x.shape[:2], *(n // self._factor * self._factor for n in x.shape[2:]))
        features: dict[int, Tensor] = {int(level): stem(x) for level, stem in self.stem_down.items()}
        for block in self._paths:
            written: dict[int, Tensor] = {}
            for source, target, name in block:
                made = self.cells[name](features[source], None)
                written[target] = written[target] + made if target in written else made
            features = written
        coarsest = max(features)
        result = self.stem_up[str(coarsest)](features[coarsest])
        for level in range(coarsest - 1, -1, -1):
            result = self.stem_up[str(level)](features[level] + result if level in features else result)
        logits: Tensor = self.final(result)
        return logits


class Resize(nn.Module):
    """Trilinear interpolation between the outermost voxels' centres, to sizes found in whole numbers.

    It is what `nn.Upsample(scale_factor=..., mode="trilinear", align_corners=True)` does where sizes divide; that one
    multiplies sizes by fractions, which cannot be exported with free axes.

    Args:
        up: Factor to grow by, 1 or more.
        down: Factor to shrink by, 1 or more.
    """

    def __init__(self, up: int, down: int) -> None:
        super().__init__()
        self._up, self._down = up, down

    def forward(self, x: Tensor) -> Tensor:
        """Return the tensor resized.

        Args:
            x: Shape (batch, channel, x, y, z).
        """
        size = [n * self._up // self._down for n in x.shape[2:]]
        return functional.interpolate(x, size=size, mode="trilinear", align_corners=True)


def path_number(source: int, target: int) -> int:
    """Return MONAI's number of a path of a block.

    Args:
        source: Level that is read.
        target: Level that is written.
    """
    return 2 * target + source


def architecture_codes(
    architecture: Architecture,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return what MONAI calls node_a, arch_code_a and arch_code_c.

    Args:
        architecture: What was found.

    Returns:
        Levels in use, of shape (block + 1, level), and paths in use, of shape (block, path), both 0 or 1; numbers of
        the operations, of shape (block, path), 0 where there is no path.
    """
    count = len(architecture.blocks)
    nodes = np.zeros((count + 1, architecture.depths), np.int64)
    paths = np.zeros((count, 3 * architecture.depths - 2), np.int64)
    operations = np.zeros_like(paths)
    for number, levels in enumerate(architecture.nodes):
        nodes[number, sorted(levels)] = 1
    for number, block in enumerate(architecture.blocks):
        for edge in block:
            place = number, path_number(edge.source, edge.target)
            paths[place], operations[place] = 1, OPERATIONS.index(edge.operation)
    return nodes, paths, operations


def architecture_parameters(network: DiNTS) -> list[nn.Parameter]:
    """Return the probabilities that are searched, of paths and of operations.

    Args:
        network: Of `build_search_network`.
    """
    return [getattr(network.dints_space, name) for name in ARCHITECTURE_NAMES]


def weight_parameters(network: DiNTS) -> list[tuple[str, nn.Parameter]]:
    """Return the names and weights of everything else.

    Args:
        network: Of `build_search_network`.
    """
    return [(name, w) for name, w in network.named_parameters() if name.rpartition(".")[2] not in ARCHITECTURE_NAMES]


def place_search(network: DiNTS, device: torch.device) -> DiNTS:
    """Return the network on a device, MONAI's own note of it included.

    Args:
        network: Of `build_search_network`; moved.
        device: Where to.
    """
    network.to(device)
    network.dints_space.device = device
    return network


def _resize_by_whole_numbers(network: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Upsample):
                factor = Fraction(str(child.scale_factor))
                setattr(parent, name, nn.Identity() if factor == 1 else Resize(factor.numerator, factor.denominator))


def _norm(name: str, groups: int) -> tuple[str, dict[str, object]]:
    return ("GROUP", {"num_groups": groups}) if name == "group" else ("INSTANCE", {"affine": True})
