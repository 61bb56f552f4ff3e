"""How far a transfer is, how fast it goes and how long it will take."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

Progress = Callable[[int, int, str], None]
"""Hears what is done, what there is in all (0 if nobody knows), and a few words."""

_EVERY_S: Final = 0.2
_WINDOW_S: Final = 10.0
_MEGA: Final = 1e6
_GIGA: Final = 1e9
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


class Meter:
    """Counts bytes and tells of them, a few times a second.

    Args:
        name: What is transferred.
        done: Bytes that are there already.
        total: Bytes in all, 0 if nobody knows.
        progress: Told of it; nobody if absent.
        clock: Seconds that only go up.
    """

    def __init__(
        self,
        name: str,
        *,
        done: int,
        total: int,
        progress: Progress | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._done = done
        self._total = total
        self._progress = progress
        self._clock = clock
        self._told = float("-inf")
        self._marks = deque([(clock(), done)])

    def add(self, count: int) -> None:
        """Take note of bytes.

        Args:
            count: How many more there are.
        """
        self._done += count
        now = self._clock()
        if now - self._told < _EVERY_S and self._done != self._total:
            return
        self._told = now
        self._marks.append((now, self._done))
        while len(self._marks) > 2 and now - self._marks[0][0] > _WINDOW_S:  # noqa: PLR2004  # a rate needs two
            self._marks.popleft()
        if self._progress is not None:
            self._progress(self._done, self._total, f"{self._name}: {self._words(now)}")

    def _words(self, now: float) -> str:
        start, done = self._marks[0]
        rate = (self._done - done) / max(now - start, 1e-9)
        words = [f"{in_bytes(self._done)} of {in_bytes(self._total)}" if self._total else in_bytes(self._done)]
        if now > start:
            words.append(f"{rate / _MEGA:.1f} MB/s")
            if self._total and rate > 0:
                words.append(f"{_in_time((self._total - self._done) / rate)} left")
        return ", ".join(words)


def in_bytes(count: float) -> str:
    """Return a number of bytes for people.

    Args:
        count: Bytes.

    Examples:
        >>> in_bytes(7_090_000_000)
        '7.09 GB'
    """
    return f"{count / _GIGA:.2f} GB" if count >= _GIGA else f"{count / _MEGA:.1f} MB"


def _in_time(seconds: float) -> str:
    if seconds >= _HOUR_S:
        return f"{int(seconds // _HOUR_S)} h {int(seconds % _HOUR_S // _MINUTE_S)} min"
    return f"{int(seconds // _MINUTE_S)} min" if seconds >= _MINUTE_S else f"{int(seconds)} s"
