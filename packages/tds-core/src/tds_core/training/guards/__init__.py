"""What keeps a run from being lost: to signals, memory, numbers that are none, and full disks."""

from tds_core.training.guards.disk import DiskGuard, Machine, is_disk_full
from tds_core.training.guards.events import Report
from tds_core.training.guards.finite import Rollback, RollbackPolicy
from tds_core.training.guards.memory import (
    MemoryGuard,
    PeerOutOfMemory,
    UpdateTorn,
    changing_weights,
    fail_together,
    is_out_of_memory,
)
from tds_core.training.guards.micro_batch import AdaptiveBatch
from tds_core.training.guards.signals import StopRequest

__all__ = [
    "AdaptiveBatch",
    "DiskGuard",
    "Machine",
    "MemoryGuard",
    "PeerOutOfMemory",
    "Report",
    "Rollback",
    "RollbackPolicy",
    "StopRequest",
    "UpdateTorn",
    "changing_weights",
    "fail_together",
    "is_disk_full",
    "is_out_of_memory",
]
