"""Archives unpacked without trusting them.

Nothing in an archive can write outside the folder that it is unpacked into: names that are absolute or go up, links
that leave the folder and devices are refused. What takes more room than the limits allow is stopped while it is
unpacked, so that no header has to be believed. The folder is complete or absent.
"""

import errno
import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Final
from uuid import uuid4

from tds_data.atomic import atomic_folder
from tds_data.curation._members import Kind, Member, opened
from tds_data.errors import ArchiveRefused

Progress = Callable[[int, int, str], None]
"""Hears what is done, what there is in all, and what it is about."""

_STEP_BYTES: Final = 1 << 20
_RATIO_FREE_BYTES: Final = 64 << 20
_JUNK_NAMES: Final = frozenset({"__MACOSX", ".DS_Store"})
_NAME_FAULTS: Final = frozenset({errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EILSEQ})


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """How much an archive may become.

    Attributes:
        max_members: Files, folders and links.
        max_bytes: All files together.
        max_ratio: All files together over the archive itself; looked at beyond 64 MiB.
    """

    max_members: int = 500_000
    max_bytes: int = 1 << 40
    max_ratio: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What became of an archive.

    Attributes:
        folder: Where it is.
        files: How many files there are.
        size_bytes: All of them together.
        notes: What was left out, for people.
    """

    folder: Path
    files: int
    size_bytes: int
    notes: tuple[str, ...] = ()


def unpack_archive(
    archive: Path, target: Path, *, limits: ArchiveLimits | None = None, progress: Progress | None = None
) -> Unpacked:
    """Unpack a tar, tar.gz or zip file into a folder, whole or not at all.

    If everything in the archive is in one folder that is called as the target is, that folder becomes the target. The
    files that macOS adds (`._*`, `.DS_Store`, `__MACOSX`) are left out. Times and permissions are not taken over.

    Args:
        archive: The file.
        target: Folder to make; it may exist if it is empty.
        limits: How much it may become; generous by default.
        progress: Told the bytes of the archive that are done, all of them, and the archive's name.

    Raises:
        ArchiveRefused: If it is damaged, encrypted, holds two files of one name, a device, or a name or link that
            leaves the folder, or becomes more than the limits.
        VolumeWriteError: If the folder cannot be made or the disk is full.
    """
    with atomic_folder(target, protected=(archive,)) as folder, _damage_named(archive):
        job = _Job(archive=archive, folder=folder, limits=limits or ArchiveLimits(), progress=progress)
        with opened(archive) as (members, raw):
            for member in members:
                job.take(member, raw)
        job.make_links()
        job.check_links(below=_unwrap(folder, target.name))
    notes = (f"left out {job.junk} files that macOS adds",) if job.junk else ()
    return Unpacked(folder=target, files=job.files, size_bytes=job.size_bytes, notes=notes)


@dataclass(slots=True, kw_only=True)
class _Job:
    archive: Path
    folder: Path
    limits: ArchiveLimits
    progress: Progress | None
    total_bytes: int = 0
    members: int = 0
    files: int = 0
    size_bytes: int = 0
    junk: int = 0
    seen: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.total_bytes = self.archive.stat().st_size

    def take(self, member: Member, raw: IO[bytes]) -> None:
        """Put one member into the folder; symbolic links wait, so that nothing is ever written through one."""
        self.members += 1
        if self.members > self.limits.max_members:
            raise ArchiveRefused(self.archive, f"it holds more than {self.limits.max_members} members")
        self._check_room(member.size_bytes)
        if any(part.startswith("._") or part in _JUNK_NAMES for part in PurePosixPath(member.path).parts):
            self.junk += 1
            return
        place = self.folder / member.path
        if member.kind is Kind.FOLDER:
            place.mkdir(parents=True, exist_ok=True)
            return
        if member.path in self.seen:
            raise ArchiveRefused(self.archive, f"it holds {member.path!r} twice, and only one of them can be right")
        self.seen.add(member.path)
        if member.kind is Kind.SYMLINK:
            self.links[member.path] = member.link
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        if member.kind is Kind.HARD_LINK:
            self._copy_linked(member, place)
        else:
            self._copy(member, place, raw)
        self.files += 1

    def _copy(self, member: Member, place: Path, raw: IO[bytes]) -> None:
        size = 0
        with member.open() as source, place.open("xb") as sink:
            while step := source.read(_STEP_BYTES):
                size += len(step)
                self._check_room(size)
                sink.write(step)
                if self.progress is not None:
                    self.progress(min(raw.tell(), self.total_bytes), self.total_bytes, self.archive.name)
        if size != member.size_bytes:
            reason = (
                f"{member.path!r} has {size} bytes instead of {member.size_bytes}; it is damaged, download it again"
            )
            raise ArchiveRefused(self.archive, reason)
        self.size_bytes += size

    def _copy_linked(self, member: Member, place: Path) -> None:
        linked = str(PurePosixPath(member.link))
        if linked not in self.seen or linked in self.links or linked == member.path:
            reason = f"{member.path!r} is a hard link to no file that comes before it in the archive"
            raise ArchiveRefused(self.archive, reason)
        size = (self.folder / linked).stat().st_size
        self._check_room(size)
        shutil.copyfile(self.folder / linked, place)
        self.size_bytes += size

    def _check_room(self, more: int) -> None:
        size = self.size_bytes + more
        if size > self.limits.max_bytes:
            reason = f"it becomes more than {self.limits.max_bytes} bytes; raise the limit if you trust it"
            raise ArchiveRefused(self.archive, reason)
        if size > max(_RATIO_FREE_BYTES, self.limits.max_ratio * self.total_bytes):
            reason = f"it becomes more than {self.limits.max_ratio:g} times its size, as no images do"
            raise ArchiveRefused(self.archive, reason)

    def make_links(self) -> None:
        """Make the symbolic links, once everything else is there."""
        for path, link in self.links.items():
            if PurePosixPath(link).is_absolute() or "\0" in link or not link:
                raise ArchiveRefused(self.archive, f"{path!r} is a symbolic link to an absolute path or to nothing")
            through = next((str(p) for p in PurePosixPath(path).parents if str(p) in self.links), None)
            if through is not None:
                reason = f"{path!r} would lie behind {through!r}, a symbolic link that leads anywhere until it is seen"
                raise ArchiveRefused(self.archive, reason)
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(link)

    def check_links(self, *, below: str) -> None:
        """See where each symbolic link leads.

        Args:
            below: Start of each path that has gone since.
        """
        root = self.folder.resolve()
        for path in self.links:
            try:
                inside = (self.folder / path.removeprefix(below)).resolve(strict=True).is_relative_to(root)
            except (OSError, RuntimeError):  # it leads to nothing, or in a circle
                inside = False
            if not inside:
                reason = f"{path!r} is a symbolic link that leads outside the folder, to nothing or in a circle"
                raise ArchiveRefused(self.archive, reason)


def _unwrap(folder: Path, name: str) -> str:
    """Move the content of an only folder of the target's name one step up, and return the start of paths that goes."""
    entries = list(folder.iterdir())
    if len(entries) != 1 or entries[0].name != name or entries[0].is_symlink() or not entries[0].is_dir():
        return ""
    wrapper = folder / f".{uuid4().hex}"
    entries[0].rename(wrapper)
    for entry in wrapper.iterdir():
        entry.rename(folder / entry.name)
    wrapper.rmdir()
    return f"{name}/"


@contextmanager
def _damage_named(archive: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ArchiveRefused(archive, f"it is damaged ({error}); download it again") from error
    except NotImplementedError as error:
        raise ArchiveRefused(archive, f"it is packed in a way that cannot be read ({error})") from error
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise ArchiveRefused(archive, f"its gzip data is damaged ({error}); download it again") from error
        if error.errno in _NAME_FAULTS:
            reason = f"a file in it cannot be made here ({error.strerror or error})"
            raise ArchiveRefused(archive, reason) from error
        raise
