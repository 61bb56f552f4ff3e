"""Making one patch: choose, cut, change. Workers and the main process use the same code."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tds_data.box import Shape
from tds_data.cache import CachedCase, DamagePolicy, SkippedCase
from tds_data.errors import AugmentError, DamagedCache, LoadingError
from tds_data.loading.augmentation.apply import Patch, fill_patch
from tds_data.loading.augmentation.config import AugmentConfig
from tds_data.loading.augmentation.draw import draw
from tds_data.loading.augmentation.mixing import draw_mixing, suits
from tds_data.loading.augmentation.record import AugmentRecord, Mixing
from tds_data.loading.augmentation.source import CaseSource, VoxelSource
from tds_data.loading.augmentation.workspace import Workspace, one_thread
from tds_data.loading.config import PatchConfig
from tds_data.loading.sampling import case_at, choose_region, choose_start, patch_rng

_UNKNOWN, _SOUND, _DAMAGED = 0, 1, 2

Fetch = Callable[[Tensor], tuple[Mixing, VoxelSource] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRecord:
    """Where a patch comes from and what was done to it.

    Attributes:
        epoch: Number of the epoch.
        index: Position in the epoch.
        case: Name of the case.
        phantom: Whether the case is synthetic.
        start: The case's voxel under the patch's first, were nothing turned.
        region: What the patch was centred on, if anything.
        augmentation: What was done.
    """

    epoch: int
    index: int
    case: str
    phantom: bool
    start: Shape
    region: str | None
    augmentation: AugmentRecord

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "epoch": self.epoch,
            "index": self.index,
            "case": self.case,
            "phantom": self.phantom,
            "start": list(self.start),
            "region": self.region,
            "augmentation": self.augmentation.to_dict(),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "PatchRecord":
        """Return the record that `to_dict` wrote, before or after JSON.

        Args:
            document: Its plain form.

        Raises:
            AugmentError: If it is none.
        """
        try:
            x, y, z = document["start"]
            return cls(
                epoch=document["epoch"],
                index=document["index"],
                case=document["case"],
                phantom=document["phantom"],
                start=(x, y, z),
                region=None if document["region"] is None else str(document["region"]),
                augmentation=AugmentRecord.from_dict(document["augmentation"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            message = f"this is no record of a patch ({type(error).__name__}: {error})"
            raise AugmentError(message) from error


class PatchMaker:
    """Makes patches one by one.

    Args:
        cases: Those with a mask, of one task, each with a name of its own.
        config: Which patches.
        states: Uint8 tensor of shape (cases,), all 0 at first: what is known about each case, shared by all makers.
    """

    def __init__(self, cases: Sequence[CachedCase], config: PatchConfig, states: Tensor) -> None:
        self._cases = tuple(cases)
        self._config = config
        self._states = states
        self._weights = config.weights_for(self._cases[0].task)
        self._workspace = Workspace()
        self._found: list[SkippedCase] = []

    def make(self, epoch: int, index: int, out: Patch) -> tuple[PatchRecord, tuple[SkippedCase, ...]]:
        """Fill a patch.

        Args:
            epoch: Number of the epoch.
            index: Position in the epoch.
            out: Where to put it.

        Returns:
            What it is, and the cases that turned out to be damaged on the way.

        Raises:
            DamagedCache: If the case is damaged and the policy is to refuse.
            LoadingError: If no sound case is left.
        """
        self._found = []
        number, rng = self._sound_case(epoch, index)
        case = self._cases[number]
        arrays = case.arrays()
        config = self._config
        region = choose_region(case, config.foreground_share, self._weights, rng)
        start = choose_start(case, arrays.foreground, region, config.shape, rng)
        augmentation = config.augmentation
        record = (
            AugmentRecord() if augmentation is None else draw(augmentation, rng, case.present, windowed=case.windowed)
        )
        with one_thread(), torch.no_grad():
            source = CaseSource(case=case, arrays=arrays)
            fetch = self._donor(case, augmentation, rng)
            record = fill_patch(source, start, record, out, self._workspace, donor=fetch)
        whole = PatchRecord(
            epoch=epoch,
            index=index,
            case=case.name,
            phantom=case.phantom,
            start=start,
            region=region,
            augmentation=record,
        )
        return whole, tuple(self._found)

    def again(self, record: PatchRecord, out: Patch) -> None:
        """Fill a patch from its record.

        Args:
            record: What `make` returned.
            out: Where to put it.

        Raises:
            LoadingError: If the cache has no such case.
            DamagedCache: If a case is damaged.
        """
        case = self._named(record.case)
        mixing = record.augmentation.mixing

        def fetch(image: Tensor) -> tuple[Mixing, VoxelSource] | None:
            del image
            return None if mixing is None else (mixing, self._source(self._named(mixing.donor)))

        with one_thread(), torch.no_grad():
            fill_patch(self._source(case), record.start, record.augmentation, out, self._workspace, donor=fetch)

    def empty(self, batch: tuple[int, ...] = ()) -> Patch:
        """Return room for a patch, or for a batch of them.

        Args:
            batch: Axes before those of a patch.
        """
        channels, shape = len(self._cases[0].modalities), self._config.shape
        return Patch(
            image=torch.empty((*batch, channels, *shape)), labels=torch.empty((*batch, *shape), dtype=torch.uint8)
        )

    def _sound_case(self, epoch: int, index: int) -> tuple[int, np.random.Generator]:
        seed, count = self._config.seed, len(self._cases)
        number = case_at(count, seed, epoch, index)
        for attempt in range(10 * count):
            rng = patch_rng(seed, epoch, index, attempt)
            if attempt:
                number = int(rng.integers(count))
            if self._is_sound(number):
                return number, rng
        message = "every case of the cache is damaged; run `tds data cache` again to mend it"
        raise LoadingError(message)

    def _is_sound(self, number: int) -> bool:
        """Tell whether a case is what it was when it was cached; each is read through once in a run."""
        if self._states[number] == _UNKNOWN:
            try:
                self._cases[number].verify()
            except DamagedCache as error:
                if self._config.on_damage is DamagePolicy.REFUSE:
                    raise
                name = self._cases[number].name
                self._found.append(SkippedCase(name=name, error=type(error).__name__, reason=str(error)))
                self._states[number] = _DAMAGED
            else:
                self._states[number] = _SOUND
        return bool(self._states[number] == _SOUND)

    def _donor(self, case: CachedCase, config: AugmentConfig | None, rng: np.random.Generator) -> Fetch:
        """Return what draws a lesion to mix in, once the patch is there."""

        def fetch(image: Tensor) -> tuple[Mixing, VoxelSource] | None:
            if config is None or not rng.random() < config.mixing_chance or not case.task.lesions_only:
                return None
            donors = [
                number
                for number, other in enumerate(self._cases)
                if other.lesion_box is not None and other.patient != case.patient and suits(case.present, other.present)
            ]
            while donors:
                number = donors.pop(int(rng.integers(len(donors))))
                if self._is_sound(number):
                    source = self._source(self._cases[number])
                    step = draw_mixing(self._cases[number].name, source, image, rng)
                    return None if step is None else (step, source)
            return None

        return fetch

    def _named(self, name: str) -> CachedCase:
        found = next((case for case in self._cases if case.name == name), None)
        if found is None:
            message = f"the cache has no case {name!r} with a mask; replay a record with the cache it was made from"
            raise LoadingError(message)
        return found

    def _source(self, case: CachedCase) -> CaseSource:
        return CaseSource(case=case, arrays=case.arrays())
