"""The training's hold on the process that delivers: started, looked after, waited for."""

import logging
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from tds_core.training.tracking.journal import TRACKING_FOLDER, journal_path
from tds_core.training.tracking.positions import load_position

LOG_NAME: Final = "delivery.log"
"""File in the tracking folder with what the process that delivers has to say."""

DELIVERED: Final = 0
"""Exit code of a process that has delivered everything."""

_MODULE: Final = "tds_core.training.tracking"
_POLL_S: Final = 0.1
_LOOK_S: Final = 5.0
_RESTART_S: Final = 60.0

logger = logging.getLogger(__name__)


class Courier:
    """A process that delivers a run's journal while this one trains.

    Args:
        folder: The run folder.
        names: The back ends.
    """

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self._folder, self._names = folder, names
        self._process: subprocess.Popen[bytes] | None = None
        self._looked = self._started = time.monotonic()
        self._problems: dict[str, str] = {}

    def start(self) -> None:
        """Start the process; if that fails, a warning says so and the journal waits."""
        self._started = time.monotonic()
        try:
            self._process = start_delivery(self._folder, parent=os.getpid())
        except OSError as error:
            logger.warning("delivery_not_started reason=%s; the journal is kept and can be delivered later", error)

    def look(self) -> None:
        """Every few seconds tell what is delayed, and start the process again if it ended."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        self.tell()
        gone = self._process is None or self._process.poll() is not None
        if gone and now - self._started > _RESTART_S:
            logger.warning("delivery_ended; it is started again")
            self.start()

    def tell(self) -> None:
        """Log once when a back end takes nothing, and once when it does again."""
        for name in self._names:
            position = load_position(self._folder, name)
            problem = position.problem if position else ""
            if problem and not self._problems.get(name):
                logger.warning(
                    "tracking_delayed back_end=%s reason=%s; training goes on, all is kept in the run folder and "
                    "delivered later",
                    name,
                    problem,
                )
            elif not problem and self._problems.get(name):
                logger.warning("tracking_recovered back_end=%s; what was kept is being delivered", name)
            self._problems[name] = problem

    def finish(self, limit_s: float) -> bool:
        """Wait for the last delivery and end the process.

        Args:
            limit_s: Most seconds to wait.

        Returns:
            Whether everything was delivered.
        """
        if self._process is None:
            return False
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            code = None
        self.tell()
        return code == DELIVERED


def start_delivery(folder: Path, *, parent: int | None) -> "subprocess.Popen[bytes]":
    """Start a process that delivers a journal.

    Args:
        folder: The run folder.
        parent: The process to outlive by half a minute at most; everything is tried once if `None`.

    Raises:
        OSError: If it cannot be started.
    """
    if not sys.executable:
        message = "there is no Python interpreter to start"
        raise OSError(message)
    command = [sys.executable, "-m", _MODULE, str(folder.absolute())]
    command += [] if parent is None else ["--parent", str(parent)]
    with (folder / TRACKING_FOLDER / LOG_NAME).open("wb") as log:
        return subprocess.Popen(  # noqa: S603  # our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )


def waiting_bytes(folder: Path, names: tuple[str, ...]) -> dict[str, int]:
    """Return how much of the journal each back end has not got yet, in bytes; back ends that have all are left out.

    Args:
        folder: The run folder.
        names: The back ends.
    """
    length = 0
    with suppress(OSError):
        length = journal_path(folder).stat().st_size
    waiting = {}
    for name in names:
        position = load_position(folder, name)
        left = length - (position.offset if position else 0)
        if left > 0:
            waiting[name] = left
    return waiting
