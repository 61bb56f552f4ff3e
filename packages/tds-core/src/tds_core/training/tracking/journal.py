"""The journal of a run: a file of lines that only grows, written before anything is sent anywhere.

A line is handed to the system at once, so a process that is killed loses none; after a power cut the last second may be
missing. A line that was torn is cut off by the next process.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from tds_core.training.tracking.lock import FileLock
from tds_core.training.tracking.records import Record, parse_line

TRACKING_FOLDER: Final = "tracking"
"""Folder in the run folder that holds the journal, pictures and the positions of what was delivered."""

JOURNAL_NAME: Final = "journal.jsonl"
"""Name of the journal in it."""

_LOCK_NAME: Final = "journal.lock"

MAX_BYTES: Final = 1 << 30
"""Largest journal; what comes after is not noted."""

logger = logging.getLogger(__name__)


class Journal:
    """The writing end; one process at a time.

    Args:
        folder: The run folder.
        max_bytes: Largest length.

    Raises:
        OSError: If the journal cannot be made or written, or another process writes it.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = journal_path(folder)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._max_bytes = max_bytes
        self._lock = FileLock(self.path.with_name(_LOCK_NAME))
        if not self._lock.take():
            message = f"another process writes {self.path.name}"
            raise OSError(message)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        self._length = _whole_lines(self._descriptor)
        os.ftruncate(self._descriptor, self._length)

    def append(self, record: Record) -> None:
        """Write a line; either all of it is there afterwards, or nothing.

        Args:
            record: What happened.

        Raises:
            OSError: If it cannot be written or the journal is as long as it may be.
        """
        line = record.line()
        if self._length + len(line) > self._max_bytes:
            message = f"{self.path.name} is as long as it may be ({self._max_bytes} bytes)"
            raise OSError(message)
        try:
            _write_all(self._descriptor, line, self._length)
        except OSError:
            with suppress(OSError):  # what is left of the line has no line break and is not read
                os.ftruncate(self._descriptor, self._length)
            raise
        self._length += len(line)

    def sync(self) -> None:
        """Bring every line to disk.

        Raises:
            OSError: If that fails.
        """
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)
        self._lock.release()


def journal_path(folder: Path) -> Path:
    """Return where the journal of a run is.

    Args:
        folder: The run folder.
    """
    return folder / TRACKING_FOLDER / JOURNAL_NAME


def read_records(path: Path, start: int = 0) -> Iterator[tuple[Record | None, int]]:
    """Return the whole lines of a journal and where each ends; `None` stands for a damaged one.

    Args:
        path: The journal; without one there are no lines.
        start: Where a line begins, in bytes.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                start += len(line)
                yield parse_line(line), start
    except FileNotFoundError:
        return


def _whole_lines(descriptor: int) -> int:
    """Return the length up to the last line break."""
    length = os.fstat(descriptor).st_size
    while length:
        size = min(length, 1 << 16)
        os.lseek(descriptor, length - size, os.SEEK_SET)
        end = os.read(descriptor, size).rfind(b"\n")
        if end >= 0:
            return length - size + end + 1
        length -= size
    return 0


def _write_all(descriptor: int, data: bytes, start: int) -> None:
    os.lseek(descriptor, start, os.SEEK_SET)
    while data:
        data = data[os.write(descriptor, data) :]
