"""Data sets fetched from their publishers: the only thing in tds_data that uses the network.

Nothing is unpacked before its checksum is verified, what has arrived is kept over interruptions of any kind, and the
folder is complete or absent.
"""

import hashlib
import json
import logging
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tds_data.atomic import check_target
from tds_data.curation._http import check_url
from tds_data.curation._json_file import write_json
from tds_data.curation._meter import Meter, Progress, in_bytes
from tds_data.curation._run_lock import run_lock
from tds_data.curation._transfer import Transfer, TransferOptions
from tds_data.curation.archives import unpack_archive
from tds_data.curation.releases import Release
from tds_data.errors import ChecksumMismatch, DownloadFailed, LicenceNotAccepted, VolumeWriteError

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_STEP_BYTES: Final = 1 << 20
_RECORD_VERSION: Final = "1.0"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """How to fetch.

    Attributes:
        accepts_licence: Whether the user has read the licence and accepts it.
        base_url: Address of a folder that holds a copy of the archive, in place of the publisher's.
        sha256: What the archive must hash to, beyond the publisher's MD5.
        keeps_archive: Whether the archive stays once it is unpacked.
        transfer: How long to try, and which way.

    Raises:
        DownloadFailed: If the hash is none or the address may not be opened.
    """

    accepts_licence: bool = False
    base_url: str | None = None
    sha256: str | None = None
    keeps_archive: bool = False
    transfer: TransferOptions = field(default_factory=TransferOptions)

    def __post_init__(self) -> None:
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            message = f"a SHA-256 has 64 lower-case hexadecimal digits; {self.sha256[:80]!r} is none"
            raise DownloadFailed(message)
        if self.base_url is not None:
            check_url(self.base_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came of it.

    Attributes:
        folder: Where the data set is.
        record: File beside it that says where it came from.
        md5: The archive's checksum, which the publisher gives.
        sha256: The archive's hash; a later run asks for the same.
        size_bytes: Length of the archive.
        was_there: Whether an earlier run had fetched it, so that nothing was done.
        notes: What was left out or done again, for people.
    """

    folder: Path
    record: Path
    md5: str
    sha256: str
    size_bytes: int
    was_there: bool = False
    notes: tuple[str, ...] = ()


def fetch(
    release: Release, target: Path, options: FetchOptions | None = None, *, progress: Progress | None = None
) -> Fetched:
    """Bring a data set into a folder, or go on where an earlier run was interrupted.

    The data set lies in `TARGET/NAME` in the end, and `TARGET/NAME.fetch.json` says where it came from, with its hashes
    and its licence. Until then `TARGET/NAME.tar.part` grows. A run that finds both does nothing.

    Args:
        release: Which one.
        target: Folder to put it into; made if need be.
        options: How; the licence has to be accepted there.
        progress: Told what is done, what there is in all and a few words, as bytes.

    Raises:
        LicenceNotAccepted: If `options` does not say that the licence is accepted.
        DownloadFailed: If it cannot be brought, or another run is at it.
        ChecksumMismatch: If what came is not what was published.
        ArchiveRefused: If the archive is not safe to unpack.
        VolumeWriteError: If the folder holds something else, or the disk fills up while unpacking.
    """
    options = options or FetchOptions()
    if not options.accepts_licence:
        raise LicenceNotAccepted(release.licence.name, release.licence.url)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VolumeWriteError(target, f"{error.strerror or error}; choose another folder") from error
    with run_lock(target / f".{release.name}.lock"):
        return _Fetch(release=release, target=target, options=options, progress=progress).run()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hashes:
    md5: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fetch:
    release: Release
    target: Path
    options: FetchOptions
    progress: Progress | None

    @property
    def folder(self) -> Path:
        return self.target / self.release.name

    @property
    def archive(self) -> Path:
        return self.target / self.release.file_name

    @property
    def record(self) -> Path:
        return self.target / f"{self.release.name}.fetch.json"

    @property
    def url(self) -> str:
        base = self.options.base_url
        return self.release.url if base is None else f"{base.rstrip('/')}/{self.release.file_name}"

    def run(self) -> Fetched:
        known = self._known()
        if known is not None and self.folder.is_dir() and any(self.folder.iterdir()):
            self._check(known, "md5", self.release.md5, "the folder was made from another archive: fetch into another")
            self._check_expected(known, None)
            return Fetched(folder=self.folder, record=self.record, was_there=True, **asdict(known))
        check_target(self.folder)
        hashes, notes = self._bring(known)
        self._write_record(hashes)
        unpacked = unpack_archive(self.archive, self.folder, progress=self._tell_unpacking)
        if not self.options.keeps_archive:
            self.archive.unlink()
        return Fetched(folder=self.folder, record=self.record, notes=(*notes, *unpacked.notes), **asdict(hashes))

    def _tell_unpacking(self, done: int, total: int, name: str) -> None:
        if self.progress is not None:
            self.progress(done, total, f"unpacking {name}: {in_bytes(done)} of {in_bytes(total)}")

    def _bring(self, known: _Hashes | None) -> tuple[_Hashes, tuple[str, ...]]:
        """Have the archive in its place, verified."""
        if self.archive.exists():
            hashes = self._hashes(self.archive)
            self._check(hashes, "md5", self.release.md5, f"move {self.archive.name!r} away and run the command again")
            self._check_expected(hashes, known)
            return hashes, ("used the archive that was there",)
        part = self.archive.with_name(f"{self.archive.name}.part")
        transfer = Transfer(url=self.url, part=part, options=self.options.transfer, progress=self.progress)
        several = transfer.run()
        hashes = self._hashes(part)
        notes: tuple[str, ...] = ()
        if several and hashes.md5 != self.release.md5:
            logger.warning("transfer_restarted reason=checksum")
            notes = ("the parts of an interrupted transfer did not fit together; it was done again from the start",)
            transfer.discard()
            transfer.run()
            hashes = self._hashes(part)
        advice = "it was removed. Try again; if that does not help, the copy or a proxy on the way alters the file"
        try:
            self._check(hashes, "md5", self.release.md5, advice)
            self._check_expected(hashes, known)
        except ChecksumMismatch:
            transfer.discard()
            raise
        transfer.finish(self.archive)
        return hashes, notes

    def _check_expected(self, hashes: _Hashes, known: _Hashes | None) -> None:
        if self.options.sha256 is not None:
            self._check(hashes, "sha256", self.options.sha256, "it is not the archive that you ask for")
        if known is not None:
            advice = (
                f"an earlier run noted another one in {self.record.name!r}; ask the publisher, or move that file away"
            )
            self._check(hashes, "sha256", known.sha256, advice)

    def _check(self, hashes: _Hashes, algorithm: str, expected: str, advice: str) -> None:
        found = hashes.md5 if algorithm == "md5" else hashes.sha256
        if found != expected:
            raise ChecksumMismatch(algorithm, expected=expected, found=found, advice=advice)

    def _hashes(self, path: Path) -> _Hashes:
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        size = path.stat().st_size
        meter = Meter(f"checking {self.archive.name}", done=0, total=size, progress=self.progress)
        with path.open("rb") as file:
            while step := file.read(_STEP_BYTES):
                md5.update(step)
                sha256.update(step)
                meter.add(len(step))
        return _Hashes(md5=md5.hexdigest(), sha256=sha256.hexdigest(), size_bytes=size)

    def _known(self) -> _Hashes | None:
        """Return what an earlier run noted; a note that cannot be read is none."""
        try:
            record: Any = json.loads(self.record.read_text(encoding="utf-8"))
            noted = _Hashes(md5=record["md5"], sha256=record["sha256"], size_bytes=record["size_bytes"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            message = f"{self.record.name!r} is not what an earlier run wrote; move it away and run the command again"
            raise DownloadFailed(message) from error
        return noted

    def _write_record(self, hashes: _Hashes) -> None:
        document = {
            "version": _RECORD_VERSION,
            "name": self.release.name,
            "url": self.url,
            **asdict(hashes),
            "licence": self.release.licence.name,
            "licence_url": self.release.licence.url,
            "licence_accepted": True,
            "citation": self.release.citation,
            "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            write_json(self.record, document)
        except OSError as error:
            raise VolumeWriteError(self.record, error.strerror or str(error)) from error
