"""Networks of MONAI bundles: known classes of MONAI with plain arguments, and nothing else."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from monai.networks.nets.dynunet import DynUNet
from monai.networks.nets.segresnet import SegResNet
from monai.networks.nets.swin_unetr import SwinUNETR
from monai.networks.nets.unet import UNet
from monai.networks.nets.unetr import UNETR
from torch import Tensor, nn

from tds_core.training.export.monai.files import MonaiBundle, refusal
from tds_core.training.export.monai.values import literal
from tds_core.windows import Shape

_KEYS: Final = ("network_def", "network", "net")
_AXES: Final = 3
_SWIN_FACTOR: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A class of MONAI that may be built, what sizes it takes, and whether only the one it was built for."""

    build: Callable[..., nn.Module]
    multiple: Callable[[Mapping[str, Any]], Shape]
    fixed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MonaiNetwork:
    """The network of a MONAI bundle with its weights.

    Attributes:
        network: For evaluation, on the CPU.
        family: Name of its class.
        arguments: What it was built with.
        multiple: What edges of images are multiples of.
        fixed: Whether its graph takes one size only.
    """

    network: nn.Module
    family: str
    arguments: Mapping[str, Any]
    multiple: Shape
    fixed: bool


def _even(factor: int) -> Shape:
    return factor, factor, factor


def _strides(arguments: Mapping[str, Any]) -> Shape:
    """Return the product of strides along each axis."""
    steps = [s if isinstance(s, list) else [s] * _AXES for s in arguments["strides"]]
    x, y, z = (math.prod(step[axis] for step in steps) for axis in range(_AXES))
    return x, y, z


_KNOWN: Final[Mapping[str, _Known]] = {
    "SegResNet": _Known(build=SegResNet, multiple=lambda a: _even(2 ** (len(a.get("blocks_down", (1, 2, 2, 4))) - 1))),
    "UNet": _Known(build=UNet, multiple=_strides),
    "DynUNet": _Known(build=DynUNet, multiple=_strides),
    "UNETR": _Known(build=UNETR, multiple=lambda _: _even(16), fixed=True),
    "SwinUNETR": _Known(build=SwinUNETR, multiple=lambda _: _even(_SWIN_FACTOR), fixed=True),
}


def read_network(bundle: MonaiBundle, state: Mapping[str, Tensor]) -> MonaiNetwork:
    """Return the network of a MONAI bundle.

    Args:
        bundle: The bundle.
        state: Its weights.

    Raises:
        BundleIncompatible: If its class is not known here, an argument is no plain value, or the weights do not fit.
    """
    family, arguments = _definition(bundle)
    known = _KNOWN[family]
    with torch.device("meta"):  # nothing is allocated before the weights are known to fit
        shapes = {k: v.shape for k, v in _build(bundle, family, arguments).state_dict().items()}
    differing = sorted(k for k in {*shapes, *state} if k not in shapes or k not in state or state[k].shape != shapes[k])
    if differing:
        first, more = differing[0], len(differing) - 1
        reason = f"its weights are not those of the {family} that it describes; {first!r} and {more} more differ"
        raise refusal(bundle.name, reason)
    network = _build(bundle, family, arguments)
    network.load_state_dict(dict(state))
    return MonaiNetwork(
        network=network.eval(),
        family=family,
        arguments=arguments,
        multiple=known.multiple(arguments),
        fixed=known.fixed,
    )


def _definition(bundle: MonaiBundle) -> tuple[str, dict[str, Any]]:
    entry = next((bundle.inference[key] for key in _KEYS if isinstance(bundle.inference.get(key), Mapping)), None)
    if entry is None:
        raise refusal(bundle.name, f"its inference configuration describes no network under {', '.join(_KEYS)}")
    name = entry.get("_target_")
    family = next((f for f in _KNOWN if name in _names(f)), None)
    if family is None:
        known = ", ".join(_KNOWN)
        raise refusal(
            bundle.name, f"its network is {name!r}; only MONAI's own {known} can be built without running its code"
        )
    arguments = {
        k: literal(bundle, v, f"{k} of the network") for k, v in entry.items() if k not in {"_target_", "_desc_"}
    }
    unknown = sorted(set(arguments) - set(inspect.signature(_KNOWN[family].build).parameters))
    if unknown:
        raise refusal(bundle.name, f"its {family} has arguments that are not known here: {', '.join(unknown)}")
    if arguments.get("spatial_dims", _AXES) != _AXES:
        raise refusal(bundle.name, f"its network is for {arguments['spatial_dims']} dimensions; only three can be used")
    if "strides" not in arguments and family in {"UNet", "DynUNet"}:
        raise refusal(bundle.name, f"its {family} has no strides")
    return family, arguments


def _names(family: str) -> tuple[str, ...]:
    module = _KNOWN[family].build.__module__
    return family, f"monai.networks.nets.{family}", f"{module}.{family}"


def _build(bundle: MonaiBundle, family: str, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        network = _KNOWN[family].build(**arguments)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, AssertionError, RuntimeError) as error:
        raise refusal(bundle.name, f"{family} cannot be built with its arguments: {error}") from error
    return network
