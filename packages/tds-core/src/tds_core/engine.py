"""The line between the pipeline and what runs a network."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tds_core.bundle import Bundle

DEVICES: Final = ("cpu", "gpu", "auto")
"""The devices that `open_engine` understands; which of them exist depends on the machine."""


class Engine(Protocol):
    """Runs one network; safe to call again and again with different shapes, from one thread at a time."""

    def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits of shape (batch, output, x, y, z).

        Args:
            tensor: Float32 array of shape (batch, channel, x, y, z); x, y and z are what the bundle's windows allow.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Several networks whose probabilities are averaged, each opened when its turn comes.

    Attributes:
        graphs: Their ONNX files.
        shares: How much each counts; they add up to 1.
        device: One of `DEVICES`.
        threads: Threads to use; all cores of the process if `None`.
    """

    graphs: tuple[Path, ...]
    shares: tuple[float, ...]
    device: str = "cpu"
    threads: int | None = None

    def members(self) -> Iterator[tuple[Callable[[], Engine], float]]:
        """Return what opens each network, and how much it counts.

        Let one engine go before the next is opened: then no more than one of them takes memory.
        """
        for graph, share in zip(self.graphs, self.shares, strict=True):
            yield partial(open_engine, graph, device=self.device, threads=self.threads), share


def open_engine(graph: Path, *, device: str = "cpu", threads: int | None = None) -> Engine:
    """Return an engine that runs an ONNX graph: OpenVINO.

    Args:
        graph: The ONNX file.
        device: One of `DEVICES`.
        threads: Threads to use; all cores of the process if `None`.

    Raises:
        DeviceUnavailable: If there is no such device.
        BundleIncompatible: If the graph cannot be read.
    """
    from tds_core._openvino import OpenVinoEngine  # noqa: PLC0415  # loads OpenVINO, which only running needs

    return OpenVinoEngine(graph, device=device, threads=threads)


def open_model(bundle: Bundle, *, device: str = "cpu", threads: int | None = None) -> Engine | Ensemble:
    """Return what runs a bundle: an engine that is ready, or an ensemble whose members are opened when it runs.

    Args:
        bundle: The model.
        device: One of `DEVICES`.
        threads: Threads to use; all cores of the process if `None`.

    Raises:
        DeviceUnavailable: If there is no such device.
        BundleIncompatible: If the graph cannot be read.
    """
    members = bundle.use.members
    if len(members) == 1:
        return open_engine(bundle.graph, device=device, threads=threads)
    return Ensemble(
        graphs=tuple(bundle.folder / member.graph for member in members),
        shares=tuple(member.share for member in members),
        device=device,
        threads=threads,
    )
