"""What a network does with one input: its probabilities, and how much memory it takes on the way."""

import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tds_core.description import NetworkUse
from tds_core.prediction import predict

_MARGIN: Final = 1.5
"""Runtimes keep buffers of their own and order channels by eights."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probe:
    """What a network did.

    Attributes:
        probabilities: Float32 array of shape (region, x, y, z).
        bytes_per_voxel: What it takes per voxel of its input, with a margin for other runtimes.
    """

    probabilities: NDArray[np.float32]
    bytes_per_voxel: int


def probe_network(network: nn.Module, tensor: NDArray[np.float32], use: NetworkUse) -> Probe:
    """Return what a network does with an input.

    Args:
        network: On the CPU, in float32, for evaluation.
        tensor: Float32 array of shape (channel, x, y, z).
        use: How it is run.
    """
    engine = _TorchEngine(network)
    probabilities = predict(engine, tensor, use=use)
    return Probe(probabilities=probabilities, bytes_per_voxel=int(engine.bytes_per_voxel * _MARGIN))


class _TorchEngine:
    """A torch network behind the `Engine` protocol; it remembers the most bytes that a voxel took."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self.bytes_per_voxel = 0.0

    def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        image = torch.from_numpy(tensor)
        with torch.inference_mode(), _LiveBytes(self._network, image) as live:
            logits: Tensor = self._network(image)
        self.bytes_per_voxel = max(self.bytes_per_voxel, (live.peak + tensor.nbytes) / tensor[0, 0].size)
        result: NDArray[np.float32] = logits.float().numpy().copy()
        return result


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not type its base
    """Counts the bytes of all tensors that are alive at the same time; views count once, weights and input do not.

    Args:
        network: Whose weights are not counted.
        image: Not counted either.
    """

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        known = (image, *network.parameters(), *network.buffers())
        self._known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self._users: Counter[int] = Counter()
        self._live = self.peak = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401  # what the operator returns
        del types
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                self._track(tensor)
        return result

    def _track(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        if place in self._known:
            return
        if not self._users[place]:
            self._live += size
            self.peak = max(self.peak, self._live)
        self._users[place] += 1
        weakref.finalize(tensor, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self._users[place] -= 1
        if not self._users[place]:
            self._live -= size
