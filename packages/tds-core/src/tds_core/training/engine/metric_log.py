"""`metrics.jsonl` in the run folder: one line a step, and the same lines however often the run was interrupted.

It holds nothing that depends on the clock, and goes back with the run: a checkpoint notes its length, and a resumed run
cuts it to that.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

METRICS_NAME: Final = "metrics.jsonl"
"""Name of the file in the run folder."""

_LINES_IN_MEMORY: Final = 25


class MetricLog:
    """Lines of metrics; what does not fit on a full disk is held until there is room.

    Args:
        path: The file; made when the first line is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._length = path.stat().st_size if path.exists() else 0
        self._pending: list[str] = []

    def add(self, record: Mapping[str, object]) -> None:
        """Take a line; it is written soon.

        Args:
            record: Plain JSON types.
        """
        self._pending.append(json.dumps(record) + "\n")
        if len(self._pending) >= _LINES_IN_MEMORY:
            try:
                self._write(durable=False)
            except OSError as error:  # the next checkpoint waits for room
                log.warning("metrics_not_written lines=%d reason=%s", len(self._pending), error.strerror)

    def flush(self) -> int:
        """Bring every line to disk and return the file's length in bytes.

        Raises:
            OSError: If it cannot be written; no line is lost.
        """
        self._write(durable=True)
        return self._length

    def cut(self, length: int) -> None:
        """Go back to an earlier length.

        Args:
            length: What `flush` returned.
        """
        self._pending = []
        there = self._path.stat().st_size if self._path.exists() else 0
        if there < length:
            log.warning("metrics_shorter_than_checkpoint bytes=%d expected=%d", there, length)
        self._length = min(there, length)
        if there > self._length:
            os.truncate(self._path, self._length)

    def _write(self, *, durable: bool) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("r+b" if self._path.exists() else "xb") as file:
            file.seek(self._length)
            file.truncate()  # of what a full disk left half written
            data = "".join(self._pending).encode()
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        self._length += len(data)
        self._pending = []
