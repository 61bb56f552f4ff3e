"""OpenVINO behind the `Engine` protocol."""

import os
import sys
import textwrap
from pathlib import Path
from typing import Final

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import properties

from tds_core.errors import BundleIncompatible, DeviceUnavailable

_MAX_REASON: Final = 300


class OpenVinoEngine:
    """An ONNX graph on OpenVINO.

    Computes in float32 whatever the processor offers, so that the same study gives the same mask on every machine.

    Args:
        graph: The ONNX file.
        device: `cpu`, `gpu` or `auto`.
        threads: Threads to use; all cores of the process if `None`.

    Raises:
        DeviceUnavailable: If OpenVINO does not see the device.
        BundleIncompatible: If OpenVINO cannot read the graph.
    """

    def __init__(self, graph: Path, *, device: str = "cpu", threads: int | None = None) -> None:
        self._core = openvino.Core()
        available = tuple(sorted({d.split(".")[0].lower() for d in self._core.available_devices}))
        if device not in {"auto", *available}:
            raise DeviceUnavailable(device, (*available, "auto"))
        self._device = device.upper()
        self._options = {
            properties.hint.inference_precision: openvino.Type.f32,
            properties.hint.num_requests: 1,
            properties.inference_num_threads: threads or _process_cores(),
        }
        try:
            self._model = self._core.read_model(graph)
        except RuntimeError as error:
            message = f"OpenVINO cannot read {graph.name}: {_reason(error)}"
            raise BundleIncompatible(message) from error
        self._compiled: dict[tuple[int, ...], openvino.CompiledModel] = {}

    def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits of shape (batch, 3, x, y, z).

        Args:
            tensor: Float32 array of shape (batch, channel, x, y, z).

        Raises:
            BundleIncompatible: If the graph does not take a tensor of this shape.
        """
        if tensor.shape not in self._compiled:
            # One shape at a time: a compiled graph holds its activations.
            self._compiled = {tensor.shape: self._compile(tensor.shape)}
        result = self._compiled[tensor.shape](tensor, share_inputs=True)[0]
        return np.array(result, dtype=np.float32)

    def _compile(self, shape: tuple[int, ...]) -> openvino.CompiledModel:
        model = self._model.clone()
        try:
            model.reshape(list(shape))
            return self._core.compile_model(model, self._device, self._options)
        except RuntimeError as error:
            message = f"the model's graph does not take an input of shape {shape}: {_reason(error)}"
            raise BundleIncompatible(message) from error


def _process_cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _reason(error: RuntimeError) -> str:
    """Return what OpenVINO complains of, in one line without the places in its own source."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith("Exception from")]
    return textwrap.shorten(" ".join(told), _MAX_REASON, placeholder=" …")
