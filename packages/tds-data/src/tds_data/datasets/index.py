"""From a folder to the manifest of the data set in it."""

import hashlib
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np

from tds_data.datasets._brats_schemes import decide_scheme
from tds_data.datasets._drafts import SESSION, Draft, Found, Place
from tds_data.datasets._paths import resolve_below
from tds_data.datasets._patients import session_of
from tds_data.datasets._pool import Progress, run_all
from tds_data.datasets._tree import Tree, image_suffix, scan
from tds_data.datasets.layouts import bids, brats, decathlon, folders, hecktor, lits, nnunet
from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest
from tds_data.datasets.schemes import find_scheme, whole_numbers
from tds_data.errors import DataError, DatasetError, LayoutNotRecognised, ManifestError
from tds_data.formats.images import read_image

_READERS: Final[Mapping[str, ModuleType]] = {
    reader.NAME: reader for reader in (decathlon, nnunet, bids, hecktor, lits, brats, folders)
}

LAYOUTS: Final = tuple(_READERS)
"""Every layout that can be read, in the order in which they are tried."""

SCHEME_EVIDENCE: Final = "scheme_told_by"
"""Attribute of a manifest that says how the label scheme was found out."""

UNUSED_IMAGES: Final = "unused_images"
"""Attribute of a manifest that counts and names images that belong to no case."""

_MAX_SHOWN: Final = 5
_SMALL_LABELS: Final = 1

logger = logging.getLogger(__name__)


