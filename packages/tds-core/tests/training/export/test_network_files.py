from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tds_core import Bundle, Engine, TrainingError, open_engine
from tds_core.bundle import GRAPH_NAME, WEIGHTS_NAME
from tds_core.training.config import NetworkConfig
from tds_core.training.export import point_at_weights, read_network, round_to_half, write_network
from tds_core.training.models import build_network

SMALL = NetworkConfig(options={"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]})


def build(config: NetworkConfig) -> nn.Module:
    return build_network(config, in_channels=4, out_channels=3, patch=(24, 32, 40))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(0)
    write_network(folder, build(SMALL))
    return folder


@pytest.mark.parametrize("shape", [(16, 24, 8), (32, 8, 16)])
def test_graph_gives_what_torch_gives_from_the_same_file(exported: Path, shape: tuple[int, int, int]) -> None:
    tensor = np.random.default_rng(0).normal(size=(1, 4, *shape)).astype(np.float32)
    with torch.inference_mode():
        expected = read_network(exported, build(SMALL))(torch.from_numpy(tensor)).numpy()
    np.testing.assert_allclose(open_engine(exported / GRAPH_NAME).infer(tensor), expected, atol=1e-3)


def test_shipped_graph_gives_what_torch_gives_from_its_weights(bundle: Bundle, engine: Engine) -> None:
    shape = bundle.description["architecture"]
    assert isinstance(shape, dict)
    config = NetworkConfig(options={name: shape[name] for name in ("init_filters", "blocks_down", "blocks_up")})
    tensor = np.random.default_rng(1).normal(size=(1, 4, 24, 16, 16)).astype(np.float32)
    with torch.inference_mode():
        expected = read_network(bundle.folder, build(config))(torch.from_numpy(tensor)).numpy()
    np.testing.assert_allclose(engine.infer(tensor), expected, atol=1e-3)


def test_graph_holds_no_weights_and_no_trace_of_the_machine(exported: Path) -> None:
    graph = onnx.load(exported / GRAPH_NAME, load_external_data=False)
    outside = [t for t in graph.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    assert {entry.value for t in outside for entry in t.external_data if entry.key == "location"} == {WEIGHTS_NAME}
    assert (exported / GRAPH_NAME).stat().st_size < (exported / WEIGHTS_NAME).stat().st_size
    assert b".py" not in (exported / GRAPH_NAME).read_bytes()


def test_weights_are_rounded_to_half_precision_and_read_back_exactly(exported: Path) -> None:
    torch.manual_seed(0)
    original = build(SMALL)
    rounded, read = round_to_half(original).state_dict(), read_network(exported, build(SMALL)).state_dict()
    for name, tensor in original.state_dict().items():
        assert torch.equal(read[name], rounded[name])
        assert read[name].dtype == torch.float32
        torch.testing.assert_close(read[name], tensor, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_diverged_weights_are_not_exported(tmp_path: Path, value: float) -> None:
    network = build(SMALL)
    with torch.no_grad():
        next(network.parameters()).fill_(value)
    with pytest.raises(TrainingError, match="not finite in half precision; the run diverged"):
        write_network(tmp_path, network)
    assert not list(tmp_path.iterdir())


def test_large_tensor_that_is_not_among_the_weights_is_refused(exported: Path) -> None:
    graph = onnx.load(exported / GRAPH_NAME, load_external_data=False)
    del graph.graph.initializer[:]
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(100, np.float32), "stowaway"))
    with pytest.raises(TrainingError, match="tensor 'stowaway' of the graph is not among the weights"):
        point_at_weights(graph, exported / WEIGHTS_NAME)
