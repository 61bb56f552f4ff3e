"""Which steps were noted before, so that steps that are done again are told once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tds_core.training.tracking.journal import read_records
from tds_core.training.tracking.records import Record

CLOCK_PREFIXES: Final = ("speed/", "memory/", "validation/seconds")
"""Metrics that tell of the machine and the clock: done again, they differ, and that is no news."""

_PICTURE: Final = "picture:"
_ON_STEPS: Final = frozenset({"metrics", "event", "picture"})


@dataclass(slots=True)
class Timeline:
    """What a journal holds, as far as a run that goes back needs it.

    Attributes:
        path: The journal.
        last: Latest step that something was noted for; -1 before the first.
        there: Values and pictures noted for that step.
        earlier: Value and time of each metric that was noted for a step that is to be done again.
    """

    path: Path
    last: int = -1
    there: dict[str, Any] = field(default_factory=dict)
    earlier: dict[tuple[int, str], tuple[Any, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._scan()

    def went_back(self, step: int, now_ms: int, *, to_before: bool) -> Record | None:
        """Return the line to write first if a step comes after a later one.

        Args:
            step: The step.
            now_ms: The time.
            to_before: Whether the step itself is done again, too.
        """
        if step >= self.last:
            return None
        return self.go_back(step - 1 if to_before else step, now_ms)

    def go_back(self, target: int, now_ms: int) -> Record:
        """Return the line that takes back what was noted for later steps than this one.

        Args:
            target: The step.
            now_ms: The time.
        """
        self._scan(target)
        return Record(kind="rewind", time_ms=now_ms, step=target)

    def is_done_again(self, step: int, values: Mapping[str, Any]) -> bool:
        """Return whether numbers contradict those of the same step: training went back to before it, unheard.

        Args:
            step: The step.
            values: Encoded numbers.
        """
        return step == self.last and any(
            name in self.there and self.there[name] != value and not name.startswith(CLOCK_PREFIXES)
            for name, value in values.items()
        )

    def metrics(self, step: int, values: Mapping[str, Any], now_ms: int) -> list[Record]:
        """Return the lines for some numbers: none for what is there already, with the old time for what is the same.

        Args:
            step: Not before the latest one.
            values: Encoded numbers.
            now_ms: The time.
        """
        groups: dict[tuple[int, bool], dict[str, Any]] = {}
        for name, value in values.items():
            clocked = name.startswith(CLOCK_PREFIXES)
            if step == self.last and name in self.there and (clocked or self.there[name] == value):
                continue
            before = self.earlier.get((step, name))
            same = before is not None and before[0] == value
            again = before is not None and not same and clocked
            groups.setdefault((before[1] if before and same else now_ms, again), {})[name] = value
        records = [
            Record(
                kind="metrics", time_ms=time_ms, step=step, body={"values": part} | ({"again": True} if again else {})
            )
            for (time_ms, again), part in groups.items()
        ]
        for record in records:
            self._take(record)
        return records

    def picture(self, step: int, name: str, digest: str) -> bool:
        """Return whether a picture is new.

        Args:
            step: Not before the latest one.
            name: Of the picture.
            digest: Of its content.
        """
        if step == self.last and self.there.get(_PICTURE + name) == digest:
            return False
        self._step(step)[_PICTURE + name] = digest
        return True

    def _scan(self, target: int | None = None) -> None:
        """Read the journal, as if training had just gone back to a step."""
        self.last, self.there = -1, {}
        for record, live in _marked(self.path, None):
            if live and (target is None or record.step <= target):
                self._take(record)
            elif record.kind == "metrics":
                self.earlier |= {(record.step, k): (v, record.time_ms) for k, v in record.body["values"].items()}

    def _take(self, record: Record) -> None:
        if record.kind == "metrics":
            self._step(record.step).update(record.body["values"])
        elif record.kind == "picture":
            self._step(record.step)[_PICTURE + record.body["name"]] = record.body.get("digest", "")

    def _step(self, step: int) -> dict[str, Any]:
        if step > self.last:
            self.last, self.there = step, {}
        return self.there


def live_records(path: Path, end: int | None = None) -> Iterator[Record]:
    """Return metrics and pictures that were not done again, and all events, in order, without holding them all.

    An event tells what happened to the run, not what it learned, so no way back takes it back.

    Args:
        path: The journal.
        end: Where to stop reading, in bytes; the whole of it if `None`.
    """
    return (record for record, live in _marked(path, end) if live)


def _marked(path: Path, end: int | None) -> Iterator[tuple[Record, bool]]:
    """Return what belongs to steps, and whether it was not done again."""
    rewinds = [(at, record.step) for record, at in _until(path, end) if record.kind == "rewind"]
    for record, at in _until(path, end):
        while rewinds and rewinds[0][0] < at:
            rewinds.pop(0)
        if record.kind in _ON_STEPS:
            yield record, record.kind == "event" or all(record.step <= step for _, step in rewinds)


def _until(path: Path, end: int | None) -> Iterator[tuple[Record, int]]:
    for record, at in read_records(path):
        if end is not None and at > end:
            return
        if record is not None:
            yield record, at
