"""From a manifest's JSON to its value, strictly."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final, TypeVar

from tds_data.datasets.manifest import MANIFEST_VERSION, CaseEntry, FileEntry, Manifest
from tds_data.errors import ManifestError

_T = TypeVar("_T")
_MAX_BYTES: Final = 1 << 30
_MAX_LABEL: Final = 2**31

_TOP: Final = {"version", "root", "layout", "scheme", "licence", "labels", "attributes", "problems", "cases"}
_CASE: Final = {"name", "patient", "images", "mask", "phantom", "attributes", "notes"}
_FILE: Final = {"path", "sha256", "size_bytes", "index"}


def load_document(path: Path) -> object:
    """Return what a JSON file holds; a key that occurs twice, NaN and the like are errors.

    Args:
        path: The file.

    Raises:
        ManifestError: If it cannot be read or is no JSON.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            message = f"{path.name!r} is larger than 1 GiB, which no manifest is; check the path"
            raise ManifestError(message)
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except OSError as error:
        message = f"cannot read {path.name!r}: {error.strerror or error}; check the path and its permissions"
        raise ManifestError(message) from error
    except (ValueError, RecursionError) as error:
        message = f"{path.name!r} is no JSON that can be used: {error}"
        raise ManifestError(message) from error


def parse_manifest(document: object, *, folder: Path, root: Path | None) -> Manifest:
    """Return the data set that a JSON document describes.

    Args:
        document: What `load_document` returned.
        folder: Where the manifest lies; its `root` is relative to that.
        root: Takes the place of the `root` that the document names.

    Raises:
        ManifestError: If something is missing, unknown, of the wrong kind or outside the root.
    """
    top = _object(document, "the manifest", _TOP, optional={"root", "licence", "labels", "attributes", "problems"})
    version = _typed(top, "version", str, "the manifest")
    if version.partition(".")[0] != MANIFEST_VERSION.partition(".")[0]:
        message = f"manifest version {version[:40]!r} cannot be read; this version reads {MANIFEST_VERSION}"
        raise ManifestError(message)
    cases = _typed(top, "cases", list, "the manifest")
    return Manifest(
        layout=_typed(top, "layout", str, "the manifest"),
        scheme=_typed(top, "scheme", str, "the manifest"),
        root=root or folder / _root(top),
        licence=_optional(top, "licence", str),
        labels=_labels(top.get("labels", {})),
        attributes=_texts(top.get("attributes", {}), "the manifest"),
        problems=_lines(top.get("problems", []), "problems"),
        cases=tuple(_case(entry, number) for number, entry in enumerate(cases, 1)),
    )


def _root(top: Mapping[str, Any]) -> Path:
    text = _typed(top, "root", str, "the manifest") if "root" in top else "."
    absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).anchor or PureWindowsPath(text).drive
    if absolute or "\\" in text or "\0" in text:
        message = f"the manifest's root is relative to its own folder; {text[:80]!r} is not"
        raise ManifestError(message)
    return Path(text)


def _case(document: object, number: int) -> CaseEntry:
    where = f"case {number}"
    entry = _object(document, where, _CASE, optional={"mask", "phantom", "attributes", "notes"})
    images = _typed(entry, "images", dict, where)
    mask = entry.get("mask")
    return _checked(
        where,
        lambda: CaseEntry(
            name=_typed(entry, "name", str, where),
            patient=_typed(entry, "patient", str, where),
            images={key: _file(value, f"{where}, {key!r}") for key, value in images.items()},
            mask=None if mask is None else _file(mask, f"{where}, mask"),
            phantom=_typed(entry, "phantom", bool, where) if "phantom" in entry else False,
            attributes=_texts(entry.get("attributes", {}), where),
            notes=_lines(entry.get("notes", []), where),
        ),
    )


def _file(document: object, where: str) -> FileEntry:
    entry = _object(document, where, _FILE, optional={"index"})
    return FileEntry(
        path=_typed(entry, "path", str, where),
        sha256=_typed(entry, "sha256", str, where),
        size_bytes=_typed(entry, "size_bytes", int, where),
        index=_typed(entry, "index", int, where) if entry.get("index") is not None else None,
    )


def _checked(where: str, make: Callable[[], _T]) -> _T:
    try:
        return make()
    except ManifestError as error:
        message = f"{where}: {error}"
        raise ManifestError(message) from error


def _object(value: object, where: str, keys: set[str], optional: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        message = f"{where} is of type {type(value).__name__}, not a JSON object"
        raise ManifestError(message)
    unknown = sorted(set(value) - keys)
    missing = sorted(keys - optional - set(value))
    if unknown or missing:
        told = f"does not know {', '.join(map(repr, unknown[:3]))}" if unknown else f"lacks {', '.join(missing)}"
        message = f"{where} {told}; a manifest of version {MANIFEST_VERSION} has {', '.join(sorted(keys))} there"
        raise ManifestError(message)
    return value


def _typed(entry: Mapping[str, Any], key: str, kind: type[_T], where: str) -> _T:
    value = entry[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        message = f"{where}: {key} is of type {type(value).__name__}, not {kind.__name__}"
        raise ManifestError(message)
    return value


def _optional(entry: Mapping[str, Any], key: str, kind: type[_T]) -> _T | None:
    return None if entry.get(key) is None else _typed(entry, key, kind, "the manifest")


def _texts(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        message = f"{where}: attributes are an object of texts"
        raise ManifestError(message)
    return value


def _lines(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        message = f"{where}: notes and problems are lists of texts"
        raise ManifestError(message)
    return tuple(value)


def _labels(value: object) -> dict[str, tuple[int, ...]]:
    if not isinstance(value, dict) or not all(_are_values(values) for values in value.values()):
        message = f"the manifest's labels are lists of whole numbers from 0 to {_MAX_LABEL - 1}"
        raise ManifestError(message)
    return {name: tuple(values) for name, values in value.items()}


def _are_values(values: object) -> bool:
    return isinstance(values, list) and bool(values) and all(type(v) is int and 0 <= v < _MAX_LABEL for v in values)


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        message = "a key occurs twice in one object"
        raise ValueError(message)
    return found


def _no_constant(text: str) -> float:
    message = f"{text} is no number"
    raise ValueError(message)
