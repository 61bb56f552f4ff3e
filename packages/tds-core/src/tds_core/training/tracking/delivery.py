"""From the journal to a back end, in order, for as long as it takes."""

import logging
import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from tds_core.training.tracking.journal import journal_path, read_records
from tds_core.training.tracking.positions import Position, load_position, save_position
from tds_core.training.tracking.records import Record
from tds_core.training.tracking.targets import without_credentials

_BATCH: Final = 400
_REASON_LENGTH: Final = 300

logger = logging.getLogger(__name__)


class StartOver(Exception):
    """The back end has forgotten the run; everything is delivered from the beginning."""


class Sink(Protocol):
    """One back end. Whatever it raises, it is tried again later."""

    @property
    def name(self) -> str:
        """Stable name, such as `mlflow`."""
        ...

    def begin(self, position: Position) -> None:
        """Connect.

        Args:
            position: How far an earlier process got.
        """
        ...

    def deliver(self, records: Sequence[Record]) -> int:
        """Take records, some of which it may have already; they are kept when this returns.

        Args:
            records: In order.

        Returns:
            How many it does not take whatever happens, such as a file that is gone.

        Raises:
            StartOver: If it has forgotten the run.
        """
        ...

    @property
    def run(self) -> str:
        """Its own name of the run; empty before there is one."""
        ...

    def close(self) -> None:
        """Let go of everything; `begin` may follow."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """How long a delivery waits.

    Attributes:
        poll_s: Seconds between looks at the journal.
        first_s: Seconds after the first failure; each further failure doubles them.
        longest_s: Most seconds.
    """

    poll_s: float = 1.0
    first_s: float = 1.0
    longest_s: float = 60.0


class Delivery:
    """Carries a journal to one sink.

    Args:
        folder: The run folder.
        sink: Where to.
        target: Short name of its address.
        pauses: How long to wait.
    """

    def __init__(self, folder: Path, sink: Sink, target: str, pauses: Pauses | None = None) -> None:
        self._folder, self._sink, self._pauses = folder, sink, pauses or Pauses()
        known = load_position(folder, sink.name)
        journal = journal_path(folder)
        length = journal.stat().st_size if journal.exists() else 0
        if known is None or known.target != target or known.offset > length:
            # After a power cut the journal may be shorter than what was delivered.
            known = Position(target=target, run=known.run if known and known.target == target else "")
        self._position = known
        self._connected = False
        # An earlier process may have outlived a killed training for long enough to deliver the end of the next one.
        before = (record.kind for record, end in read_records(journal) if record and end <= known.offset)
        self._last_kind = "".join(deque(before, maxlen=1))

    @property
    def problem(self) -> str:
        """Why the last try failed; empty if it did not."""
        return self._position.problem

    def run(self, stop: threading.Event) -> bool:
        """Deliver until the run's end was delivered, or until told to stop.

        Args:
            stop: When set, no further try is made.

        Returns:
            Whether everything was delivered.
        """
        pause = self._pauses.first_s
        while not stop.is_set():
            if self.drain():
                if self._last_kind == "finish":
                    return True
                pause = self._pauses.first_s
                stop.wait(self._pauses.poll_s)
            else:
                stop.wait(pause)
                pause = min(2 * pause, self._pauses.longest_s)
        return self.drain()

    def drain(self) -> bool:
        """Deliver what there is now and return whether that went well."""
        try:
            while self._batch():
                pass
        except StartOver as error:
            logger.warning("run_forgotten sink=%s reason=%s", self._sink.name, error)
            self._position = Position(target=self._position.target)
            self._fail(error)
            return False
        except Exception as error:  # noqa: BLE001  # whatever a back end raises, the run is not to suffer
            self._fail(error)
            return False
        if self._position.problem:
            self._save(replace(self._position, problem=""))
        return True

    def close(self) -> None:
        """Let go of the sink."""
        if self._connected:
            self._sink.close()
            self._connected = False

    def _batch(self) -> bool:
        lines = list(islice(read_records(journal_path(self._folder), self._position.offset), _BATCH))
        if not lines:
            return False
        records = [record for record, _ in lines if record is not None]
        if not self._connected:
            self._sink.begin(self._position)
            self._connected = True
        _sync(journal_path(self._folder))  # what was delivered must not be lost here by a power cut
        refused = self._sink.deliver(records) + len(lines) - len(records)
        self._last_kind = records[-1].kind if records else self._last_kind
        position = replace(
            self._position,
            offset=lines[-1][1],
            run=self._sink.run,
            refused=self._position.refused + refused,
            problem="",
        )
        self._save(position)
        return True

    def _fail(self, error: Exception) -> None:
        reason = without_credentials(f"{type(error).__name__}: {error}")[:_REASON_LENGTH]
        logger.warning("not_delivered sink=%s reason=%s", self._sink.name, reason)
        try:
            self.close()
        except Exception:  # noqa: BLE001  # what is broken may not close either
            self._connected = False
        self._save(replace(self._position, problem=reason))

    def _save(self, position: Position) -> None:
        self._position = position
        try:
            save_position(self._folder, self._sink.name, position)
        except OSError as error:
            logger.warning("position_not_kept sink=%s reason=%s", self._sink.name, error.strerror)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
