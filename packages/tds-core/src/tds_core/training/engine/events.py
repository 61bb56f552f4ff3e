"""What happened to a run besides learning: resumes, rollbacks, smaller micro-batches, full disks."""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tds_core.training.engine.protocols import Tracker

log = logging.getLogger(__name__)

EVENTS_NAME: Final = "events.jsonl"
"""Name of the file in the run folder."""


class Events:
    """Hears events, from the loop and the guards, and passes them on: to the tracker and to `events.jsonl`.

    Unlike the metrics they are never taken back: they tell what happened to the run, not what it learned.

    Args:
        tracker: Listens, too.
        folder: Run folder; `None` in a process that writes nothing.

    Attributes:
        step: Optimiser steps done; the loop keeps it up to date.
    """

    def __init__(self, tracker: Tracker, folder: Path | None) -> None:
        self.step = 0
        self._tracker, self._folder = tracker, folder

    def __call__(self, kind: str, values: Mapping[str, object]) -> None:
        """Note an event.

        Args:
            kind: Stable name such as `rolled_back`.
            values: Plain JSON types.
        """
        if self._folder is None:
            return
        self._tracker.event(self.step, kind, values)
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "step": self.step, "event": kind, **values}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / EVENTS_NAME).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:  # one of the events is that the disk is full
            log.warning("event_not_written event=%s reason=%s", kind, error.strerror)
