"""The same patches for torch's own DataLoader."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from tds_data.cache import Cache, CachedCase
from tds_data.cache.cached_case import read_case
from tds_data.loading._cases import chosen_cases
from tds_data.loading.config import PatchConfig
from tds_data.loading.maker import PatchMaker


class PatchDataset(Dataset[tuple[Tensor, Tensor]]):
    """The patches of one epoch, by position; for pipelines that are built on torch's `DataLoader`.

    `PatchLoader` makes the same patches with less memory and less copying.

    Args:
        cache: Cases, or a cache of them; those without a mask are left out.
        config: Which patches.
        epoch: Number of the epoch.

    Raises:
        LoadingError: If no case has a mask, two share a name, or they are not of one task.
    """

    def __init__(
        self, cache: Cache | Sequence[CachedCase], config: PatchConfig | None = None, *, epoch: int = 0
    ) -> None:
        cases, _ = chosen_cases(cache)
        self.config = config or PatchConfig()
        self.epoch = epoch
        # Read again where it is used: read-only mappings cannot be sent to another process.
        self._places = tuple((case.path, case.name, case.patient) for case in cases)
        self._maker: PatchMaker | None = None

    def __len__(self) -> int:
        """Patches in an epoch."""
        return self.config.batch_size * self.config.batches_per_epoch

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return image and labels of a patch.

        Args:
            index: Position in the epoch.

        Raises:
            IndexError: If there is no such position.
            DamagedCache: If the case is damaged and the policy is to refuse.
        """
        if not 0 <= index < len(self):
            message = f"an epoch has {len(self)} patches; number {index} was asked for"
            raise IndexError(message)
        if self._maker is None:  # in the process that uses it: a maker cannot be sent to another
            self._maker = _maker(self._places, self.config)
        patch = self._maker.empty()
        self._maker.make(self.epoch, index, patch)
        return patch.image, patch.labels

    def __getstate__(self) -> dict[str, object]:
        """Leave the maker behind."""
        return {**self.__dict__, "_maker": None}


def _maker(places: Sequence[tuple[Path, str, str]], config: PatchConfig) -> PatchMaker:
    cases = [replace(read_case(path)[0], name=name, patient=patient) for path, name, patient in places]
    return PatchMaker(cases, config, torch.zeros(len(cases), dtype=torch.uint8))
