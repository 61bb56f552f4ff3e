"""How the networks of the registry can be made to fit: their widths, their depth, their strides and kernels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tds_core.training.config import NetworkConfig, Shape
from tds_core.training.models import model_facts
from tds_core.training.models.topology import derive_topology

_LEAST_FEATURES: Final = 4
"""Voxels that the coarsest features keep along each axis, as in nnU-Net."""
_WIDTHS: Final[Mapping[str, tuple[str, tuple[int, ...]]]] = {
    "segresnet": ("init_filters", (16, 8)),
    "dynunet": ("channels", (32, 24, 16)),
    "mednext": ("channels", (32, 16)),
    "unetr": ("feature_size", (16, 8)),
    "swin_unetr": ("feature_size", (48, 24, 12)),
}
"""Option that sets a network's width, and what may be tried, widest first; the first is its paper's."""
_UNET_CHANNELS: Final = ((16, 32, 64, 128, 256), (8, 16, 32, 64, 128))

Triple = tuple[float, float, float]
"""One number for each of x, y, z."""


def variants(network: NetworkConfig, first: Shape, spacing_mm: Triple) -> tuple[list[NetworkConfig], list[str]]:
    """Return forms of a network to try, widest first, and why they look so.

    What the configuration says about the network stays.

    Args:
        network: As it is configured.
        first: The largest patch that is wanted; how deep a network can be follows from it.
        spacing_mm: Edges of the network's voxels.
    """
    given, reasons = dict(network.options), []
    depth: dict[str, object] = {}
    if network.name == "segresnet" and not {"blocks_down", "blocks_up"} & given.keys():
        defaults = _defaults("segresnet")
        levels = _levels(first, len(defaults["blocks_down"]))
        if levels < len(defaults["blocks_down"]):
            depth = {"blocks_down": list(defaults["blocks_down"][:levels]), "blocks_up": [1] * (levels - 1)}
    if network.name == "dynunet" and "spacing_mm" not in given:
        depth = {"spacing_mm": list(spacing_mm)}
    widths = _widths(network, first)
    if depth and network.name == "segresnet":
        reasons.append(_shallow(first, len(depth["blocks_down"])))  # type: ignore[arg-type]  # made above
    if network.name == "unet" and "channels" not in given and len(widths[0]["channels"]) < len(_UNET_CHANNELS[0]):
        reasons.append(_shallow(first, len(widths[0]["channels"])))
    return [replace(network, options={**depth, **width, **given}) for width in widths], reasons


def with_topology(network: NetworkConfig, patch: Shape) -> NetworkConfig:
    """Return a network with its strides and kernels spelled out, where they follow from the patch.

    Args:
        network: As it is configured.
        patch: Voxels along x, y, z.
    """
    if network.name != "dynunet" or "strides" in network.options:
        return network
    x, y, z = _triple(network.options.get("spacing_mm"))
    shape = derive_topology(patch, (x, y, z))
    more = {"strides": [list(s) for s in shape.strides], "kernels": [list(k) for k in shape.kernels]}
    return replace(network, options={**network.options, **more})


def _widths(network: NetworkConfig, first: Shape) -> list[dict[str, Any]]:
    if network.name == "unet":
        if "channels" in network.options:
            return [{}]
        levels = _levels(first, len(_UNET_CHANNELS[0]))
        return [{"channels": list(channels[:levels])} for channels in _UNET_CHANNELS]
    option, sizes = _WIDTHS.get(network.name, ("", ()))
    return [{}] if not option or option in network.options else [{option: size} for size in sizes]


def _levels(patch: Sequence[int], most: int) -> int:
    levels = 2
    while levels < most and min(patch) >= _LEAST_FEATURES * 2**levels:
        levels += 1
    return levels


def _shallow(patch: Shape, levels: int) -> str:
    return (
        f"The shortest axis of the largest patch has {min(patch)} voxels, and {_LEAST_FEATURES} of them are to be left "
        f"at the coarsest level, which leaves {levels} levels."
    )


def _defaults(name: str) -> dict[str, Any]:
    made = model_facts(name).options()
    return {key: getattr(made, key) for key in ("blocks_down", "blocks_up")}


def _triple(value: object) -> Triple:
    if isinstance(value, Sequence) and len(value) == 3:  # noqa: PLR2004  # x, y, z
        x, y, z = (float(edge) for edge in value)
        return x, y, z
    return 1.0, 1.0, 1.0
