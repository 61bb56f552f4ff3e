"""How much memory of the host this process and its workers hold, as Linux tells it."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_RESET_PEAK: Final = "5"  # proc(5), clear_refs


def resident_bytes() -> int | None:
    """Return the memory that this process has in use now, in bytes; `None` where the system does not tell."""
    return _field(_PROC / "self" / "status", "VmRSS:")


def peak_bytes() -> int | None:
    """Return the most memory that this process had in use since `reset_peak`, in bytes; `None` where it is not told."""
    return _field(_PROC / "self" / "status", "VmHWM:")


def reset_peak() -> bool:
    """Let `peak_bytes` begin anew; return whether the system could."""
    try:
        (_PROC / "self" / "clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def trim() -> bool:
    """Give memory that was freed, but kept for later, back to the system; return whether the system's library can."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # of glibc
    except (AttributeError, OSError, TypeError):  # another library, or Windows, where there is none to open
        return False
    return True


def tree_bytes(pid: int | None = None) -> int | None:
    """Return the memory that a process and all that it started hold, in bytes; `None` where the system does not tell.

    Pages that several share are counted once, and files that are mapped are not counted: the system drops those when
    it needs room.

    Args:
        pid: The process; this one if `None`.
    """
    root = os.getpid() if pid is None else pid
    own = _held(root)
    if own is None:
        return None
    return own + sum(_held(child) or 0 for child in _descendants(root))


def _held(pid: int) -> int | None:
    rollup = _PROC / str(pid) / "smaps_rollup"
    parts = [_field(rollup, "Pss_Anon:"), _field(rollup, "Pss_Shmem:")]
    if None in parts:  # before Linux 5.9
        status = _PROC / str(pid) / "status"
        parts = [_field(status, "RssAnon:"), _field(status, "RssShmem:")]
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _descendants(pid: int) -> Iterator[int]:
    children: list[int] = []
    for listing in (_PROC / str(pid) / "task").glob("*/children"):
        with suppress(OSError, ValueError):  # a thread that has just ended
            children += [int(word) for word in listing.read_text(encoding="ascii").split()]
    for child in children:
        yield child
        yield from _descendants(child)


def _field(path: Path, name: str) -> int | None:
    """Return a number of kB of a file with one name a line, in bytes."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:  # another system, or the process has ended
        return None
    values = [line.split()[1] for line in lines if line.startswith(name)]
    return int(values[0]) * 1024 if values else None
