"""How many workers and how many batches fit into the memory that is allowed."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tds_data.cache import CachedCase
from tds_data.errors import BudgetTooSmall
from tds_data.loading.augmentation.config import AugmentConfig
from tds_data.loading.config import LoaderMeans, PatchConfig

_FLOAT_BYTES: Final = 4
_STEP_BYTES: Final = 2
_PROCESS_BYTES: Final = 48 << 20
"""What a worker process takes before it holds a voxel: pages of the interpreter that it no longer shares."""
_SCRATCH_CHANNELS: Final = 7
_SCRATCH_OF_MANY_LABELS: Final = 8
_FEW_LABELS: Final = 3
_LEAST_SLOTS: Final = 3
"""One in use, one that the loop still holds while it asks for the next, and the next."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """What is used.

    Attributes:
        workers: Processes; 0 for none.
        slots: Batches in memory at a time, those in use among them.
        worker_bytes: Most memory of a worker.
        batch_bytes: Memory of a batch.
    """

    workers: int
    slots: int
    worker_bytes: int
    batch_bytes: int

    @property
    def total_bytes(self) -> int:
        """Most memory of all together."""
        return max(1, self.workers) * self.worker_bytes + self.slots * self.batch_bytes


def plan_memory(cases: Sequence[CachedCase], config: PatchConfig, means: LoaderMeans) -> MemoryPlan:
    """Return how many workers and batches to use.

    Args:
        cases: What patches are cut from.
        config: Which patches.
        means: What was asked for.

    Raises:
        BudgetTooSmall: If not even one worker and three batches fit.
    """
    patches = len(means.rows(config.batch_size))
    batch_bytes = patches * math.prod(config.shape) * (len(cases[0].modalities) * _FLOAT_BYTES + 1)
    worker_bytes = _worker_bytes(cases, config) + (_PROCESS_BYTES if means.workers else 0)
    least = MemoryPlan(
        workers=min(1, means.workers), slots=_LEAST_SLOTS, worker_bytes=worker_bytes, batch_bytes=batch_bytes
    )
    if means.max_bytes is None:
        return _plan(least, means.workers, means.prefetch_batches + 2)
    if least.total_bytes > means.max_bytes:
        raise BudgetTooSmall(means.max_bytes, least.total_bytes)
    for workers in range(means.workers, least.workers - 1, -1):
        for slots in range(means.prefetch_batches + 2, _LEAST_SLOTS - 1, -1):
            plan = _plan(least, workers, slots)
            if plan.total_bytes <= means.max_bytes:
                if workers < means.workers:
                    logger.warning("fewer_workers asked=%d used=%d", means.workers, workers)
                return plan
    return least  # pragma: no cover  # the loop ends with it


def _plan(least: MemoryPlan, workers: int, slots: int) -> MemoryPlan:
    return replace(least, workers=workers, slots=slots)


def _worker_bytes(cases: Sequence[CachedCase], config: PatchConfig) -> int:
    """Return the most that cutting and changing one patch takes."""
    channels = len(cases[0].modalities)
    patch = math.prod(config.shape)
    augmentation = config.augmentation or AugmentConfig()
    reach = _reach(config, augmentation)
    regions = [
        math.prod(min(n, math.ceil(reach) if reach else m) for n, m in zip(case.shape, config.shape, strict=True))
        for case in cases
    ]
    region = max(regions)
    mapped = channels * region * _STEP_BYTES + region
    resampled = channels * region * _FLOAT_BYTES if reach else 0
    few = len(cases[0].task.labels) <= _FEW_LABELS
    scratch = (_SCRATCH_CHANNELS if few else _SCRATCH_OF_MANY_LABELS) * max(region, patch) * _FLOAT_BYTES
    lesions = [math.prod(case.lesion_box.shape) for case in cases if case.lesion_box is not None]
    mixed = min(max(lesions, default=0) * 2, patch) * (channels + 3) * _FLOAT_BYTES if augmentation.mixing_chance else 0
    return mapped + resampled + scratch + mixed


def _reach(config: PatchConfig, augmentation: AugmentConfig) -> float:
    """Return the longest side of the part of a case that a turned patch can need; 0 if none is turned."""
    turned = augmentation.rotation_chance or augmentation.scale_chance or augmentation.elastic_chance
    if not turned:
        return 0.0
    longest = max(1.0, augmentation.scale[1]) if augmentation.scale_chance else 1.0
    bent = 2 * augmentation.elastic_share * augmentation.elastic_spacing_voxels if augmentation.elastic_chance else 0.0
    return longest * (math.hypot(*config.shape) + bent * math.sqrt(3)) + 2
