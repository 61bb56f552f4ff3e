"""What lies in a data set's folder, found in one walk.

Hidden files and folders and what macOS leaves in archives are passed over. Links to folders are not followed, so links
in a circle do no harm; they are told as problems, as are folders that cannot be opened and names that are no text.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from tds_data.datasets._paths import check_relative
from tds_data.errors import DatasetError, ManifestError
from tds_data.formats.names import IMAGE_SUFFIXES

_PASSED_OVER: Final = frozenset({"__MACOSX", "lost+found"})


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Files below a root.

    Attributes:
        root: The folder.
        files: Their paths relative to it, with forward slashes, sorted.
        problems: What was passed over although it may be part of the data set, and why.
    """

    root: Path
    files: tuple[str, ...]
    problems: tuple[str, ...] = field(default=())

    @cached_property
    def by_folder(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the files in each folder that has some; the root's key is empty."""
        names: dict[str, list[str]] = defaultdict(list)
        for path in self.files:
            folder, _, name = path.rpartition("/")
            names[folder].append(name)
        return {folder: tuple(found) for folder, found in names.items()}

    @cached_property
    def known(self) -> frozenset[str]:
        """All files, for quick look-up."""
        return frozenset(self.files)

    def images(self, folder: str) -> tuple[str, ...]:
        """Return the names of a folder's image files.

        Args:
            folder: Relative to the root.
        """
        return tuple(name for name in self.by_folder.get(folder, ()) if is_image_name(name))


def is_image_name(name: str) -> bool:
    """Tell whether a file is named as images are.

    Args:
        name: A file's name or path.
    """
    return image_suffix(name) != ""


def image_stem(name: str) -> str:
    """Return an image file's name without its suffix.

    Args:
        name: A file's name or path.
    """
    return name[: len(name) - len(image_suffix(name))]


def image_suffix(name: str) -> str:
    """Return the suffix of an image file's name in lower case, such as `.nii.gz`, or nothing.

    Args:
        name: A file's name or path.
    """
    lower = name.lower()
    return next((suffix for suffix in IMAGE_SUFFIXES if lower.endswith(suffix)), "")


def scan(root: Path) -> Tree:
    """Return what lies below a folder.

    Args:
        root: The folder.

    Raises:
        DatasetError: If there is no folder, or it cannot be opened.
    """
    if not root.is_dir():
        message = f"there is no folder {str(root)!r}; check the path"
        raise DatasetError(message)
    files: list[str] = []
    problems: list[str] = []
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(root / folder) as entries:
                found = list(entries)
        except OSError as error:
            if not folder:
                message = f"the folder {str(root)!r} cannot be opened: {error.strerror}; check its permissions"
                raise DatasetError(message) from error
            problems.append(f"{_shown(folder)}: the folder cannot be opened ({error.strerror})")
            continue
        for entry, path in _visible(folder, found):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            else:
                _take(entry, path, files, problems)
    return Tree(root=root, files=tuple(sorted(files)), problems=tuple(sorted(problems)))


def _visible(folder: str, entries: list[os.DirEntry[str]]) -> Iterator[tuple[os.DirEntry[str], str]]:
    for entry in entries:
        if not entry.name.startswith(".") and entry.name not in _PASSED_OVER:
            yield entry, f"{folder}/{entry.name}" if folder else entry.name


def _take(entry: os.DirEntry[str], path: str, files: list[str], problems: list[str]) -> None:
    try:
        check_relative(path)
        if entry.is_file():
            files.append(path)
        elif entry.is_dir():
            problems.append(f"{_shown(path)}: a link to a folder is not followed; put the folder itself there")
        else:
            kind = "the link leads nowhere" if entry.is_symlink() else "this is no file but a pipe or a device"
            problems.append(f"{_shown(path)}: {kind}")
    except (OSError, ManifestError) as error:
        problems.append(f"{_shown(path)}: {error.strerror if isinstance(error, OSError) else error}")


def _shown(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode()
