"""The line between the pipeline and what runs a network."""

from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

MULTIPLE: Final = 8
"""Spatial axes of an engine's input are multiples of this many voxels."""

DEVICES: Final = ("cpu", "gpu", "auto")
"""The devices that `open_engine` understands; which of them exist depends on the machine."""


class Engine(Protocol):
    """Runs one network; safe to call again and again with different shapes, from one thread at a time."""

    def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits of shape (batch, 3, x, y, z).

        Args:
            tensor: Float32 array of shape (batch, channel, x, y, z); x, y and z are multiples of `MULTIPLE`.
        """
        ...


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


def padded_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a spatial shape rounded up to what engines take.

    Args:
        shape: Voxels along each axis.

    Examples:
        >>> padded_shape((68, 80, 1))
        (72, 80, 8)
    """
    return tuple(n + -n % MULTIPLE for n in shape)
