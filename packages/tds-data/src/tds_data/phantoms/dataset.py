"""Data sets of phantoms on disk, in the layouts that data sets of patients have."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from tds_data.atomic import atomic_folder, check_target
from tds_data.datasets import (
    TARGET_LAYOUTS,
    CaseEntry,
    ConvertOptions,
    FileEntry,
    Manifest,
    convert_dataset,
    find_scheme,
    index_dataset,
    write_manifest,
)
from tds_data.datasets._cases_table import CASES_TABLE, cases_table
from tds_data.datasets._labels_table import LABELS_TABLE, labels_table
from tds_data.datasets._patients import patient_of
from tds_data.datasets.manifest import MANIFEST_NAME
from tds_data.errors import ConversionRefused, DatasetError, VolumeWriteError
from tds_data.nifti import write_volume
from tds_data.phantoms.config import PhantomConfig
from tds_data.phantoms.plan import TumourKind
from tds_data.phantoms.synthesis import Acquisition, Phantom, synthesize
from tds_data.phantoms.template import template_folder
from tds_data.quality.isolation import run_isolated
from tds_data.report import RESEARCH_USE_NOTICE
from tds_data.vocabulary import MODALITIES
from tds_data.volume import Volume

RECIPES_NAME: Final = "phantoms.json"
"""File in the root of a set that says how each phantom was made."""

OWN_LAYOUT: Final = "brats"
"""The layout that phantoms are written in before they are converted to another."""

CAVITY_LABEL: Final = 4
"""Number of the resection cavity in the scheme of BraTS 2024, where it is asked for."""

_ALL_SEQUENCES: Final = frozenset({"nnunet", "decathlon"})
_MAX_COUNT: Final = 100_000
_MAX_WORKERS: Final = 8
_MIX: Final = ((TumourKind.HIGH_GRADE, 0.6), (TumourKind.LOW_GRADE, 0.25), (TumourKind.RESECTED, 0.15))
_LESIONS: Final = ((1, 0.75), (2, 0.16), (3, 0.09))
_DRAW: Final = 0x5E7  # keeps these draws apart from the phantoms' own
_T = TypeVar("_T")
Progress = Callable[[int, int, str], None]
"""Hears how many of how many phantoms are done, and what it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSet:
    """What phantoms to make.

    Attributes:
        count: How many.
        seed: Seed of the first; the others follow it.
        layout: One of `TARGET_LAYOUTS` of `tds_data.datasets`.
        kind: What tumours they have; `None` for a mixture as in clinics.
        spacing_mm: Edge of the voxels.
        with_skull: Keep the skull and the scalp.
        missing: Leave out one or two sequences of about every other phantom.
        thick_slices: Whether every sequence is measured in thick slices; `None` for as it happens in clinics.
        motion: Let every patient move a little or more.
        tesla: Field strength; `None` for either.
        cavity_label: Number resection cavities 4 in the masks, as BraTS 2024 does; they are background otherwise.

    Raises:
        DatasetError: If the count is out of range or there is no such layout.
        ConversionRefused: If sequences are to be missing in a layout that needs them all.
        VoxelError: If a phantom cannot be made so.
    """

    count: int
    seed: int = 0
    layout: str = OWN_LAYOUT
    kind: TumourKind | None = None
    spacing_mm: float = 1.0
    with_skull: bool = False
    missing: bool = False
    thick_slices: bool | None = None
    motion: bool = False
    tesla: float | None = None
    cavity_label: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.count <= _MAX_COUNT:
            message = f"a set has 1 to {_MAX_COUNT} phantoms; {self.count} were asked for"
            raise DatasetError(message)
        if self.layout not in TARGET_LAYOUTS:
            message = f"there is no layout {self.layout[:80]!r}; choose one of {', '.join(TARGET_LAYOUTS)}"
            raise DatasetError(message)
        if self.missing and self.layout in _ALL_SEQUENCES:
            message = f"{self.layout} needs every sequence of every case; choose brats or bids for missing ones"
            raise ConversionRefused(message)
        for seed in (self.seed, self.seed + self.count - 1):
            draw_config(self, seed)

    @property
    def seeds(self) -> range:
        """The seed of each phantom."""
        return range(self.seed, self.seed + self.count)


