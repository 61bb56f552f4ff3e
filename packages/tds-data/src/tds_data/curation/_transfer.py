"""One file, transferred in as many goes as it takes.

What has arrived is in `NAME.part`, and what it is a part of in `NAME.part.json`: the address, the server's mark of the
version (a strong ETag, else the date) and the length. A later go asks for the rest of that version only; a server that
has another one, or that cannot send rests, sends the whole, and the part begins anew.
"""

import errno
import http.client
import json
import logging
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tds_data.curation._http import Interrupted, RangeRefused, open_url
from tds_data.curation._json_file import write_json
from tds_data.curation._meter import Meter, Progress, in_bytes
from tds_data.errors import DownloadFailed

_STEP_BYTES: Final = 1 << 18
_ADVANCE_BYTES: Final = 1 << 16
_MAX_PAUSE_S: Final = 60.0
_MIN_RATE: Final = 64  # bytes a second, below which a connection counts as dead
_UNPACKED_RATIO: Final = 1.05  # the archives hold compressed images, so unpacking adds little
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOptions:
    """How long to try, and which way.

    Attributes:
        timeout_s: Seconds to wait for a connection, and for each piece of data.
        max_retries: Tries in a row that may bring nothing new.
        pause_s: Seconds before the first of them; doubled for each further one, up to a minute.
        proxies: The proxy for each scheme, as `urllib.request.getproxies` returns them.
    """

    timeout_s: float = 30.0
    max_retries: int = 5
    pause_s: float = 0.5
    proxies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """What a part is a part of."""

    url: str
    mark: str | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A file to bring from an address to a place.

    Attributes:
        url: Where it is.
        part: Where it grows; complete when `run` returns, and still to be verified.
        options: How long to try, and which way.
        progress: Told how far it is.
    """

    url: str
    part: Path
    options: TransferOptions
    progress: Progress | None = None

    @property
    def _state(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def run(self) -> bool:
        """Bring the whole file, and return whether it came in several goes.

        Raises:
            DownloadFailed: If the server refuses, does not answer however often it is asked, or the disk is full.
        """
        several = self._size() > 0
        failures, furthest = 0, self._size()
        while True:
            try:
                self._attempt()
            except Interrupted as error:
                several = True
                here = self._size()
                failures = 1 if here >= furthest + _ADVANCE_BYTES else failures + 1
                furthest = max(furthest, here)
                if failures > self.options.max_retries:
                    kept = f" What has arrived ({in_bytes(here)}) is kept." if here else ""
                    message = (
                        f"{error}; gave up after {failures} tries that brought nothing new.{kept} Run the command "
                        "again to go on"
                    )
                    raise DownloadFailed(message) from error
                self._pause(error, failures)
            else:
                return several

    def discard(self) -> None:
        """Remove what has arrived."""
        self._state.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        """Give the complete part its final name.

        Args:
            target: In the same folder.
        """
        self.part.replace(target)
        self._state.unlink(missing_ok=True)

    def _pause(self, error: Interrupted, failures: int) -> None:
        seconds = max(error.wait_s, min(self.options.pause_s * 2 ** (failures - 1), _MAX_PAUSE_S))
        logger.info("transfer_interrupted failures=%d pause_s=%.1f reason=%s", failures, seconds, error)
        if self.progress is not None:
            self.progress(self._size(), 0, f"{error}; trying again in {seconds:.0f} s")
        time.sleep(seconds)

    def _attempt(self) -> None:
        version = self._known_version()
        have = self._size()
        if have and version.total_bytes == have:
            return
        headers = {"Range": f"bytes={have}-", "If-Range": version.mark} if have and version.mark else {}
        options = self.options
        try:
            answer = open_url(self.url, headers, timeout_s=options.timeout_s, proxies=dict(options.proxies))
        except RangeRefused:
            self.discard()
            raise
        with answer:
            version, have = self._agree(answer, version, have)
            self._check_room((version.total_bytes or 0) - have, version.total_bytes or 0)
            self._receive(answer, version, have)

    def _agree(self, answer: http.client.HTTPResponse, version: _Version, have: int) -> tuple[_Version, int]:
        """Return what the answer is a part of, and where in it the answer begins."""
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            message = "the server changes the file's encoding on the way; give the address of a copy"
            raise DownloadFailed(message)
        if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
            if not have or not _continues(answer, version, have):
                self.discard()
                message = "the server sends a part of another version of the file"
                raise Interrupted(message)
            return version, have
        if answer.status != http.HTTPStatus.OK:
            message = f"the server answers in a way that is not understood (status {answer.status}); try again later"
            raise DownloadFailed(message)
        if have:
            logger.info("transfer_restarted have=%d", have)
        length = answer.headers.get("Content-Length", "")
        version = _Version(url=self.url, mark=_mark(answer), total_bytes=int(length) if length.isdecimal() else None)
        with _writing(self.part):
            self.part.write_bytes(b"")
            write_json(self._state, asdict(version))
        return version, 0

    def _receive(self, answer: http.client.HTTPResponse, version: _Version, have: int) -> None:
        total = version.total_bytes
        name = self.part.name.removesuffix(".part")
        meter = Meter(name, done=have, total=total or 0, progress=self.progress)
        window_start, window_bytes = time.monotonic(), 0
        with _writing(self.part):
            file = self.part.open("ab", buffering=0)
        with file:
            while step := _read(answer):
                rest = memoryview(step)
                with _writing(self.part):
                    while rest:
                        rest = rest[file.write(rest) :]
                meter.add(len(step))
                window_bytes += len(step)
                if time.monotonic() - window_start > self.options.timeout_s:
                    if window_bytes < _MIN_RATE * self.options.timeout_s:
                        message = "the server sends next to nothing"
                        raise Interrupted(message)
                    window_start, window_bytes = time.monotonic(), 0
        size = self._size()
        if total is not None and size < total:
            message = f"the connection ended after {in_bytes(size)} of {in_bytes(total)}"
            raise Interrupted(message)

    def _check_room(self, to_come: int, total: int) -> None:
        needed = to_come + int(total * _UNPACKED_RATIO)
        free = shutil.disk_usage(self.part.parent).free
        if needed > free:
            message = (
                f"the archive and what it holds need {in_bytes(needed)} more, and {in_bytes(free)} are free on that "
                "disk; free some space or choose another folder"
            )
            raise DownloadFailed(message)

    def _known_version(self) -> _Version:
        """Return what the part is a part of; without a note of it, there is no part."""
        try:
            version = _Version(**json.loads(self._state.read_text(encoding="utf-8")))
            usable = version.url == self.url and self._size() <= (version.total_bytes or self._size())
        except (OSError, ValueError, TypeError):
            usable = False
        if usable:
            return version
        self.discard()
        return _Version(url=self.url)

    def _size(self) -> int:
        try:
            return self.part.stat().st_size
        except FileNotFoundError:
            return 0


def _continues(answer: http.client.HTTPResponse, version: _Version, have: int) -> bool:
    place = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if place is None or int(place[1]) != have or _mark(answer) not in {None, version.mark}:
        return False
    return place[3] == "*" or int(place[3]) == version.total_bytes


def _mark(answer: http.client.HTTPResponse) -> str | None:
    """Return what tells the versions of a file apart; a weak ETag does not say that the bytes are the same."""
    tag: str | None = answer.headers.get("ETag")
    if tag is not None and tag.startswith('"'):
        return tag
    date: str | None = answer.headers.get("Last-Modified")
    return date


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read1(_STEP_BYTES)
    except (OSError, http.client.HTTPException) as error:
        message = f"the connection broke ({type(error).__name__})"
        raise Interrupted(message) from error


@contextmanager
def _writing(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            message = (
                "the disk is full. What has arrived is kept: free some space and run the command again to go on "
                "from there"
            )
        else:
            message = f"cannot write into {str(part.parent)!r}: {error.strerror or error}; choose another folder"
        raise DownloadFailed(message) from error
