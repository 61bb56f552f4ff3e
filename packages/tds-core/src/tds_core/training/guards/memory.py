"""How much memory a step takes and how much there is, and errors that say that it ran out."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import torch

from tds_core.errors import ConfigError, TrainingOutOfMemory
from tds_core.memory import available_bytes
from tds_core.training.distributed import World
from tds_core.training.guards import host_memory

_SIGNS: Final = (
    "can't allocate memory",  # torch on Linux
    "not enough memory",  # torch on Windows
    "out of memory",  # CUDA, cuDNN, oneDNN
    "bad_alloc",  # C++ anywhere
    "ALLOC_FAILED",  # cuDNN and cuBLAS
)
_LOOK_S: Final = 5.0


class PeerOutOfMemory(MemoryError):
    """Another process of the run has no memory for this step, so this one makes it anew, too."""


class UpdateTorn(MemoryError):
    """Memory ran out while weights were being changed: some are new, some are old, and the step cannot be repeated."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on the host or on a GPU.

    Args:
        error: What torch, a library under it or Python raised.
    """
    if isinstance(error, (TrainingOutOfMemory, UpdateTorn)):
        return False
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign.lower() in str(error).lower() for sign in _SIGNS)


@contextmanager
def fail_together(world: World) -> Iterator[None]:
    """Run the part of a step that each process does by itself; if memory runs out in one, it fails in all.

    It stands around forward and backward passes, before gradients are reduced: or the others would wait for sums that
    never come.

    Args:
        world: All processes.

    Raises:
        PeerOutOfMemory: If memory ran out in another process.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            world.any(True)  # noqa: FBT003  # it ran out here
        raise
    if world.any(False):  # noqa: FBT003  # it did not run out here
        message = "another process of the run ran out of memory"
        raise PeerOutOfMemory(message)


@contextmanager
def changing_weights(world: World) -> Iterator[None]:
    """Run the part of a step that cannot simply be made again: from the reduction of gradients to the new weights.

    Args:
        world: All processes.

    Raises:
        UpdateTorn: If memory ran out; the run goes back to its last good state.
        TrainingOutOfMemory: If it ran out in one of several processes: the others wait for sums that never come.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if world.size == 1:
            message = "memory ran out while weights were being changed"
            raise UpdateTorn(message) from error
        message = (
            f"memory of process {world.rank} ran out while weights were being changed; start the run again with "
            "--resume and a smaller sampling.micro_batch, or end other programs on that machine"
        )
        raise TrainingOutOfMemory(message) from error


class MemoryGuard:
    """Watches how much memory a step takes, and how much there is.

    On a GPU its own memory is watched, on a CPU the host's; the caller's limit on the host's memory is watched in any
    case. A limit on the GPU's memory is enforced by torch's allocator, too.

    Args:
        device: What the run trains on.
        max_ram_bytes: Most memory of the host that this process and its workers may take; what there is if `None`.
        max_vram_bytes: Most memory of the GPU that this process may take; what there is if `None`.
        clock: Tells seconds.

    Raises:
        ConfigError: If a limit is given that cannot be watched here.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        max_ram_bytes: int | None = None,
        max_vram_bytes: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device = device
        self.max_ram_bytes = max_ram_bytes
        self.max_vram_bytes = max_vram_bytes
        self._clock = clock
        self._looked = -_LOOK_S
        self._over = False
        if max_ram_bytes is not None and host_memory.tree_bytes() is None:
            message = (
                "safety.max_ram_bytes cannot be kept: this system does not tell what a process takes; leave it out"
            )
            raise ConfigError(message)
        if device.type == "cuda" and max_vram_bytes is not None:
            total = torch.cuda.get_device_properties(device).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, max_vram_bytes / total), device)

    @property
    def is_host(self) -> bool:
        """Whether steps take the host's memory: running out of that raises no error on Linux, but ends the process."""
        return self.device.type != "cuda"

    def taken_bytes(self) -> int | None:
        """Return what this process has on the device now, in bytes; `None` where nobody tells."""
        return host_memory.resident_bytes() if self.is_host else torch.cuda.memory_allocated(self.device)

    def begin(self) -> None:
        """Let `peak_bytes` begin anew."""
        if self.is_host:
            host_memory.reset_peak()
        else:
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_bytes(self) -> int | None:
        """Return the most that this process had on the device since `begin`, in bytes; `None` where nobody tells.

        Where the system cannot begin anew, it is the most ever.
        """
        return host_memory.peak_bytes() if self.is_host else torch.cuda.max_memory_allocated(self.device)

    def permitted_bytes(self) -> int | None:
        """Return what the caller's limit leaves on the device, in bytes; `None` without a limit."""
        limit = self.max_ram_bytes if self.is_host else self.max_vram_bytes
        if limit is None:
            return None
        used = host_memory.tree_bytes() if self.is_host else torch.cuda.memory_allocated(self.device)
        return max(0, limit - (used or 0))

    def left_bytes(self) -> int | None:
        """Return what a step may still take on the device, in bytes; `None` where nobody tells."""
        there = available_bytes() if self.is_host else self._vram_left()
        return min((n for n in (self.permitted_bytes(), there) if n is not None), default=None)

    def is_over(self) -> bool:
        """Return whether this process and its workers hold more memory of the host than the caller allows.

        To look takes some milliseconds, so that it is done every few seconds only.
        """
        if self.max_ram_bytes is not None and self._clock() - self._looked >= _LOOK_S:
            self._looked = self._clock()
            self._over = (host_memory.tree_bytes() or 0) > self.max_ram_bytes
        return self._over

    def numbers(self) -> dict[str, float]:
        """Return what is taken and left now, in bytes, by names to track."""
        values = {"memory/ram_bytes": host_memory.tree_bytes(), "memory/ram_left_bytes": available_bytes()}
        if not self.is_host:
            values["memory/vram_bytes"] = torch.cuda.memory_allocated(self.device)
            values["memory/vram_peak_bytes"] = torch.cuda.max_memory_allocated(self.device)
            values["memory/vram_left_bytes"] = self._vram_left()
        return {name: float(value) for name, value in values.items() if value is not None}

    def free(self) -> None:
        """Give back what is held without need."""
        gc.collect()
        if self.is_host:
            host_memory.trim()
        else:
            torch.cuda.empty_cache()

    def _vram_left(self) -> int:
        free, _ = torch.cuda.mem_get_info(self.device)
        return free + torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
