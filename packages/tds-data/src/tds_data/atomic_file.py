"""Files that are complete or absent: written beside their place, flushed to disk, renamed."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final
from uuid import uuid4

from tds_data._leftovers import flush_folder, host_tag, is_running
from tds_data.errors import VolumeWriteError

_PARTIAL: Final = ".partial-"
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

logger = logging.getLogger(__name__)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write, which takes its place when the block ends well and vanishes otherwise.

    Args:
        path: Target; an existing file is replaced.

    Yields:
        An empty file, open for writing.

    Raises:
        VolumeWriteError: If it cannot be written, or the disk is full.
    """
    partial = path.with_name(f"{_PARTIAL}{os.getpid()}-{host_tag()}-{uuid4().hex[:12]}")
    try:
        try:
            with partial.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            flush_folder(path.parent)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Args:
        path: Target; an existing file is replaced.
        text: What it is to hold; line breaks are written as they are.

    Raises:
        VolumeWriteError: If it cannot be written, or the disk is full.
    """
    with atomic_file(path) as file:
        file.write(text.encode("utf-8", errors="backslashreplace"))


def clear_partials(folder: Path) -> None:
    """Remove what runs on this machine that no longer exist have left half-written.

    Args:
        folder: Where `atomic_file` wrote.
    """
    for path in folder.glob(f"{_PARTIAL}*"):
        pid, host, _ = [*path.name.removeprefix(_PARTIAL).split("-"), "", ""][:3]
        if pid.isdecimal() and host == host_tag() and not is_running(int(pid)):
            logger.info("leftover_removed file=%s", path.name)
            with suppress(OSError):
                path.unlink()


def write_error(path: Path, error: OSError) -> VolumeWriteError:
    """Return the error to raise where something cannot be written.

    Args:
        path: What was to be written.
        error: What the system said.
    """
    if error.errno in _DISK_FULL:
        reason = "the disk is full; free some space or choose another folder, and run it again to go on from here"
    else:
        reason = f"{error.strerror or error}; choose a folder that you may write to"
    return VolumeWriteError(path, reason)
