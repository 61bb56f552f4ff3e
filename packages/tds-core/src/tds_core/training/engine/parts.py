"""What a run is made of, and what it says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from tds_core.training.distributed import World
from tds_core.training.engine.guarding import Guards
from tds_core.training.engine.protocols import BatchSource, Learner, Tracker, ValidationResult, Validator
from tds_core.training.schedules import RateSchedule

Status = Literal["finished", "stopped", "early"]
"""`finished`: all steps; `stopped`: asked to stop, can be resumed; `early`: no more progress."""


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
        guards: What keeps the run from being lost; `build_guards` makes them.
        identity: What else must be the same for the run to go on, such as the data's digest; plain values.
    """

    learner: Learner
    source: BatchSource
    validator: Validator | None
    schedule: RateSchedule
    tracker: Tracker
    folder: Path
    device: torch.device
    world: World
    guards: Guards
    identity: Mapping[str, Any] = field(default_factory=dict)


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
        rss_bytes: Memory of the host that this process holds; `None` where the system does not tell.
        vram_bytes: Memory of the GPU at its peak; `None` without one.
        validation: What a validation found, if one was just made.
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


Report = Callable[[Progress], None]
"""Hears how far a run is."""
