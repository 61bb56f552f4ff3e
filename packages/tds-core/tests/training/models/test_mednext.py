import pytest
import torch
from monai.networks.nets.mednext import MedNeXt, create_mednext

from tds_core.training.config import NetworkConfig
from tds_core.training.models import build_network

PATCH = (32, 16, 16)


@pytest.mark.parametrize("size", ["S", "B", "M", "L"])
@pytest.mark.parametrize("kernel", [3, 5])
def test_sizes_are_those_of_monai_and_the_paper(size: str, kernel: int) -> None:
    config = NetworkConfig(name="mednext", options={"size": size, "kernel": kernel})
    with torch.device("meta"):
        network = build_network(config, in_channels=4, out_channels=3, patch=PATCH)
        oracle = create_mednext(size, in_channels=4, out_channels=3, kernel_size=kernel)
    assert {k: v.shape for k, v in network.state_dict().items()} == {k: v.shape for k, v in oracle.state_dict().items()}


def test_gives_what_monais_gives_with_the_same_weights() -> None:
    torch.manual_seed(0)
    config = NetworkConfig(name="mednext", options={"channels": 4}, deep_supervision=True)
    network = build_network(config, in_channels=2, out_channels=3, patch=PATCH)
    oracle = MedNeXt(3, 4, 2, 3, kernel_size=3, deep_supervision=True, use_residual_connection=True)
    network.load_state_dict({k.replace("out_blocks", "heads"): v for k, v in oracle.state_dict().items()})
    image = torch.randn(1, 2, *PATCH)
    with torch.no_grad():
        levels, expected = network.train()(image), oracle.train()(image)
        torch.testing.assert_close(network.eval()(image), oracle.eval()(image))
    assert len(levels) == len(expected) == 5
    for level, other in zip(levels, expected, strict=True):
        torch.testing.assert_close(level, other)