def index_dataset(
    root: Path,
    *,
    layout: str | None = None,
    scheme: str | None = None,
    strict: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Return the manifest of the data set in a folder.

    Every file is hashed anew. A case that cannot be taken is listed among the manifest's problems; the others stay.

    Args:
        root: The data set's folder.
        layout: One of `LAYOUTS`, or `None` to recognise it.
        scheme: Name of the label scheme of the masks, or `None` to find it out.
        strict: Whether any problem refuses the whole data set instead.
        workers: How many files to hash at a time; one for each core by default.
        progress: Told after each file.

    Raises:
        LayoutNotRecognised: If the folder is in no layout that is known, or not in the one named.
        SchemeUndecided: If the numbers in the masks could stand for several tissues and no scheme is named.
        DatasetError: If there is no such folder, it holds no case that can be taken, or `strict` meets a problem.
        UnknownScheme: If there is no scheme of that name.
    """
    named = None if scheme is None else find_scheme(scheme).name
    tree = scan(root)
    found = _finished(_reader(tree, layout).read(tree))
    files = _examine_all(tree, found, labels=named is None and found.scheme is None, workers=workers, progress=progress)
    manifest = _assembled(tree, found, files, named)
    if not manifest.cases or (strict and manifest.problems):
        shown = "; ".join(manifest.problems[:_MAX_SHOWN]) or "no image was found"
        message = f"{len(manifest.problems)} files or cases in {root.name!r} cannot be taken: {shown}"
        raise DatasetError(message)
    logger.info("dataset_indexed layout=%s cases=%d scheme=%s", manifest.layout, len(manifest.cases), manifest.scheme)
    return manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Examined:
    """What was learnt from a file's content; `fault` says why nothing was."""

    sha256: str = ""
    size_bytes: int = 0
    labels: frozenset[int] | None = None
    fault: str | None = None


def _reader(tree: Tree, layout: str | None) -> ModuleType:
    if layout is not None and layout not in _READERS:
        message = f"there is no layout {layout[:80]!r}; choose one of {', '.join(_READERS)}"
        raise LayoutNotRecognised(message)
    candidates = _READERS.values() if layout is None else (_READERS[layout],)
    reader = next((reader for reader in candidates if reader.recognise(tree)), None)
    if reader is None:
        wanted = f"the layout {layout}" if layout else f"any layout that is known ({', '.join(_READERS)})"
        images = sum(1 for path in tree.files if image_suffix(path))
        message = (
            f"{tree.root.name!r}, with {images} images among {len(tree.files)} files, is not in {wanted}; "
            "give the data set's own top folder, or give each case a folder with files named t1, t1ce, t2, flair, seg"
        )
        raise LayoutNotRecognised(message)
    return reader


def _finished(found: Found) -> Found:
    """Return the cases each under a name of its own, with the time points that names tell and what is missing."""
    drafts: dict[str, Draft] = {}
    problems = list(found.problems)
    for draft in found.drafts:
        if draft.name in drafts:
            where = next(iter(draft.images.values())).path
            problems.append(f"{where}: another case is called {draft.name!r} as well; index the folders one by one")
            continue
        session = session_of(draft.name)
        missing = [key for key in found.expected if key not in draft.images]
        drafts[draft.name] = replace(
            draft,
            attributes={**({} if session is None else {SESSION: session}), **draft.attributes},
            notes=(*draft.notes, *((f"missing: {', '.join(missing)}",) if missing else ())),
            phantom=draft.phantom or draft.name.lower().startswith("phantom"),
        )
    ordered = tuple(drafts[name] for name in sorted(drafts))
    return replace(found, drafts=ordered, problems=tuple(problems))


def _examine_all(
    tree: Tree, found: Found, *, labels: bool, workers: int | None, progress: Progress | None
) -> dict[str, _Examined]:
    masks = {draft.mask.path for draft in found.drafts if draft.mask is not None} if labels else set()
    paths = sorted({place.path for draft in found.drafts for place in _places(draft)})
    results = run_all(
        lambda path: _examine(tree.root, path, with_labels=path in masks),
        paths,
        workers=workers,
        progress=progress,
        what="hashing",
    )
    return dict(zip(paths, results, strict=True))


def _places(draft: Draft) -> Iterable[Place]:
    yield from draft.images.values()
    if draft.mask is not None:
        yield draft.mask


def _examine(root: Path, path: str, *, with_labels: bool) -> _Examined:
    file = root / path
    try:
        if file.is_symlink():
            resolve_below(root, path)
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        if size == 0:
            return _Examined(fault="the file is empty; copy or download it again")
        labels = _labels_in(file) if with_labels else None
    except OSError as error:
        return _Examined(fault=f"the file cannot be read ({error.strerror or error})")
    except DataError as error:
        return _Examined(fault=str(error))
    return _Examined(sha256=sha256, size_bytes=size, labels=labels)


def _labels_in(path: Path) -> frozenset[int]:
    numbers = whole_numbers(read_image(path).voxels)
    if numbers.dtype.kind == "u" and numbers.dtype.itemsize == _SMALL_LABELS:
        return frozenset(np.flatnonzero(np.bincount(numbers.ravel(order="K"))).tolist())
    return frozenset(np.unique(numbers).tolist())


def _assembled(tree: Tree, found: Found, files: Mapping[str, _Examined], named: str | None) -> Manifest:
    problems = [*tree.problems, *found.problems]
    cases: list[CaseEntry] = []
    usable: list[Draft] = []
    for draft in found.drafts:
        faults = [(place.path, files[place.path].fault) for place in _places(draft) if files[place.path].fault]
        try:
            if not faults:
                cases.append(_entry(draft, files))
                usable.append(draft)
        except ManifestError as error:
            faults = [(next(iter(_places(draft))).path, str(error))]
        problems += [f"{path}: {fault}" for path, fault in faults]
    problems += _repeated(cases)
    scheme, labels, attributes = named or found.scheme, dict(found.labels), dict(found.attributes)
    if named is not None and named != found.scheme:
        labels = {}
    if scheme is None:
        seen = {d.name: files[d.mask.path].labels or frozenset() for d in usable if d.mask is not None}
        scheme, attributes[SCHEME_EVIDENCE] = decide_scheme(usable, seen, tree.root.resolve().name)
    unused = _unused(tree, found, problems)
    if unused:
        shown = ", ".join(unused[:_MAX_SHOWN]) + (", ..." if len(unused) > _MAX_SHOWN else "")
        attributes[UNUSED_IMAGES] = f"{len(unused)}: {shown}"
    return Manifest(
        layout=found.layout,
        cases=tuple(cases),
        scheme=scheme,
        root=tree.root,
        licence=found.licence,
        labels=labels,
        attributes=attributes,
        problems=tuple(problems),
    )


def _unused(tree: Tree, found: Found, problems: Sequence[str]) -> list[str]:
    """Return the images that no case has and no problem names."""
    used = {place.path for draft in found.drafts for place in _places(draft)}
    told = {problem.partition(":")[0] for problem in problems}
    return [path for path in tree.files if image_suffix(path) and path not in used and path not in told]


def _entry(draft: Draft, files: Mapping[str, _Examined]) -> CaseEntry:
    def file(place: Place) -> FileEntry:
        known = files[place.path]
        return FileEntry(path=place.path, sha256=known.sha256, size_bytes=known.size_bytes, index=place.index)

    images = {key: file(place) for key, place in draft.images.items()}
    return CaseEntry(
        name=draft.name,
        patient=draft.patient,
        images=images,
        mask=None if draft.mask is None else file(draft.mask),
        phantom=draft.phantom,
        attributes=draft.attributes,
        notes=draft.notes,
    )


def _repeated(cases: Sequence[CaseEntry]) -> list[str]:
    """Say which images have the same bytes."""
    owners: dict[tuple[str, int | None], list[str]] = defaultdict(list)
    for case in cases:
        for file in case.images.values():
            owners[file.sha256, file.index].append(file.path)
    return [
        f"{paths[0]}: {paths[1]} has the same content; keep it once, or give each case its own images"
        for paths in owners.values()
        if len(paths) > 1
    ]
