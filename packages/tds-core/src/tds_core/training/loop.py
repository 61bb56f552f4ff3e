"""The training loop: patches in, averaged weights out."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.losses import DiceLoss
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from tds_core.training.augment import Sources, draw_patch
from tds_core.training.checkpoint import load_checkpoint, save_checkpoint
from tds_core.training.config import OptimiserConfig, SamplingConfig, TrainingConfig
from tds_core.training.network import build_network
from tds_core.training.samples import Sample

log = logging.getLogger(__name__)

_EPS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands.

    Attributes:
        step: Optimiser steps done.
        loss: Mean loss since the last report.
        seconds_per_step: Mean seconds of a step since the last report.
        dice: Dice per validation patient and region on the network's grid, when it was just measured.
    """

    step: int
    loss: float
    seconds_per_step: float
    dice: dict[str, tuple[float, float, float]] | None = None


class PatchStream(Dataset[tuple[Tensor, Tensor]]):
    """Patches by number: patch `i` is the same whatever the number of workers, and after a resumed run.

    Args:
        sources: What to draw from.
        config: How to draw.
        seed: Seed of the stream.
        length: Number of patches.
        start: Number of the first patch.
    """

    def __init__(self, sources: Sources, config: SamplingConfig, *, seed: int, length: int, start: int = 0) -> None:
        self._sources, self._config, self._seed = sources, config, seed
        self._length, self._start = length, start

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self._seed, self._start + index])
        return draw_patch(self._sources, self._config, rng)


def train(
    config: TrainingConfig,
    sources: Sources,
    validation: tuple[Sample, ...],
    folder: Path,
    report: Callable[[Progress], None],
) -> nn.Module:
    """Return the network with the averaged weights of a finished run.

    A run that was stopped goes on from its last checkpoint in `folder`.

    Args:
        config: The resolved configuration.
        sources: Training patients, phantoms, cubes and outlines.
        validation: Patients that are only measured.
        folder: Run folder; `checkpoint.pt` is kept there.
        report: Called every 25 steps and after each validation.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(config.seed)
    network = build_network(config.network).to(device)
    average = deepcopy(network).requires_grad_(requires_grad=False)
    opt = config.optimiser
    optimiser = torch.optim.AdamW(network.parameters(), lr=opt.learning_rate, weight_decay=opt.weight_decay)
    start = load_checkpoint(folder, network, average, optimiser)
    losses: list[float] = []
    clock = time.perf_counter()
    for step, (image, regions) in enumerate(_batches(config, sources, start), start=start + 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(opt, step)
        losses.append(_step(network, optimiser, image.to(device), regions.to(device), opt.clip_norm))
        decay = min(opt.average_decay, (1 + step) / (10 + step))
        _follow(average, network, decay)
        last = step == opt.steps
        if step % config.checkpoint_every == 0 or last:
            save_checkpoint(folder, network, average, optimiser, step)
        due = step % config.validate_every == 0 or last
        if step % 25 == 0 or due:
            pace = (time.perf_counter() - clock) / len(losses)
            dice = {s.name: coarse_dice(average, s) for s in validation} if due else None
            report(Progress(step=step, loss=float(np.mean(losses)), seconds_per_step=pace, dice=dice))
            losses, clock = [], time.perf_counter()
    return average


def learning_rate(config: OptimiserConfig, step: int) -> float:
    """Return the learning rate of a step: linear warm-up, then polynomial decay to zero.

    Args:
        config: The schedule.
        step: Step number, from 1.
    """
    warm = min(1.0, step / max(1, config.warmup_steps))
    return config.learning_rate * warm * max(_EPS, 1 - (step - 1) / config.steps) ** config.power


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return Dice loss plus binary cross-entropy over the regions.

    Args:
        logits: Float32 tensor of shape (batch, 3, x, y, z).
        target: Shares in [0, 1] of the same shape.
    """
    dice = DiceLoss(sigmoid=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)(logits, target)
    loss: Tensor = dice + functional.binary_cross_entropy_with_logits(logits, target)
    return loss


def coarse_dice(network: nn.Module, sample: Sample) -> tuple[float, float, float]:
    """Return the Dice of WT, TC, ET of one patient on the network's grid; 1 where both are empty.

    Args:
        network: Maps (1, 4, x, y, z) to logits (1, 3, x, y, z).
        sample: The patient.
    """
    logits = predict(network, sample.image)
    found, truth = logits > 0, sample.regions > 0.5
    both = (found & truth).sum((1, 2, 3)) * 2.0
    total = found.sum((1, 2, 3)) + truth.sum((1, 2, 3))
    wt, tc, et = torch.where(total > 0, both / total.clamp(min=1), 1.0).tolist()
    return wt, tc, et


def predict(network: nn.Module, image: Tensor) -> Tensor:
    """Return logits of shape (3, x, y, z) for a whole image, padded to a multiple of 8 and cut back.

    Args:
        network: The network.
        image: Float32 tensor of shape (4, x, y, z).
    """
    shape = image.shape[1:]
    pad = [p for n in reversed(shape) for p in (0, -n % 8)]
    device = next(network.parameters()).device
    was = network.training
    network.eval()
    with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16):
        logits = network(functional.pad(image, pad)[None].to(device))
    network.train(was)
    return logits[0, :, : shape[0], : shape[1], : shape[2]].float().cpu()


def _batches(config: TrainingConfig, sources: Sources, start: int) -> Iterator[tuple[Tensor, Tensor]]:
    size = config.sampling.batch
    stream = PatchStream(
        sources,
        config.sampling,
        seed=config.seed,
        length=(config.optimiser.steps - start) * size,
        start=start * size,
    )
    workers = 1 if not torch.cuda.is_available() else 12
    loader = DataLoader(stream, batch_size=size, num_workers=workers, prefetch_factor=4, worker_init_fn=_quiet_worker)
    yield from loader


def _quiet_worker(_: int) -> None:
    torch.set_num_threads(1)
    os.nice(10)  # the trainer's threads wait for each other: a loader that takes a core from one stalls them all


def _step(network: nn.Module, optimiser: torch.optim.Optimizer, image: Tensor, regions: Tensor, clip: float) -> float:
    with torch.autocast(image.device.type, dtype=torch.bfloat16):
        logits = network(image)
    loss = segmentation_loss(logits.float(), regions)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimiser.step()
    return loss.item()


def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)
