import pytest
import torch
from torch import Tensor

from tds_core import ConfigError, TrainingError
from tds_core.training.config import Heads, LossConfig
from tds_core.training.losses import LOSS_NAMES, SegmentationLoss, build_loss, region_targets
from tds_core.training.losses.targets import channel_targets, shrink
from tds_data.task import Task


def build(name: str, task: Task, heads: Heads, **settings: object) -> SegmentationLoss:
    return build_loss(LossConfig(name=name, **settings), task, heads)  # type: ignore[arg-type]  # settings of a test


def gradient(loss: SegmentationLoss, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, target)
    torch.autograd.backward(value)
    assert leaf.grad is not None
    return value.detach(), leaf.grad


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_accumulated_micro_batches_are_the_batch(
    labels: Tensor, logits: Tensor, task: Task, heads: Heads, name: str
) -> None:
    loss = build(name, task, heads, class_weights=(1, 2, 3) if heads is Heads.REGIONS else (1, 2, 3, 4))
    whole, slope = gradient(loss, logits, labels)
    parts = [gradient(loss, logits[i : i + 1], labels[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(torch.stack([value for value, _ in parts]).mean(), whole, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(torch.cat([part for _, part in parts]) / 3, slope, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_what_is_right_costs_nothing(labels: Tensor, task: Task, heads: Heads, name: str) -> None:
    perfect = 40 * (2 * channel_targets(labels, task, heads) - 1)
    loss = build(name, task, heads)
    assert loss(perfect, labels).item() == pytest.approx(0, abs=1e-5)
    assert loss(-perfect, labels).item() > 0.5


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_patch_without_any_region_pushes_what_is_found_down(task: Task, heads: Heads, name: str) -> None:
    channels = 3 if heads is Heads.REGIONS else 4
    value, slope = gradient(build(name, task, heads), torch.zeros(1, channels, 8, 8, 8), torch.zeros(1, 8, 8, 8))
    assert torch.isfinite(value)
    assert torch.isfinite(slope).all()
    assert (slope[:, -3:] > 0).all()
    if heads is Heads.CLASSES:
        assert (slope[:, 0] < 0).all()


@pytest.mark.parametrize("name", LOSS_NAMES)
@pytest.mark.parametrize("filled", [0, 1])
def test_saturated_outputs_give_neither_nan_nor_infinity(task: Task, heads: Heads, name: str, filled: int) -> None:
    channels = 3 if heads is Heads.REGIONS else 4
    target = torch.full((1, 4, 4, 4), filled, dtype=torch.uint8)
    for size in (-6e4, 6e4):  # as far as half precision reaches
        value, slope = gradient(build(name, task, heads), torch.full((1, channels, 4, 4, 4), size), target)
        assert torch.isfinite(value)
        assert torch.isfinite(slope).all()


@pytest.mark.parametrize("name", LOSS_NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(
    labels: Tensor, logits: Tensor, task: Task, heads: Heads, name: str, dtype: torch.dtype
) -> None:
    loss, short = build(name, task, heads), logits.to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        value = loss(short, labels)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(short.float(), labels))


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_shares_teach_regions(labels: Tensor, task: Task, name: str) -> None:
    logits = torch.randn(3, 3, 8, 12, 16, generator=torch.Generator().manual_seed(0))
    loss = build(name, task, Heads.REGIONS)
    torch.testing.assert_close(loss(logits, region_targets(labels, task)), loss(logits, labels))
    assert torch.isfinite(loss(logits, region_targets(labels, task) * 0.7))


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_coarser_outputs_weigh_half_as_much_each(
    labels: Tensor, logits: Tensor, task: Task, heads: Heads, name: str
) -> None:
    loss = build(name, task, heads)
    levels = [logits, logits[..., ::2, ::2, ::2], logits[..., ::4, ::4, ::4]]
    target = channel_targets(labels, task, heads)
    alone = [loss._level(level, shrink(target, level.shape[2:])) for level in levels]
    expected = (alone[0] + alone[1] / 2 + alone[2] / 4) / 1.75
    torch.testing.assert_close(loss(levels, labels), expected)
    torch.testing.assert_close(loss([logits], labels), loss(logits, labels))


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_region_without_weight_teaches_nothing_and_scale_does_not_matter(labels: Tensor, task: Task, name: str) -> None:
    logits = torch.randn(3, 3, 8, 12, 16, generator=torch.Generator().manual_seed(0))
    value, slope = gradient(build(name, task, Heads.REGIONS, class_weights=(0, 1, 2)), logits, labels)
    assert not slope[:, 0].any()
    assert slope[:, 1:].any()
    other, _ = gradient(build(name, task, Heads.REGIONS, class_weights=(0, 10, 20)), logits, labels)
    torch.testing.assert_close(value, other)
    even, _ = gradient(build(name, task, Heads.REGIONS, class_weights=(5, 5, 5)), logits, labels)
    torch.testing.assert_close(even, build(name, task, Heads.REGIONS)(logits, labels))


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_loss_has_no_state_to_save(task: Task, heads: Heads, name: str) -> None:
    assert not build(name, task, heads).state_dict()


def test_parts_weigh_what_is_configured(labels: Tensor, logits: Tensor, task: Task, heads: Heads) -> None:
    dice, entropy = build("dice", task, heads), build("focal", task, heads, options={"gamma": 0})
    mixed = build("dice_ce", task, heads, options={"dice": 0.5, "ce": 2})
    torch.testing.assert_close(mixed(logits, labels), 0.5 * dice(logits, labels) + 2 * entropy(logits, labels))
    focal = build("focal", task, heads)
    both = build("dice_focal", task, heads, options={"focal": 3})
    torch.testing.assert_close(both(logits, labels), dice(logits, labels) + 3 * focal(logits, labels))


def test_unknown_loss_and_option_name_the_nearest(task: Task) -> None:
    with pytest.raises(ConfigError, match=r"loss\.name cannot be 'dice_cee'; did you mean 'dice_ce'\?"):
        build("dice_cee", task, Heads.REGIONS)
    with pytest.raises(ConfigError, match=r"unknown key 'loss\.options\.smoth'; did you mean 'smooth'\?"):
        build("dice", task, Heads.REGIONS, options={"smoth": 1})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dice", {"smooth": 0}, "smooth must be a finite number above 0, not 0"),
        ("dice_ce", {"dice": 0, "ce": 0}, "the sum of dice and ce must be a finite number above 0"),
        ("dice_ce", {"ce": -1}, "ce must be at least 0, not -1"),
        ("dice_focal", {"dice": 0, "focal": 0}, "the sum of dice and focal must be a finite number above 0"),
        ("dice_focal", {"gamma": 0.5}, "gamma must be 0 or at least 1, not 0.5"),
        ("focal", {"gamma": -1}, "gamma must be at least 0, not -1"),
        ("tversky", {"alpha": 0}, "alpha must be a finite number above 0"),
        ("boundary", {"limit": 2.5}, "limit must be a whole number of voxels, not 2.5"),
        ("boundary", {"limit": 0}, "limit must be between 1 and 100, not 0"),
        ("boundary", {"dice": 0, "ce": 0}, "the sum of dice and ce must be a finite number above 0"),
    ],
)
def test_options_that_cannot_be_are_refused(task: Task, name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build(name, task, Heads.REGIONS, options=options)
    assert message in str(refused.value)
    assert str(refused.value).startswith("loss.options: ")


@pytest.mark.parametrize(
    ("heads", "weights", "message"),
    [
        (Heads.REGIONS, (1, 2), "loss.class_weights has 2 numbers, but there are 3 regions; give one each"),
        (Heads.CLASSES, (1, 2, 3), "has 3 numbers, but there are 4 classes, background first"),
        (Heads.REGIONS, (1, 2, -1), "each of loss.class_weights must be at least 0, not -1"),
        (Heads.CLASSES, (1, 0, 0, 0), "leaves nothing to learn; give a region or label more than 0"),
    ],
)
def test_weights_that_cannot_be_are_refused(task: Task, heads: Heads, weights: tuple[float, ...], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build("dice_ce", task, heads, class_weights=weights)
    assert message in str(refused.value)


def test_network_with_other_outputs_is_refused(labels: Tensor, task: Task) -> None:
    with pytest.raises(TrainingError, match=r"the network gives .* but the target is .*; give it one output a region"):
        build("dice_ce", task, Heads.REGIONS)(torch.zeros(3, 4, 8, 12, 16), labels)
