import pytest
import torch
from monai.networks.nets.segresnet import SegResNet
from safetensors.torch import load_file

from tds_core import Bundle, ConfigError
from tds_core.bundle import WEIGHTS_NAME
from tds_core.training.config import NetworkConfig
from tds_core.training.models import build_network

PATCH = (16, 24, 32)


@pytest.mark.parametrize(
    ("blocks_down", "blocks_up"), [((1, 2, 2, 4), (1, 1, 1)), ((1, 1), (1,))], ids=["default bundle", "small"]
)
def test_is_the_network_of_the_default_bundles_training(
    blocks_down: tuple[int, ...], blocks_up: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    old = SegResNet(
        spatial_dims=3,
        init_filters=16,
        in_channels=4,
        out_channels=3,
        blocks_down=blocks_down,
        blocks_up=blocks_up,
        norm=("GROUP", {"num_groups": 8}),
    ).eval()
    torch.manual_seed(0)
    options = {"blocks_down": list(blocks_down), "blocks_up": list(blocks_up)}
    config = NetworkConfig(name="segresnet", options=options)
    new = build_network(config, in_channels=4, out_channels=3, patch=PATCH).eval()
    assert list(new.state_dict()) == list(old.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(new.parameters(), old.parameters(), strict=True))
    image = torch.randn(1, 4, *PATCH)
    with torch.inference_mode():
        assert torch.equal(new(image), old(image))


def test_defaults_take_the_weights_of_the_default_bundle(bundle: Bundle) -> None:
    network = build_network(NetworkConfig(), in_channels=4, out_channels=3, patch=(64, 64, 64))
    taken = network.load_state_dict(load_file(bundle.folder / WEIGHTS_NAME))
    assert (taken.missing_keys, taken.unexpected_keys) == ([], [])


def test_dropout_acts_in_training_alone_with_and_without_deep_supervision() -> None:
    image = torch.randn(1, 2, *PATCH)
    options = {"init_filters": 8, "dropout": 0.5}
    for deep in (False, True):
        config = NetworkConfig(name="segresnet", options=options, deep_supervision=deep)
        network = build_network(config, in_channels=2, out_channels=1, patch=PATCH)
        with torch.no_grad():
            first, second = (network.train()(image) for _ in range(2))
            assert not torch.equal(first[0], second[0])
            assert torch.equal(network.eval()(image), network.eval()(image))


def test_transposed_upsampling_has_weights_that_linear_has_not() -> None:
    keys = []
    for upsampling in ("linear", "transposed"):
        config = NetworkConfig(name="segresnet", options={"init_filters": 8, "upsampling": upsampling})
        keys.append(set(build_network(config, in_channels=1, out_channels=1, patch=PATCH).state_dict()))
    assert keys[0] < keys[1]
    assert all("up_samples" in key for key in keys[1] - keys[0])


def test_deep_supervision_of_a_single_decoder_level_is_refused() -> None:
    options = {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}
    config = NetworkConfig(name="segresnet", options=options, deep_supervision=True)
    with pytest.raises(ConfigError, match="needs a decoder of at least two levels; give blocks_up two numbers"):
        build_network(config, in_channels=1, out_channels=1, patch=PATCH)
