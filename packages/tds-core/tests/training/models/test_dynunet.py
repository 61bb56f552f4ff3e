import pytest
import torch
from monai.networks.nets.dynunet import DynUNet

from tds_core.training.config import NetworkConfig, Shape
from tds_core.training.models import build_network, state_without_heads
from tds_core.training.models.dynunet import SupervisedDynUNet

STRIDES: tuple[Shape, ...] = ((1, 1, 1), (2, 2, 1), (2, 2, 2), (2, 2, 2), (1, 2, 2))
KERNELS: tuple[Shape, ...] = ((3, 3, 1), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
PATCH = (16, 32, 16)


def monai(*, residual: bool, deep: bool) -> DynUNet:
    return DynUNet(
        3, 2, 3, KERNELS, STRIDES, STRIDES[1:],
        filters=(4, 8, 16, 16, 16), deep_supervision=deep, deep_supr_num=2, res_block=residual, trans_bias=True,
    )  # fmt: skip


def ours(*, residual: bool, deep: bool) -> torch.nn.Module:
    options = {
        "channels": 4,
        "max_channels": 16,
        "residual": residual,
        "strides": [list(s) for s in STRIDES],
        "kernels": [list(k) for k in KERNELS],
    }
    config = NetworkConfig(name="dynunet", options=options, deep_supervision=deep)
    return build_network(config, in_channels=2, out_channels=3, patch=PATCH)


@pytest.mark.parametrize("residual", [False, True])
def test_gives_what_monais_gives_with_the_same_weights(*, residual: bool) -> None:
    torch.manual_seed(0)
    oracle, network = monai(residual=residual, deep=True), ours(residual=residual, deep=True)
    renamed = {k.replace("deep_supervision_heads", "heads"): v for k, v in oracle.state_dict().items()}
    network.load_state_dict({k: v for k, v in renamed.items() if not k.startswith("skip_layers.")})
    image = torch.randn(2, 2, *PATCH)
    with torch.no_grad():
        levels, stacked = network.train()(image), oracle.train()(image)
        torch.testing.assert_close(network.eval()(image), oracle.eval()(image))
    assert len(levels) == stacked.shape[1] == 3
    for level, full in zip(levels, stacked.unbind(1), strict=True):
        torch.testing.assert_close(torch.nn.functional.interpolate(level, PATCH), full)


def test_every_weight_is_stored_once() -> None:
    network = ours(residual=False, deep=True)
    places = [weight.data_ptr() for weight in network.state_dict().values()]
    assert len(set(places)) == len(places)


def test_depth_features_and_outputs_are_nnunets() -> None:
    config = NetworkConfig(name="dynunet", options={"spacing_mm": [1, 1, 1]}, deep_supervision=True)
    with torch.device("meta"):
        network = build_network(config, in_channels=4, out_channels=3, patch=(128, 128, 128))
    assert isinstance(network, SupervisedDynUNet)
    widths = [m.conv1.conv.out_channels for m in (network.input_block, *network.downsamples, network.bottleneck)]
    assert widths == [32, 64, 128, 256, 320, 320]
    assert len(network.heads) == 3
    assert not any(key.startswith("heads.") for key in state_without_heads(network.state_dict()))


def test_flat_voxels_are_halved_late() -> None:
    config = NetworkConfig(name="dynunet", options={"channels": 4, "spacing_mm": [1, 1, 4]})
    network = build_network(config, in_channels=1, out_channels=1, patch=(32, 32, 8))
    assert isinstance(network, SupervisedDynUNet)
    assert network.input_block.conv1.conv.kernel_size == (3, 3, 1)
    assert network.downsamples[0].conv1.conv.stride == (2, 2, 1)
    with torch.inference_mode():
        assert network.eval()(torch.randn(1, 1, 32, 32, 8)).shape == (1, 1, 32, 32, 8)
