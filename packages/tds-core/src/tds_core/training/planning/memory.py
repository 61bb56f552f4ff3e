"""How much memory a run takes on its device: weights, optimiser, activations, loss, validation.

Activations, gradients and the buffers of the loss are counted by `tracing`, by a whole step at the real size. What the
libraries of a GPU need besides, and what is lost between blocks of memory, cannot be counted and is allowed for.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from tds_core.training.config import Device, Heads, Precision, Shape, TrainingConfig
from tds_core.training.losses import build_loss
from tds_core.training.losses.registry import SegmentationLoss
from tds_core.training.losses.targets import shrink
from tds_core.training.models import build_network
from tds_core.training.planning.tracing import Casts, LiveBytes, weight_bytes

CONTEXT_BYTES: Final = 700 * 1024**2
"""What CUDA and its libraries take in a process before anything is computed: usually 0.5 to 0.8 GB."""

SLACK_SHARE: Final = 0.1
"""Allowance on CUDA for workspaces of convolutions and for memory lost between blocks, of what changes in a step."""

CPU_SHARE: Final = 0.2
"""The same on the CPU, where oneDNN keeps copies in its own layout of what a convolution reads and writes."""

_DTYPES: Final = {Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}
_STATES: Final = {"adamw": 2, "sgd": 1}
"""Numbers that an optimiser keeps for each weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a run takes on its device, in bytes.

    Attributes:
        weights: Of the network, in float32.
        optimiser: What the optimiser keeps for each weight.
        average: The averaged copy of the weights.
        step: Most that a step makes besides: activations, loss, gradients.
        validation: Most that predicting a part of a case makes besides.
        context: What CUDA takes before anything is computed, and an allowance for what cannot be counted, on either
            device.
    """

    weights: int
    optimiser: int
    average: int
    step: int
    validation: int
    context: int

    @property
    def total(self) -> int:
        """Most at a time."""
        return self.weights + self.optimiser + self.average + max(self.step, self.validation) + self.context


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What goes through the network at a time.

    Attributes:
        patch: Voxels along x, y, z.
        micro_batch: Patches of a pass.
        accumulated: Whether gradients of earlier passes are held meanwhile.
        image: Voxels of the largest image that is predicted whole in validation; the patch if `None`.
    """

    patch: Shape
    micro_batch: int
    accumulated: bool = False
    image: Shape | None = None


def estimate_memory(config: TrainingConfig, load: Load) -> Memory:
    """Return what a run would take; nothing is computed, and no such memory is taken.

    Args:
        config: Network, loss, precision, optimiser and device; `auto` counts as CUDA.
        load: What goes through the network.

    Raises:
        ConfigError: If the network does not take the patch, or cannot be built so.
    """
    network = _on_meta(config, load.patch)
    device = "cpu" if config.device is Device.CPU else "cuda"
    weights = weight_bytes(network)
    trained = sum(p.numel() * p.element_size() for p in network.parameters() if p.requires_grad)
    step = _step_bytes(config, network, load, device)
    # The optimiser's own temporaries come when activations are gone.
    step = max(step, 2 * trained)
    validation = _validation_bytes(config, network, load, device)
    changing = max(step, validation)
    context = int(CPU_SHARE * changing) if device == "cpu" else CONTEXT_BYTES + int(SLACK_SHARE * changing)
    return Memory(
        weights=weights,
        optimiser=_STATES[config.optimiser.name] * trained,
        average=0 if config.optimiser.average_decay is None else weights,
        step=step,
        validation=validation,
        context=context,
    )


def _on_meta(config: TrainingConfig, patch: Shape) -> nn.Module:
    # Some networks look at numbers while they are built, so that they cannot be built on `meta` at once.
    with torch.random.fork_rng(devices=[]):
        network = build_network(
            config.network, in_channels=len(config.goal.channels), out_channels=config.output_channels, patch=patch
        )
    return network.to("meta")


def _casts(config: TrainingConfig, device: str) -> "Casts | nullcontext[None]":
    dtype = _DTYPES.get(config.precision)
    return nullcontext() if dtype is None else Casts(dtype, device)


def _step_bytes(config: TrainingConfig, network: nn.Module, load: Load, device: str) -> int:
    """Return the most that one pass, forward and backward, makes besides weights and optimiser."""
    network.train()
    loss = build_loss(config.loss, config.goal, config.network.heads).to("meta")
    if load.accumulated:
        for weight in network.parameters():
            weight.grad = torch.zeros_like(weight)
    live = LiveBytes(device)
    live.ignore([*network.parameters(), *network.buffers(), *loss.buffers()])
    with live:
        shape = (load.micro_batch, len(config.goal.channels), *load.patch)
        images = torch.empty(shape, device="meta")
        labels = torch.empty((load.micro_batch, *load.patch), dtype=torch.uint8, device="meta")
        with _casts(config, device):
            outputs = network(images)
        levels = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        del outputs
        total = _loss(loss, [logits.float() for logits in levels], _target(labels, config))
        del levels
        torch.autograd.backward(total)
    gradients = sum(p.numel() * p.element_size() for p in network.parameters() if load.accumulated)
    for weight in network.parameters():
        weight.grad = None
    return live.peak + gradients


def _target(labels: Tensor, config: TrainingConfig) -> Tensor:
    """Make what the loss makes of labels, without looking at their numbers."""
    if config.network.heads is Heads.REGIONS:
        table = torch.zeros((len(config.goal.regions), len(config.goal.labels) + 1), device=labels.device)
        return table[:, labels.long()].movedim(0, 1).contiguous()
    numbers = torch.arange(len(config.goal.labels) + 1, device=labels.device).reshape(1, -1, 1, 1, 1)
    return (labels[:, None] == numbers).float()


def _loss(loss: SegmentationLoss, levels: list[Tensor], target: Tensor) -> Tensor:
    weights = [0.5**level for level in range(len(levels))]
    parts = [
        weight * share * term(logits, shrink(target, logits.shape[2:]))
        for weight, logits in zip(weights, levels, strict=True)
        for share, term in zip(loss.shares, loss.terms, strict=True)
    ]
    return torch.stack(parts).sum() / sum(weights)


def _validation_bytes(config: TrainingConfig, network: nn.Module, load: Load, device: str) -> int:
    """Return the most that predicting a window, or an image that goes through whole, makes besides weights."""
    network.eval()
    shape = load.patch
    if load.image is not None and math.prod(load.image) > math.prod(load.patch):
        shape = load.image
    live = LiveBytes(device)
    live.ignore([*network.parameters(), *network.buffers()])
    with live, torch.no_grad():
        images = torch.empty((1, len(config.goal.channels), *shape), device="meta")
        with _casts(config, device):
            logits = network(images)
        logits.float()
    return live.peak
