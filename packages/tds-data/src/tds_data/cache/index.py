"""Which cases a cache holds, for which manifest and which configuration."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tds_data.atomic_file import atomic_file
from tds_data.cache.cached_case import CachedCase, read_case
from tds_data.cache.case_file import FORMAT_VERSIONS
from tds_data.errors import CacheError, DamagedCache, StaleCache

if TYPE_CHECKING:  # they lead to what reads and resamples images, and a loader should not wait for it
    from tds_data.cache.config import CacheConfig
    from tds_data.datasets.manifest import Manifest

INDEX_NAME: Final = "tds-cache.json"
"""The list of a cache's cases; written last."""

CASE_SUFFIX: Final = ".tdscase"
"""Ending of the files that hold the cases."""

_KIND: Final = "tds-data cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedCase:
    """A case that was left out, and why.

    Attributes:
        name: The case's name in the manifest.
        error: Kind of the error.
        reason: What was wrong.
    """

    name: str
    error: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cache:
    """A cache that fits its manifest and its configuration.

    Attributes:
        folder: Where it lies.
        cases: In the order of the manifest.
        skipped: Cases of the manifest that could not be cached.
        manifest_digest: Of the manifest that it was made from.
        config_digest: Of the configuration that it was made with.
        built: Cases that the call which returned this cache had to make; the others were there.
    """

    folder: Path
    cases: tuple[CachedCase, ...]
    skipped: tuple[SkippedCase, ...]
    manifest_digest: str
    config_digest: str
    built: int = 0

    @property
    def is_phantom(self) -> bool:
        """Whether any case is synthetic."""
        return any(case.phantom for case in self.cases)

    @property
    def nbytes(self) -> int:
        """Length of all files of cases together."""
        return sum(case.path.stat().st_size for case in self.cases)

    def verify(self) -> None:
        """Compare every case with its hashes.

        Raises:
            DamagedCache: If anything differs.
        """
        for case in self.cases:
            case.verify()


def open_cache(folder: Path, *, manifest: "Manifest | None" = None, config: "CacheConfig | None" = None) -> Cache:
    """Return a cache that is there, without making anything.

    Headers are checked here; arrays by `Cache.verify` and, case by case, when a loader first uses them.

    Args:
        folder: Where the cache lies; it need not be writable.
        manifest: What it must be made from, if that matters.
        config: What it must be made with, if that matters.

    Raises:
        CacheError: If there is no cache.
        StaleCache: If it is of another version, or made from or with something else.
        DamagedCache: If a file is gone, cut short or altered.
    """
    document = read_index(folder)
    if manifest is not None and document["manifest_digest"] != manifest.digest:
        raise StaleCache(folder, "it was made from another manifest, or the data set has changed since")
    if config is not None and document["config_digest"] != config.digest:
        raise StaleCache(folder, "it was made with another configuration")
    cases = []
    for entry in document["cases"]:
        case, _ = read_case(folder / entry["file"])
        if case.header_sha256 != entry["header_sha256"]:
            raise DamagedCache(case.path, "it is not the file that the cache lists")
        cases.append(case)
    return Cache(
        folder=folder,
        cases=tuple(cases),
        skipped=tuple(SkippedCase(**entry) for entry in document["skipped"]),
        manifest_digest=document["manifest_digest"],
        config_digest=document["config_digest"],
    )


def read_index(folder: Path) -> dict[str, Any]:
    """Return a cache's list.

    Args:
        folder: Where the cache lies.

    Raises:
        CacheError: If there is none.
        DamagedCache: If it cannot be read.
        StaleCache: If it is of another version.
    """
    path = folder / INDEX_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"there is no cache in {str(folder)!r}; make it with `tds data cache` or build_cache first"
        raise CacheError(message) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedCache(path, "it is no list of a cache") from error
    if not isinstance(document, dict) or document.get("kind") != _KIND:
        raise DamagedCache(path, "it is no list of a cache")
    if document.get("format_version") not in FORMAT_VERSIONS:
        version, known = document.get("format_version"), " and ".join(map(str, FORMAT_VERSIONS))
        raise StaleCache(folder, f"it is of version {version!r:.20}, and this program reads {known}")
    if not _is_sound(document):
        raise DamagedCache(path, "it is no list of a cache")
    return document


def _is_sound(document: Mapping[str, Any]) -> bool:
    lists = (("cases", {"name", "file", "header_sha256"}), ("skipped", {"name", "error", "reason"}))
    return (
        all(isinstance(document.get(key), str) for key in ("manifest_digest", "config_digest"))
        and all(_are_texts(document.get(key), names) for key, names in lists)
        and all(Path(case["file"]).name == case["file"] for case in document["cases"])
    )


def _are_texts(entries: object, names: set[str]) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and entry.keys() == names and all(isinstance(text, str) for text in entry.values())
        for entry in entries
    )


def write_index(cache: Cache, config: "CacheConfig") -> None:
    """Write a cache's list.

    Args:
        cache: What there is.
        config: What it was made with.

    Raises:
        VolumeWriteError: If it cannot be written.
    """
    text = json.dumps(index_document(cache, config), indent=1, ensure_ascii=False)
    with atomic_file(cache.folder / INDEX_NAME) as file:
        file.write(f"{text}\n".encode())


def index_document(cache: Cache, config: "CacheConfig") -> Mapping[str, Any]:
    """Return a cache's list as plain JSON types.

    Args:
        cache: What there is.
        config: What it was made with.
    """
    return {
        "kind": _KIND,
        "format_version": config.format_version,
        "manifest_digest": cache.manifest_digest,
        "config_digest": cache.config_digest,
        "config": config.to_dict(),
        "cases": [
            {"name": case.name, "file": case.path.name, "header_sha256": case.header_sha256} for case in cache.cases
        ],
        "skipped": [{"name": s.name, "error": s.error, "reason": s.reason} for s in cache.skipped],
    }
