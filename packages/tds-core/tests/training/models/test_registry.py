import random
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tds_core import ConfigError
from tds_core.training.config import NetworkConfig, Shape
from tds_core.training.models import (
    MODEL_NAMES,
    build_network,
    check_patch,
    model_facts,
    patch_factors,
    state_without_heads,
)

Small = Callable[..., NetworkConfig]
DEEP = [name for name in MODEL_NAMES if model_facts(name).deep_supervision]
SHALLOW = [name for name in MODEL_NAMES if name not in DEEP]
BOTH = [(name, False) for name in MODEL_NAMES] + [(name, True) for name in DEEP]


def build(config: NetworkConfig, patch: Shape, channels: int = 2, outputs: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_network(config, in_channels=channels, out_channels=outputs, patch=patch)


def images(patch: Shape, channels: int = 2, batch: int = 1) -> Tensor:
    return torch.randn(batch, channels, *patch, generator=torch.Generator().manual_seed(1))


def as_list(outputs: Tensor | list[Tensor]) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else outputs


@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize(("channels", "outputs"), [(1, 1), (5, 4)])
def test_any_number_of_channels_goes_in_and_comes_out(
    small: Small, patch: Shape, name: str, channels: int, outputs: int
) -> None:
    network = build(small(name), patch, channels, outputs).eval()
    with torch.inference_mode():
        assert network(images(patch, channels)).shape == (1, outputs, *patch)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_one_tensor_comes_out_while_training_without_deep_supervision(small: Small, patch: Shape, name: str) -> None:
    network = build(small(name), patch).train()
    with torch.no_grad():
        assert network(images(patch)).shape == (1, 3, *patch)


@pytest.mark.parametrize("name", DEEP)
def test_deep_supervision_gives_levels_finest_first_in_training_only(small: Small, patch: Shape, name: str) -> None:
    network = build(small(name, deep_supervision=True), patch)
    with torch.no_grad():
        levels, final = network.train()(images(patch)), network.eval()(images(patch))
    assert isinstance(levels, list)
    assert len(levels) >= 2
    for depth, level in enumerate(levels):
        assert level.shape == (1, 3, *(n // 2**depth for n in patch))
    torch.testing.assert_close(final, levels[0])


@pytest.mark.parametrize("name", DEEP)
def test_weights_of_deep_supervision_serve_without_it(small: Small, patch: Shape, name: str) -> None:
    deep = build(small(name, deep_supervision=True), patch).eval()
    plain = build(small(name), patch, seed=5).eval()
    assert state_without_heads(deep.state_dict()).keys() == plain.state_dict().keys()
    assert any(key.startswith("heads.") for key in deep.state_dict())
    plain.load_state_dict(state_without_heads(deep.state_dict()))
    with torch.inference_mode():
        torch.testing.assert_close(plain(images(patch)), deep(images(patch)))


@pytest.mark.parametrize("name", SHALLOW)
def test_deep_supervision_is_refused_where_there_is_none(small: Small, patch: Shape, name: str) -> None:
    config = small(name, deep_supervision=True)
    with pytest.raises(ConfigError, match=f"'{name}' has no deep supervision; .* one of {', '.join(DEEP)}"):
        build(config, patch)


@pytest.mark.parametrize(("name", "deep"), BOTH)
def test_a_batch_gives_what_its_patches_give_alone(small: Small, patch: Shape, name: str, *, deep: bool) -> None:
    network = build(small(name, deep_supervision=deep), patch).train()
    batch = images(patch, batch=2)
    batch[1] = 3 * batch[1] + 1
    with torch.no_grad():
        together = as_list(network(batch))
        alone = [torch.cat(parts) for parts in zip(*(as_list(network(one[None])) for one in batch), strict=True)]
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
    assert not [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


@pytest.mark.parametrize(("name", "deep"), BOTH)
def test_every_weight_has_a_gradient_and_the_network_can_be_copied_then(
    small: Small, patch: Shape, name: str, *, deep: bool
) -> None:
    network = build(small(name, deep_supervision=deep), patch).train()
    loss = torch.stack([level.square().mean() for level in as_list(network(images(patch)))]).sum()
    torch.autograd.backward(loss)
    idle = [key for key, weight in network.named_parameters() if weight.grad is None]
    assert not idle
    copied = deepcopy(network)
    assert copied.state_dict().keys() == network.state_dict().keys()


def check_step(config: NetworkConfig, patch: Shape, dtype: torch.dtype) -> None:
    network = build(config, patch).train()
    with torch.autocast("cpu", dtype=dtype):
        levels = as_list(network(images(patch)))
    torch.autograd.backward(torch.stack([level.float().square().mean() for level in levels]).sum())
    assert all(torch.isfinite(level).all() for level in levels)
    assert all(w.grad is not None and torch.isfinite(w.grad).all() for w in network.parameters())


@pytest.mark.parametrize(("name", "deep"), BOTH)
def test_a_step_in_bf16_is_finite(small: Small, patch: Shape, name: str, *, deep: bool) -> None:
    check_step(small(name, deep_supervision=deep), patch, torch.bfloat16)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "deep"), BOTH)
def test_a_step_in_fp16_is_finite(small: Small, patch: Shape, name: str, *, deep: bool) -> None:
    check_step(small(name, deep_supervision=deep), patch, torch.float16)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_weights_follow_from_torchs_seed_and_nothing_else(small: Small, patch: Shape, name: str) -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  # the global generator is what must not be touched
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002  # as above
    first, second, other = (build(small(name), patch, seed=seed).state_dict() for seed in (0, 0, 1))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[index]  # noqa: NPY002  # as above
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_what_is_to_be_known_is_told(name: str) -> None:
    facts = model_facts(name)
    assert facts.name == name
    assert facts.summary.endswith(".")
    assert facts.memory.endswith(".")
    assert any(source in facts.paper for source in ("arXiv:", "doi "))


def test_unknown_network_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"network\.name cannot be 'segresnt'; did you mean 'segresnet'\?"):
        check_patch(NetworkConfig(name="segresnt"), (32, 32, 32))
    with pytest.raises(ConfigError, match=r"cannot be 'swinunetr'; did you mean 'swin_unetr'\?"):
        model_facts("swinunetr")


def test_unknown_option_names_the_nearest() -> None:
    config = NetworkConfig(name="segresnet", options={"init_fliters": 8})
    with pytest.raises(ConfigError, match=r"unknown key 'network\.options\.init_fliters'; did you mean 'init_filters'"):
        build(config, (32, 32, 32))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("segresnet", {"init_filters": 12}, "init_filters must be a positive multiple of 8, not 12"),
        ("segresnet", {"groups": 0}, "groups must be between 1 and 16, not 0"),
        ("segresnet", {"dropout": 1.5}, "dropout must be between 0 and 0.9, not 1.5"),
        ("segresnet", {"upsampling": "liner"}, "upsampling cannot be 'liner'; did you mean 'linear'?"),
        ("segresnet", {"blocks_up": [1]}, "do not fit: give one to 6 levels down and one less up"),
        ("segresnet", {"blocks_up": [1, 0, 1]}, "blocks_down and blocks_up must be at least 1, not 0"),
        ("segresnet", {"init_filters": "many"}, "network.options.init_filters must be of type int, not 'many'"),
        ("unet", {"channels": [16]}, "channels [16] must have 2 to 7 levels"),
        ("unet", {"channels": [16, 0]}, "channels must be at least 1, not 0"),
        ("dynunet", {"channels": 400}, "channels must be between 1 and 320, not 400"),
        ("dynunet", {"strides": [[1, 1, 1]]}, "there are 1 strides and 0 kernels; give one of each a level"),
        (
            "dynunet",
            {"strides": [[2, 2, 2]] * 3, "kernels": [[3, 3, 3]] * 3},
            "strides must be at least 3, the first 1, 1, 1",
        ),
        (
            "dynunet",
            {"strides": [[1, 1, 1], [2, 2, 2], [2, 2, 4]], "kernels": [[3, 3, 3]] * 3},
            "each of strides must be between 1 and 2, not 4",
        ),
        (
            "dynunet",
            {"strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]], "kernels": [[3, 3, 2]] * 3},
            "kernels must be odd, not 2",
        ),
        ("dynunet", {"spacing_mm": [1, 1, 0]}, "spacing_mm must be a finite number above 0, not 0.0"),
        ("mednext", {"size": "XL"}, "size cannot be 'XL'"),
        ("mednext", {"kernel": 4}, "kernel must be 3, 5 or 7, not 4"),
        ("unetr", {"heads": 5}, "hidden_size must be a positive multiple of 5, not 768"),
        ("swin_unetr", {"feature_size": 20}, "feature_size must be a positive multiple of 12, not 20"),
        ("swin_unetr", {"heads": [5, 6, 12, 24]}, "feature_size times 1 must be a positive multiple of 5, not 48"),
        ("swin_unetr", {"path_dropout": -0.1}, "path_dropout must be between 0 and 0.9, not -0.1"),
    ],
)
def test_options_that_cannot_be_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_patch(NetworkConfig(name=name, options=options), (64, 64, 64))
    assert message in str(refused.value)


