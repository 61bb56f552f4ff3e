"""The data sets of a run, and which of their cases validate."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
        label: What it is called among several; empty if it is the only one.
        manifest: The data set.
        config: What the run was told about it.
        training: Names of the cases that are trained on, sorted.
        validation: Names of the cases that are only measured, sorted.
    """

    label: str
    manifest: Manifest
    config: DatasetConfig
    training: tuple[str, ...]
    validation: tuple[str, ...]

    def full_name(self, name: str) -> str:
        """Return what a case is called in the run: `LABEL+NAME` where there are several data sets.

        Args:
            name: Its name in the manifest.
        """
        return f"{self.label}+{name}" if self.label else name


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
    sources, split = config.data.datasets, config.data.split
    if len(sources) > 1 and split.file is not None:
        message = f"a file of folds is for one data set; the run has {len(sources)}: leave data.split.file out"
        raise ConfigError(message)
    _check_places(sources)
    opened = [
        SplitDataset(label=label, manifest=_open(source, folder, progress), config=source, training=(), validation=())
        for label, source in zip(_labels(sources), sources, strict=True)
    ]
    _check_names(opened, split)
    parts = tuple(_split(part, split, progress) for part in opened)
    for side in ("training", "validation"):
        if not any(getattr(part, side) for part in parts):
            total = sum(len(part.manifest.cases) for part in parts)
            message = f"no case is left for {side}: there are {total} in all; add cases or change data.split"
            raise TrainingError(message)
    return parts


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


def _check_places(sources: Sequence[DatasetConfig]) -> None:
    """Refuse data sets that are not there, all at once and before the first is read."""
    absent = {n: source.path for n, source in enumerate(sources) if source.path and not source.path.exists()}
    if absent:
        keys = ", ".join(f"data.datasets.{number}.path" for number in absent)
        message = (
            f"there is no data set at {', '.join(repr(str(path)) for path in absent.values())}; set {keys} to a folder "
            "or manifest that exists (relative paths start from the configuration file)"
        )
        raise ConfigError(message)


def _open(source: DatasetConfig, folder: Path, progress: Progress) -> Manifest:
    if source.path is None:
        return _phantoms(source, folder, progress)
    if source.path.is_file():
        return read_manifest(source.path)
    return index_dataset(source.path, progress=progress)


def _phantoms(source: DatasetConfig, folder: Path, progress: Progress) -> Manifest:
    wanted = PhantomSet(count=source.phantoms or 1, seed=source.first_seed, spacing_mm=source.phantom_spacing_mm)
    target = folder / f"phantoms-{wanted.seed}-{wanted.count}-{wanted.spacing_mm:g}mm"
    if (target / "manifest.json").is_file():
        return read_manifest(target / "manifest.json")
    return write_phantoms(target, wanted, progress=progress)


def _labels(sources: Sequence[DatasetConfig]) -> list[str]:
    """Return a name for each data set, different ones; none is needed for a single one."""
    if len(sources) == 1:
        return [""]
    names = ["phantoms" if source.path is None else source.path.stem.replace("+", "-") for source in sources]
    return [f"{name}-{number}" if names.count(name) > 1 else name for number, name in enumerate(names)]


def _check_names(parts: Sequence[SplitDataset], split: SplitConfig) -> None:
    known = {part.full_name(case.name) for part in parts for case in part.manifest.cases}
    absent = sorted(set(split.names) - known)
    if absent:
        example = min(known, default="")
        message = (
            f"no case is called {', '.join(absent)}, and a misspelt validation case would be trained on; "
            f"names look like {example!r}"
        )
        raise ConfigError(message)


def _split(part: SplitDataset, split: SplitConfig, progress: Progress) -> SplitDataset:
    cases = part.manifest.cases
    labelled = {case.name for case in cases if case.mask is not None}
    if split.names:
        chosen = {case.name for case in cases if part.full_name(case.name) in split.names}
        patients = {case.patient for case in cases if case.name in chosen}
        validation = chosen & labelled
        training = {case.name for case in cases if case.patient not in patients} & labelled
    else:
        validation, training = _fold(part.manifest, split, progress)
    return replace(part, training=tuple(sorted(training)), validation=tuple(sorted(validation)))


def _fold(manifest: Manifest, split: SplitConfig, progress: Progress) -> tuple[set[str], set[str]]:
    if split.file is not None:
        folds = read_folds(split.file, manifest=manifest)
        if split.fold >= len(folds.folds):
            message = (
                f"{split.file.name!r} has {len(folds.folds)} folds, counted from 0; data.split.fold is {split.fold}"
            )
            raise ConfigError(message)
    else:
        try:
            folds = make_folds(manifest, FoldConfig(count=split.folds, seed=split.seed), progress=progress)
        except FoldError as error:
            message = f"{error}; or name validation cases in data.split.names, or lower data.split.folds"
            raise ConfigError(message) from error
    return set(folds.folds[split.fold]), set(folds.training(split.fold))
