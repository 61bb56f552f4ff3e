"""The learner of a search: weights and architecture are trained in turn, on different patches."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from monai.networks.nets.dints import DiNTS
from torch import Tensor, nn

from tds_core.errors import CheckpointMismatch, ConfigError
from tds_core.training.averaging import WeightAverage
from tds_core.training.config import Precision, TrainingConfig, parse
from tds_core.training.dints.networks import architecture_parameters, place_search, weight_parameters
from tds_core.training.dints.options import DintsSearchOptions
from tds_core.training.dints.penalties import Penalties, PenaltyMeter
from tds_core.training.distributed import World
from tds_core.training.engine.precision import low_precision, number_format
from tds_core.training.engine.protocols import Batch, StepResult
from tds_core.training.guards.memory import changing_weights, fail_together
from tds_core.training.optimisers import optimise, set_rate

_BETAS: Final = (0.5, 0.999)
"""Of the architecture's Adam, as in the authors' code."""
_SMALLEST_BATCH: Final = 2


class SearchLearner:
    """Searches an architecture (He et al. 2021, arXiv:2103.15954; first-order, as in DARTS).

    Every second patch of a batch, the first among them, moves the weights; the others move the architecture. In a step
    the architecture moves first. In the warm-up only the weights move; after it the penalties on undecided
    architectures and on memory grow linearly, to their full weight at the last step.

    Either all of a step happens or none of it: after a forward or backward pass that failed, and after a loss or
    gradient that is not finite, weights and architecture are as they were before.

    Args:
        network: Of `build_search_network`, on the device of the run.
        loss: Takes logits in float32 and the target, and returns the mean over the patches that it is given.
        config: Of the run; its network is `dints_search`.
        world: The processes that share the batch.

    Raises:
        ConfigError: If the batch is known and cannot be split in two, or the GPU cannot compute in that number format.
    """

    def __init__(self, network: DiNTS, loss: nn.Module, config: TrainingConfig, *, world: World) -> None:
        self._device = next(network.parameters()).device
        self._network, self._loss, self._world = place_search(network, self._device), loss, world
        self._search = parse(DintsSearchOptions, config.network.options, "network.options.").search
        self._total_steps = config.length.epochs * config.sampling.steps_per_epoch
        self._clip_norm = config.optimiser.clip_norm
        named = weight_parameters(network)
        self._weights = [weight for _, weight in named]
        self._architecture = architecture_parameters(network)
        self._optimiser = optimise(config.optimiser, named)
        self._searcher = torch.optim.Adam(
            self._architecture, lr=self._search.learning_rate, betas=_BETAS, foreach=False, fused=False
        )
        self._meter = PenaltyMeter(network.dints_space)
        self._average = WeightAverage(network, config.optimiser.average_decay)
        self._dtype = number_format(config.precision, self._device)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=config.precision is Precision.FP16)
        self._steps = 0
        if config.sampling.batch is not None:
            _check_batch(config.sampling.batch)

    @property
    def network(self) -> nn.Module:
        """The network that holds all others."""
        return self._network

    @property
    def evaluated(self) -> nn.Module:
        """Its averaged weights, or itself where nothing is averaged."""
        return self._average.network

    def step(self, batch: Batch, *, micro_batch: int, rate: float) -> StepResult:
        """Move architecture and weights once.

        Args:
            batch: This process's share; the batch of all processes has two patches at least.
            micro_batch: Patches that go through the network at once.
            rate: The learning rate of the weights.

        Raises:
            ConfigError: If the batch cannot be split in two.
            RuntimeError: If a micro-batch does not fit into memory, in this process or another; nothing has changed.
            UpdateTorn: If memory ran out later, while weights were being changed.
        """
        self._network.train()
        for_weights, for_architecture = self._halves(batch)
        before = self._keep()
        try:
            result = self._turns(for_weights, for_architecture, micro_batch, rate)
        except BaseException:
            self._go_back(before)
            raise
        finite = np.isfinite([result.loss, result.gradient_norm]).all()
        if result.skipped or not finite:
            self._go_back(before, lower_scale=result.skipped)
        self._steps += bool(finite) or result.skipped
        if finite and not result.skipped:
            self._average.update(self._steps)
        return result

    def state_dict(self) -> dict[str, Any]:
        """Return weights and architecture, both optimisers, average, loss scale and the number of steps."""
        return {
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "searcher": self._searcher.state_dict(),
            "average": self._average.state_dict(),
            "scaler": self._scaler.state_dict(),
            "steps": self._steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned.

        Args:
            state: That.

        Raises:
            CheckpointMismatch: If it is of another space, optimiser or precision, or of no search.
        """
        if bool(state.get("scaler")) is not self._scaler.is_enabled():
            message = "the checkpoint was made with another precision; resume with the one that it was made with"
            raise CheckpointMismatch(message)
        try:
            self._network.load_state_dict(state["network"])
            _restore(self._optimiser, state["optimiser"])
            _restore(self._searcher, state["searcher"])
        except (RuntimeError, ValueError, KeyError) as error:
            message = f"the checkpoint is of another space, of another optimiser or of no search: {error}"
            raise CheckpointMismatch(message) from error
        self._average.load_state_dict(state["average"])
        self._scaler = self._new_scaler(state["scaler"])
        self._steps = int(state["steps"])

    def _halves(self, batch: Batch) -> "tuple[_Part, _Part]":
        """Return the patches for the weights and for the architecture; the processes' number does not change which."""
        counts = [int(count) for count in self._world.gather(len(batch.images))]
        _check_batch(sum(counts))
        first = sum(counts[: self._world.rank]) % 2
        whole = sum(counts)
        return (
            _Part(images=batch.images[first::2], target=batch.target[first::2], whole=(whole + 1) // 2),
            _Part(images=batch.images[1 - first :: 2], target=batch.target[1 - first :: 2], whole=whole // 2),
        )

    def _turns(self, for_weights: "_Part", for_architecture: "_Part", micro_batch: int, rate: float) -> StepResult:
        penalties, pressure = self._meter.measure(), self._pressure()
        values = _values(penalties, pressure or 0.0)
        if pressure is not None:
            penalty = penalties.total(self._search, pressure)
            loss, norm = self._move(self._searcher, self._architecture, for_architecture, micro_batch, penalty=penalty)
            values["search/loss"] = loss
            if not np.isfinite([loss, norm]).all():
                return self._result(loss, norm, values)
        set_rate(self._optimiser, rate)
        loss, norm = self._move(self._optimiser, self._weights, for_weights, micro_batch)
        if np.isfinite([loss, norm]).all():
            self._scaler.update()
        return self._result(loss, norm, values)

    def _move(
        self,
        optimiser: torch.optim.Optimizer,
        parameters: list[nn.Parameter],
        part: "_Part",
        micro_batch: int,
        *,
        penalty: Tensor | None = None,
    ) -> tuple[float, float]:
        """Make a step with one of the optimisers if all is finite; return loss and gradient norm."""
        optimiser.zero_grad(set_to_none=True)
        with fail_together(self._world):
            loss = self._accumulate(parameters, part, micro_batch)
        if penalty is not None:  # the same in all processes, whose gradients will be summed
            self._add_gradients(self._scaler.scale(penalty / self._world.size), parameters)
        clip = self._clip_norm if penalty is None and self._clip_norm is not None else float("inf")
        with changing_weights(self._world):
            self._world.reduce_gradients(parameters)
            loss = self._world.sum(loss).to(loss) if self._world.size > 1 else loss
            self._scaler.unscale_(optimiser)
            norm = nn.utils.clip_grad_norm_(parameters, clip)
            loss_value, norm_value = torch.stack([loss, norm.to(loss)]).tolist()  # the one wait for the device
            if np.isfinite([loss_value, norm_value]).all():
                self._scaler.step(optimiser)
            optimiser.zero_grad(set_to_none=True)
        return loss_value, norm_value

    def _accumulate(self, parameters: list[nn.Parameter], part: "_Part", micro_batch: int) -> Tensor:
        total = torch.zeros((), device=self._device)
        for start in range(0, len(part.images), micro_batch):
            images = part.images[start : start + micro_batch].to(self._device, non_blocking=True)
            target = part.target[start : start + micro_batch].to(self._device, non_blocking=True)
            with low_precision(self._device, self._dtype):
                logits = self._network(images)
            loss = self._loss(logits.float(), target) * (len(images) / part.whole)
            self._add_gradients(self._scaler.scale(loss), parameters)
            total += loss.detach()
        return total

    def _add_gradients(self, loss: Tensor, parameters: list[nn.Parameter]) -> None:
        """Add gradients of these parameters alone: the others' are not computed."""
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)

    def _pressure(self) -> float | None:
        """Return how much the penalties count in the next step, or `None` in the warm-up."""
        warm = round(self._search.warmup_share * self._total_steps)
        done = self._steps + 1 - warm
        return min(1.0, done / max(1, self._total_steps - warm)) if done > 0 else None

    def _result(self, loss: float, norm: float, values: dict[str, float]) -> StepResult:
        overflow = bool(np.isfinite(loss)) and not np.isfinite(norm)
        # A loss scale of 1 scales nothing: a gradient that is not finite then is no overflow of the scale.
        skipped = overflow and self._scaler.is_enabled() and self._scaler.get_scale() > 1
        return StepResult(loss=loss, gradient_norm=norm, skipped=skipped, values=values)

    def _keep(self) -> dict[str, Any]:
        """Return what the architecture's turn changes, and what the scale was."""
        return {
            "architecture": [parameter.detach().clone() for parameter in self._architecture],
            "searcher": copy.deepcopy(self._searcher.state_dict()),
            "scaler": self._scaler.state_dict(),
        }

    @torch.no_grad()
    def _go_back(self, before: Mapping[str, Any], *, lower_scale: bool = False) -> None:
        for parameter, old in zip(self._architecture, before["architecture"], strict=True):
            parameter.copy_(old)
        self._searcher.load_state_dict(before["searcher"])
        self._optimiser.zero_grad(set_to_none=True)
        self._searcher.zero_grad(set_to_none=True)
        if lower_scale:
            self._scaler.update()
        else:
            self._scaler = self._new_scaler(before["scaler"])  # the old one has seen gradients of a step that never was

    def _new_scaler(self, state: Mapping[str, Any]) -> torch.amp.GradScaler:
        scaler = torch.amp.GradScaler(self._device.type, enabled=self._scaler.is_enabled())
        if scaler.is_enabled():
            scaler.load_state_dict(dict(state))
        return scaler


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """This process's patches of one of the two halves, and how many the half has in all processes."""

    images: Tensor
    target: Tensor
    whole: int


def _check_batch(batch: int) -> None:
    if batch < _SMALLEST_BATCH:
        message = (
            f"a search splits its batch between weights and architecture, which {batch} cannot be; "
            "set sampling.batch to 2 or more"
        )
        raise ConfigError(message)


def _values(penalties: Penalties, pressure: float) -> dict[str, float]:
    names: Sequence[str] = ("operations", "paths", "topology", "memory")
    numbers = torch.stack([getattr(penalties, name).detach() for name in names]).tolist()
    return {
        **{f"search/{name}": number for name, number in zip(names, numbers, strict=True)},
        "search/pressure": pressure,
    }


def _restore(optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    kept = [{key: group[key] for key in ("foreach", "fused")} for group in optimiser.param_groups]
    optimiser.load_state_dict(dict(state))
    for group, means in zip(optimiser.param_groups, kept, strict=True):
        group.update(means)  # they suit the device, which may be another now
