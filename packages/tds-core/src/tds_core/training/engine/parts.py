"""What a run is made of, and what it says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from tds_core.training.engine.protocols import BatchSource, Learner, Tracker, ValidationResult, Validator
from tds_core.training.schedules import RateSchedule

Status = Literal["finished", "stopped", "early"]
"""`finished`: all steps; `stopped`: asked to stop, can be resumed; `early`: no more progress."""


class Processes(Protocol):
    """The processes that train together; `tds_core.training.distributed.World` is one."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    @property
    def is_main(self) -> bool:
        """Whether this process writes."""
        ...

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all processes.

        Args:
            values: Of the same shape in each.
        """
        ...

    def any(self, flag: bool, /) -> bool:  # noqa: FBT001  # the one thing it is asked
        """Return whether any process says yes.

        Args:
            flag: What this one says.
        """
        ...

    def broadcast(self, obj: Any, /) -> Any:  # noqa: ANN401  # whatever the main process has
        """Return the main process's object in each process.

        Args:
            obj: The object; looked at in the main process only.
        """
        ...


class StopSignal(Protocol):
    """Tells whether somebody wants the run to end in good order."""

    @property
    def requested(self) -> bool:
        """Whether it shall stop."""
        ...

    @property
    def reason(self) -> str:
        """Why, such as `SIGTERM`; empty if it shall not."""
        ...


class MicroBatches(Protocol):
    """How many patches go through the network at once."""

    @property
    def size(self) -> int:
        """That many."""
        ...

    def shrink(self, reason: str) -> int:
        """Halve the size and return it.

        Args:
            reason: What did not fit.

        Raises:
            TrainingOutOfMemory: If it is 1 already.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return plain values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned.

        Args:
            state: That.
        """
        ...


class MemoryWatch(Protocol):
    """Looks at memory between steps."""

    def is_tight(self) -> bool:
        """Return whether the next step may not fit."""
        ...

    @property
    def rss_bytes(self) -> int:
        """Memory of the host that this process holds."""
        ...

    @property
    def vram_bytes(self) -> int | None:
        """Memory of the GPU at the peak of the last step; `None` without a GPU."""
        ...


class Rollbacks(Protocol):
    """Says what becomes of a run whose loss is not finite."""

    def fail(self, step: int, reason: str) -> float:
        """Return what to multiply the rate by after going back to the last checkpoint.

        Args:
            step: The step that failed.
            reason: How.

        Raises:
            LossNotFinite: If that was tried as often as is allowed.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return plain values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned.

        Args:
            state: That.
        """
        ...


class DiskWatch(Protocol):
    """Waits while the disk is full."""

    def write(self, action: Callable[[], None]) -> None:
        """Write something, waiting for room before and as often as the disk is found to be full.

        Args:
            action: Writes; can be called again after it raised.

        Raises:
            DiskFull: If there is no room when patience ran out.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """What keeps a run from being lost; each may be left out.

    Attributes:
        stop: Wish to stop in good order.
        micro: Size of a micro-batch, smaller after an out-of-memory; without it an out-of-memory ends the run.
        memory: Looks ahead, so that a micro-batch is halved before memory runs out.
        finite: Goes back after a loss that is not finite; without it such a loss ends the run.
        disk: Waits while the disk is full; without it a full disk ends the run.
    """

    stop: StopSignal | None = None
    micro: MicroBatches | None = None
    memory: MemoryWatch | None = None
    finite: Rollbacks | None = None
    disk: DiskWatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunParts:
    """What `fit` drives. Who made the parts closes them.

    Attributes:
        learner: Steps.
        source: Gives batches: this process's share.
        validator: Measures; `None` if there is nothing to validate with.
        schedule: Gives the learning rate.
        tracker: Listens; used in the main process only.
        folder: Of the run: `checkpoints/` and `metrics.jsonl` are kept there by the main process.
        device: Of the network.
        world: The processes that train together.
        guards: What keeps the run from being lost.
    """

    learner: Learner
    source: BatchSource
    validator: Validator | None
    schedule: RateSchedule
    tracker: Tracker
    folder: Path
    device: torch.device
    world: Processes
    guards: Guards = field(default_factory=Guards)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        status: Whether it finished, was stopped or ended early.
        step: Optimiser steps done.
        best_score: Highest validation score; `None` without a validation.
        best_step: When it was reached.
        reason: Why it ended, for people.
    """

    status: Status
    step: int
    best_score: float | None
    best_step: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands.

    Attributes:
        step: Optimiser steps done.
        total_steps: Of the whole run.
        epoch: Number of the epoch, from 0.
        loss: Moving average of the loss; NaN before the first step.
        rate: Learning rate of the last step.
        steps_per_s: Optimiser steps a second lately.
        eta_s: Seconds until the last step, validations included, as fast as it went so far.
        micro_batch: Patches that go through the network at once.
        rss_bytes: Memory of the host that this process holds; `None` where nobody watches it.
        vram_bytes: Memory of the GPU; `None` without one or where nobody watches it.
        validation: What a validation found, if one was just made.
        event: What happened, if something did, such as `rolled_back`.
    """

    step: int
    total_steps: int
    epoch: int
    loss: float
    rate: float
    steps_per_s: float
    eta_s: float
    micro_batch: int
    rss_bytes: int | None = None
    vram_bytes: int | None = None
    validation: ValidationResult | None = None
    event: str | None = None


Report = Callable[[Progress], None]
"""Hears how far a run is."""
