"""The same patches for torch's own DataLoader."""

from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from tds_data.cache import Cache, open_cache
from tds_data.errors import LoadingError
from tds_data.loading.config import PatchConfig
from tds_data.loading.maker import PatchMaker


class PatchDataset(Dataset[tuple[Tensor, Tensor]]):
    """The patches of one epoch, by position; for pipelines that are built on torch's `DataLoader`.

    `PatchLoader` makes the same patches with less memory and less copying.

    Args:
        cache: Cases; those without a mask are left out.
        config: Which patches.
        epoch: Number of the epoch.

    Raises:
        LoadingError: If no case has a mask.
    """

    def __init__(self, cache: Cache, config: PatchConfig | None = None, *, epoch: int = 0) -> None:
        if not any(case.labelled for case in cache.cases):
            message = f"none of the {len(cache.cases)} cases of the cache has a mask; there is nothing to learn from"
            raise LoadingError(message)
        self.config = config or PatchConfig()
        self.epoch = epoch
        self._folder = cache.folder
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
            self._maker = _maker(self._folder, self.config)
        patch = self._maker.empty()
        self._maker.make(self.epoch, index, patch)
        return patch.image, patch.labels

    def __getstate__(self) -> dict[str, object]:
        """Leave the maker behind."""
        return {**self.__dict__, "_maker": None}


def _maker(folder: Path, config: PatchConfig) -> PatchMaker:
    cases = [case for case in open_cache(folder).cases if case.labelled]
    return PatchMaker(cases, config, torch.zeros(len(cases), dtype=torch.uint8))
