"""What a training step would hold in memory, found by running it on torch's `meta` device, which computes nothing.

Every tensor that the step makes is counted from when it is made to when the last who needs it lets it go, backward pass
included, so that nothing has to be known about the network. Mixed precision is played through by the same casts that
torch's autocast makes on the device; it does nothing on `meta` itself.
"""

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

_LOWERED: Final = frozenset(
    {
        torch.conv1d,
        torch.conv2d,
        torch.conv3d,
        torch.conv_transpose1d,
        torch.conv_transpose2d,
        torch.conv_transpose3d,
        functional.linear,
        functional.scaled_dot_product_attention,
        torch.matmul,
        torch.Tensor.matmul,
        torch.Tensor.__matmul__,
        torch.bmm,
        torch.Tensor.bmm,
        torch.mm,
        torch.addmm,
        torch.baddbmm,
        torch.einsum,
        torch.prelu,
    }
)
"""What autocast computes in 16 bits, on any device."""

_RAISED_ON_CUDA: Final = frozenset(
    {
        torch.group_norm,
        torch.layer_norm,
        functional.layer_norm,
        functional.group_norm,
        torch.softmax,
        torch.Tensor.softmax,
        functional.softmax,
        torch.log_softmax,
        functional.log_softmax,
    }
)
"""What autocast computes in float32 on CUDA, and leaves as it is on the CPU."""


_CONVOLUTIONS: Final = {torch.ops.aten.convolution.default: 1, torch.ops.aten.convolution_backward.default: 2}
"""Convolutions, and which of their arguments is the kernel."""
_IMAGE_AXES: Final = 5
_FLOAT_BYTES: Final = 4


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's modes carry no annotations
    """Counts the bytes of tensors that are made while it is on, and what convolutions need to work in.

    Args:
        device: `cuda` or `cpu`, whose libraries copy images for convolutions: CPUs' in float32 whatever their type.

    Attributes:
        now: Bytes that are held.
        peak: Most that were held at a time.
    """

    def __init__(self, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.now = 0
        self.peak = 0
        self._known: set[int] = set()
        self._least_element = _FLOAT_BYTES if device == "cpu" else 0

    def ignore(self, tensors: Iterable[Tensor]) -> None:
        """Leave tensors out that were there before, and all that shares their memory.

        Args:
            tensors: Such as weights.
        """
        for tensor in tensors:
            self._note(tensor.untyped_storage(), 0)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Call a function and count what it returns."""
        del types
        result = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        for tensor in made:
            storage = tensor.untyped_storage()
            self._note(storage, storage.nbytes())
        if func in _CONVOLUTIONS:
            # Libraries bring channels next to each other and back: a copy of each image that goes in or comes out.
            copies = [t for t in (*tree_leaves(args), *made) if isinstance(t, Tensor) and _is_image(t)]
            weights = args[_CONVOLUTIONS[func]]
            self.peak = max(self.peak, self.now + sum(self._copied(t) for t in copies if t.shape != weights.shape))
        return result

    def _copied(self, tensor: Tensor) -> int:
        return tensor.numel() * max(tensor.element_size(), self._least_element)

    def _note(self, storage: torch.UntypedStorage, nbytes: int) -> None:
        key = id(storage)  # torch keeps one Python object for a storage as long as the storage lives
        if key in self._known:
            return
        self._known.add(key)
        self.now += nbytes
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, nbytes).atexit = False

    def _forget(self, key: int, nbytes: int) -> None:
        self._known.discard(key)
        self.now -= nbytes


class Casts(TorchFunctionMode):
    """Casts what autocast would cast.

    Args:
        dtype: The 16-bit type.
        device: `cuda` or `cpu`.
    """

    def __init__(self, dtype: torch.dtype, device: str) -> None:
        super().__init__()
        self._dtype = dtype
        self._raised = _RAISED_ON_CUDA if device == "cuda" else frozenset()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Call a function with its tensors in the type that it is computed in."""
        del types
        kwargs = kwargs or {}
        if func in _LOWERED:
            args, kwargs = _cast((args, kwargs), self._dtype)
        elif func in self._raised:
            args, kwargs = _cast((args, kwargs), torch.float32)
        return func(*args, **kwargs)


def _is_image(tensor: Tensor) -> bool:
    return tensor.ndim == _IMAGE_AXES


def _cast(
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]], dtype: torch.dtype
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    cast: tuple[tuple[Any, ...], Mapping[str, Any]] = tree_map_only(
        Tensor, lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor, arguments
    )
    return cast


def weight_bytes(network: nn.Module) -> int:
    """Return what the weights and buffers of a network take.

    Args:
        network: On any device.
    """
    return sum(t.numel() * t.element_size() for t in (*network.parameters(), *network.buffers()))
