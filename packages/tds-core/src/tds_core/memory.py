"""How much memory a study needs and how much there is."""

import math
import os
from pathlib import Path
from typing import Final

from tds_core.description import NetworkUse
from tds_core.errors import OutOfMemory
from tds_core.windows import lay_windows
from tds_data.case import Case
from tds_data.preprocess import Prepared

# Peaks measured on Linux with OpenVINO 2025 on two cores and a SegResNet of 16 filters, each with a margin of a fifth.
_RUNTIME_BYTES: Final = 224 * 1024**2
_BYTES_PER_STUDY_VOXEL: Final = 20
_BYTES_PER_NUMBER: Final = 4

_MEMINFO: Final = Path("/proc/meminfo")
_CONTROL_GROUP: Final = Path("/sys/fs/cgroup")


def needed_bytes(case: Case, prepared: Prepared, use: NetworkUse | None = None) -> int:
    """Return an estimate of what segmenting a case takes beyond its images, in bytes.

    Args:
        case: The case.
        prepared: Its network view.
        use: How the networks are run; whole, as the shipped one is, if `None`.
    """
    use = use or NetworkUse()
    x, y, z = prepared.tensor.shape[1:]
    layout = lay_windows((x, y, z), use.windows)
    network = use.weight_bytes + math.prod(layout.window) * use.bytes_per_voxel
    if len(layout.starts) > 1:
        # Beside one window: the padded tensor, its logits, their weights, probabilities of one copy and of all.
        numbers = len(use.task.channels) + use.outputs + 1 + 2 * len(use.task.regions)
        network += math.prod(layout.padded) * numbers * _BYTES_PER_NUMBER
    return _RUNTIME_BYTES + network + case.grid.voxels.size * _BYTES_PER_STUDY_VOXEL


def available_bytes() -> int | None:
    """Return the memory that this process could still take, in bytes; `None` where the system does not tell.

    The smaller of what the machine and its container (control group, version 2) have left.
    """
    left = [n for n in (_machine_bytes(), _container_bytes()) if n is not None]
    return min(left, default=None)


def check_memory(case: Case, prepared: Prepared, max_bytes: int | None, use: NetworkUse | None = None) -> None:
    """Refuse a study that would not fit, before the network runs.

    Args:
        case: The case.
        prepared: Its network view.
        max_bytes: The caller's own limit on this step, if any.
        use: How the networks are run; whole, as the shipped one is, if `None`.

    Raises:
        OutOfMemory: If the estimate is above the limit or above what is available.
    """
    needed = needed_bytes(case, prepared, use)
    limits = [n for n in (max_bytes, available_bytes()) if n is not None]
    limit = min(limits, default=needed)
    if needed > limit:
        raise OutOfMemory(needed, limit)


def _machine_bytes() -> int | None:
    fields = _fields(_MEMINFO)
    if "MemAvailable:" in fields:
        return fields["MemAvailable:"] * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not every system has sysconf, nor these names in it
        return None


def _container_bytes() -> int | None:
    limit, used = _number(_CONTROL_GROUP / "memory.max"), _number(_CONTROL_GROUP / "memory.current")
    if limit is None or used is None:
        return None
    # Files read long ago count as used until somebody needs their place.
    reclaimable = _fields(_CONTROL_GROUP / "memory.stat").get("inactive_file", 0)
    return max(0, limit - max(0, used - reclaimable))


def _fields(path: Path) -> dict[str, int]:
    """Return the first number after each name of a file with one name a line; nothing if there is no such file."""
    try:
        lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeDecodeError):
        return {}
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max" where there is no limit
        return None
