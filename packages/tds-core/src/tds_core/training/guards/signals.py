"""A polite end: signals ask a run to stop after its step instead of cutting it off."""

import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, Self

from tds_core.training.distributed import World

_Handler = Callable[[int, FrameType | None], Any] | int | None

_NAMES: Final = ("SIGTERM", "SIGINT", "SIGUSR1")
_REASONS: Final = {
    "SIGTERM": "the system asked for an end (SIGTERM)",
    "SIGINT": "the user asked for an end (Ctrl-C)",
    "SIGUSR1": "the scheduler announced pre-emption (SIGUSR1)",
}

logger = logging.getLogger(__name__)


class StopRequest:
    """Notes that somebody wants the run to stop. A second Ctrl-C ends it at once, with `KeyboardInterrupt`.

    As a context manager it listens to SIGTERM, SIGINT and, where the system has it, SIGUSR1, and gives their handlers
    back at the end. Only the main thread can listen; in another one it hears nothing, and says so in the log.

    Attributes:
        reason: Why the run is to stop; empty while it is not.
        signal_name: The signal that asked first, such as `SIGTERM`; empty if none did.
    """

    def __init__(self) -> None:
        self.reason = self.signal_name = ""
        self._before: dict[int, _Handler] = {}
        self._interrupts = 0

    @property
    def requested(self) -> bool:
        """Whether the run is to stop."""
        return bool(self.reason)

    def request(self, reason: str) -> None:
        """Ask for an end from within the program; the first reason stays.

        Args:
            reason: Why.
        """
        self.reason = self.reason or reason

    def agreed(self, world: World) -> bool:
        """Return whether any process was asked to stop, the same answer in all; each notes it.

        Args:
            world: All processes; each calls this at the same point.
        """
        stop = world.any(self.requested)
        if stop:
            self.request("another process of the run was asked to stop")
        return stop

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            logger.warning("stop_signals_unheard reason=not_in_main_thread")
            return self
        known = signal.Signals.__members__
        for number in (known[name] for name in _NAMES if name in known):  # Windows has no SIGUSR1
            self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            # None stands for a handler that was not set from Python and cannot be given back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        self.request(_REASONS[name])
        self.signal_name = self.signal_name or name
        if name == "SIGINT":
            self._interrupts += 1
            if self._interrupts > 1:
                raise KeyboardInterrupt
