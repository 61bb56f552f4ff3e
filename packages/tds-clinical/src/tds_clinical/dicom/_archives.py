"""Zip archives, checked as a whole before the first byte is unpacked.

Nothing in an archive decides where a file is written: members are numbered and lie flat in one private folder. Hostile
names are refused all the same, since an archive that has them was not made by an honest exporter.
"""

import re
import shutil
import stat
import tempfile
import weakref
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from tds_clinical.errors import ArchiveNotReadable

_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED: Final = 0x1
# Only these does zipfile unpack by as many bytes as are asked for; of others, a chunk may grow beyond all memory.
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_UNIX: Final = 3
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME: Final = 60
_CHUNK_BYTES: Final = 1 << 20
_START_BYTES: Final = 132

Progress = Callable[[int, int], None]
"""Hears how many files are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """What an archive may ask for.

    Attributes:
        max_members: Files and folders in it.
        max_bytes: Size of all files unpacked.
        max_ratio: Unpacked size over the archive's own, where the unpacked size is above `free_bytes`.
        free_bytes: Unpacked size up to which the ratio does not matter: small archives of empty images pack very well.
    """

    max_members: int = 100_000
    max_bytes: int = 16 << 30
    max_ratio: float = 200.0
    free_bytes: int = 256 << 20


class UnpackedFolder:
    """A private folder that is deleted when the last reference to it goes, at the latest when the process ends.

    Attributes:
        path: The folder; only this user may enter it.
    """

    __slots__ = ("__weakref__", "_finalizer", "path")

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="tds-dicom-"))
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def remove(self) -> None:
        """Delete the folder now."""
        self._finalizer()


def is_archive(path: Path) -> bool:
    """Tell whether a path is a zip archive by its first bytes, or claims to be one by its name.

    Args:
        path: Anything; what cannot be opened is judged by its name.
    """
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(4) in _MAGIC or path.suffix.lower() == ".zip"
    except OSError:
        return path.suffix.lower() == ".zip"


def archived_files(path: Path, limits: ArchiveLimits | None = None) -> Iterator[BinaryIO]:
    """Yield the first bytes of each file in a zip archive, as many as tell DICOM from other files.

    Args:
        path: The archive.
        limits: What it may ask for.

    Raises:
        ArchiveNotReadable: As `unpack`.
    """
    with _opened(path) as archive:
        for member in _checked(path, archive, limits or ArchiveLimits()):
            with archive.open(member) as packed:
                yield BytesIO(packed.read(_START_BYTES))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (ArchiveNotReadable, GeneratorExit):
        raise
    except Exception as error:  # damaged archives fail in zipfile in many ways
        reason = f"it is damaged or no zip archive ({type(error).__name__}); export or copy it again"
        raise ArchiveNotReadable(path, reason) from error


def unpack(path: Path, limits: ArchiveLimits, progress: Progress | None = None) -> UnpackedFolder:
    """Return a private folder with the files of a zip archive.

    Args:
        path: The archive. Archives inside it stay as they are.
        limits: What it may ask for.
        progress: Hears of each file.

    Raises:
        ArchiveNotReadable: If it is damaged, encrypted, larger than allowed, or holds links or names that lead out of
            a folder. Nothing is left behind.
    """
    with _opened(path) as archive:
        members = _checked(path, archive, limits)
        folder = UnpackedFolder()
        try:
            _check_room(path, members, folder.path)
            for done, member in enumerate(members, start=1):
                _write(archive, member, folder.path / _file_name(done, member))
                if progress is not None:
                    progress(done, len(members))
        except BaseException:
            folder.remove()
            raise
    return folder


def _checked(path: Path, archive: zipfile.ZipFile, limits: ArchiveLimits) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > limits.max_members:
        reason = f"it has {len(members)} members, {limits.max_members} are allowed; give the archive of one study"
        raise ArchiveNotReadable(path, reason)
    seen: set[PurePosixPath] = set()
    for place, member in enumerate(members, start=1):
        fault = _fault(member)
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if fault is None and name in seen:
            fault = "has the name of another one"
        if fault is not None:
            raise ArchiveNotReadable(path, f"member {place} {fault}; nothing was unpacked")
        seen.add(name)
    files = [member for member in members if not member.is_dir()]
    _check_size(path, sum(member.file_size for member in files), limits)
    return files


def _fault(member: zipfile.ZipInfo) -> str | None:
    # The name as it is stored: zipfile itself cuts names at a null byte.
    name = member.orig_filename.replace("\\", "/")
    kind = stat.S_IFMT(member.external_attr >> 16) if member.create_system == _UNIX else 0
    faults = (
        (not name.isprintable() or not name, "has an empty name or one with control characters"),
        (name.startswith("/") or re.match(r"[A-Za-z]:", name), "has an absolute path"),
        (".." in name.split("/"), "has a path that leads out of the archive ('..')"),
        (kind not in {0, stat.S_IFREG, stat.S_IFDIR}, "is a link or a special file"),
        (member.flag_bits & _ENCRYPTED, "is encrypted; unpack the archive with its password and give the folder"),
        (
            member.compress_type not in _METHODS,
            f"is compressed by method {member.compress_type}, which is not supported; pack it as an ordinary zip",
        ),
    )
    return next((fault for is_so, fault in faults if is_so), None)


def _check_size(path: Path, unpacked_bytes: int, limits: ArchiveLimits) -> None:
    if unpacked_bytes > limits.max_bytes:
        reason = f"it would unpack to {unpacked_bytes} bytes, {limits.max_bytes} are allowed; give one study"
        raise ArchiveNotReadable(path, reason)
    ratio = unpacked_bytes / max(path.stat().st_size, 1)
    if unpacked_bytes > limits.free_bytes and ratio > limits.max_ratio:
        reason = (
            f"it would unpack to {ratio:.0f} times its size, as a zip bomb does ({limits.max_ratio:.0f} times are "
            "allowed); if you trust it, unpack it and give the folder"
        )
        raise ArchiveNotReadable(path, reason)


def _check_room(path: Path, members: list[zipfile.ZipInfo], folder: Path) -> None:
    needed, free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
    if needed > free:
        reason = f"it would unpack to {needed} bytes and the temporary folder has {free} left; set TMPDIR elsewhere"
        raise ArchiveNotReadable(path, reason)


def _file_name(place: int, member: zipfile.ZipInfo) -> str:
    name = _UNSAFE.sub("_", PurePosixPath(member.filename.replace("\\", "/")).name)
    return f"{place:06d}-{name[-_LONGEST_NAME:]}"


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    # zipfile stops at the size that was declared and checked, and compares the checksum.
    with archive.open(member) as packed, target.open("xb") as stream:
        shutil.copyfileobj(packed, stream, _CHUNK_BYTES)
