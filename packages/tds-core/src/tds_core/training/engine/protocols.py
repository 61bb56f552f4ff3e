"""Where the parts of a run meet: batches in, learners that step, validators that measure, trackers that listen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from tds_core.pictures import Overlay


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Patches of one optimiser step of one process.

    Attributes:
        images: Float32 tensor of shape (batch, channel, x, y, z), z-scores.
        target: Uint8 labels of shape (batch, x, y, z), or float32 shares in [0, 1] of shape (batch, region, x, y, z).
        cases: Name of each patch's case, if the source knows: for what is said of a step that fails.
    """

    images: Tensor
    target: Tensor
    cases: tuple[str, ...] = ()


class BatchSource(Protocol):
    """Gives the same batches for the same numbers, always: that is what exact resume rests on."""

    @property
    def batches_per_epoch(self) -> int:
        """Optimiser steps of an epoch."""
        ...

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """Return the batches of an epoch in order, from batch `start` on.

        Args:
            epoch: Number of the epoch, from 0.
            start: Batches to leave out at the beginning.
        """
        ...

    def close(self) -> None:
        """End workers and give memory back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What one optimiser step did.

    Attributes:
        loss: Mean loss over the whole batch of all processes; may be not finite.
        gradient_norm: Norm before clipping.
        skipped: Whether the step was left out because a gradient overflowed in fp16.
        values: More numbers to track, by name.
    """

    loss: float
    gradient_norm: float
    skipped: bool = False
    values: Mapping[str, float] = field(default_factory=dict)


class Learner(Protocol):
    """What steps: a network with its loss and optimiser, or a search with two optimisers."""

    @property
    def network(self) -> nn.Module:
        """The weights that are trained."""
        ...

    @property
    def evaluated(self) -> nn.Module:
        """The weights to validate and export: the averaged ones where weights are averaged."""
        ...

    def step(self, batch: Batch, *, micro_batch: int, rate: float) -> StepResult:
        """Make one optimiser step; with a loss or gradient that is not finite the weights stay as they are.

        Args:
            batch: This process's share.
            micro_batch: Patches that go through the network at once; gradients are accumulated over the rest.
            rate: The learning rate.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return everything that an exact resume needs: tensors and plain values only."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned.

        Args:
            state: That.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDice:
    """How well one validation case was found.

    Attributes:
        case: Its name.
        phantom: Whether it is synthetic.
        dice: Dice of each region on the network's grid; 1 where both masks are empty.
    """

    case: str
    phantom: bool
    dice: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """What a validation found.

    Attributes:
        cases: Scores of each case, in order.
        mean_dice: Mean over the cases, per region.
        score: Mean of `mean_dice`: what schedules and early stopping look at.
        seconds: How long it took.
        overlays: Pictures, if any were asked for.
    """

    cases: tuple[CaseDice, ...]
    mean_dice: Mapping[str, float]
    score: float
    seconds: float
    overlays: tuple[Overlay, ...] = ()


class Validator(Protocol):
    """Measures a network on cases that are never trained on."""

    def validate(self, network: nn.Module) -> ValidationResult:
        """Return its scores; the network's mode and weights stay as they were.

        Args:
            network: On the device of the run.
        """
        ...


class Tracker(Protocol):
    """Writes a run down somewhere. None of its methods raises for the tracking's own troubles."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Note numbers.

        Args:
            step: Optimiser steps done.
            values: By names such as `train/loss`.
        """
        ...

    def overlays(self, step: int, pictures: tuple[Overlay, ...]) -> None:
        """Note pictures.

        Args:
            step: Optimiser steps done.
            pictures: The slices.
        """
        ...

    def event(self, step: int, kind: str, values: Mapping[str, object]) -> None:
        """Note that something happened, such as a smaller micro-batch or a rollback.

        Args:
            step: Optimiser steps done.
            kind: Stable name such as `micro_batch_halved`.
            values: Plain JSON types.
        """
        ...

    def artefact(self, path: Path, name: str) -> None:
        """Keep a file or folder.

        Args:
            path: Where it lies.
            name: Folder in the tracker.
        """
        ...

    def finish(self, status: str) -> None:
        """Close the run; what is queued is kept for the next time if it cannot be delivered.

        Args:
            status: `finished`, `stopped` (it can be resumed) or `failed`.
        """
        ...
