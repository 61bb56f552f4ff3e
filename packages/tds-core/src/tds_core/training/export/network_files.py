"""Weights and graph of a network, as a bundle holds them.

Weights are stored once, as safetensors: in half precision where that is faithful. The ONNX graph holds no weights of
its own: its initialisers point at the bytes of the safetensors file (ONNX external data) and are cast to float32 in the
graph where they are halves, so that torch and OpenVINO read the same numbers from the same place.
"""

import hashlib
import json
import logging
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tds_core.bundle import GRAPH_NAME, WEIGHTS_NAME
from tds_core.errors import TrainingError
from tds_core.training.config import Shape

_OPSET: Final = 21
_MAX_INLINE: Final = 64
"""Tensors of the graph with more numbers than this are weights and must be in the weights file."""

_CONSTANT: Final = "graph.constant."
"""Begins the names of tensors that the graph needs and the network's state does not hold."""

_ONNX_TYPES: Final = {
    "F16": TensorProto.FLOAT16,
    "F32": TensorProto.FLOAT,
    "F64": TensorProto.DOUBLE,
    "I32": TensorProto.INT32,
    "I64": TensorProto.INT64,
    "BOOL": TensorProto.BOOL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSpec:
    """What sizes a graph takes.

    Attributes:
        channels: Images that go in.
        example: A size that the network takes; with three different edges unless `fixed`.
        fixed: Whether the graph takes this size and no other.
    """

    channels: int = 4
    example: Shape = (24, 32, 40)
    fixed: bool = False


def write_network(folder: Path, network: nn.Module, spec: GraphSpec | None = None, *, half: bool = True) -> None:
    """Write `weights.safetensors` and `model.onnx` of a network.

    Args:
        folder: The bundle.
        network: Maps (batch, channel, x, y, z) to logits (batch, output, x, y, z).
        spec: What sizes the graph takes.
        half: Whether weights are stored in half precision.

    Raises:
        TrainingError: If a weight is not finite, or cannot be held in half precision.
    """
    stored = round_to_half(network) if half else finite_copy(network)
    state = stored.state_dict()
    graph = export_graph(stored, spec)
    _undo_copies(graph, state)
    weights = {k: _stored(v, half=half) for k, v in state.items()}
    save_file({**weights, **_take_constants(graph, set(weights))}, folder / WEIGHTS_NAME)
    point_at_weights(graph, folder / WEIGHTS_NAME)
    (folder / GRAPH_NAME).write_bytes(graph.SerializeToString(deterministic=True))


def read_network(folder: Path, network: nn.Module) -> nn.Module:
    """Return a network with the weights of a bundle, for checks.

    Args:
        folder: The bundle.
        network: Of the same architecture; changed in place.
    """
    network.load_state_dict(read_weights(folder))
    return network.eval()


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return the state of a bundle's network, in float32.

    Args:
        folder: The bundle.
    """
    stored = load_file(folder / WEIGHTS_NAME)
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in stored.items()
        if not name.startswith(_CONSTANT)
    }


def round_to_half(network: nn.Module) -> nn.Module:
    """Return a float32 copy whose weights are exact in half precision.

    Args:
        network: The network.

    Raises:
        TrainingError: If a weight is not finite in half precision.
    """
    rounded = deepcopy(network).cpu().float().eval()
    state = {k: v.to(torch.float16).float() if v.is_floating_point() else v for k, v in rounded.state_dict().items()}
    _refuse_infinite(state, " in half precision")
    rounded.load_state_dict(state)
    return rounded


def finite_copy(network: nn.Module) -> nn.Module:
    """Return a float32 copy on the CPU, for evaluation.

    Args:
        network: The network.

    Raises:
        TrainingError: If a weight is not finite.
    """
    copied = deepcopy(network).cpu().float().eval()
    _refuse_infinite(copied.state_dict(), "")
    return copied


def export_graph(network: nn.Module, spec: GraphSpec | None = None) -> onnx.ModelProto:
    """Return an ONNX graph.

    Args:
        network: The network, on the CPU, in float32.
        spec: What sizes it takes.

    Raises:
        TrainingError: If torch cannot export it.
    """
    spec = spec or GraphSpec()
    free = torch.export.Dim.STATIC if spec.fixed else torch.export.Dim.DYNAMIC
    fixed = torch.export.Dim.STATIC
    try:
        with _without_hints():
            program = torch.onnx.export(
                network,
                (torch.zeros(1, spec.channels, *spec.example),),
                input_names=["image"],
                output_names=["logits"],
                dynamic_shapes=({0: fixed, 1: fixed, 2: free, 3: free, 4: free},),
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, ValueError) as error:
        message = f"torch cannot export {type(network).__name__} to ONNX: {str(error).strip().splitlines()[0]}"
        raise TrainingError(message) from error
    if program is None:  # pragma: no cover  # only without dynamo
        message = "torch exported nothing"
        raise TrainingError(message)
    graph: onnx.ModelProto = program.model_proto
    _strip_origin(graph)
    return graph


@contextmanager
def _without_hints() -> Iterator[None]:
    """Keep torch's exporter from telling on stderr which libraries would bring it operators that nothing here uses."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def point_at_weights(graph: onnx.ModelProto, weights: Path) -> None:
    """Replace a graph's tensors by references into a safetensors file that holds them under the same names.

    Args:
        graph: Changed in place.
        weights: The file, beside which the graph will lie; halves in it are cast to float32 in the graph.

    Raises:
        TrainingError: If a large tensor of the graph is not in the file.
    """
    header, base = _safetensors_header(weights)
    casts, kept = [], []
    for tensor in graph.graph.initializer:
        entry = header.get(tensor.name)
        if entry is None:
            if math.prod(tensor.dims) > _MAX_INLINE:
                message = f"tensor {tensor.name!r} of the graph is not among the weights"
                raise TrainingError(message)
            kept.append(tensor)
            continue
        stored = _ONNX_TYPES[entry["dtype"]]
        name = tensor.name if stored == tensor.data_type else f"{tensor.name}.half"
        place = (weights.name, base + entry["data_offsets"][0], base + entry["data_offsets"][1])
        kept.append(_reference(name, list(tensor.dims), stored, place))
        if stored != tensor.data_type:
            casts.append(helper.make_node("Cast", [name], [tensor.name], to=tensor.data_type))
    _replace(graph.graph.initializer, kept)
    _replace(graph.graph.node, [*casts, *graph.graph.node])


def _stored(tensor: Tensor, *, half: bool) -> Tensor:
    """Return a tensor with memory of its own, as safetensors wants it."""
    kind = torch.float16 if half and tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to(kind).contiguous().clone()


def _refuse_infinite(state: dict[str, Tensor], how: str) -> None:
    broken = [k for k, v in state.items() if v.is_floating_point() and not torch.isfinite(v).all()]
    if broken:
        message = f"weights {broken[:3]} are not finite{how}; the run diverged"
        raise TrainingError(message)


def _undo_copies(graph: onnx.ModelProto, state: dict[str, Tensor]) -> None:
    """Let the graph take weights from their one place where the exporter wrote copies or turned copies into it."""
    known = {t.name for t in graph.graph.initializer}
    same = {_content(v.numpy()): k for k, v in state.items()}
    turned = {_content(v.numpy().T): k for k, v in state.items() if v.ndim == 2}  # noqa: PLR2004  # a matrix
    kept, nodes = [], []
    for tensor in graph.graph.initializer:
        content = None if math.prod(tensor.dims) <= _MAX_INLINE else _content(numpy_helper.to_array(tensor))
        name = same.get(content) or turned.get(content) if content else None
        if name is None or tensor.name in state:
            kept.append(tensor)
            continue
        is_same = content in same
        nodes.append(helper.make_node("Identity" if is_same else "Transpose", [name], [tensor.name]))
        if name not in known:
            known.add(name)
            dims = list(tensor.dims) if is_same else list(reversed(tensor.dims))
            kept.append(TensorProto(name=name, dims=dims, data_type=tensor.data_type))
    _replace(graph.graph.initializer, kept)
    _replace(graph.graph.node, [*nodes, *graph.graph.node])


def _content(array: NDArray[np.generic]) -> tuple[tuple[int, ...], str, str]:
    return array.shape, array.dtype.str, hashlib.sha256(array.tobytes()).hexdigest()


def _replace(field: Any, values: list[Any]) -> None:  # noqa: ANN401  # a repeated field, which has no public type
    del field[:]
    field.extend(values)


def _take_constants(graph: onnx.ModelProto, weights: set[str]) -> dict[str, Tensor]:
    """Return the large tensors of a graph that are no weights, named in graph and result as such."""
    found, renamed = {}, {}
    for tensor in graph.graph.initializer:
        if tensor.name not in weights and math.prod(tensor.dims) > _MAX_INLINE:
            renamed[tensor.name] = f"{_CONSTANT}{tensor.name}"
            found[renamed[tensor.name]] = torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
            tensor.name = renamed[tensor.name]
    for node in graph.graph.node:
        for place, name in enumerate(node.input):
            if name in renamed:
                node.input[place] = renamed[name]
    return found


def _reference(name: str, dims: list[int], kind: int, place: tuple[str, int, int]) -> TensorProto:
    tensor = TensorProto(name=name, dims=dims, data_type=kind)
    tensor.data_location = TensorProto.EXTERNAL
    location, start, stop = place
    for key, value in (("location", location), ("offset", str(start)), ("length", str(stop - start))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def _safetensors_header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header: dict[str, dict[str, Any]] = json.loads(file.read(size))
    return header, 8 + size


def _strip_origin(graph: onnx.ModelProto) -> None:
    """Remove paths and traces of the exporting machine: the same weights give the same bytes anywhere."""
    graph.doc_string = ""
    graph.graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.graph.metadata_props[:]
    for node in graph.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*graph.graph.value_info, *graph.graph.input, *graph.graph.output, *graph.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    del graph.graph.value_info[:]
