import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses.boundary_loss import BoundaryLoss
from scipy import ndimage
from torch import Tensor

from tds_core.training.config import Heads
from tds_core.training.losses.boundary import Boundary, distance_to, signed_distance
from tds_core.training.losses.targets import channel_targets
from tds_core.training.losses.terms import channel_weights
from tds_data.task import Task

SHAPES = st.tuples(*[st.integers(1, 12)] * 3)


@settings(max_examples=60)
@given(shape=SHAPES, share=st.sampled_from([0.01, 0.2, 0.9]), limit=st.integers(1, 20), seed=st.integers(0, 99))
def test_distance_is_scipys_up_to_the_limit(shape: tuple[int, int, int], share: float, limit: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random(shape) < share
    expected = ndimage.distance_transform_edt(~mask) if mask.any() else np.full(shape, np.inf)
    found = distance_to(torch.from_numpy(mask), limit)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), np.minimum(expected, limit), rtol=1e-6)


def test_signed_distance_is_zero_just_inside_and_one_just_outside() -> None:
    mask = torch.zeros(9, 3, 3, dtype=torch.bool)
    mask[3:6] = True
    assert signed_distance(mask, 2)[:, 1, 1].tolist() == [2, 2, 1, 0, -1, 0, 1, 2, 2]


def test_mask_that_fills_a_patch_or_is_not_in_it_is_far_from_its_boundary() -> None:
    mask = torch.ones(4, 4, 4, dtype=torch.bool)
    assert torch.equal(signed_distance(mask, 3), torch.full((4, 4, 4), -3.0))
    assert torch.equal(signed_distance(~mask, 3), torch.full((4, 4, 4), 3.0))


def test_boundary_is_monais_up_to_a_constant_where_distances_are_not_cut(
    labels: Tensor, logits: Tensor, task: Task, heads: Heads
) -> None:
    regions, limit = heads is Heads.REGIONS, 40
    # The first patch alone: MONAI gives a channel without a boundary no distance at all.
    target, given_logits = channel_targets(labels[:1], task, heads), logits[:1]
    term = Boundary(heads, channel_weights((), given_logits.shape[1]), limit)
    oracle = BoundaryLoss(include_background=regions, sigmoid=regions, softmax=not regions)
    other = given_logits.flip(2)
    ours, monais = (
        term(given_logits, target) - term(other, target),
        oracle(given_logits, target) - oracle(other, target),
    )
    torch.testing.assert_close(ours * limit, monais, rtol=1e-4, atol=1e-6)


def test_perfect_prediction_costs_nothing_and_all_else_something(labels: Tensor, task: Task, heads: Heads) -> None:
    target = channel_targets(labels, task, heads)
    term = Boundary(heads, channel_weights((), target.shape[1]), 5)
    perfect = 40 * (2 * target - 1)
    assert term(perfect, target).item() == pytest.approx(0, abs=1e-6)
    assert term(-perfect, target) > 0.1


def test_the_further_a_mistake_the_dearer() -> None:
    target = torch.zeros(1, 1, 24, 8, 8)
    target[:, :, :4] = 1
    term, costs = Boundary(Heads.REGIONS, torch.ones(1), 8), []
    for place in (4, 6, 10, 14, 20):
        logits = 40 * (2 * target - 1)
        logits[:, :, place, 4, 4] = 40
        costs.append(term(logits, target).item())
    assert costs[0] < costs[1] < costs[2]
    assert costs[3] == pytest.approx(costs[4])
