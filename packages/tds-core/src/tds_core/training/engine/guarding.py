"""What keeps a run from being lost, put together."""

from dataclasses import dataclass
from pathlib import Path

from tds_core.training.config import SafetyConfig
from tds_core.training.distributed import World
from tds_core.training.engine.events import Events
from tds_core.training.guards import AdaptiveBatch, DiskGuard, MemoryGuard, RollbackPolicy, StopRequest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guards:
    """What the loop asks and tells.

    Attributes:
        stop: Whether somebody wants the run to end in good order; who made it enters it.
        memory: How much memory there is.
        batch: Makes steps of pieces that fit into memory.
        finite: What becomes of a loss that is not finite.
        disk: Waits while the disk is full.
        events: Hears what they do.
    """

    stop: StopRequest
    memory: MemoryGuard
    batch: AdaptiveBatch
    finite: RollbackPolicy
    disk: DiskGuard
    events: Events


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSize:
    """How many patches a step has.

    Attributes:
        batch: Of all processes.
        micro_batch: Through the network at once, if somebody asked for a number.
    """

    batch: int
    micro_batch: int | None = None


def build_guards(
    safety: SafetyConfig, size: BatchSize, *, folder: Path, stop: StopRequest, world: World, events: Events
) -> Guards:
    """Return the guards of a run.

    Args:
        safety: What was asked for.
        size: Of a step.
        folder: Of the run; made if it is not there.
        stop: Is listened to.
        world: All processes.
        events: Hears what the guards do.

    Raises:
        ConfigError: If a limit is given that cannot be watched here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    memory = MemoryGuard(world.device, max_ram_bytes=safety.max_ram_bytes, max_vram_bytes=safety.max_vram_bytes)
    return Guards(
        stop=stop,
        memory=memory,
        batch=AdaptiveBatch(size.batch, size.micro_batch, memory=memory, world=world, report=events),
        finite=RollbackPolicy(safety.nan_retries, safety.nan_rate_factor, report=events),
        disk=DiskGuard(folder, safety, stop=stop, world=world, report=events),
        events=events,
    )
