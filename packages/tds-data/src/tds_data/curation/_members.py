"""What an archive holds, one member after the other, whatever its kind; names are made safe here."""

import gzip
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

from tds_data.datasets._paths import check_relative
from tds_data.errors import ArchiveRefused, ManifestError

_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZIP_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
_MAX_HEADER_BYTES: Final = 16 << 20
_MAX_LINK_BYTES: Final = 4096
_UTF8_FLAG: Final = 0x800
_ENCRYPTED_FLAG: Final = 0x1


class Kind(StrEnum):
    """What a member becomes."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symbolic link"
    HARD_LINK = "hard link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry of an archive.

    Attributes:
        path: Relative, with forward slashes, below the archive's root; `.` is the root itself.
        kind: What it becomes.
        size_bytes: What the archive says that it takes unpacked.
        link: Where a link leads, as written in the archive.
        open: Gives a file's content.
    """

    path: str
    kind: Kind
    size_bytes: int = 0
    link: str = ""
    open: Callable[[], IO[bytes]]


@contextmanager
def opened(archive: Path) -> Iterator[tuple[Iterator[Member], IO[bytes]]]:
    """Give the members of a tar, tar.gz or zip file, and the file itself, whose position tells how far it is read.

    Args:
        archive: The file; what it is, is seen in its first bytes.

    Raises:
        ArchiveRefused: If it is none of them, or a member's name or kind is not safe; while members are taken, too.
    """
    with archive.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic in _ZIP_MAGIC:
            with zipfile.ZipFile(raw) as zipped:
                yield _zip_members(archive, zipped), raw
        elif magic.startswith(_GZIP_MAGIC):
            with gzip.GzipFile(fileobj=raw) as unpacked, _tar(archive, unpacked) as tar:
                yield _tar_members(archive, tar), raw
        else:
            with _tar(archive, raw) as tar:
                yield _tar_members(archive, tar), raw


class _Guarded:
    """A file that refuses to hand out more at once than any header needs, so that no header fills the memory."""

    def __init__(self, archive: Path, file: IO[bytes] | gzip.GzipFile) -> None:
        self._archive = archive
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Args:
            size: How many.
        """
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise ArchiveRefused(self._archive, f"a header in it claims {size} bytes, which none needs")
        return self._file.read(size)


def _tar(archive: Path, file: IO[bytes] | gzip.GzipFile) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=cast("IO[bytes]", _Guarded(archive, file)), mode="r:", encoding="utf-8")
    except tarfile.ReadError as error:
        reason = f"it is no tar, tar.gz or zip file, or its start is damaged ({error}); download it again"
        raise ArchiveRefused(archive, reason) from error


def _tar_members(archive: Path, tar: tarfile.TarFile) -> Iterator[Member]:
    kinds = {
        tarfile.REGTYPE: Kind.FILE,
        tarfile.DIRTYPE: Kind.FOLDER,
        tarfile.SYMTYPE: Kind.SYMLINK,
        tarfile.LNKTYPE: Kind.HARD_LINK,
    }
    while (info := tar.next()) is not None:
        kind = Kind.FILE if info.isreg() else kinds.get(info.type)
        if kind is None:
            raise ArchiveRefused(archive, f"{_shown(info.name)} is a device or pipe; data sets hold files only")
        yield Member(
            path=_safe(archive, info.name),
            kind=kind,
            size_bytes=info.size if kind is Kind.FILE else 0,
            link=info.linkname,
            open=partial(_content, tar, info),
        )
        cast("Any", tar).members = []  # the library keeps every header otherwise, and its stub does not know them


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return cast("IO[bytes]", tar.extractfile(info))  # never None for a file


def _zip_members(archive: Path, zipped: zipfile.ZipFile) -> Iterator[Member]:
    for info in zipped.infolist():
        name = _zip_name(info)
        if info.flag_bits & _ENCRYPTED_FLAG:
            raise ArchiveRefused(archive, f"{_shown(name)} is encrypted; unpack it with its password yourself")
        mode = info.external_attr >> 16
        kind = Kind.FOLDER if info.is_dir() else Kind.SYMLINK if stat.S_ISLNK(mode) else Kind.FILE
        if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}:
            raise ArchiveRefused(archive, f"{_shown(name)} is a device or pipe; data sets hold files only")
        link = ""
        if kind is Kind.SYMLINK:
            with zipped.open(info) as text:
                link = text.read(_MAX_LINK_BYTES).decode("utf-8", "surrogateescape")
        yield Member(
            path=_safe(archive, name),
            kind=kind,
            size_bytes=info.file_size if kind is Kind.FILE else 0,
            link=link,
            open=partial(zipped.open, info),
        )


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return a name as it was meant: several packers write UTF-8 without saying so."""
    if info.flag_bits & _UTF8_FLAG:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _safe(archive: Path, name: str) -> str:
    path = str(PurePosixPath(name))
    if path == ".":
        return path
    try:
        return check_relative(path)
    except ManifestError as error:
        reason = f"a member is called {_shown(name)}, which does not stay in the folder on every system"
        raise ArchiveRefused(archive, reason) from error


def _shown(name: str) -> str:
    return f"'{name[:80].encode('unicode_escape').decode('ascii')}'"
