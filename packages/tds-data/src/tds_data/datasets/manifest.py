"""The manifest: which files make up which case of a data set, with their hashes.

On disk it is one JSON object (`docs/reference/manifest.md`). Paths in it are relative to the root, use forward slashes
and never leave it. Reading is strict: an unknown key or a value of the wrong kind is an error.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from tds_data.datasets._paths import check_relative, resolve_below
from tds_data.errors import ManifestError, VolumeWriteError
from tds_data.formats._whole_file import replace_whole

MANIFEST_VERSION: Final = "1.0"
"""Version of the JSON form; the major number changes when a reader of the old form would break."""

MANIFEST_NAME: Final = "manifest.json"
"""What a manifest is called when nothing else is said."""

_T = TypeVar("_T")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9_.+-]{0,63}")
_NAME: Final = re.compile(r"[^\x00-\x1f/\\:*?\"<>|]{1,200}")
_MAX_BYTES: Final = 2**63
_MAX_INDEX: Final = 2**15  # lengths of axes are 16-bit numbers in NIfTI


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file, or one volume of a four-dimensional file.

    Attributes:
        path: Relative to the root, with forward slashes.
        sha256: Hash of the file's bytes, 64 lower-case hexadecimal digits.
        size_bytes: Length of the file.
        index: Position along the fourth axis, if the file holds several images.

    Raises:
        ManifestError: If the path leaves the root, or a value cannot be.
    """

    path: str
    sha256: str
    size_bytes: int
    index: int | None = None

    def __post_init__(self) -> None:
        check_relative(self.path)
        if not _SHA256.fullmatch(self.sha256):
            message = f"a SHA-256 has 64 lower-case hexadecimal digits; {self.sha256[:80]!r} is none"
            raise ManifestError(message)
        if not 0 <= self.size_bytes < _MAX_BYTES or not 0 <= (self.index or 0) < _MAX_INDEX:
            message = f"{self.path!r} has a size or an index that cannot be; index the data set again"
            raise ManifestError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEntry:
    """One patient at one time.

    Attributes:
        name: Unique in the manifest; can name a file.
        patient: Shared by all cases of one person.
        images: One file for each of `t1`, `t1ce`, `t2`, `flair`, or `ct`, `pet`; never empty.
        mask: The expert's mask, if there is one.
        phantom: Whether the case is synthetic.
        attributes: What the data set says beyond the images: `age`, `sex`, `session`, `split` (`test`) and the like.
        notes: What is missing or had to be assumed, for people.

    Raises:
        ManifestError: If there is no image, or a name cannot be.
    """

    name: str
    patient: str
    images: Mapping[str, FileEntry]
    mask: FileEntry | None = None
    phantom: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.name, self.patient):
            if not _NAME.fullmatch(name) or name.startswith(".") or name != name.strip():
                message = f"a case's name can name a file on every system; {name[:80]!r} cannot"
                raise ManifestError(message)
        strange = [key for key in self.images if not _KEY.fullmatch(key)]
        if strange or not self.images:
            message = f"a case has images under names such as t1, t1ce, t2, flair, ct, pet; not under {strange[:3]}"
            raise ManifestError(message)
        object.__setattr__(self, "images", MappingProxyType({str(key): file for key, file in self.images.items()}))
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (CaseEntry, _plain_fields(self))

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every file of the case, images first."""
        return (*self.images.values(), *(() if self.mask is None else (self.mask,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A data set.

    Attributes:
        layout: How its files are named: `decathlon`, `brats`, `nnunet`, `bids`, `hecktor`, `lits` or `folders`.
        cases: In the order of their names.
        scheme: Name of the label scheme of the masks, `custom`, or `none` if there is no mask.
        root: Folder that the paths are relative to.
        licence: What the data set says about its licence.
        labels: The numbers of each label under the data set's own names, where it names them; several make a region.
        attributes: What the data set says about itself: its name, its channels as they were called.
        problems: What could not be taken into the manifest, and why.

    Raises:
        ManifestError: If two cases share a name.
    """

    layout: str
    cases: tuple[CaseEntry, ...]
    scheme: str
    root: Path
    licence: str | None = None
    labels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(case.name for case in self.cases).items() if count > 1]
        if twice:
            message = f"{len(twice)} case names occur twice, {twice[0]!r} among them; give each case a name of its own"
            raise ManifestError(message)
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (Manifest, _plain_fields(self))

    def path(self, entry: FileEntry) -> Path:
        """Return where a file is: an absolute path below the root, symbolic links followed.

        Args:
            entry: A file of this manifest.

        Raises:
            ManifestError: If the path leaves the root, by its text or through a symbolic link.
        """
        return resolve_below(self.root, entry.path)

    def case(self, name: str) -> CaseEntry:
        """Return the case of a name.

        Args:
            name: The case's name.

        Raises:
            ManifestError: If there is none of that name.
        """
        found = next((case for case in self.cases if case.name == name), None)
        if found is None:
            message = f"the manifest has no case {name!r} among its {len(self.cases)}; check the name"
            raise ManifestError(message)
        return found

    @property
    def digest(self) -> str:
        """SHA-256 of the content, which is the same wherever the data set lies."""
        canonical = json.dumps(_document(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("utf-8", "backslashreplace")).hexdigest()


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest as JSON, whole or not at all.

    The root is noted relative to the manifest's folder, so that both may be moved together.

    Args:
        manifest: The data set.
        path: Target; an existing file is replaced.

    Raises:
        VolumeWriteError: If it cannot be written.
    """
    try:
        root = Path(os.path.relpath(manifest.root.resolve(), path.resolve().parent)).as_posix()
        text = json.dumps({**_document(manifest), "root": root}, indent=1, ensure_ascii=False)
        replace_whole(path, f"{text}\n".encode())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VolumeWriteError(path, reason) from error


def read_manifest(path: Path, *, root: Path | None = None) -> Manifest:
    """Return the data set that a manifest describes.

    Args:
        path: The JSON file.
        root: Folder that its paths are relative to, if it is not the one that the manifest names.

    Raises:
        ManifestError: If it cannot be read, is of another version, has unknown keys or values of the wrong kind, or
            names a file outside its root.
    """
    from tds_data.datasets._manifest_json import load_document, parse_manifest  # noqa: PLC0415  # a cycle otherwise

    return parse_manifest(load_document(path), folder=path.resolve().parent, root=root)


def _plain_fields(value: CaseEntry | Manifest) -> dict[str, object]:
    """Return a value's fields in types that can be sent to another process, which read-only mappings cannot."""
    found = ((f.name, getattr(value, f.name)) for f in fields(value))
    return {name: dict(item) if isinstance(item, MappingProxyType) else item for name, item in found}


def _rebuilt(kind: type[_T], values: dict[str, object]) -> _T:
    return kind(**values)


def _document(manifest: Manifest) -> dict[str, Any]:
    document: dict[str, Any] = {
        "version": MANIFEST_VERSION,
        "layout": manifest.layout,
        "scheme": manifest.scheme,
        "licence": manifest.licence,
        "labels": {name: list(values) for name, values in manifest.labels.items()},
        "attributes": dict(manifest.attributes),
        "problems": list(manifest.problems),
        "cases": [_case_document(case) for case in manifest.cases],
    }
    return document


def _case_document(case: CaseEntry) -> dict[str, Any]:
    return {
        "name": case.name,
        "patient": case.patient,
        "images": {key: _file_document(entry) for key, entry in case.images.items()},
        "mask": None if case.mask is None else _file_document(case.mask),
        "phantom": case.phantom,
        "attributes": dict(case.attributes),
        "notes": list(case.notes),
    }


def _file_document(entry: FileEntry) -> dict[str, Any]:
    document: dict[str, Any] = {"path": entry.path, "sha256": entry.sha256, "size_bytes": entry.size_bytes}
    return document if entry.index is None else {**document, "index": entry.index}