def draw_config(wanted: PhantomSet, seed: int) -> PhantomConfig:
    """Return what one phantom of a set is; it depends on its own seed alone, not on the size of the set.

    Args:
        wanted: The set.
        seed: Seed of the phantom.

    Raises:
        VoxelError: If a phantom cannot be made so.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([max(seed, 0), _DRAW])))
    kind = _pick(rng, _MIX)
    lesions = _pick(rng, _LESIONS)
    absent = rng.permutation(len(MODALITIES))[: int(rng.integers(1, 3))]
    complete = rng.random() < 0.5  # noqa: PLR2004 - every other one
    severity = float(rng.uniform(0.15, 1.0))
    left = tuple(m for i, m in enumerate(MODALITIES) if not wanted.missing or complete or i not in absent)
    return PhantomConfig(
        seed=seed,
        spacing_mm=wanted.spacing_mm,
        modalities=left,
        tumours=lesions,
        kind=wanted.kind or kind,
        tesla=wanted.tesla,
        with_skull=wanted.with_skull,
        thick_slices=wanted.thick_slices,
        motion=severity if wanted.motion else 0.0,
    )


def write_phantoms(
    target: Path, wanted: PhantomSet, *, workers: int | None = None, progress: Progress | None = None
) -> Manifest:
    """Make phantoms and write them as a data set; the folder is complete or absent.

    Besides the images and masks it holds `manifest.json`, where every case is marked as a phantom, and `phantoms.json`,
    which says how each was made. Files are the same whatever the number of workers.

    Args:
        target: Folder to make.
        wanted: What to make.
        workers: How many phantoms at a time, each in a process of its own that needs less than a gibibyte of memory; by
            default one for each core.
        progress: Told after each phantom.

    Returns:
        The data set's manifest.

    Raises:
        MissingDependency: If nilearn, which ships the anatomy, is not installed.
        VolumeWriteError: If the folder holds something or cannot be written to, or a process died.
        WorkersNotStarted: If processes cannot be started.
    """
    template_folder()
    check_target(target)
    count = min(wanted.count, workers or min(_MAX_WORKERS, os.cpu_count() or 1))
    if wanted.layout == OWN_LAYOUT:
        with atomic_folder(target) as folder:
            return _write_own(folder, target, wanted, count, progress)
    with atomic_folder(target) as final:
        folder, converted = final / ".made", final / ".converted"
        folder.mkdir()
        manifest = _write_own(folder, folder, wanted, count, progress)
        convert_dataset(manifest, converted, wanted.layout, options=ConvertOptions(link=True, workers=count))
        (folder / RECIPES_NAME).replace(converted / RECIPES_NAME)
        shutil.rmtree(folder)
        for entry in converted.iterdir():
            entry.rename(final / entry.name)
        converted.rmdir()
        found = index_dataset(final, layout=wanted.layout, workers=count)
        write_manifest(found, final / MANIFEST_NAME)
    return replace(found, root=target)


def _write_own(folder: Path, target: Path, wanted: PhantomSet, workers: int, progress: Progress | None) -> Manifest:
    entries: dict[int, CaseEntry] = {}
    recipes: dict[str, Any] = {}
    for seed, (entry, recipe) in _all_made(folder, wanted, workers):
        entries[seed], recipes[entry.name] = entry, recipe
        if progress is not None:
            progress(len(entries), wanted.count, "phantoms")
    scheme = find_scheme("brats-2024" if wanted.cavity_label else "brats-2023")
    cases = tuple(entries[seed] for seed in sorted(entries))
    manifest = Manifest(layout=OWN_LAYOUT, cases=cases, scheme=scheme.name, root=folder)
    patients = {case.name: patient_of(case.name) for case in cases}
    texts = {
        LABELS_TABLE: labels_table(scheme.values),
        CASES_TABLE: cases_table(cases, told=frozenset(), patients=patients) or "",
        RECIPES_NAME: _document(recipes),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    write_manifest(manifest, folder / MANIFEST_NAME)
    return replace(manifest, root=target)


_Made = tuple[CaseEntry, dict[str, Any]]


def _all_made(folder: Path, wanted: PhantomSet, workers: int) -> Iterator[tuple[int, _Made]]:
    work = partial(_make_one, folder, wanted)
    if workers == 1:
        for seed in wanted.seeds:
            yield seed, work(seed)
        return
    for outcome in run_isolated(work, wanted.seeds, workers=workers):
        if outcome.result is None:
            reason = f"the phantom of seed {outcome.task} could not be made ({outcome.fault}); try fewer workers"
            raise VolumeWriteError(folder, reason)
        yield outcome.task, outcome.result


def _make_one(folder: Path, wanted: PhantomSet, seed: int) -> _Made:
    config = draw_config(wanted, seed)
    phantom = synthesize(config)
    name = phantom.case.name
    (folder / name).mkdir()
    volumes = {str(modality): volume for modality, volume in phantom.case.images.items()}
    files = {key: _written(folder, f"{name}/{name}_{key}.nii.gz", volume) for key, volume in volumes.items()}
    mask = _written(folder, f"{name}/{name}_seg.nii.gz", _mask(phantom, cavity_label=wanted.cavity_label))
    attributes = {"kind": config.kind.value, "lesions": str(config.tumours), "tesla": f"{_tesla(phantom):g}"}
    entry = CaseEntry(name=name, patient=name, images=files, mask=mask, phantom=True, attributes=attributes)
    return entry, _recipe(config, phantom)


def _mask(phantom: Phantom, *, cavity_label: bool) -> Volume:
    if not cavity_label:
        return phantom.reference
    return phantom.reference.with_voxels(np.where(phantom.cavity, np.uint8(CAVITY_LABEL), phantom.reference.voxels))


def _written(folder: Path, path: str, volume: Volume) -> FileEntry:
    write_volume(folder / path, volume)
    data = (folder / path).read_bytes()
    return FileEntry(path=path, sha256=sha256(data).hexdigest(), size_bytes=len(data))


def _tesla(phantom: Phantom) -> float:
    return next(iter(phantom.acquisitions.values())).tesla


def _document(recipes: Mapping[str, Any]) -> str:
    document = {"phantom": True, "notice": RESEARCH_USE_NOTICE, "cases": dict(sorted(recipes.items()))}
    return json.dumps(document, indent=1) + "\n"


def _recipe(config: PhantomConfig, phantom: Phantom) -> dict[str, Any]:
    return {
        "seed": config.seed,
        "kind": config.kind.value,
        "lesions": config.tumours,
        "tesla": _tesla(phantom),
        "with_skull": config.with_skull,
        "motion": config.motion,
        "sequences": {str(modality): _sequence(how) for modality, how in phantom.acquisitions.items()},
    }


def _sequence(how: Acquisition) -> dict[str, Any]:
    protocol = how.protocol
    return {
        "technique": protocol.technique.value,
        "repetition_ms": round(protocol.repetition_ms, 1),
        "echo_ms": round(protocol.echo_ms, 1),
        "inversion": round(protocol.inversion_ms, 3),
        "flip_degrees": round(protocol.flip_degrees, 1),
        "slice_mm": protocol.slice_mm,
        "gap_mm": protocol.gap_mm,
        "noise": round(how.scan.noise, 4),
        "bias": round(how.scan.bias, 4),
    }


def _pick(rng: np.random.Generator, choices: tuple[tuple[_T, float], ...]) -> _T:
    place = rng.random()
    for value, share in choices:
        place -= share
        if place < 0:
            return value
    return choices[-1][0]
