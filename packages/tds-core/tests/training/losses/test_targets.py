import numpy as np
import pytest
import torch
from torch import Tensor

from tds_core import TrainingError
from tds_core.training.config import Heads
from tds_core.training.losses import region_targets
from tds_core.training.losses.targets import channel_targets, class_targets, shrink
from tds_data import Region
from tds_data.task import LIVER_TUMOUR, Task
from tds_data.vocabulary import REGION_LABELS


def test_regions_are_those_of_the_task(labels: Tensor, task: Task) -> None:
    regions = region_targets(labels, task)
    assert regions.dtype == torch.float32
    assert regions.is_contiguous()
    for channel, name in enumerate(task.regions):
        for sample, mask in zip(regions[:, channel], labels, strict=True):
            expected = np.isin(mask.numpy(), [int(label) for label in REGION_LABELS[Region(name)]])
            assert np.array_equal(sample.numpy(), expected)


def test_classes_are_background_and_labels(labels: Tensor, task: Task) -> None:
    classes = class_targets(labels, task)
    assert classes.shape == (3, 4, 8, 12, 16)
    assert torch.equal(classes.argmax(1), labels.long())
    assert torch.equal(classes.sum(1), torch.ones(3, 8, 12, 16))


@pytest.mark.parametrize("heads", list(Heads))
def test_label_that_the_task_does_not_have_is_refused(labels: Tensor, heads: Heads) -> None:
    with pytest.raises(TrainingError, match="there is a label 3, but task 'liver-tumour' has 0 to 2"):
        channel_targets(labels, LIVER_TUMOUR, heads)


def test_shares_of_regions_are_taken_as_they_are(labels: Tensor, task: Task) -> None:
    shares = region_targets(labels, task) / 3
    assert torch.equal(channel_targets(shares, task, Heads.REGIONS), shares)


@pytest.mark.parametrize(
    ("shape", "heads", "message"),
    [
        ((1, 3, 4, 4, 4), Heads.CLASSES, r"cannot teach classes; give labels \(batch, x, y, z\)$"),
        ((1, 2, 4, 4, 4), Heads.REGIONS, r"cannot teach regions; give labels .* or shares \(batch, 3, x, y, z\)$"),
        ((4, 4, 4), Heads.REGIONS, r"a target of shape \(4, 4, 4\) cannot teach regions"),
    ],
)
def test_target_of_another_kind_is_refused(task: Task, shape: tuple[int, ...], heads: Heads, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        channel_targets(torch.zeros(shape), task, heads)


def test_coarse_target_is_the_mean_of_what_a_voxel_covers() -> None:
    target = torch.zeros(1, 1, 8, 4, 4)
    target[..., 0, 0, 0] = 1
    coarse = shrink(target, torch.Size((4, 2, 2)))
    assert coarse[0, 0, 0, 0, 0] == 1 / 8
    assert coarse.sum() * 8 == target.sum()
    assert torch.equal(shrink(target, target.shape[2:]), target)
