"""Making a cache: what is there and right is kept, the rest is made, and nothing is ever half there."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tds_data.atomic_file import atomic_file, clear_partials, write_error
from tds_data.box import bounding_box
from tds_data.cache.cached_case import CachedCase, foreground_order, read_case
from tds_data.cache.case_file import write_case
from tds_data.cache.config import MAX_STEP, CacheConfig, digest
from tds_data.cache.index import CASE_SUFFIX, Cache, SkippedCase, index_document, read_index, write_index
from tds_data.cache.policy import DamagePolicy
from tds_data.cache.task_case import load_task_case
from tds_data.cache.task_prepare import prepare_task
from tds_data.datasets.load import load_entry
from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest
from tds_data.datasets.schemes import find_scheme
from tds_data.errors import CacheError, DamagedCache, DataError, SourceChanged, UnusableCase, VolumeWriteError
from tds_data.preprocess import prepare, prepare_reference, region_labels
from tds_data.vocabulary import REGIONS

Progress = Callable[[int, int, str], None]
"""Hears how many of how many cases are done, and which was last."""

_HALF: Final = 0.5

logger = logging.getLogger(__name__)


def build_cache(
    manifest: Manifest,
    target: Path,
    config: CacheConfig | None = None,
    *,
    workers: int = 1,
    policy: DamagePolicy = DamagePolicy.REFUSE,
    progress: Progress | None = None,
) -> Cache:
    """Return a cache of all cases of a manifest, making what is not there yet.

    A file in the folder is kept only if its version, its configuration, the hashes of its sources, the scheme of its
    labels and the hash of each of its arrays are right, and its sources are still what the manifest says. A run that
    was stopped goes on where it stood. If everything is there, nothing is written.

    Args:
        manifest: The data set, with the images that the configuration's task looks at. Cases without a mask are cached
            too, and marked.
        target: Folder of the cache; made if needed. Files in it that are not of a cache are left alone.
        config: How to preprocess; at 1 mm by default.
        workers: Cases in work at the same time; each needs the memory of one case.
        policy: Whether a case that cannot be read ends the work, or is left out with a record.
        progress: Hears of each case that is done.

    Raises:
        UnusableCase: If a case cannot be read or preprocessed and the policy is to refuse.
        CacheError: If no case is left.
        VolumeWriteError: If the folder cannot be written to or the disk is full; what is complete stays.
        ValueError: If there is less than one worker.
    """
    config = config or CacheConfig()
    policy = DamagePolicy(policy)
    if workers < 1:
        message = f"a cache is made by at least one worker; {workers} were asked for"
        raise ValueError(message)
    target = target.absolute()
    _check_folder(target)
    job = _Job(manifest=manifest, target=target, config=config)
    results = _run(job, workers, policy, progress)
    cache = Cache(
        folder=target,
        cases=tuple(result.case for result in results if not isinstance(result, SkippedCase)),
        skipped=tuple(result for result in results if isinstance(result, SkippedCase)),
        manifest_digest=manifest.digest,
        config_digest=config.digest,
        built=sum(1 for result in results if not isinstance(result, SkippedCase) and result.made),
    )
    if not cache.cases:
        reasons = "; ".join(sorted({skipped.reason for skipped in cache.skipped})[:3]) or "the manifest is empty"
        message = f"no case could be cached: {reasons}"
        raise CacheError(message)
    _publish(cache, config)
    return cache


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    manifest: Manifest
    target: Path
    config: CacheConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    case: CachedCase
    made: bool


def _run(job: _Job, workers: int, policy: DamagePolicy, progress: Progress | None) -> list[_Done | SkippedCase]:
    entries = job.manifest.cases
    results: dict[str, _Done | SkippedCase] = {}
    # Threads: unpacking, hashing and matrix products all let go of the interpreter.
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="cache") as pool:
        futures: dict[Future[_Done], CaseEntry] = {pool.submit(_one, job, entry): entry for entry in entries}
        try:
            for future in as_completed(futures):
                name = futures.pop(future).name
                results[name] = _result(future, name, policy)
                if progress is not None:
                    progress(len(results), len(entries), name)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[entry.name] for entry in entries]


def _result(future: Future[_Done], name: str, policy: DamagePolicy) -> _Done | SkippedCase:
    try:
        return future.result()
    except VolumeWriteError:
        raise
    except (DataError, OSError) as error:
        if policy is DamagePolicy.REFUSE:
            raise UnusableCase(name, str(error)) from error
        logger.warning("case_skipped case=%s error=%s", name, type(error).__name__)
        return SkippedCase(name=name, error=type(error).__name__, reason=str(error))


def _one(job: _Job, entry: CaseEntry) -> _Done:
    for source in {file.path: file for file in entry.files}.values():
        _check_source(job.manifest, source)
    identity = _identity(entry, job)
    path = job.target / f"{digest(identity)[:32]}{CASE_SUFFIX}"
    kept = _kept(path, identity)
    if kept is not None:
        return _Done(case=kept, made=False)
    facts, arrays = _preprocessed(job, entry)
    with atomic_file(path) as file:
        write_case(file, {**identity, **facts}, arrays)
    return _Done(case=read_case(path)[0], made=True)


def _check_source(manifest: Manifest, entry: FileEntry) -> None:
    path = manifest.path(entry)
    if path.stat().st_size == entry.size_bytes:
        with path.open("rb") as source:
            if hashlib.file_digest(source, "sha256").hexdigest() == entry.sha256:
                return
    message = f"{path.name!r} has changed since the data set was indexed; index it again"
    raise SourceChanged(message)


def _identity(entry: CaseEntry, job: _Job) -> dict[str, Any]:
    """Return everything that decides what the file of a case holds."""
    scheme = None if entry.mask is None else find_scheme(job.manifest.scheme, job.manifest.labels)
    files = {**entry.images, **({} if entry.mask is None else {"mask": entry.mask})}
    return {
        "format_version": job.config.format_version,
        "config_sha256": job.config.digest,
        "name": entry.name,
        "patient": entry.patient,
        "phantom": entry.phantom,
        "sources": {key: {"sha256": file.sha256, "index": file.index} for key, file in files.items()},
        "label_scheme": None if scheme is None else dict(scheme.values),
    }


def _kept(path: Path, identity: Mapping[str, Any]) -> CachedCase | None:
    if not path.exists():
        return None
    try:
        case, facts = read_case(path)
        case.verify()
    except DamagedCache as error:
        logger.warning("damaged_entry_rebuilt file=%s reason=%s", path.name, error)
        return None
    return case if all(facts[key] == value for key, value in identity.items()) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _View:
    """A case as a network sees it."""

    tensor: NDArray[np.float32]
    labels: NDArray[np.uint8]
    present: list[bool]
    more: Mapping[str, Any]


def _preprocessed(job: _Job, entry: CaseEntry) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
    config, task = job.config, job.config.task
    view = _brain(job, entry) if config.is_brain else _task_view(job, entry)
    # Splines may overshoot the clip.
    steps = np.clip(np.rint(view.tensor / np.float32(config.scale)), -MAX_STEP, MAX_STEP)
    image = steps.astype("<i2")
    order = foreground_order(task)
    runs = [np.flatnonzero(view.labels == label).astype("<u4") for label in order]
    box = bounding_box(view.labels != 0)
    facts = {
        "shape": list(view.labels.shape),
        "scale": config.scale,
        "modalities": list(config.channels),
        "present": view.present,
        "labelled": entry.mask is not None,
        "counts": {task.labels[label - 1]: len(run) for label, run in zip(order, runs, strict=True)},
        "lesion_box": None if box is None else [list(box.start), list(box.stop)],
        **view.more,
    }
    return facts, {"image": image, "labels": view.labels, "foreground": np.concatenate(runs)}


def _brain(job: _Job, entry: CaseEntry) -> _View:
    config = job.config.preprocess
    case = load_entry(job.manifest, entry, others=job.config.others)
    prepared = prepare(case, config)
    labels = np.zeros(prepared.tensor.shape[1:], np.uint8)
    if case.reference is not None:
        shares = prepare_reference(prepared, case.reference)
        labels = region_labels({region: share >= _HALF for region, share in zip(REGIONS, shares, strict=True)})
    present = [m in case.images for m in config.modalities]
    return _View(tensor=prepared.tensor, labels=labels, present=present, more={})


def _task_view(job: _Job, entry: CaseEntry) -> _View:
    config = job.config
    case = load_task_case(job.manifest, entry, config.task, others=config.others)
    view = prepare_task(case, config.preprocess)
    present = [channel in case.images for channel in config.task.channels]
    more = {"task": config.task.to_dict(), "notes": list(view.notes)}
    return _View(tensor=view.prepared.tensor, labels=view.labels, present=present, more=more)


def _check_folder(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        clear_partials(target)
    except OSError as error:
        raise write_error(target, error) from error


def _publish(cache: Cache, config: CacheConfig) -> None:
    """Write the list, if it differs, and remove files of cases that it no longer names."""
    try:
        current = read_index(cache.folder)
    except CacheError:
        current = {}
    if current != index_document(cache, config):
        write_index(cache, config)
    listed = {case.path.name for case in cache.cases}
    for path in cache.folder.glob(f"*{CASE_SUFFIX}"):
        if path.name not in listed:
            with suppress(OSError):
                path.unlink()
