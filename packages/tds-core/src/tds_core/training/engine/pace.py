"""How fast a run goes, and how long it will still take."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

_STEPS: Final = 50
_REPORT_S: Final = 0.5


class Pace:
    """Clocks steps.

    Args:
        clock: Seconds, never falling.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._reported = clock()
        self._steps = 0
        self._seconds: deque[float] = deque(maxlen=_STEPS)
        self._mark = self._began

    def begin(self) -> None:
        """Start the clock of a step: from when its batch is asked for."""
        self._mark = self._clock()

    def end(self) -> None:
        """Stop the clock of a step."""
        self._seconds.append(self._clock() - self._mark)
        self._steps += 1

    @property
    def steps_per_s(self) -> float:
        """Steps a second lately, without validations and checkpoints; 0 before the first."""
        total = sum(self._seconds)
        return len(self._seconds) / total if total else 0.0

    def eta_s(self, left: int) -> float:
        """Return how many seconds steps will take, with validations and checkpoints as often as so far.

        Args:
            left: How many steps.
        """
        return left * (self._clock() - self._began) / self._steps if self._steps else float("inf")

    def is_report_due(self) -> bool:
        """Return whether it is time for people to hear something, and begin the next wait if so."""
        now = self._clock()
        if now - self._reported < _REPORT_S:
            return False
        self._reported = now
        return True
