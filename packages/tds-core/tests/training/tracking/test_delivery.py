import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tds_core.training.tracking import delivery as delivery_module
from tds_core.training.tracking.delivery import Delivery, Pauses, StartOver
from tds_core.training.tracking.journal import journal_path
from tds_core.training.tracking.positions import Position, load_position
from tds_core.training.tracking.records import Record

from .conftest import metric, run_record

Note = Callable[[list[Record]], None]
QUICK = Pauses(poll_s=0.01, first_s=0.01, longest_s=0.02)
FINISH = Record(kind="finish", time_ms=9, body={"status": "finished"})


@dataclass
class MemorySink:
    """Keeps what it gets, and fails when told to."""

    name: str = "memory"
    run: str = "run-7"
    got: list[Record] = field(default_factory=list)
    begun: list[Position] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    broken_close: bool = False
    refuse: int = 0

    def begin(self, position: Position) -> None:
        self.begun.append(position)

    def deliver(self, records: Sequence[Record]) -> int:
        if self.failures:
            raise self.failures.pop(0)
        self.got += records
        return self.refuse

    def close(self) -> None:
        if self.broken_close:
            message = "cannot close"
            raise OSError(message)


def test_everything_arrives_once_in_order_over_many_processes(run_folder: Path, note: Note) -> None:
    sink = MemorySink()
    for life in range(3):
        note([metric(10 * life + n) for n in range(5)])
        carrier = Delivery(run_folder, sink, "t")
        assert carrier.drain()
        carrier.close()
        carrier.close()
    assert [r.step for r in sink.got] == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 20, 21, 22, 23, 24]
    assert [p.offset for p in sink.begun] == sorted(p.offset for p in sink.begun)
    assert load_position(run_folder, "memory") == Position(
        target="t", offset=journal_path(run_folder).stat().st_size, run="run-7"
    )


def test_many_lines_arrive_in_bounded_batches(run_folder: Path, note: Note, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "_BATCH", 7)
    note([metric(n) for n in range(50)])
    sink = MemorySink()
    assert Delivery(run_folder, sink, "t").drain()
    assert [r.step for r in sink.got] == list(range(50))


def test_a_failure_is_told_kept_and_tried_again(run_folder: Path, note: Note, caplog: pytest.LogCaptureFixture) -> None:
    note([metric(1)])
    sink = MemorySink(failures=[ConnectionError("http://ada:secret@host refused")], broken_close=True)
    carrier = Delivery(run_folder, sink, "t")
    with caplog.at_level(logging.WARNING):
        assert not carrier.drain()
    assert carrier.problem == "ConnectionError: http://host refused"
    assert "secret" not in caplog.text
    assert "not_delivered sink=memory" in caplog.text
    known = load_position(run_folder, "memory")
    assert known is not None
    assert (known.offset, known.problem) == (0, carrier.problem)
    sink.broken_close = False
    assert carrier.drain()
    assert [r.step for r in sink.got] == [1]
    assert carrier.problem == ""


def test_a_problem_that_is_over_with_nothing_to_deliver_is_forgotten(run_folder: Path, note: Note) -> None:
    note([metric(1)])
    sink = MemorySink()
    carrier = Delivery(run_folder, sink, "t")
    assert carrier.drain()
    carrier._position = Position(target="t", offset=carrier._position.offset, problem="old")
    assert carrier.drain()
    assert carrier.problem == ""


def test_a_back_end_that_forgot_the_run_gets_everything_again(run_folder: Path, note: Note) -> None:
    sink = MemorySink()
    carrier = Delivery(run_folder, sink, "t")
    note([run_record(), metric(1)])
    assert carrier.drain()
    note([metric(2)])
    sink.failures = [StartOver("gone")]
    sink.got.clear()
    assert not carrier.drain()
    assert carrier.drain()
    assert [r.kind for r in sink.got] == ["run", "metrics", "metrics"]


@pytest.mark.parametrize(
    ("target", "cut", "expected", "run"), [("t", False, 2, "run-7"), ("other", False, 0, ""), ("t", True, 0, "run-7")]
)
def test_where_a_delivery_begins(
    run_folder: Path, note: Note, *, target: str, cut: bool, expected: int, run: str
) -> None:
    note([metric(1), metric(2)])
    Delivery(run_folder, MemorySink(), "t").drain()
    if cut:  # as after a power cut
        journal_path(run_folder).write_bytes(metric(1).line())
    else:
        note([metric(3)])
    sink = MemorySink()
    Delivery(run_folder, sink, target).drain()
    assert [r.step for r in sink.got] == ([1] if cut else [1, 2, 3][expected:])
    assert sink.begun[0].run == run


def test_damaged_lines_are_passed_over_and_counted(run_folder: Path, note: Note) -> None:
    note([metric(1)])
    with journal_path(run_folder).open("ab") as file:
        file.write(b"\x00\x00\n" + metric(2).line())
    sink = MemorySink(refuse=1)
    assert Delivery(run_folder, sink, "t").drain()
    known = load_position(run_folder, "memory")
    assert known is not None
    assert known.refused == 2
    assert [r.step for r in sink.got] == [1, 2]


def test_a_delivery_ends_with_the_run_and_outlasts_failures(run_folder: Path, note: Note) -> None:
    sink = MemorySink(failures=[OSError("down")] * 3)
    note([run_record()])
    outcome: list[bool] = []
    carrier = Delivery(run_folder, sink, "t", QUICK)
    thread = threading.Thread(target=lambda: outcome.append(carrier.run(threading.Event())))
    thread.start()
    note([metric(1), FINISH])
    thread.join(10)
    assert outcome == [True]
    assert [r.kind for r in sink.got] == ["run", "metrics", "finish"]


def test_an_end_that_another_process_delivered_is_the_end(run_folder: Path, note: Note) -> None:
    note([run_record(), FINISH])
    assert Delivery(run_folder, MemorySink(), "t").drain()
    stop, sink = threading.Event(), MemorySink()
    guard = threading.Timer(10, stop.set)
    guard.start()
    assert Delivery(run_folder, sink, "t", QUICK).run(stop)
    assert not stop.is_set()
    guard.cancel()
    assert sink.got == []


def test_a_finish_that_a_resumed_run_left_behind_is_no_end(run_folder: Path, note: Note) -> None:
    note([run_record(), FINISH, run_record()])
    stop, outcome = threading.Event(), list[bool]()
    carrier = Delivery(run_folder, MemorySink(), "t", QUICK)
    thread = threading.Thread(target=lambda: outcome.append(carrier.run(stop)))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    stop.set()
    thread.join(10)
    assert outcome == [True]


def test_a_position_that_cannot_be_written_sends_nothing_twice(
    run_folder: Path, note: Note, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(delivery_module, "save_position", full)
    note([metric(1)])
    sink = MemorySink()
    carrier = Delivery(run_folder, sink, "t")
    assert carrier.drain()
    note([metric(2)])
    assert carrier.drain()
    assert [r.step for r in sink.got] == [1, 2]
    assert "position_not_kept" in caplog.text
