"""A step that does not fit into memory is made of smaller pieces, with the same result."""

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeVar

import torch

from tds_core.errors import TrainingOutOfMemory
from tds_core.training.distributed import World
from tds_core.training.guards.events import Report, ignore
from tds_core.training.guards.memory import MemoryGuard, is_out_of_memory

_T = TypeVar("_T")

_REMEMBERED: Final = 5
_GIB: Final = 1024**3

logger = logging.getLogger(__name__)


class AdaptiveBatch:
    """Holds the micro-batch: how many patches go through the network at once.

    When memory runs out in a step, the same step is made again with half of it; losses are means over samples, so the
    step stays the same but for the order in which numbers are added. Running out of the host's memory raises nothing
    on Linux but ends the process, so a step that is expected to take more than there is gets half beforehand. Nothing
    is known before the first step; therefore a run on a CPU begins with single patches, and doubles while what it
    measured leaves room. All processes decide alike.

    Args:
        batch: Patches of a step of all processes.
        micro_batch: What was asked for; all of a process's share if `None`.
        memory: The watch.
        world: All processes.
        report: Is told `micro_batch_halved`, `micro_batch_held` and `memory_short`, with numbers.

    Attributes:
        size: The micro-batch.
    """

    def __init__(
        self,
        batch: int,
        micro_batch: int | None,
        *,
        memory: MemoryGuard,
        world: World,
        report: Report = ignore,
    ) -> None:
        self._share = math.ceil(batch / world.size)
        self._goal = min(self._share, micro_batch or self._share)
        self._grows = memory.is_host and memory.left_bytes() is not None and self._goal > 1
        self.size = 1 if self._grows else self._goal
        self._memory = memory
        self._world = world
        self._report = report
        self._floor = 0
        self._known: tuple[int, int] | None = None
        """A micro-batch, and by how much it rose above what was taken before this process's first step, bytes."""
        self._peaks: deque[int] = deque(maxlen=_REMEMBERED)
        """The most that was taken in each of the last steps of this micro-batch, bytes."""
        self._told_short = False

    def run(self, step: Callable[[int], _T]) -> _T:
        """Make a step, in smaller pieces if need be, and return its result.

        Args:
            step: Makes the step with a micro-batch; leaves weights as they were if it raises for want of memory, in
                all processes at once (`fail_together`).

        Raises:
            TrainingOutOfMemory: If not even single patches fit, or the caller's limit on the host's memory is passed.
        """
        self._prepare()
        while True:
            self._memory.begin()
            try:
                result = step(self.size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = _first_line(error)
            else:
                self._learn()
                return result
            # Outside of the handler, so that nothing holds the failed step's tensors any more.
            self.shrink(reason)

    def shrink(self, reason: str) -> int:
        """Halve the micro-batch and return it; all processes do so together.

        Args:
            reason: What did not fit.

        Raises:
            TrainingOutOfMemory: If it is 1 already.
        """
        if self.size == 1:
            self._refuse(reason)
        self._set_size(math.ceil(self.size / 2), reason)
        return self.size

    def state_dict(self) -> dict[str, int]:
        """Return the micro-batch and what is known about it."""
        known = self._known or (0, 0)
        return {
            "size": self.size,
            "goal": self._goal,
            "grows": int(self._grows),
            "known_size": known[0],
            "known_bytes": known[1],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the micro-batch of a checkpoint.

        Args:
            state: What `state_dict` returned, in a run of the same batch and perhaps another number of processes.
        """
        self.size = min(int(state["size"]), self._share)
        self._goal = min(int(state["goal"]), self._share)
        self._grows = bool(state["grows"])
        self._known = (int(state["known_size"]), int(state["known_bytes"])) if state["known_size"] else None
        self._peaks.clear()
        self._floor = 0

    def _prepare(self) -> None:
        taken = self._memory.taken_bytes() or 0
        self._floor = self._floor or taken
        left = self._memory.left_bytes()
        double = min(self._goal, 2 * self.size)
        if not _fits(self._need(double if self._grows else self.size, taken), left):
            self._memory.free()
            taken, left = self._memory.taken_bytes() or 0, self._memory.left_bytes()
        found = [
            self._memory.is_over(),
            not _fits(self._need(self.size, taken), left),
            not _fits(self._need(double, taken), left),
        ]
        over, short, full = self._world.sum(torch.tensor(found, dtype=torch.float64)).tolist()
        if over:
            self._refuse_limit()
        elif short:
            self._make_room(taken, left)
        elif self._grows and self._known is not None:
            self._grow(double, full=bool(full))

    def _need(self, size: int, taken: int) -> int | None:
        """Return what a step is expected to take on top of what is taken now, in bytes; `None` if nothing is known."""
        if self._known is None:
            return None
        if self._peaks and size == self._known[0]:
            # What an allocator kept of the step before counts as taken, but is there for the next.
            return max(0, max(self._peaks) - taken)
        measured_for, rise = self._known
        # Gradients and the optimiser's state do not grow with the micro-batch, but here they count as if they did: too
        # much rather than too little.
        return math.ceil(rise * size / measured_for) - (taken - self._floor)

    def _learn(self) -> None:
        peak = self._memory.peak_bytes()
        if peak is None:
            return
        rise = max(0, peak - self._floor)
        if self._known is None or self._known[0] != self.size:
            self._peaks.clear()
            self._known = (self.size, rise)
        else:
            self._known = (self.size, max(rise, self._known[1]))
        self._peaks.append(peak)

    def _grow(self, size: int, *, full: bool) -> None:
        if full:
            self._grows = False
            values = {"micro_batch": self.size, "asked_for": self._goal, "left_bytes": self._memory.left_bytes()}
            self._tell("micro_batch_held", values)
            return
        self.size = size
        self._grows = size < self._goal

    def _make_room(self, taken: int, left: int | None) -> None:
        need = self._need(self.size, taken)
        if self.size > 1:
            size = self.size
            while size > 1 and not _fits(self._need(size, taken), left):
                size = math.ceil(size / 2)
            reason = f"a step is expected to take {_gib(need)} and {_gib(left)} are left"
            self._set_size(min(self._world.gather(size)), reason)
            return
        permitted = self._memory.permitted_bytes()
        if self._world.any(not _fits(need, permitted)):
            self._refuse(
                f"a step with a single patch takes {_gib(need)}, and the limit in safety leaves {_gib(permitted)}"
            )
        if not self._told_short:
            self._told_short = True
            self._tell("memory_short", {"needed_bytes": need, "left_bytes": left})

    def _set_size(self, size: int, reason: str) -> None:
        values = {
            "before": self.size,
            "after": size,
            "accumulated": math.ceil(self._share / size),
            "left_bytes": self._memory.left_bytes(),
            "device": str(self._memory.device),
            "reason": reason,
        }
        self.size = self._goal = size
        self._grows = False
        self._peaks.clear()
        self._memory.free()  # or what larger steps left behind would count as taken by the smaller ones
        self._tell("micro_batch_halved", values)

    def _refuse(self, reason: str) -> NoReturn:
        message = (
            f"not even one patch at a time fits into the memory of {self._memory.device}: {reason}; choose a smaller "
            "sampling.patch or a smaller network (fewer features in network.options), precision: bf16 on a GPU, end "
            "other programs, or use a device with more memory"
        )
        raise TrainingOutOfMemory(message)

    def _refuse_limit(self) -> NoReturn:
        message = (
            "this process and its workers hold more memory than safety.max_ram_bytes allows, "
            f"{_gib(self._memory.max_ram_bytes)}; lower data.workers or data.max_loader_bytes, or raise the limit"
        )
        raise TrainingOutOfMemory(message)

    def _tell(self, kind: str, values: Mapping[str, object]) -> None:
        logger.warning("%s %s", kind, " ".join(f"{name}={value}" for name, value in values.items()))
        self._report(kind, values)


def _fits(need: int | None, left: int | None) -> bool:
    return need is None or left is None or need <= left


def _gib(nbytes: int | None) -> str:
    return "an unknown amount" if nbytes is None else f"{nbytes / _GIB:.2f} GiB"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
