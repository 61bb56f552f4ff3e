"""Whole images through a network in torch, window by window, in little memory."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from tds_core.training.config import Heads, Precision, Shape
from tds_core.windows import WindowLayout, WindowPlan, lay_windows
from tds_data.task import Task

_DTYPES: Final = {Precision.FP32: None, Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}
_VOXELS_AT_ONCE: Final = 96**3
_MOST_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionConfig:
    """How whole images are predicted.

    Attributes:
        plan: Windows.
        heads: What the network's outputs are.
        task: What is learned.
        precision: Number format of the forward pass.
        device: Where the network is. Images and results stay on the host.
        mirror: Axes (0 x, 1 y, 2 z) that are mirrored in turn, in all combinations.
    """

    plan: WindowPlan
    heads: Heads
    task: Task
    precision: Precision
    device: torch.device
    mirror: tuple[int, ...] = ()


def predict_case(  # noqa: PLR0913  # one call with everything spelled out; `predict_image` takes it as one value
    network: nn.Module,
    image: Tensor,
    *,
    patch: Shape,
    overlap: float,
    heads: Heads,
    task: Task,
    precision: Precision,
    device: torch.device,
) -> Tensor:
    """Return the probabilities of each region in a whole image, by windows of one size.

    Args:
        network: On `device`; its mode and weights stay as they were.
        image: Float32 tensor of shape (channel, x, y, z), z-scores, on the host.
        patch: Voxels of a window.
        overlap: Share of its edge that a window shares with the next.
        heads: What the network's outputs are.
        task: What is learned.
        precision: Number format of the forward pass.
        device: Where the network is.

    Returns:
        Float32 tensor of shape (region, x, y, z) on the host; regions in the task's order.
    """
    plan = WindowPlan(patch=patch, overlap=overlap)
    how = PredictionConfig(plan=plan, heads=heads, task=task, precision=precision, device=device)
    return predict_image(network, image, how)


def predict_image(network: nn.Module, image: Tensor, config: PredictionConfig) -> Tensor:
    """Return the probabilities of each region in a whole image.

    Logits of overlapping windows are averaged with Gaussian weights, probabilities over mirrored copies. At any time
    there are, besides the image, its logits once and one group of windows.

    Args:
        network: On the configured device; its mode and weights stay as they were.
        image: Float32 tensor of shape (channel, x, y, z), z-scores, on the host.
        config: How.

    Returns:
        Float32 tensor of shape (region, x, y, z) on the host; regions in the task's order.
    """
    x, y, z = image.shape[1:]
    layout = lay_windows((x, y, z), config.plan)
    padded = _padded(image, layout, config.task)
    flips = [f for size in range(len(config.mirror) + 1) for f in itertools.combinations(config.mirror, size)]
    total = torch.zeros((len(config.task.regions), *layout.padded))
    with evaluating(network), torch.inference_mode():
        for flip in flips:
            axes = [axis + 1 for axis in flip]
            logits = _logits(network, padded.flip(axes), layout, config)
            total += region_probabilities(logits, config.heads, config.task).flip(axes)
    return total[(slice(None), *layout.inside)] / len(flips)


def region_probabilities(logits: Tensor, heads: Heads, task: Task) -> Tensor:
    """Return the probability of each region.

    Args:
        logits: Float32 tensor of shape (output, x, y, z); one output a region, or background and labels. It may be
            overwritten.
        heads: Which of the two.
        task: Names the regions.

    Returns:
        Float32 tensor of shape (region, x, y, z). By softmax a region is as probable as its labels together.
    """
    if heads is Heads.REGIONS:
        return logits.sigmoid_()
    classes = logits.softmax(0)
    return torch.stack([classes[list(labels)].sum(0) for labels in task.regions.values()])


def output_channels(heads: Heads, task: Task) -> int:
    """Return how many outputs a network has.

    Args:
        heads: What they are.
        task: What is learned.
    """
    return len(task.regions) if heads is Heads.REGIONS else 1 + len(task.labels)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and each of its parts back as it was.

    Args:
        network: Any network.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, was_training in modes:
            module.training = was_training


def _padded(image: Tensor, layout: WindowLayout, task: Task) -> Tensor:
    """Return an image with surroundings: zero, or the lowest of its window in channels that have one."""
    outside = torch.tensor([-1.0 if channel in task.windows else 0.0 for channel in task.channels])
    padded = outside[:, None, None, None].repeat(1, *layout.padded)
    padded[(slice(None), *layout.inside)] = image
    return padded


def _logits(network: nn.Module, padded: Tensor, layout: WindowLayout, config: PredictionConfig) -> Tensor:
    """Return the logits of a padded image, averaged over windows, on the host."""
    windows = layout.windows
    if len(windows) == 1:
        return _forward(network, padded[None], config)[0]
    weights = torch.from_numpy(layout.weights.copy())
    at_once = min(_MOST_AT_ONCE, max(1, _VOXELS_AT_ONCE // weights.numel()))
    count = torch.zeros(layout.padded)
    total = torch.zeros((output_channels(config.heads, config.task), *layout.padded))
    for group in _groups(windows, at_once):
        found = _forward(network, torch.stack([padded[(slice(None), *w)] for w in group]), config)
        for logits, window in zip(found, group, strict=True):
            total[(slice(None), *window)].addcmul_(logits, weights)
            count[window] += weights
    return total.div_(count)


def _groups(windows: Sequence[tuple[slice, ...]], size: int) -> Iterator[Sequence[tuple[slice, ...]]]:
    for start in range(0, len(windows), size):
        yield windows[start : start + size]


def _forward(network: nn.Module, batch: Tensor, config: PredictionConfig) -> Tensor:
    dtype = _DTYPES[config.precision]
    with torch.autocast(config.device.type, dtype=dtype, enabled=dtype is not None):
        logits: Tensor = network(batch.to(config.device))
    return logits.float().cpu()
