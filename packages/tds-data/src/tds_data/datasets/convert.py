"""From one layout to another, without loss."""

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tds_data.atomic import atomic_folder, check_target
from tds_data.datasets._jobs import Plan, grouped, run_group
from tds_data.datasets._pool import Progress, run_all
from tds_data.datasets._tree import scan
from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest
from tds_data.datasets.targets import bids, brats, decathlon, nnunet
from tds_data.errors import ConversionRefused, DatasetError, VolumeWriteError
from tds_data.formats.images import open_image

_PLANNERS: Final[Mapping[str, Callable[[Manifest, str | None], Plan]]] = {
    "nnunet": nnunet.plan,
    "decathlon": decathlon.plan,
    "brats": brats.plan,
    "bids": bids.plan,
}

TARGET_LAYOUTS: Final = tuple(_PLANNERS)
"""Every layout that can be written."""

_ONE_GRID: Final = frozenset({"nnunet", "decathlon"})
_OWN_FILES: Final = (
    "dataset.json",
    "cases.tsv",
    "labels.tsv",
    "LICENCE.txt",
    "manifest.json",
    "dataset_description.json",
    "participants.tsv",
    "_sessions.tsv",
    "dseg.tsv",
    "README",
)
_MAX_SHOWN: Final = 3
_ROOM: Final = 1.05  # re-encoded files may grow a little

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """How to convert.

    Attributes:
        sequences: The images to keep; all by default.
        link: Whether files that stay as they are become hard links instead of copies, where the disk allows it.
        workers: How many files to work on at a time; one for each core by default.
    """

    sequences: tuple[str, ...] | None = None
    link: bool = False
    workers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What a conversion did.

    Attributes:
        target: The new data set.
        layout: Its layout.
        cases: How many cases it has.
        files: How many files were `copied` byte by byte, `linked`, `packed` (or unpacked) and `recoded`.
        notes: What was renumbered or decided, and what stays behind, for people.
    """

    target: Path
    layout: str
    cases: int
    files: Mapping[str, int]
    notes: tuple[str, ...] = field(default=())


def convert_dataset(
    manifest: Manifest,
    target: Path,
    layout: str,
    *,
    scheme: str | None = None,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Write a data set in another layout; the new folder is complete or absent.

    Files are copied byte by byte. They are encoded anew only where the layout asks for it: volumes stacked into or
    split from four-dimensional files, labels with other numbers, gzip added or taken off. Voxels, affines and the
    meaning of labels stay the same.

    Args:
        manifest: The data set.
        target: The folder to make.
        layout: One of `TARGET_LAYOUTS`.
        scheme: Name of the label scheme to write; by default the one that the layout is used with, or the data's own.
        options: How to convert.
        progress: Told after each file.

    Raises:
        ConversionRefused: If the layout cannot hold all that the data set holds; the message names what, and a way.
        DatasetError: If there is no such layout, the set is empty, or a file is not what the manifest says.
        VolumeReadError: If a file is damaged.
        VolumeWriteError: If the target holds something, cannot be written to, or its disk is full.
        UnknownScheme: If there is no scheme of that name.
    """
    chosen = options or ConvertOptions()
    if layout not in _PLANNERS:
        message = f"there is no layout {layout[:80]!r} to convert to; choose one of {', '.join(_PLANNERS)}"
        raise DatasetError(message)
    selected, notes = _selected(manifest, chosen.sequences)
    plan, left = _PLANNERS[layout](selected, scheme), _left_behind(manifest)
    _check_place(manifest, target, link=chosen.link)
    if layout in _ONE_GRID:
        run_all(
            lambda case: _check_grid(selected, case, layout),
            selected.cases,
            workers=chosen.workers,
            progress=progress,
            what="comparing grids",
        )
    with atomic_folder(target, protected=(manifest.root,)) as folder:
        done = run_all(
            lambda group: run_group(group, selected, folder, link=chosen.link),
            grouped(plan.jobs),
            workers=chosen.workers,
            progress=progress,
            what="writing",
        )
        for path, text in plan.texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    counts = Counter(how for group in done for how in group)
    logger.info("dataset_converted layout=%s cases=%d files=%s", layout, len(selected.cases), dict(counts))
    notes = (*notes, *plan.notes, *left, *_link_note(counts, link=chosen.link))
    return Conversion(target=target, layout=layout, cases=len(selected.cases), files=dict(counts), notes=notes)


def _selected(manifest: Manifest, sequences: Sequence[str] | None) -> tuple[Manifest, tuple[str, ...]]:
    if not manifest.cases:
        raise DatasetError("the manifest has no case to convert; index the data set again")
    if sequences is None:
        return manifest, ()
    kept: list[CaseEntry] = []
    for case in manifest.cases:
        images = {key: file for key, file in case.images.items() if key in sequences}
        if images:
            kept.append(replace(case, images=images))
    if not kept:
        have = sorted({key for case in manifest.cases for key in case.images})
        message = f"no case has an image among {', '.join(sequences)}; the data set has {', '.join(have)}"
        raise ConversionRefused(message)
    without = len(manifest.cases) - len(kept)
    left = sorted({key for case in manifest.cases for key in case.images} - set(sequences))
    notes = [f"left out as asked: {', '.join(left)}"] if left else []
    notes += [f"{without} cases have none of these images and are left out"] if without else []
    return replace(manifest, cases=tuple(kept)), tuple(notes)


def _check_place(manifest: Manifest, target: Path, *, link: bool) -> None:
    if target.resolve().is_relative_to(manifest.root.resolve()):
        raise VolumeWriteError(target, "it lies in the data set that is converted; choose a folder beside it")
    check_target(target, protected=(manifest.root,))
    needed = 0 if link else sum({file.path: file.size_bytes for c in manifest.cases for file in c.files}.values())
    free = shutil.disk_usage(next(p for p in target.absolute().parents if p.exists())).free
    if free < needed * _ROOM:
        reason = f"the disk has {free >> 20} MiB left, and the data set takes {needed >> 20}; free some space"
        raise VolumeWriteError(target, reason)


def _check_grid(manifest: Manifest, case: CaseEntry, layout: str) -> None:
    first: FileEntry | None = None
    for file in case.files:
        grid = open_image(manifest.path(file)).grid
        if first is None:
            first, shared = file, grid
        elif not shared.same_grid(grid):
            message = (
                f"case {case.name!r}: {first.path!r} and {file.path!r} are not on the same grid ({shared.shape} and "
                f"{grid.shape} voxels), and {layout} needs one grid for a case; resample them first, or convert to "
                "bids or brats, where each file keeps its grid"
            )
            raise ConversionRefused(message)


def _left_behind(manifest: Manifest) -> tuple[str, ...]:
    used = {file.path for case in manifest.cases for file in case.files}
    others = [path for path in scan(manifest.root).files if path not in used and not path.endswith(_OWN_FILES)]
    if not others:
        return ()
    shown = ", ".join(others[:_MAX_SHOWN]) + (", ..." if len(others) > _MAX_SHOWN else "")
    return (f"{len(others)} files that are no images of a case stay behind: {shown}",)


def _link_note(counts: Mapping[str, int], *, link: bool) -> tuple[str, ...]:
    copied = counts.get("copied", 0)
    return (f"{copied} files were copied, since the disk does not link them",) if link and copied else ()
