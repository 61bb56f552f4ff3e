"""OpenVINO behind the `Engine` protocol."""

import os
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import properties

from tds_core.errors import BundleIncompatible, DeviceUnavailable


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
        if device != "auto" and device not in available:
            raise DeviceUnavailable(device, available)
        self._device = device.upper()
        self._options = {
            properties.hint.inference_precision: openvino.Type.f32,
            properties.hint.num_requests: 1,
            properties.inference_num_threads: threads or len(os.sched_getaffinity(0)),
        }
        try:
            self._model = self._core.read_model(graph)
        except RuntimeError as error:
            message = f"OpenVINO cannot read {graph.name}: {str(error).splitlines()[0]}"
            raise BundleIncompatible(message) from error
        self._compiled: dict[tuple[int, ...], openvino.CompiledModel] = {}

    def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits of shape (batch, 3, x, y, z).

        Args:
            tensor: Float32 array of shape (batch, channel, x, y, z).
        """
        compiled = self._compiled.get(tensor.shape)
        if compiled is None:
            model = self._model.clone()
            model.reshape(list(tensor.shape))
            compiled = self._core.compile_model(model, self._device, self._options)
            # One shape at a time: a compiled graph holds its activations.
            self._compiled = {tensor.shape: compiled}
        result = compiled(tensor, share_inputs=True)[0]
        return np.array(result, dtype=np.float32)
