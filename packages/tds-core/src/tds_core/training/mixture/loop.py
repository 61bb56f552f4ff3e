"""The training loop: patches in, averaged weights out.

A run is a function of its configuration and sources: the initial weights follow from the seed, patch `i` from the seed
and `i`, and a run that was stopped goes on from its last checkpoint as if nothing had happened.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from monai.losses.dice import DiceLoss
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from tds_core.training.mixture.augment import Sources, draw_patch
from tds_core.training.mixture.checkpoint import load_checkpoint, save_checkpoint
from tds_core.training.mixture.config import OptimiserConfig, SamplingConfig, TrainingConfig
from tds_core.training.mixture.network import build_network
from tds_core.training.mixture.samples import Sample
from tds_core.windows import MULTIPLE

_EPS: Final = 1e-6
_INSIDE: Final = 0.5
_REPORT_EVERY: Final = 25
_GPU_WORKERS: Final = 12


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

    Raises:
        TrainingError: If the checkpoint is damaged or of another network.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = _initial_network(config).to(device)
    average = deepcopy(network).requires_grad_(requires_grad=False)
    opt = config.optimiser
    optimiser = torch.optim.AdamW(network.parameters(), lr=opt.learning_rate, weight_decay=opt.weight_decay)
    start = load_checkpoint(folder, network, average, optimiser)
    for group in optimiser.param_groups:
        group["weight_decay"] = opt.weight_decay  # the recipe's, not the one that the checkpoint was made with
    tally = _Tally()
    for step, (image, regions) in enumerate(_batches(config, sources, start), start=start + 1):
        _set_rate(optimiser, learning_rate(opt, step))
        tally.losses.append(_step(network, optimiser, image.to(device), regions.to(device), opt.clip_norm))
        _follow(average, network, min(opt.average_decay, (1 + step) / (10 + step)))
        if _due(step, config.checkpoint_every, opt.steps):
            save_checkpoint(folder, network, average, optimiser, step)
        measure = _due(step, config.validate_every, opt.steps)
        if measure or step % _REPORT_EVERY == 0:
            dice = {sample.name: coarse_dice(average, sample) for sample in validation} if measure else None
            report(tally.close(step, dice))
    return average


def learning_rate(config: OptimiserConfig, step: int) -> float:
    """Return the learning rate of a step: linear warm-up, then polynomial decay to zero.

    Args:
        config: The schedule.
        step: Step number, from 1.
    """
    warm = min(1.0, step / max(1, config.warmup_steps))
    left = max(_EPS, 1 - (step - 1) / config.steps)
    return float(config.learning_rate * warm * left**config.power)


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
    found, truth = logits > 0, sample.regions > _INSIDE
    both = (found & truth).sum((1, 2, 3)) * 2.0
    total = found.sum((1, 2, 3)) + truth.sum((1, 2, 3))
    wt, tc, et = torch.where(total > 0, both / total.clamp(min=1), 1.0).tolist()
    return wt, tc, et


def predict(network: nn.Module, image: Tensor) -> Tensor:
    """Return float32 logits of shape (3, x, y, z) for a whole image, padded to a multiple of 8 and cut back.

    Args:
        network: The network.
        image: Float32 tensor of shape (4, x, y, z).
    """
    shape = image.shape[1:]
    pad = [p for n in reversed(shape) for p in (0, -n % MULTIPLE)]
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16):
        logits: Tensor = network(functional.pad(image, pad)[None].to(device))
    network.train(was_training)
    return logits[0, :, : shape[0], : shape[1], : shape[2]].float().cpu()


@dataclass(slots=True, kw_only=True)
class _Tally:
    """Losses and time since the last report."""

    losses: list[float] = field(default_factory=list)
    since: float = field(default_factory=time.perf_counter)

    def close(self, step: int, dice: dict[str, tuple[float, float, float]] | None) -> Progress:
        """Return the report and begin the next one."""
        pace = (time.perf_counter() - self.since) / len(self.losses)
        progress = Progress(step=step, loss=float(np.mean(self.losses)), seconds_per_step=pace, dice=dice)
        self.losses, self.since = [], time.perf_counter()
        return progress


def _initial_network(config: TrainingConfig) -> nn.Module:
    # MONAI draws initial weights from torch's global generator; it is put back as it was.
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        return build_network(config.network)


def _batches(config: TrainingConfig, sources: Sources, start: int) -> Iterator[tuple[Tensor, Tensor]]:
    size = config.sampling.batch
    stream = PatchStream(
        sources,
        config.sampling,
        seed=config.seed,
        length=max(0, config.optimiser.steps - start) * size,
        start=start * size,
    )
    workers = min(_GPU_WORKERS, os.cpu_count() or 1) if torch.cuda.is_available() else 1
    yield from DataLoader(
        stream, batch_size=size, num_workers=workers, prefetch_factor=4, worker_init_fn=_make_worker_modest
    )


def _make_worker_modest(_: int) -> None:
    torch.set_num_threads(1)
    if sys.platform != "win32":
        # The trainer's threads wait for each other: a loader that takes a core from one stalls them all.
        os.nice(10)


def _due(step: int, every: int, last: int) -> bool:
    return step % every == 0 or step == last


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def _step(network: nn.Module, optimiser: torch.optim.Optimizer, image: Tensor, regions: Tensor, clip: float) -> float:
    with torch.autocast(image.device.type, dtype=torch.bfloat16):
        logits = network(image)
    loss = segmentation_loss(logits.float(), regions)
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimiser.step()
    return loss.item()


def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)
