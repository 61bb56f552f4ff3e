"""The data sets of a run, and which of their cases validate."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tds_core.errors import ConfigError, TrainingError
from tds_core.training.config import DatasetConfig, SplitConfig, TrainingConfig
from tds_data.curation import FoldConfig, make_folds, read_folds
from tds_data.datasets import Manifest, index_dataset, read_manifest
from tds_data.errors import FoldError
from tds_data.phantoms import PhantomSet, write_phantoms

Progress = Callable[[int, int, str], None]
"""Hears how much of how much is done, and of what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitDataset:
    """A data set and the side of the split that each of its cases is on.

    Attributes:
        manifest: The data set.
        config: What the run was told about it.
        training: Names of the cases that are trained on, sorted.
        validation: Names of the cases that are only measured, sorted.
    """

    manifest: Manifest
    config: DatasetConfig
    training: tuple[str, ...]
    validation: tuple[str, ...]


def open_datasets(config: TrainingConfig, folder: Path, progress: Progress) -> tuple[SplitDataset, ...]:
    """Return the data sets of a run, split by patient. Phantoms are made where they are not there yet.

    Args:
        config: Its paths are absolute.
        folder: Where phantoms are kept.
        progress: Hears of files that are hashed and phantoms that are made.

    Raises:
        DataError: If a data set cannot be indexed or a split cannot be made (from tds_data).
        ConfigError: If a data set is not there, or a case that is to validate is in none.
        TrainingError: If there is nothing left to train on or to validate with.
    """
    sources = config.data.datasets
    if len(sources) > 1 and config.data.split.file is not None:
        message = f"a file of folds is for one data set; the run has {len(sources)}: leave data.split.file out"
        raise ConfigError(message)
    manifests = [_open(source, folder, progress) for source in sources]
    _check_names(manifests, config.data.split)
    split = [
        _split(manifest, source, config.data.split, progress)
        for manifest, source in zip(manifests, sources, strict=True)
    ]
    for side in ("training", "validation"):
        if not any(getattr(part, side) for part in split):
            total = sum(len(manifest.cases) for manifest in manifests)
            message = f"no case is left for {side}: there are {total} in all; add cases or change data.split"
            raise TrainingError(message)
    return tuple(split)


def data_digest(datasets: tuple[SplitDataset, ...]) -> str:
    """Return the SHA-256 of everything that a run learns from and is measured on.

    Args:
        datasets: Those of the run, split.
    """
    document = [
        {"manifest": part.manifest.digest, "training": part.training, "validation": part.validation}
        for part in datasets
    ]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _open(source: DatasetConfig, folder: Path, progress: Progress) -> Manifest:
    if source.path is None:
        return _phantoms(source, folder, progress)
    if not source.path.exists():
        message = (
            f"there is no data set at {str(source.path)!r}; set data.datasets.N.path to a folder or manifest "
            "that exists (relative paths start from the configuration file)"
        )
        raise ConfigError(message)
    if source.path.is_file():
        return read_manifest(source.path)
    return index_dataset(source.path, progress=progress)


def _phantoms(source: DatasetConfig, folder: Path, progress: Progress) -> Manifest:
    wanted = PhantomSet(count=source.phantoms or 1, seed=source.first_seed, spacing_mm=source.phantom_spacing_mm)
    target = folder / f"phantoms-{wanted.seed}-{wanted.count}-{wanted.spacing_mm:g}mm"
    if (target / "manifest.json").is_file():
        return read_manifest(target / "manifest.json")
    return write_phantoms(target, wanted, progress=progress)


def _check_names(manifests: list[Manifest], split: SplitConfig) -> None:
    names = [case.name for manifest in manifests for case in manifest.cases]
    absent = sorted(set(split.names) - set(names))
    if absent:
        message = f"no case is called {', '.join(absent)}: a misspelt validation case would be trained on"
        raise ConfigError(message)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = (
            f"case {twice[0]!r} is in two data sets; name each once, so that it cannot be on both sides of the split"
        )
        raise ConfigError(message)


def _split(manifest: Manifest, source: DatasetConfig, split: SplitConfig, progress: Progress) -> SplitDataset:
    labelled = {case.name for case in manifest.cases if case.mask is not None}
    if split.names:
        patients = {case.patient for case in manifest.cases if case.name in split.names}
        validation = set(split.names) & labelled
        training = {case.name for case in manifest.cases if case.patient not in patients} & labelled
    else:
        validation, training = _fold(manifest, split, progress)
    return SplitDataset(
        manifest=manifest, config=source, training=tuple(sorted(training)), validation=tuple(sorted(validation))
    )


def _fold(manifest: Manifest, split: SplitConfig, progress: Progress) -> tuple[set[str], set[str]]:
    if split.file is not None:
        folds = read_folds(split.file, manifest=manifest)
    else:
        try:
            folds = make_folds(manifest, FoldConfig(count=split.folds, seed=split.seed), progress=progress)
        except FoldError as error:
            message = f"{error}; or name validation cases in data.split.names, or lower data.split.folds"
            raise ConfigError(message) from error
    return set(folds.folds[split.fold]), set(folds.training(split.fold))
