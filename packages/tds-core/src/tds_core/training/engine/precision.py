"""Number formats of the forward pass."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from tds_core.errors import ConfigError
from tds_core.training.config import Precision

log = logging.getLogger(__name__)

_DTYPES: Final = {Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}
_CONVOLUTIONS: Final = (torch.conv3d, torch.conv_transpose3d)
_DILATION: Final = {torch.conv3d: 5, torch.conv_transpose3d: 7}
"""Place of the dilation among their arguments."""


def number_format(precision: Precision, device: torch.device) -> torch.dtype | None:
    """Return what is computed in besides float32, `None` for nothing.

    Args:
        precision: What was asked for.
        device: Of the network.

    Raises:
        ConfigError: If this device cannot.
    """
    if precision is Precision.BF16 and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        message = "this GPU cannot compute in bf16; set precision to fp16 or fp32"
        raise ConfigError(message)
    if precision is Precision.FP16 and device.type == "cpu":
        log.warning("fp16_is_slow_on_cpu instead=bf16")
    return _DTYPES.get(precision)


@contextmanager
def low_precision(device: torch.device, dtype: torch.dtype | None) -> Iterator[None]:
    """Let a forward pass compute in a number format where that is safe.

    On the CPU, convolutions over images that are no longer than the kernel stay in float32: oneDNN's gradient of their
    weights is memory that nobody wrote to (seen with torch 2.15 on a processor with AVX512-BF16: images of 2 x 2 x 2
    voxels and kernels of 3 x 3 x 3). They are the deepest and smallest layers, so that it costs nothing.

    Args:
        device: Of the network.
        dtype: The format; float32 everywhere if `None`.
    """
    if dtype is None:
        yield
        return
    thin = ThinConvolutionsInFloat32() if device.type == "cpu" else nullcontext()
    with torch.autocast(device.type, dtype=dtype), thin:
        yield


class ThinConvolutionsInFloat32(TorchFunctionMode):
    """While it is entered, 3D convolutions along an axis that is no longer than the kernel compute in float32."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],  # torch passes it
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401  # whatever the function returns
        """Return what a function of torch returns.

        Args:
            func: The function.
            types: Kinds of its arguments.
            args: Its arguments.
            kwargs: More of them.
        """
        named = dict(kwargs or {})
        if func not in _CONVOLUTIONS or not _is_thin(func, args, named):
            return func(*args, **named)
        with torch.autocast("cpu", enabled=False):
            return func(*map(_as_float, args), **{name: _as_float(value) for name, value in named.items()})


def _is_thin(func: Callable[..., Any], args: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    image: Tensor = args[0] if args else named["input"]
    weight: Tensor = args[1] if len(args) > 1 else named["weight"]
    place = _DILATION[func]
    dilation = args[place] if len(args) > place else named.get("dilation", 1)
    steps = (dilation,) * 3 if isinstance(dilation, int) else tuple(dilation) * (3 // len(dilation))
    sizes = zip(image.shape[-3:], weight.shape[-3:], steps, strict=True)
    return any(edge <= kernel * step for edge, kernel, step in sizes)


def _as_float(value: object) -> object:
    return value.float() if isinstance(value, Tensor) else value