def test_patch_that_does_not_fit_is_refused_with_the_nearest_that_do() -> None:
    with pytest.raises(ConfigError) as refused:
        build(NetworkConfig(name="unet"), (50, 48, 30))
    assert str(refused.value) == (
        "a patch of [50, 48, 30] does not fit the network 'unet': x (50) must be a multiple of 16, "
        "z (30) must be a multiple of 16; the nearest that do are [48, 48, 16] or [64, 48, 32]"
    )


def test_patch_of_a_single_coarsest_voxel_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"would be a single voxel.*; the nearest that does is \[64, 32, 32\]"):
        check_patch(NetworkConfig(name="swin_unetr"), (32, 32, 32))


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_factors_are_what_the_patch_must_be_a_multiple_of(small: Small, patch: Shape, name: str) -> None:
    config = small(name)
    x, y, z = patch_factors(config, patch)
    check_patch(config, (2 * x, 2 * y, 2 * z))
    with pytest.raises(ConfigError, match="does not fit the network"):
        check_patch(config, (2 * x + 1, 2 * y, 2 * z))


@pytest.mark.parametrize("outputs", [0, -1])
def test_network_without_outputs_is_refused(small: Small, patch: Shape, outputs: int) -> None:
    with pytest.raises(ConfigError, match=f"out_channels must be at least 1, not {outputs}"):
        build(small("unet"), patch, outputs=outputs)
