import contextlib
import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from monai.networks.nets.dints import DiNTS, TopologyInstance
from torch import Tensor, nn

from tds_core import open_engine
from tds_core.errors import ConfigError
from tds_core.training.config import NetworkConfig, to_document
from tds_core.training.dints import Architecture, FoundNetwork, build_found_network
from tds_core.training.dints.networks import Resize, architecture_codes, architecture_parameters, weight_parameters
from tds_core.training.models import build_network, check_patch, patch_factors

from .conftest import edge, make_network


def monais(architecture: Architecture, seed: int) -> DiNTS:
    """MONAI's own network of an architecture."""
    nodes, paths, operations = architecture_codes(architecture)
    torch.manual_seed(seed)
    with contextlib.redirect_stdout(io.StringIO()):
        space = TopologyInstance(
            arch_code=[paths, operations],
            channel_mul=architecture.channels / 32,
            num_blocks=len(architecture.blocks),
            num_depths=architecture.depths,
            use_downsample=architecture.downsample,
        )
    return DiNTS(space, 2, 3, use_downsample=architecture.downsample, node_a=nodes)


def image(edge_voxels: int = 16) -> Tensor:
    shape = (2, 2, edge_voxels, 2 * edge_voxels, edge_voxels)
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("downsample", [True, False])
@pytest.mark.parametrize("ends", [(0, 0), (1, 2)])
def test_a_found_network_computes_what_monais_does(
    found: Architecture, ends: tuple[int, int], *, downsample: bool
) -> None:
    blocks = (*found.blocks, (edge(1, ends[0]), edge(2, ends[1]) if ends[1] else edge(2, 1)))
    architecture = replace(found, blocks=blocks, downsample=downsample)
    theirs = monais(architecture, seed=1)
    with torch.no_grad():
        expected = theirs(image())
        torch.manual_seed(1)
        torch.testing.assert_close(build_found_network(architecture, 2, 3)(image()), expected)


def test_a_found_network_holds_only_what_it_uses(found: Architecture) -> None:
    deepest_unused = replace(found, blocks=((edge(1, 1), edge(1, 0)),))
    network = build_found_network(deepest_unused, 2, 3)
    assert sorted(network.stem_down) == ["1"]
    assert sorted(network.cells) == ["0_1_0", "0_1_1"]
    assert sorted(network.stem_up) == ["0", "1"]
    network(image()).square().mean().backward()
    assert all(weight.grad is not None for weight in network.parameters())


@pytest.mark.parametrize("factor", [0.25, 0.5, 2.0])
def test_resizing_is_torchs_upsampling(factor: float) -> None:
    up, down = (int(factor), 1) if factor > 1 else (1, int(1 / factor))
    theirs = nn.Upsample(scale_factor=factor, mode="trilinear", align_corners=True)
    torch.testing.assert_close(Resize(up, down)(image()), theirs(image()))


def test_group_normalisation_reaches_every_norm(found: Architecture) -> None:
    network = build_found_network(replace(found, channels=8, norm="group", groups=4), 2, 3)
    norms = [module for module in network.modules() if isinstance(module, nn.GroupNorm)]
    assert norms
    assert all(norm.num_groups == 4 for norm in norms)
    assert not any(isinstance(module, nn.InstanceNorm3d) for module in network.modules())
    assert network(image()).shape == (2, 3, 16, 32, 16)


def test_a_voxels_number_that_does_not_divide_is_no_silent_cut(found: Architecture) -> None:
    with pytest.raises(RuntimeError, match="invalid for input of size"):
        build_found_network(found, 2, 3)(torch.zeros(1, 2, 16, 16, 18))


def test_every_parameter_is_a_weight_or_of_the_architecture() -> None:
    network = make_network()
    both = [id(weight) for _, weight in weight_parameters(network)] + [id(p) for p in architecture_parameters(network)]
    assert sorted(both) == sorted(id(p) for p in network.parameters())


def test_building_prints_nothing(capsys: pytest.CaptureFixture[str], found: Architecture) -> None:
    make_network()
    build_found_network(found, 2, 1)
    assert capsys.readouterr().out == ""


def test_the_patch_follows_from_the_levels(found: Architecture) -> None:
    retrain = NetworkConfig(name="dints", options={"architecture": to_document(found)})
    search = NetworkConfig(name="dints_search", options={"channels": 4, "depths": 3})
    assert patch_factors(retrain, (16, 16, 16)) == patch_factors(search, (16, 16, 16)) == (8, 8, 8)
    with pytest.raises(ConfigError, match=r"x \(12\) must be a multiple of 8; the nearest that do are \[8, 16, 16\]"):
        check_patch(retrain, (12, 16, 16))


def test_the_registry_builds_from_a_file(tmp_path: Path, found: Architecture) -> None:
    path = tmp_path / "architecture.yaml"
    document = to_document(found)
    path.write_text(str({"format": 1, "architecture": document}).replace("'", ""), encoding="utf-8")
    config = NetworkConfig(name="dints", options={"architecture": str(path)})
    torch.manual_seed(0)
    network = build_network(config, in_channels=2, out_channels=3, patch=(16, 16, 16))
    assert isinstance(network, FoundNetwork)
    inline = NetworkConfig(name="dints", options={"architecture": document})
    torch.manual_seed(0)
    again = build_network(inline, in_channels=2, out_channels=3, patch=(16, 16, 16))
    torch.testing.assert_close(network.state_dict(), again.state_dict(), rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("downsample", [True, False])
def test_the_exported_network_takes_any_size_in_openvino(
    tmp_path: Path, found: Architecture, *, downsample: bool
) -> None:
    torch.manual_seed(0)
    network = build_found_network(replace(found, downsample=downsample), 2, 3).eval()
    free, fixed = torch.export.Dim.DYNAMIC, torch.export.Dim.STATIC
    program = torch.onnx.export(
        network,
        (torch.zeros(1, 2, 24, 32, 40),),
        dynamic_shapes=({0: fixed, 1: fixed, 2: free, 3: free, 4: free},),
        opset_version=21,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    (tmp_path / "model.onnx").write_bytes(program.model_proto.SerializeToString())
    engine = open_engine(tmp_path / "model.onnx", threads=1)
    for shape in ((24, 32, 40), (16, 16, 16), (48, 32, 16)):
        patch = torch.randn(1, 2, *shape)
        with torch.inference_mode():
            expected = network(patch)
        torch.testing.assert_close(torch.from_numpy(engine.infer(patch.numpy())), expected, rtol=1e-3, atol=1e-3)
