"""Which patches are made, and with what means."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from tds_data.box import Shape
from tds_data.cache import DamagePolicy
from tds_data.errors import LoadingError
from tds_data.loading.augmentation.config import STANDARD, AugmentConfig
from tds_data.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchConfig:
    """Which patches are made: with a cache this settles every voxel, whatever means make them.

    Attributes:
        shape: Voxels of a patch along x, y, z.
        batch_size: Patches in a batch.
        batches_per_epoch: Batches in an epoch.
        foreground_share: Chance that a patch is centred on a voxel of a lesion, if the case has one.
        region_weights: How often each region is chosen then, among those that the case has; all of the task's alike
            if `None`.
        augmentation: What is done to patches; `None` leaves them as they are.
        seed: Of everything random.
        on_damage: Whether a case that turns out to be damaged ends the work, or is left out with a record.

    Raises:
        LoadingError: If a size is not at least 1, or a share or a weight cannot be.
    """

    shape: Shape = (128, 128, 128)
    batch_size: int = 2
    batches_per_epoch: int = 250
    foreground_share: float = 0.5
    region_weights: Mapping[str, float] | None = None
    augmentation: AugmentConfig | None = STANDARD
    seed: int = 0
    on_damage: DamagePolicy = DamagePolicy.REFUSE

    def __post_init__(self) -> None:
        sizes = (*self.shape, self.batch_size, self.batches_per_epoch)
        if min(sizes) < 1 or self.seed < 0:
            message = (
                "all sizes are at least 1 and the seed at least 0; these are patches of "
                f"{self.shape}, {self.batch_size} a batch, {self.batches_per_epoch} batches, seed {self.seed}"
            )
            raise LoadingError(message)
        if not 0 <= self.foreground_share <= 1:
            message = f"foreground_share is a share between 0 and 1; {self.foreground_share} was given"
            raise LoadingError(message)
        if self.region_weights is not None:
            weights = {str(region): float(weight) for region, weight in self.region_weights.items()}
            if min(weights.values(), default=0.0) < 0 or not 0 < sum(weights.values()) < float("inf"):
                message = f"region_weights are at least 0, and one is above; {dict(self.region_weights)} was given"
                raise LoadingError(message)
            object.__setattr__(self, "region_weights", MappingProxyType(weights))
        object.__setattr__(self, "on_damage", DamagePolicy(self.on_damage))

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], "PatchConfig"], tuple[dict[str, Any]]]:
        """Tell pickle what to call: a read-only mapping cannot be pickled."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        weights = None if self.region_weights is None else dict(self.region_weights)
        return _patch_config, ({**values, "region_weights": weights},)

    def weights_for(self, task: Task) -> Mapping[str, float]:
        """Return how often each region of a task is chosen.

        Args:
            task: What the cases are of.

        Raises:
            LoadingError: If weights are given for a region that the task has not.
        """
        if self.region_weights is None:
            return dict.fromkeys(task.regions, 1.0)
        strange = [region for region in self.region_weights if region not in task.regions]
        if strange:
            message = (
                f"region_weights names {', '.join(strange)}; the task {task.name!r} has the regions "
                f"{', '.join(task.regions)}"
            )
            raise LoadingError(message)
        return self.region_weights


def _patch_config(values: dict[str, Any]) -> PatchConfig:
    return PatchConfig(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderMeans:
    """With what means patches are made; none of this changes a patch.

    Attributes:
        workers: Processes that make patches; 0 makes them in this one, when they are asked for.
        prefetch_batches: Batches that are made ahead while one is in use.
        max_bytes: Most memory that workers and batches may take together; fewer workers and batches ahead are used
            where they would take more. Voxels are streamed from the cache in any case, so its size does not matter.
        pin_memory: Whether batches are copied to page-locked memory, which CUDA copies from faster.
        part: Which share of each batch is made, from 0, where several processes train on one batch together.
        parts: How many shares there are; they differ by one patch at most, and together they are the batch.

    Raises:
        LoadingError: If a number is negative, or there is no such share.
    """

    workers: int = 2
    prefetch_batches: int = 2
    max_bytes: int | None = None
    pin_memory: bool = False
    part: int = 0
    parts: int = 1

    def __post_init__(self) -> None:
        if self.workers < 0 or self.prefetch_batches < 1 or (self.max_bytes is not None and self.max_bytes < 0):
            message = (
                "a loader has at least 0 workers, makes at least 1 batch ahead and has a max_bytes of at least 0; "
                f"these are {self.workers}, {self.prefetch_batches} and {self.max_bytes}"
            )
            raise LoadingError(message)
        if not 0 <= self.part < self.parts:
            message = f"shares of a batch are numbered from 0 on; share {self.part} of {self.parts} was asked for"
            raise LoadingError(message)

    def rows(self, batch_size: int) -> range:
        """Return which patches of a batch this share is.

        Args:
            batch_size: Patches in the whole batch.

        Examples:
            >>> [LoaderMeans(part=part, parts=3).rows(8) for part in range(3)]
            [range(0, 2), range(2, 5), range(5, 8)]
        """
        return range(self.part * batch_size // self.parts, (self.part + 1) * batch_size // self.parts)
