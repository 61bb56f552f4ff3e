import pytest
import torch

from tds_core.training.config import NetworkConfig
from tds_core.training.models import build_network, model_facts

PATCH = (64, 32, 32)
SWIN = {"feature_size": 12, "depths": [1, 1, 1, 1], "window": 4}
UNETR = {"feature_size": 4, "hidden_size": 24, "mlp_size": 24, "heads": 2}


def built(name: str, options: dict[str, object]) -> torch.nn.Module:
    torch.manual_seed(0)
    config = NetworkConfig(name=name, options=options)
    return build_network(config, in_channels=1, out_channels=2, patch=PATCH)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unetr", {**UNETR, "dropout": 0.5}),
        ("swin_unetr", {**SWIN, "dropout": 0.5}),
        ("swin_unetr", {**SWIN, "attention_dropout": 0.5}),
        ("swin_unetr", {**SWIN, "path_dropout": 0.9}),
    ],
)
def test_dropout_follows_torchs_generator_and_stops_in_evaluation(name: str, options: dict[str, object]) -> None:
    network, image = built(name, options), torch.randn(1, 1, *PATCH)
    outputs = []
    with torch.no_grad():
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            outputs.append(network.train()(image))
        assert torch.equal(outputs[0], outputs[1])
        assert not torch.equal(outputs[0], outputs[2])
        assert torch.equal(network.eval()(image), network.eval()(image))


def test_checkpointing_changes_memory_and_no_gradient() -> None:
    image, gradients = torch.randn(1, 1, *PATCH), []
    for checkpointing in (False, True):
        network = built("swin_unetr", {**SWIN, "checkpointing": checkpointing}).train()
        torch.autograd.backward(network(image).square().mean())
        gradients.append([weight.grad for weight in network.parameters()])
    for kept, computed_again in zip(*gradients, strict=True):
        torch.testing.assert_close(computed_again, kept)


def test_second_version_has_convolutions_before_each_stage() -> None:
    keys = [set(built("swin_unetr", {**SWIN, "residual_stages": new}).state_dict()) for new in (False, True)]
    assert keys[0] < keys[1]
    assert all(".layers" in key and "c.0" in key for key in keys[1] - keys[0])


def test_transformers_keep_to_their_patch() -> None:
    assert model_facts("unetr").fixed_size
    assert model_facts("swin_unetr").fixed_size
    assert not model_facts("segresnet").fixed_size
