import numpy as np
import pytest
import torch
from monai.losses.dice import DiceLoss
from monai.losses.focal_loss import FocalLoss
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tds_core.training.config import Heads
from tds_core.training.losses.targets import channel_targets
from tds_core.training.losses.terms import CrossEntropy, Dice, Focal, Term, Tversky, channel_weights
from tds_data.task import Task


def even(heads: Heads) -> Tensor:
    return channel_weights((), 3 if heads is Heads.REGIONS else 4)


def probabilities(logits: Tensor, heads: Heads) -> NDArray[np.float64]:
    values = logits.double()
    return (values.sigmoid() if heads is Heads.REGIONS else values.softmax(1)[:, 1:]).numpy()


def foreground(target: Tensor, heads: Heads) -> NDArray[np.float64]:
    return (target if heads is Heads.REGIONS else target[:, 1:]).double().numpy()


def softened(target: Tensor) -> Tensor:
    return functional.avg_pool3d(target, 3, stride=1, padding=1, count_include_pad=False)


@pytest.mark.parametrize("soft", [False, True])
def test_dice_is_its_definition(labels: Tensor, logits: Tensor, task: Task, heads: Heads, *, soft: bool) -> None:
    target = channel_targets(labels, task, heads)
    target = softened(target) if soft else target
    p, y, axes = probabilities(logits, heads), foreground(target, heads), (2, 3, 4)
    # With the overlap as the smaller of the two, the Dice of a target with itself is 1 whatever its values.
    dice = (2 * np.minimum(p, y).sum(axes) + 0.5) / (p.sum(axes) + y.sum(axes) + 0.5)
    loss = Dice(heads, even(heads), smooth=0.5)(logits, target)
    assert loss.item() == pytest.approx(np.mean(1 - dice), rel=1e-5)


def test_dice_is_monais_where_targets_are_hard(labels: Tensor, logits: Tensor, task: Task, heads: Heads) -> None:
    target, regions = channel_targets(labels, task, heads), heads is Heads.REGIONS
    oracle = DiceLoss(include_background=regions, sigmoid=regions, softmax=not regions, smooth_nr=1, smooth_dr=1)
    torch.testing.assert_close(Dice(heads, even(heads), smooth=1.0)(logits, target), oracle(logits, target))


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (0.5, 0.5), (1.0, 0.2)])
def test_tversky_is_its_definition(
    labels: Tensor, logits: Tensor, task: Task, heads: Heads, alpha: float, beta: float
) -> None:
    target = channel_targets(labels, task, heads)
    p, y, axes = probabilities(logits, heads), foreground(target, heads), (2, 3, 4)
    hit, false, missed = (p * y).sum(axes), (p * (1 - y)).sum(axes), ((1 - p) * y).sum(axes)
    index = (hit + 2) / (hit + alpha * false + beta * missed + 2)
    loss = Tversky(heads, even(heads), alpha=alpha, beta=beta, smooth=2.0)(logits, target)
    assert loss.item() == pytest.approx(np.mean(1 - index), rel=1e-5)


def test_cross_entropy_is_its_definition(labels: Tensor, logits: Tensor, task: Task, heads: Heads) -> None:
    target = softened(channel_targets(labels, task, heads))
    values, y = logits.double(), target.double()
    if heads is Heads.REGIONS:
        p = values.sigmoid()
        expected = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
    else:
        expected = -(y * values.softmax(1).log()).sum(1).mean()
    loss = CrossEntropy(heads, even(heads))(logits, target)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 3.5])
def test_focal_is_monais_where_targets_are_hard(
    labels: Tensor, logits: Tensor, task: Task, heads: Heads, gamma: float
) -> None:
    target = channel_targets(labels, task, heads)
    oracle = FocalLoss(gamma=gamma, use_softmax=heads is Heads.CLASSES)(logits, target)
    of_voxels = oracle if heads is Heads.REGIONS else 4 * oracle  # MONAI divides by the classes, too
    torch.testing.assert_close(Focal(heads, even(heads), gamma)(logits, target), of_voxels)


def test_focal_without_focus_is_the_cross_entropy(labels: Tensor, logits: Tensor, task: Task, heads: Heads) -> None:
    target = softened(channel_targets(labels, task, heads))
    focal, entropy = Focal(heads, even(heads), 0.0), CrossEntropy(heads, even(heads))
    torch.testing.assert_close(focal(logits, target), entropy(logits, target))


@pytest.mark.parametrize("kind", ["dice", "tversky", "ce", "focal"])
def test_soft_targets_are_best_met_exactly(labels: Tensor, task: Task, heads: Heads, kind: str) -> None:
    target = softened(channel_targets(labels, task, heads)).clamp(0.05, 0.95)
    target = target if heads is Heads.REGIONS else target / target.sum(1, keepdim=True)
    term: Term = {
        "dice": Dice(heads, even(heads), smooth=1.0),
        "tversky": Tversky(heads, even(heads), alpha=0.3, beta=0.7, smooth=1.0),
        "ce": CrossEntropy(heads, even(heads)),
        "focal": Focal(heads, even(heads), 2.0),
    }[kind]
    exact = target.logit() if heads is Heads.REGIONS else target.log()
    noise = torch.randn(exact.shape, generator=torch.Generator().manual_seed(3))
    best = term(exact, target)
    assert all(term(exact + scale * noise, target) > best for scale in (0.02, 0.2, 2.0))
    assert all(term(exact + shift * torch.sign(noise[:, :1]), target) >= best - 1e-6 for shift in (-1, 1))


def test_monais_focal_is_not_met_by_soft_targets() -> None:
    target = torch.full((1, 1, 4, 4, 4), 0.75)
    oracle = FocalLoss(gamma=2.0)
    assert oracle((target + 0.1).logit(), target) < oracle(target.logit(), target)


def test_weights_have_mean_one() -> None:
    assert channel_weights((), 3).tolist() == [1, 1, 1]
    assert channel_weights((1, 3), 2).tolist() == [0.5, 1.5]
