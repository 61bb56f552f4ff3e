"""A full disk is waited for, not died of."""

import errno
import logging
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tds_core.errors import DiskFull
from tds_core.training.config import SafetyConfig
from tds_core.training.distributed import World
from tds_core.training.guards.events import Report, ignore
from tds_core.training.guards.signals import StopRequest

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_SLICE_S: Final = 1.0
_MIB: Final = 1024**2

logger = logging.getLogger(__name__)


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error, or what caused it, says that a disk or quota is full.

    Args:
        error: What writing a file raised.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def free_bytes(folder: Path) -> int:
    """Return the room that the disk of a folder has for this user, in bytes.

    Args:
        folder: Any folder on it.
    """
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a guard of the disk asks of the machine.

    Attributes:
        free: Tells the free bytes of a folder's disk.
        clock: Tells seconds.
        sleep: Waits for seconds.
    """

    free: Callable[[Path], int] = free_bytes
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class DiskGuard:
    """Writes what must not be lost: waits while the disk is full, and says so.

    Args:
        folder: The run folder, which exists.
        safety: How much room stays free, how often the disk is looked at, and for how long.
        stop: Is listened to while waiting.
        world: All processes; the main one writes, the others wait with it.
        report: Is told `disk_full` when waiting begins and `disk_free` when it is over.
        machine: The machine.
    """

    def __init__(
        self,
        folder: Path,
        safety: SafetyConfig,
        *,
        stop: StopRequest,
        world: World,
        report: Report = ignore,
        machine: Machine | None = None,
    ) -> None:
        self._folder = folder
        self._safety = safety
        self._stop = stop
        self._world = world
        self._report = report
        self._machine = machine or Machine()
        self._size = 0

    def write(self, action: Callable[[], int]) -> bool:
        """Do something that writes to the run folder, when there is room; return whether it was done.

        It is not done if the run was asked to stop while the disk was full. An action that meets a full disk is done
        again later.

        Args:
            action: Writes, and returns how many bytes; called in the main process only. If it raises for want of room,
                it leaves nothing behind, and what was there before.

        Raises:
            DiskFull: If patience ran out.
        """
        began = self._machine.clock()
        waited = False
        while True:
            problem = self._world.broadcast(self._attempt(action) if self._world.is_main else "")
            if not problem:
                break
            if self._world.any(self._machine.clock() - began >= self._safety.disk_patience_s):
                message = (
                    f"{problem}, and it stayed so for {self._safety.disk_patience_s:g} s; make room and start the run "
                    "again with --resume: everything up to the last checkpoint is kept"
                )
                raise DiskFull(message)
            if not waited:
                waited = True
                logger.warning("disk_full folder=%s problem=%s", self._folder, problem)
                self._report("disk_full", {"problem": problem, "looks_again_every_s": self._safety.disk_pause_s})
            if not self._pause():
                return False
        if waited:
            seconds = self._machine.clock() - began
            logger.warning("disk_free folder=%s waited_s=%.0f", self._folder, seconds)
            self._report("disk_free", {"waited_s": seconds})
        return True

    def _attempt(self, action: Callable[[], int]) -> str:
        """Return why the action could not be done; nothing if it was."""
        free = self._machine.free(self._folder)
        if free < self._size + self._safety.min_free_disk_bytes:
            return (
                f"the disk of {str(self._folder)!r} is full: {free / _MIB:.0f} MiB are free, a checkpoint takes "
                f"{self._size / _MIB:.0f} MiB and safety.min_free_disk_bytes keeps "
                f"{self._safety.min_free_disk_bytes / _MIB:.0f} MiB"
            )
        try:
            self._size = action()
        except (OSError, RuntimeError) as error:  # torch reports a failed write as a RuntimeError
            if not is_disk_full(error):
                raise
            return f"the disk of {str(self._folder)!r} is full: {str(error).splitlines()[0]}"
        return ""

    def _pause(self) -> bool:
        """Wait for one pause; return whether the run goes on."""
        slices = max(1, math.ceil(self._safety.disk_pause_s / _SLICE_S))
        for _ in range(slices):
            if self._stop.agreed(self._world):
                return False
            self._machine.sleep(self._safety.disk_pause_s / slices)
        return not self._stop.agreed(self._world)
