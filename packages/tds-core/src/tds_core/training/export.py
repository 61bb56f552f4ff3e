"""From a trained network to the files of a bundle.

Weights are stored once, as half-precision safetensors. The ONNX graph holds no weights of its own: its initialisers
point at the bytes of the safetensors file (ONNX external data) and are cast to float32 in the graph, so that torch and
OpenVINO read the same numbers from the same place.
"""

import json
import math
import struct
from copy import deepcopy
from pathlib import Path
from typing import Final

import onnx
import torch
from onnx import TensorProto, helper
from safetensors.torch import load_file, save_file
from torch import nn

from tds_core.bundle import GRAPH_NAME, WEIGHTS_NAME
from tds_core.errors import TrainingError
from tds_core.training.mixture.config import NetworkConfig
from tds_core.training.mixture.network import build_network

_OPSET: Final = 21
_EXAMPLE: Final = (1, 4, 24, 32, 40)
_MAX_INLINE: Final = 64
"""Tensors of the graph with more numbers than this are weights and must be in the weights file."""


def write_network(folder: Path, network: nn.Module) -> None:
    """Write `weights.safetensors` and `model.onnx` of a network.

    Args:
        folder: The bundle.
        network: Maps (batch, channel, x, y, z) to logits (batch, 3, x, y, z).

    Raises:
        TrainingError: If a weight cannot be held in half precision.
    """
    rounded = round_to_half(network)
    weights = {k: v.to(torch.float16).contiguous() for k, v in rounded.state_dict().items()}
    save_file(weights, folder / WEIGHTS_NAME)
    graph = export_graph(rounded)
    point_at_weights(graph, folder / WEIGHTS_NAME)
    (folder / GRAPH_NAME).write_bytes(graph.SerializeToString(deterministic=True))


def read_network(folder: Path, config: NetworkConfig) -> nn.Module:
    """Return the network of a bundle, for training on or for checks.

    Args:
        folder: The bundle.
        config: Shape of the network.
    """
    network = build_network(config)
    network.load_state_dict({k: v.float() for k, v in load_file(folder / WEIGHTS_NAME).items()})
    return network.eval()


def round_to_half(network: nn.Module) -> nn.Module:
    """Return a float32 copy whose weights are exact in half precision.

    Args:
        network: The network.

    Raises:
        TrainingError: If a weight is not finite in half precision.
    """
    rounded = deepcopy(network).cpu().float().eval()
    state = {k: v.to(torch.float16).float() for k, v in rounded.state_dict().items()}
    broken = [k for k, v in state.items() if not torch.isfinite(v).all()]
    if broken:
        message = f"weights {broken[:3]} are not finite in half precision; the run diverged"
        raise TrainingError(message)
    rounded.load_state_dict(state)
    return rounded


def export_graph(network: nn.Module) -> onnx.ModelProto:
    """Return an ONNX graph with free spatial axes.

    Args:
        network: The network, on the CPU, in float32.
    """
    free, fixed = torch.export.Dim.DYNAMIC, torch.export.Dim.STATIC
    program = torch.onnx.export(
        network,
        (torch.zeros(_EXAMPLE),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: fixed, 1: fixed, 2: free, 3: free, 4: free},),
        opset_version=_OPSET,
        dynamo=True,
        verbose=False,
    )
    if program is None:  # pragma: no cover  # only without dynamo
        message = "torch exported nothing"
        raise TrainingError(message)
    graph: onnx.ModelProto = program.model_proto
    _strip_origin(graph)
    return graph


def point_at_weights(graph: onnx.ModelProto, weights: Path) -> None:
    """Replace a graph's float tensors by references into a safetensors file of half-precision tensors of those names.

    Args:
        graph: Changed in place.
        weights: The file, beside which the graph will lie.

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
        half = f"{tensor.name}.half"
        kept.append(_reference(half, list(tensor.dims), weights.name, entry["data_offsets"], base))
        casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def _reference(name: str, dims: list[int], location: str, offsets: list[int], base: int) -> TensorProto:
    tensor = TensorProto(name=name, dims=dims, data_type=TensorProto.FLOAT16)
    tensor.data_location = TensorProto.EXTERNAL
    start, stop = offsets
    for key, value in (("location", location), ("offset", str(base + start)), ("length", str(stop - start))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def _safetensors_header(path: Path) -> tuple[dict[str, dict[str, list[int]]], int]:
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header: dict[str, dict[str, list[int]]] = json.loads(file.read(size))
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
