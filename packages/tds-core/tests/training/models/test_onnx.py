from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tds_core import open_engine
from tds_core.training.config import NetworkConfig, Shape
from tds_core.training.models import MODEL_NAMES, build_network, model_facts

Small = Callable[..., NetworkConfig]
NETWORKS = [(name, False) for name in MODEL_NAMES if name != "dints_search"]  # only what it finds is exported
NETWORKS += [(name, True) for name in MODEL_NAMES if model_facts(name).deep_supervision]


def export(network: torch.nn.Module, patch: Shape, path: Path, *, fixed: bool) -> None:
    axis = torch.export.Dim.STATIC if fixed else torch.export.Dim.DYNAMIC
    one = torch.export.Dim.STATIC
    program = torch.onnx.export(
        network,
        (torch.zeros(1, 2, *patch),),
        dynamic_shapes=({0: one, 1: one, 2: axis, 3: axis, 4: axis},),
        opset_version=21,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    path.write_bytes(program.model_proto.SerializeToString())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "deep"), NETWORKS)
def test_exported_graph_gives_what_torch_gives(small: Small, tmp_path: Path, name: str, *, deep: bool) -> None:
    fixed = model_facts(name).fixed_size
    patch = (64, 32, 32) if fixed else (32, 48, 64)
    torch.manual_seed(0)
    config = small(name, deep_supervision=deep)
    network = build_network(config, in_channels=2, out_channels=3, patch=patch).eval()
    export(network, patch, tmp_path / "model.onnx", fixed=fixed)
    engine = open_engine(tmp_path / "model.onnx", threads=1)
    for shape in [patch] if fixed else [patch, (64, 32, 32)]:
        image = torch.randn(1, 2, *shape)
        with torch.inference_mode():
            expected = network(image)
        torch.testing.assert_close(torch.from_numpy(engine.infer(image.numpy())), expected, rtol=1e-3, atol=2e-3)
