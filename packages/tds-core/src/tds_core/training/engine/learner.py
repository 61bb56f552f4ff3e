"""Supervised learning: one network, one loss, one optimiser."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tds_core.errors import CheckpointMismatch
from tds_core.training.averaging import WeightAverage
from tds_core.training.config import Precision
from tds_core.training.distributed import World
from tds_core.training.engine.precision import low_precision, number_format
from tds_core.training.engine.protocols import Batch, StepResult
from tds_core.training.guards import changing_weights, fail_together
from tds_core.training.optimisers import set_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSettings:
    """How a step is made.

    Attributes:
        precision: Number format of the forward pass; losses and weights are float32.
        clip_norm: Largest gradient norm; no clipping if `None`.
        seed: Of what the network draws at random, such as dropout.
    """

    precision: Precision = Precision.FP32
    clip_norm: float | None = None
    seed: int = 0


class SupervisedLearner:
    """Makes optimiser steps.

    The gradient of a step is the mean over all patches of all processes, whatever the micro-batches and however many
    processes share the batch. What the network draws at random is decided by seed, step, process and micro-batch, so
    that a step that is made again is the same.

    Args:
        network: On the device of the run.
        loss: Takes outputs in float32 and the target, and returns the mean over the patches that it is given.
        optimiser: Of the network's weights.
        average: Follows the network.
        settings: How steps are made.
        world: The processes that share the batch.

    Raises:
        ConfigError: If this device cannot compute in that number format.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        optimiser: torch.optim.Optimizer,
        *,
        average: WeightAverage,
        settings: StepSettings,
        world: World,
    ) -> None:
        self._network, self._loss, self._optimiser = network, loss, optimiser
        self._average, self._settings, self._world = average, settings, world
        self._device = next(network.parameters()).device
        self._weights = [weight for weight in network.parameters() if weight.requires_grad]
        self._dtype = number_format(settings.precision, self._device)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=settings.precision is Precision.FP16)
        self._steps = 0

    @property
    def network(self) -> nn.Module:
        """The weights that are trained."""
        return self._network

    @property
    def evaluated(self) -> nn.Module:
        """The averaged weights, or the network itself where nothing is averaged."""
        return self._average.network

    def step(self, batch: Batch, *, micro_batch: int, rate: float) -> StepResult:
        """Make one optimiser step; with a loss or gradient that is not finite everything stays as it was.

        Args:
            batch: This process's share; at least one patch.
            micro_batch: Patches that go through the network at once; gradients are accumulated over the rest.
            rate: The learning rate.

        Raises:
            RuntimeError: If a micro-batch does not fit into memory, in this process or another; nothing has changed.
            UpdateTorn: If memory ran out later, while weights were being changed.
        """
        self._network.train()
        self._optimiser.zero_grad(set_to_none=True)
        whole = int(self._world.sum(torch.tensor(len(batch.images))))
        try:
            with fail_together(self._world):
                loss = self._accumulate(batch, micro_batch, whole)
        except BaseException:
            self._optimiser.zero_grad(set_to_none=True)  # gives the memory back before anybody tries again
            raise
        with changing_weights(self._world):
            self._world.reduce_gradients(self._weights)
            if self._world.size > 1:
                loss = self._world.sum(loss).to(loss)
            self._scaler.unscale_(self._optimiser)
            norm = _clip(self._weights, self._settings.clip_norm)
            loss_value, norm_value = torch.stack([loss, norm.to(loss)]).tolist()  # the one wait for the device
            return self._finish(loss_value, norm_value, rate)

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimiser, average, loss scale and the number of steps."""
        return {
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "average": self._average.state_dict(),
            "scaler": self._scaler.state_dict(),
            "steps": self._steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned.

        Args:
            state: That.

        Raises:
            CheckpointMismatch: If it is of another network, optimiser or precision.
        """
        if bool(state["scaler"]) is not self._scaler.is_enabled():
            message = "the checkpoint was made with another precision; resume with the one that it was made with"
            raise CheckpointMismatch(message)
        kept: list[dict[str, Any]] = [{key: group.get(key) for key in ("foreach", "fused")} for group in self._groups]
        try:
            self._network.load_state_dict(state["network"])
            self._optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, ValueError, KeyError) as error:
            message = f"the checkpoint is of another network or optimiser: {error}"
            raise CheckpointMismatch(message) from error
        for group, means in zip(self._groups, kept, strict=True):
            group.update(means)  # they suit the device, which may be another now
        self._average.load_state_dict(state["average"])
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(state["scaler"])
        self._steps = int(state["steps"])

    @property
    def _groups(self) -> list[dict[str, Any]]:
        return self._optimiser.param_groups

    def _accumulate(self, batch: Batch, micro_batch: int, whole: int) -> Tensor:
        """Leave this share's part of the gradient in the weights and return its part of the mean loss."""
        total = torch.zeros((), device=self._device)
        for number, start in enumerate(range(0, len(batch.images), micro_batch)):
            images = batch.images[start : start + micro_batch].to(self._device, non_blocking=True)
            target = batch.target[start : start + micro_batch].to(self._device, non_blocking=True)
            share = len(images) / whole
            with _seeded(self._device, self._settings.seed, self._steps, self._world.rank, number):
                with low_precision(self._device, self._dtype):
                    outputs = self._network(images)
                loss = self._loss(_as_float(outputs), target)
                torch.autograd.backward(self._scaler.scale(loss * share))
            total += loss.detach() * share
        return total

    def _finish(self, loss: float, norm: float, rate: float) -> StepResult:
        overflow = bool(np.isfinite(loss)) and not np.isfinite(norm)
        # A loss scale of 1 scales nothing: a gradient that is not finite then is no overflow of the scale.
        skipped = overflow and self._scaler.is_enabled() and self._scaler.get_scale() > 1
        if not np.isfinite([loss, norm]).all() and not skipped:
            self._forget_gradients()
            return StepResult(loss=loss, gradient_norm=norm)
        set_rate(self._optimiser, rate)
        self._steps += 1
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if not skipped:
            self._average.update(self._steps)
        return StepResult(loss=loss, gradient_norm=norm, skipped=skipped)

    def _forget_gradients(self) -> None:
        if self._scaler.is_enabled():
            before = self._scaler.state_dict()
            self._scaler.update()  # else it would take the next step for a second look at this one
            self._scaler.load_state_dict(before)
        self._optimiser.zero_grad(set_to_none=True)


@contextmanager
def _seeded(device: torch.device, *numbers: int) -> Iterator[None]:
    """Let torch draw from a seed made of numbers; afterwards its generators are as they were."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
    # Not torch.manual_seed: it seeds every kind of device there could be, in a hundred times the time.
    generators = [torch.default_generator]
    if device.type == "cuda":
        generators.append(torch.cuda.default_generators[device.index or 0])
    before = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(seed)
    try:
        yield
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.set_state(state)


def _clip(weights: Sequence[nn.Parameter], limit: float | None) -> Tensor:
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if limit is not None:
        nn.utils.clip_grads_with_norm_(weights, limit, norm)
    return norm


def _as_float(outputs: Tensor | Sequence[Tensor]) -> Tensor | list[Tensor]:
    return outputs.float() if isinstance(outputs, Tensor) else [output.float() for output in outputs]
