"""The files that a study may be in: those of a folder, or of a zip archive."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from tds_clinical.dicom._archives import ArchiveLimits, Progress, UnpackedFolder, is_archive, unpack
from tds_clinical.errors import FolderNotReadable

MAX_FILES: Final = 100_000
"""Files that one folder may hold, in all its subfolders together."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundFiles:
    """Files to look at.

    Attributes:
        paths: Where they are, in a fixed order.
        kept_by: What keeps unpacked files on disk for as long as it is referred to; `None` for files of a folder.
    """

    paths: tuple[Path, ...]
    kept_by: UnpackedFolder | None = None


def find_files(path: Path, *, progress: Progress | None = None) -> FoundFiles:
    """Return the files of a folder and all its subfolders, or of a zip archive.

    Args:
        path: A folder, an archive or a single file. Archives inside a folder or an archive are not opened.
        progress: Hears of each file that is unpacked.

    Raises:
        FolderNotReadable: If a folder is missing, may not be listed or holds more than `MAX_FILES` files.
        ArchiveNotReadable: If an archive is damaged or unsafe to unpack.
    """
    if is_archive(path):
        unpacked = unpack(path, ArchiveLimits(), progress)
        return FoundFiles(paths=tuple(walk_files(unpacked.path)), kept_by=unpacked)
    paths = tuple(islice(walk_files(path), MAX_FILES + 1))
    if len(paths) > MAX_FILES:
        raise FolderNotReadable(path, f"it holds more than {MAX_FILES} files; give the folder of one study")
    return FoundFiles(paths=paths)


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield the regular files under a folder in sorted order, entering each folder once, links included.

    Args:
        folder: Where to start; a plain file is yielded itself.

    Raises:
        FolderNotReadable: If a folder is missing or may not be listed.
    """
    if folder.is_file():
        yield folder
        return
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            stat = current.stat()
            entries = sorted(current.iterdir())
        except OSError as error:
            raise FolderNotReadable(current, error.strerror or type(error).__name__) from error
        if (stat.st_dev, stat.st_ino) in seen:
            continue
        seen.add((stat.st_dev, stat.st_ino))
        waiting.extend(path for path in reversed(entries) if path.is_dir())
        yield from (path for path in entries if path.is_file())
