"""Trackers: one that writes a journal and has it delivered, and one that does nothing."""

import hashlib
import logging
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tds_core.pictures import Overlay, encode_png
from tds_core.training.tracking.courier import Courier, waiting_bytes
from tds_core.training.tracking.journal import TRACKING_FOLDER, Journal
from tds_core.training.tracking.records import Kind, Record, encode_number, plain
from tds_core.training.tracking.registry_entry import registry_tags
from tds_core.training.tracking.timeline import Timeline

_BACKLOG: Final = 1000
_PICTURES: Final = "overlays"
_FILES: Final = "artefacts"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishLimits:
    """How long the end of a run waits for its delivery.

    Attributes:
        finished_s: Seconds at the end of a run that is done.
        stopped_s: Seconds where the process was told to go, or failed.
    """

    finished_s: float = 60.0
    stopped_s: float = 10.0


class JournalTracker:
    """Notes a run in its folder first; a process beside the training delivers it. None of its methods raises.

    Args:
        folder: The run folder.
        journal: Open for writing; `None` if it could not be opened, then nothing is noted.
        courier: Delivers; `None` if there is nowhere to deliver to.
        names: The back ends.
        limits: How long to wait in the end.
    """

    def __init__(
        self,
        folder: Path,
        journal: Journal | None,
        courier: Courier | None,
        names: tuple[str, ...] = (),
        limits: FinishLimits | None = None,
    ) -> None:
        self._folder, self._journal, self._courier = folder, journal, courier
        self._names, self._limits = names, limits or FinishLimits()
        self._timeline = Timeline(journal.path) if journal else None
        self._backlog: deque[Record] = deque()
        self._lost = 0
        self._blocked = False

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Note numbers.

        Args:
            step: Optimiser steps done.
            values: By names such as `train/loss`.
        """
        if self._timeline is None:
            return
        now = _now_ms()
        self._back(step, now, to_before=True)
        encoded = {name: encode_number(float(value)) for name, value in values.items()}
        if self._timeline.is_done_again(step, encoded):
            self._write(self._timeline.go_back(step - 1, now))
        for record in self._timeline.metrics(step, encoded, now):
            self._write(record)
        self._look()

    def overlays(self, step: int, pictures: tuple[Overlay, ...]) -> None:
        """Note pictures.

        Args:
            step: Optimiser steps done.
            pictures: The slices.
        """
        if self._timeline is None:
            return
        now = _now_ms()
        self._back(step, now, to_before=False)
        for picture in pictures:
            self._picture(step, now, picture)
        self._look()

    def event(self, step: int, kind: str, values: Mapping[str, object]) -> None:
        """Note that something happened.

        Args:
            step: Optimiser steps done.
            kind: Stable name such as `micro_batch_halved`.
            values: Plain JSON types.
        """
        if self._timeline is None:
            return
        now = _now_ms()
        self._back(step, now, to_before=False)
        self._write(Record(kind="event", time_ms=now, step=step, body={"name": kind, "values": plain(values)}))
        self._look()

    def artefact(self, path: Path, name: str) -> None:
        """Keep a file or folder; one outside the run folder is copied first.

        Args:
            path: Where it lies.
            name: Folder in the tracker.
        """
        place = self._placed(path, name)
        if place is not None:
            self._note("artefact", {"name": name, "path": place})

    def register_bundle(self, bundle: Path, name: str) -> None:
        """Keep a bundle and enter it into the model registry.

        Args:
            bundle: Folder of the bundle.
            name: In the registry.
        """
        try:
            tags = registry_tags(bundle)
        except (OSError, ValueError) as error:
            logger.warning("bundle_not_registered reason=%s", error)
            return
        place = self._placed(bundle, "bundle")
        if place is not None:
            self._note("bundle", {"path": place, "model": name, "tags": tags})

    def finish(self, status: str) -> None:
        """Close the run; what is queued is kept for the next time if it cannot be delivered soon.

        Args:
            status: `finished`, `early`, `stopped` (it can be resumed) or `failed`.
        """
        if self._journal is None:
            return
        self._note("finish", {"status": status})
        with suppress(OSError):
            self._journal.sync()
        self._journal.close()
        self._journal = self._timeline = None
        if self._lost or self._backlog:
            logger.warning("tracking_lost lines=%d; the disk of the run folder took no more", self._lost_lines)
        if self._courier is not None:
            limits = self._limits
            wait_s = limits.finished_s if status in {"finished", "early"} else limits.stopped_s
            if not self._courier.finish(wait_s):
                self._tell_waiting()

    @property
    def _lost_lines(self) -> int:
        return self._lost + len(self._backlog)

    def _tell_waiting(self) -> None:
        waiting = waiting_bytes(self._folder, self._names)
        for name, count in waiting.items():
            logger.warning(
                "tracking_waits back_end=%s bytes=%d; it is delivered when the run is resumed, or by "
                "tds_core.training.tracking.replay(%r)",
                name,
                count,
                str(self._folder),
            )

    def _picture(self, step: int, now_ms: int, picture: Overlay) -> None:
        png = encode_png(picture.pixels)
        digest = hashlib.sha256(png).hexdigest()
        place = f"{TRACKING_FOLDER}/{_PICTURES}/{_file_name(picture.name)}/step-{step:06d}.png"
        if self._timeline is None or not self._timeline.picture(step, picture.name, digest):
            return
        if self._keep(place, lambda path: _write_file(path, png)):
            body = {"name": picture.name, "file": place, "digest": digest}
            self._write(Record(kind="picture", time_ms=now_ms, step=step, body=body))

    def _note(self, kind: Kind, body: Mapping[str, Any]) -> None:
        last = self._timeline.last if self._timeline else 0
        self._write(Record(kind=kind, time_ms=_now_ms(), step=max(0, last), body=body))

    def _back(self, step: int, now_ms: int, *, to_before: bool) -> None:
        if self._timeline is not None:
            record = self._timeline.went_back(step, now_ms, to_before=to_before)
            if record is not None:
                self._write(record)

    def _write(self, record: Record) -> None:
        """Append to the journal; while that fails, hold some lines in memory and count what is lost."""
        if self._journal is None:
            return
        self._backlog.append(record)
        try:
            while self._backlog:
                self._journal.append(self._backlog[0])
                self._backlog.popleft()
            self._blocked = False
        except OSError as error:
            if not self._blocked:
                logger.warning("journal_not_written reason=%s; training goes on", error.strerror or error)
                self._blocked = True
            while len(self._backlog) > _BACKLOG:
                self._backlog.popleft()
                self._lost += 1

    def _placed(self, path: Path, name: str) -> str | None:
        """Return where a file or folder lies inside the run folder, after copying it there if need be."""
        inside, place = path.absolute(), f"{TRACKING_FOLDER}/{_FILES}/{_file_name(name)}/{path.name}"
        if inside.is_relative_to(self._folder.absolute()):
            return inside.relative_to(self._folder.absolute()).as_posix()
        return place if self._keep(place, lambda target: _copy(path, target)) else None

    def _keep(self, place: str, write: Callable[[Path], None]) -> bool:
        target = self._folder / place
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write(target)
        except OSError as error:
            logger.warning("file_not_kept file=%s reason=%s; training goes on", target.name, error.strerror or error)
            return False
        return True

    def _look(self) -> None:
        if self._courier is not None:
            self._courier.look()


class SilentTracker:
    """Notes nothing: for the processes of a run that do not write."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Do nothing.

        Args:
            step: Ignored.
            values: Ignored.
        """

    def overlays(self, step: int, pictures: tuple[Overlay, ...]) -> None:
        """Do nothing.

        Args:
            step: Ignored.
            pictures: Ignored.
        """

    def event(self, step: int, kind: str, values: Mapping[str, object]) -> None:
        """Do nothing.

        Args:
            step: Ignored.
            kind: Ignored.
            values: Ignored.
        """

    def artefact(self, path: Path, name: str) -> None:
        """Do nothing.

        Args:
            path: Ignored.
            name: Ignored.
        """

    def register_bundle(self, bundle: Path, name: str) -> None:
        """Do nothing.

        Args:
            bundle: Ignored.
            name: Ignored.
        """

    def finish(self, status: str) -> None:
        """Do nothing.

        Args:
            status: Ignored.
        """


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _file_name(name: str) -> str:
    """Return a name that is one folder on every system."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip(".") or "_"


def _write_file(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)
