"""Whose unfinished files lie there: what a run notes in their names, and whether that run still exists."""

import os
import platform
import zlib
from contextlib import suppress
from pathlib import Path


def host_tag() -> str:
    """Return eight hexadecimal digits that stand for this machine's name."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def is_running(pid: int) -> bool:
    """Tell whether a process of this machine exists; where that cannot be asked, it does.

    Args:
        pid: Its number.
    """
    if os.name != "posix":  # elsewhere signal 0 is not a question, so nothing is taken for dead
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def flush_folder(folder: Path) -> None:
    """Bring a folder's list of names to disk, where the system can.

    Args:
        folder: Its files have been flushed before.
    """
    with suppress(OSError):  # some systems cannot flush a folder; its files are safe by now
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
