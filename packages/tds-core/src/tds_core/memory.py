"""How much memory a study needs and how much there is."""

import os
from pathlib import Path

from tds_data.case import Case
from tds_data.preprocess import Prepared

from tds_core.errors import OutOfMemory

_RUNTIME_BYTES = 600 * 1024**2
_BYTES_PER_NETWORK_VOXEL = 1400
_BYTES_PER_STUDY_VOXEL = 40
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USED = Path("/sys/fs/cgroup/memory.current")


def needed_bytes(case: Case, prepared: Prepared) -> int:
    """Return an estimate of what segmenting a case takes beyond its images, in bytes.

    Args:
        case: The case.
        prepared: Its network view.
    """
    network = prepared.tensor[0].size * _BYTES_PER_NETWORK_VOXEL
    return _RUNTIME_BYTES + network + case.grid.voxels.size * _BYTES_PER_STUDY_VOXEL


def available_bytes() -> int:
    """Return the memory that this process could still take, in bytes: the machine's or its container's."""
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = _meminfo_available()
    available = pages if meminfo is None else meminfo
    limit, used = _number(_CGROUP_LIMIT), _number(_CGROUP_USED)
    if limit is not None and used is not None:
        available = min(available, max(0, limit - used))
    return available


def check_memory(case: Case, prepared: Prepared, max_bytes: int | None) -> None:
    """Refuse a study that would not fit, before anything large is allocated.

    Args:
        case: The case.
        prepared: Its network view.
        max_bytes: The caller's own limit on this step, if any.

    Raises:
        OutOfMemory: If the estimate is above the limit or above what is available.
    """
    needed = needed_bytes(case, prepared)
    limit = available_bytes() if max_bytes is None else min(max_bytes, available_bytes())
    if needed > limit:
        raise OutOfMemory(needed, limit)


def _meminfo_available() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
