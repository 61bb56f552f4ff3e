"""Signals that ask the program to stop become an exception, so that unfinished results are removed on the way out."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from tds_cli.errors import Stopped

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` inside the block at the first SIGINT or SIGTERM; later ones wait until the block has ended.

    Signals that the program was started to ignore stay ignored. To be used in the main thread.

    Raises:
        Stopped: When a signal comes.
    """
    before = {number: signal.getsignal(number) for number in _STOPPING}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, _stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _frame: FrameType | None) -> None:
    for other in _STOPPING:  # nothing may disturb the removal of what is unfinished
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(number)
