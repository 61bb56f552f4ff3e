"""Relative paths that stay below their root, on every system."""

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from tds_data.errors import ManifestError

_MAX_LENGTH: Final = 4096
_FIRST_PRINTABLE: Final = " "


def check_relative(path: str) -> str:
    """Return a path unchanged if, by its text, it stays below the folder that it is relative to.

    Args:
        path: With forward slashes.

    Raises:
        ManifestError: If it is empty, absolute, goes up, or is no plain text that every system reads alike.
    """
    reason = _fault(path)
    if reason is not None:
        shown = path[:80].encode("unicode_escape").decode("ascii")
        message = f"the path '{shown}' {reason}; paths are relative to the root, use '/' and stay below it"
        raise ManifestError(message)
    return path


def resolve_below(root: Path, path: str) -> Path:
    """Return the absolute path of a file below a root, with symbolic links followed.

    Args:
        root: A folder.
        path: Relative to it, with forward slashes.

    Raises:
        ManifestError: If the path leaves the root, by its text or through a symbolic link, or links run in a circle.
    """
    check_relative(path)
    try:
        base = root.resolve()
        found = (base / path).resolve()
    except (OSError, RuntimeError) as error:  # a circle of links is one or the other, depending on Python
        message = f"the path {path!r} cannot be followed: its symbolic links run in a circle; replace them by files"
        raise ManifestError(message) from error
    if not found.is_relative_to(base):
        message = f"the path {path!r} leaves the root through a symbolic link; put the file itself below the root"
        raise ManifestError(message)
    return found


def _fault(path: str) -> str | None:
    if not path or len(path) > _MAX_LENGTH:
        return f"has {len(path)} characters"
    if any(character < _FIRST_PRINTABLE for character in path) or not _is_text(path):
        return "holds characters that are no text"
    if "\\" in path or PureWindowsPath(path).anchor or PureWindowsPath(path).drive or path.startswith("/"):
        return "is absolute, has a drive or has a backslash"
    if str(PurePosixPath(path)) != path or ".." in path.split("/") or path == ".":
        return "goes up or is not written in its shortest form"
    return None


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
