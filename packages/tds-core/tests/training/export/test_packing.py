"""What packing does where something does not go as it should."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tds_core import TrainingError, load_bundle, open_model, predict, verify_golden
from tds_core.bundle import NetworkUse
from tds_core.training.export import GraphSpec, PackedBundle, export_bundle, packing, write_network
from tds_core.training.export.golden_input import golden_shape, make_golden_input
from tds_core.training.export.probing import probe_network
from tds_core.windows import WindowPlan
from tds_data.errors import MissingDependency
from tds_data.preprocess import PreprocessConfig


def test_network_whose_graph_cannot_be_free_gets_one_for_its_patch(
    tmp_path: Path, making: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_fixed(folder: Path, network: nn.Module, spec: GraphSpec, *, half: bool) -> None:
        if not spec.fixed:
            message = "torch cannot export SegResNet to ONNX: a size was taken for a constant"
            raise TrainingError(message)
        write_network(folder, network, spec, half=half)

    monkeypatch.setattr(packing, "write_network", only_fixed)
    config = making.config()
    packed = export_bundle(making.network(config), config, tmp_path / "bundle", facts=making.facts())
    assert packed.notes == ("the graph takes windows of (32, 32, 32) voxels only",)
    bundle = load_bundle(packed.folder, trusted=[packed.sha256])
    assert (bundle.use.windows.fixed, bundle.use.windows.patch) == (True, (32, 32, 32))
    verify_golden(bundle, open_model(bundle))
    found = predict(open_model(bundle), np.zeros((4, 40, 20, 50), np.float32), use=bundle.use)
    assert found.shape == (3, 40, 20, 50)


def test_graph_that_gives_something_else_is_not_written(
    tmp_path: Path, making: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_another(folder: Path, network: nn.Module, spec: GraphSpec, *, half: bool) -> None:
        with torch.no_grad():
            network.get_parameter("convInit.conv.weight").neg_()
        write_network(folder, network, spec, half=half)

    monkeypatch.setattr(packing, "write_network", write_another)
    config = making.config()
    with pytest.raises(TrainingError, match="the exported graph differs from the network by up to"):
        export_bundle(making.network(config), config, tmp_path / "bundle", facts=making.facts())
    assert not list(tmp_path.iterdir())


def test_weights_whose_halves_move_a_probability_are_stored_whole(
    tmp_path: Path, making: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "FAITHFUL", -1.0)
    config = making.config()
    packed: PackedBundle = export_bundle(making.network(config), config, tmp_path / "bundle", facts=making.facts())
    assert packed.notes[0].startswith("weights are stored in float32: halves move a probability of the golden case by")


def test_golden_case_without_phantoms_is_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: object) -> None:
        raise MissingDependency("nilearn", "phantom")

    monkeypatch.setattr("tds_core.training.export.golden_input.make_phantom", absent)
    golden = make_golden_input(NetworkUse(), PreprocessConfig())
    assert golden.source == "shapes"
    assert golden.image.shape == (4, 48, 48, 48)
    assert golden.image.std() > 1
    again = make_golden_input(NetworkUse(), PreprocessConfig())
    np.testing.assert_array_equal(golden.image, again.image)


@pytest.mark.parametrize(
    ("plan", "shape"),
    [
        (WindowPlan(), (48, 48, 48)),
        (WindowPlan(multiple=(32, 16, 4)), (64, 48, 48)),
        (WindowPlan(patch=(96, 96, 64), multiple=(32, 32, 32)), (64, 64, 64)),
        (WindowPlan(patch=(96, 96, 64), fixed=True, multiple=(96, 96, 64)), (96, 96, 64)),
    ],
)
def test_golden_case_has_a_size_that_the_network_takes(plan: WindowPlan, shape: tuple[int, int, int]) -> None:
    assert golden_shape(NetworkUse(windows=plan)) == shape


class Wide(nn.Module):
    """Holds ten channels of float32, its input and its output at the same time."""

    def forward(self, x: Tensor) -> Tensor:
        wide = x[:, :1].expand(-1, 10, -1, -1, -1).contiguous()
        return wide[:, :3] + 1.0


def test_memory_of_a_network_is_what_is_alive_at_once() -> None:
    probe = probe_network(Wide(), np.zeros((4, 8, 8, 8), np.float32), NetworkUse())
    alive = 4 * (10 + 3 + 4)
    assert probe.bytes_per_voxel == pytest.approx(1.5 * alive, abs=1)
