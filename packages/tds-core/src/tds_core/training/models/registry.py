"""Networks by name."""

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor, nn

from tds_core.errors import ConfigError
from tds_core.training.config import NetworkConfig, Shape, parse
from tds_core.training.config.checks import check_choice, check_ranges
from tds_core.training.models import dints, dynunet, mednext, segresnet, swin_unetr, unet, unetr
from tds_core.training.models.patches import Factors, nearest_patches, patch_fault
from tds_core.training.models.spec import ModelFacts, ModelSpec, NetworkRequest

_ALL: Final[tuple[ModelSpec[Any], ...]] = (
    segresnet.SPEC,
    unet.SPEC,
    dynunet.SPEC,
    mednext.SPEC,
    unetr.SPEC,
    swin_unetr.SPEC,
    dints.SPEC,
    dints.SEARCH,
)
_SPECS: Final[dict[str, ModelSpec[Any]]] = {spec.name: spec for spec in _ALL}

MODEL_NAMES: Final = tuple(_SPECS)
"""Networks that a configuration may name."""


def build_network(config: NetworkConfig, *, in_channels: int, out_channels: int, patch: Shape) -> nn.Module:
    """Return a network with new weights, drawn from torch's global generator.

    In evaluation mode it maps (batch, channel, x, y, z) to logits (batch, out, x, y, z). In training mode with deep
    supervision it returns a list of logits, finest first, each at its own resolution.

    Args:
        config: Which network, and what it is told.
        in_channels: Images that go in.
        out_channels: Logits per voxel: one a region, or one a class with the background first.
        patch: Voxels along x, y, z that it is trained on.

    Raises:
        ConfigError: If there is no such network, it has no such option or no deep supervision, or the patch does not
            fit.
    """
    spec, options = _find(config)
    check_ranges(1, float("inf"), in_channels=in_channels, out_channels=out_channels)
    check_patch(config, patch)
    request = NetworkRequest(
        in_channels=in_channels, out_channels=out_channels, patch=patch, deep_supervision=config.deep_supervision
    )
    return spec.build(options, request)


def check_patch(config: NetworkConfig, patch: Shape) -> None:
    """Refuse a patch that the network cannot be trained on.

    Args:
        config: Which network, and what it is told.
        patch: Voxels along x, y, z.

    Raises:
        ConfigError: If it does not fit; the message names the nearest that do.
    """
    factors = _factors(config)
    fault = patch_fault(patch, factors)
    if fault is None:
        return
    near = " or ".join(str(list(shape)) for shape in nearest_patches(patch, factors))
    hint = f"the nearest that do are {near}" if " or " in near else f"the nearest that does is {near}"
    message = f"a patch of {list(patch)} does not fit the network {config.name!r}: {fault}; {hint}"
    raise ConfigError(message)


def patch_factors(config: NetworkConfig, patch: Shape) -> Shape:
    """Return the numbers that a patch's voxels along x, y, z must be multiples of.

    Args:
        config: Which network, and what it is told.
        patch: Voxels along x, y, z; only networks whose depth follows from the patch look at it.

    Raises:
        ConfigError: If there is no such network or it has no such option.
    """
    return _factors(config)(patch)


def model_facts(name: str) -> ModelFacts:
    """Return what is to be known about a network.

    Args:
        name: One of `MODEL_NAMES`.

    Raises:
        ConfigError: If there is no such network.
    """
    spec = _spec(name)
    return ModelFacts(
        name=spec.name,
        summary=spec.summary,
        paper=spec.paper,
        fixed_size=spec.fixed_size,
        deep_supervision=spec.deep_supervision,
        options=spec.options,
        memory=spec.memory,
    )


def state_without_heads(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights that the same network has without deep supervision: those of its coarser outputs left out.

    Args:
        state: Of a network with deep supervision, or without.
    """
    return {key: value for key, value in state.items() if not key.startswith("heads.")}


def _spec(name: str) -> ModelSpec[Any]:
    check_choice("network.name", name, MODEL_NAMES)
    return _SPECS[name]


def _find(config: NetworkConfig) -> tuple[ModelSpec[Any], Any]:
    """Return a network's entry and its checked options."""
    spec = _spec(config.name)
    if config.deep_supervision and not spec.deep_supervision:
        able = ", ".join(s.name for s in _SPECS.values() if s.deep_supervision)
        message = f"the network {config.name!r} has no deep supervision; turn it off or take one of {able}"
        raise ConfigError(message)
    return spec, parse(spec.options, config.options, "network.options.")


def _factors(config: NetworkConfig) -> Factors:
    spec, options = _find(config)
    return lambda patch: spec.factors(options, patch)
