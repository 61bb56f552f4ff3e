"""What a conversion has to do for each file, and doing it."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tds_data.datasets import _recode
from tds_data.datasets._tree import image_suffix
from tds_data.datasets.manifest import FileEntry, Manifest
from tds_data.errors import ConversionRefused, DatasetError, LabelError, VolumeReadError
from tds_data.formats._inflate import Container
from tds_data.formats._whole_file import packed

NIFTI: Final = frozenset({".nii", ".nii.gz"})
"""Suffixes between which only the packing differs."""

_DETACHED: Final = frozenset({".nhdr", ".mhd"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One file to make.

    Attributes:
        target: Where, relative to the new data set.
        sources: What from; several are stacked into one four-dimensional file.
        table: For a mask that is renumbered, the new number of each old one.
        scheme: What the old numbering is called, for errors.
        owner: The case, for errors.
    """

    target: str
    sources: tuple[FileEntry, ...]
    owner: str
    table: Mapping[int, int] | None = None
    scheme: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that makes up a new data set.

    Attributes:
        jobs: The files with voxels.
        texts: Content of the other files.
        notes: What could not be carried over, and what was decided, for people.
    """

    jobs: tuple[Job, ...]
    texts: Mapping[str, str]
    notes: tuple[str, ...] = field(default=())


def grouped(jobs: Sequence[Job]) -> list[tuple[Job, ...]]:
    """Return the jobs in groups that read the same file, which so is unpacked once.

    Args:
        jobs: The jobs.
    """
    groups: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[job.sources[0].path].append(job)
    return [tuple(group) for group in groups.values()]


def run_group(group: Sequence[Job], manifest: Manifest, folder: Path, *, link: bool) -> list[str]:
    """Make the files of a group, and return how each was made: `copied`, `linked`, `packed` or `recoded`.

    Args:
        group: Jobs that read the same file.
        manifest: Where the sources are from.
        folder: The new data set.
        link: Whether files that stay as they are may be hard links.

    Raises:
        ConversionRefused: If images that are to be stacked differ in their grid, or a label has no number.
        DatasetError: If a source is not what the manifest says.
        VolumeReadError: If a source is damaged.
        OSError: If a file cannot be written.
    """
    parsed: dict[str, _recode.Stored] = {}
    return [_run(job, manifest, folder / job.target, parsed, link=link) for job in group]


def _run(job: Job, manifest: Manifest, target: Path, parsed: dict[str, _recode.Stored], *, link: bool) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    first = job.sources[0]
    if len(job.sources) == 1 and first.index is None and job.table is None:
        return _carry(manifest, first, target, link=link)
    for source in job.sources:
        if source.path not in parsed:
            parsed[source.path] = _recode.parse(_checked_bytes(manifest, source), manifest.path(source))
    if _is_whole_file(job.sources, parsed[first.path]):
        return _carry(manifest, first, target, link=link)
    volumes = [_volume(manifest, source, parsed[source.path]) for source in job.sources]
    stored = _recode.stack(volumes, [s.path for s in job.sources]) if len(volumes) > 1 else volumes[0]
    if job.table is not None:
        renumbered = _relabelled(job, stored)
        if renumbered is None and first.index is None:
            return _carry(manifest, first, target, link=link)
        stored = renumbered or stored
    _write(target, _recode.build(stored))
    return "recoded"


def _is_whole_file(sources: Sequence[FileEntry], stored: _recode.Stored) -> bool:
    in_order = [source.index for source in sources] == list(range(len(sources)))
    return in_order and len({source.path for source in sources}) == 1 and stored.numbers.shape[3:] == (len(sources),)


def _volume(manifest: Manifest, source: FileEntry, stored: _recode.Stored) -> _recode.Stored:
    return stored if source.index is None else _recode.split(stored, source.index, manifest.path(source))


def _relabelled(job: Job, mask: _recode.Stored) -> _recode.Stored | None:
    try:
        return _recode.relabel(mask, job.table or {}, job.scheme)
    except LabelError as error:
        message = (
            f"case {job.owner!r}: {error}. The target's scheme has no number for it: choose one that has, such as "
            "brats-2024 for a resection cavity, or convert to bids or nnunet, which hold any label"
        )
        raise ConversionRefused(message) from error


def _carry(manifest: Manifest, source: FileEntry, target: Path, *, link: bool) -> str:
    path = manifest.path(source)
    old, new = image_suffix(source.path), image_suffix(target.name)
    if old == new and old not in _DETACHED:
        data = _checked_bytes(manifest, source)
        if link and _linked(path, target):
            return "linked"
        target.write_bytes(data)
        return "copied"
    if {old, new} <= NIFTI:
        plain = _recode.unpack(_checked_bytes(manifest, source), path)
        _write(target, plain)
        return "packed"
    message = f"{source.path!r} is no NIfTI file and would have to be encoded anew; convert it to .nii.gz first"
    raise ConversionRefused(message)


def _linked(path: Path, target: Path) -> bool:
    try:
        os.link(path, target)
    except OSError:  # another disk, or one that knows no links
        return False
    return True


def _write(target: Path, plain: bytes) -> None:
    target.write_bytes(packed(plain, Container.GZIP) if target.name.endswith(".gz") else plain)


def _checked_bytes(manifest: Manifest, entry: FileEntry) -> bytes:
    path = manifest.path(entry)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VolumeReadError(path, f"{error.strerror or error}; check the path and its permissions") from error
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        message = f"{entry.path!r} is not the file that the manifest describes; index the data set again"
        raise DatasetError(message)
    return data
