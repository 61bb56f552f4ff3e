"""DiNTS: a search over topologies of U-shaped networks, and the network that it found."""

from pathlib import Path
from typing import Final

from torch import nn

from tds_core.training.config import Shape
from tds_core.training.dints.architecture import Architecture, load_architecture
from tds_core.training.dints.networks import build_found_network, build_search_network
from tds_core.training.dints.options import DintsOptions, DintsSearchOptions
from tds_core.training.models.spec import ModelSpec, NetworkRequest

_PAPER: Final = (
    "He et al. 2021, DiNTS: differentiable neural network topology search for 3D medical image segmentation, "
    "arXiv:2103.15954"
)


def architecture_of(options: DintsOptions) -> Architecture:
    """Return the architecture that a network's options name or hold.

    Args:
        options: Of the network `dints`.

    Raises:
        ConfigError: If the file cannot be read or is no architecture.
    """
    named = options.architecture
    return load_architecture(named) if isinstance(named, Path) else named


def _search_factors(options: DintsSearchOptions, patch: Shape) -> Shape:
    del patch
    return _factors(options.depths, downsample=options.downsample)


def _found_factors(options: DintsOptions, patch: Shape) -> Shape:
    # The whole space's factor, used or not: a found network and its search take the same patches.
    del patch
    found = architecture_of(options)
    return _factors(found.depths, downsample=found.downsample)


def _factors(depths: int, *, downsample: bool) -> Shape:
    factor = 2 ** (depths - 1 + downsample)
    return factor, factor, factor


def _build_search(options: DintsSearchOptions, request: NetworkRequest) -> nn.Module:
    network: nn.Module = build_search_network(options, request.in_channels, request.out_channels)
    return network


def _build_found(options: DintsOptions, request: NetworkRequest) -> nn.Module:
    return build_found_network(architecture_of(options), request.in_channels, request.out_channels)


SEARCH: Final = ModelSpec(
    name="dints_search",
    summary="All networks of a space of topologies at once; a search finds the one to train.",
    paper=_PAPER,
    memory="Every path of every block with all five operations: several times a network of the same channels.",
    options=DintsSearchOptions,
    factors=_search_factors,
    build=_build_search,
)

SPEC: Final = ModelSpec(
    name="dints",
    summary="The network that a search over topologies found.",
    paper=_PAPER,
    memory="The paths that were found; architecture.yaml has their share of the largest network of the space.",
    options=DintsOptions,
    factors=_found_factors,
    build=_build_found,
)
