import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tds_core.training.tracking.journal import Journal, journal_path, read_records
from tds_core.training.tracking.records import Record
from tds_core.training.tracking.timeline import Timeline, live_records

from .conftest import metric

Note = Callable[[list[Record]], None]


def rewind(step: int) -> Record:
    return Record(kind="rewind", time_ms=9, step=step)


def test_what_was_done_again_is_live_once(run_folder: Path, note: Note) -> None:
    note([metric(1), metric(2), metric(3, a=1), rewind(2), metric(3, a=2), rewind(0), metric(1, a=9)])
    assert list(live_records(journal_path(run_folder))) == [metric(1, a=9)]
    note([metric(2, a=9)])
    assert [r.step for r in live_records(journal_path(run_folder))] == [1, 2]


def test_events_are_never_taken_back(run_folder: Path, note: Note) -> None:
    event = Record(kind="event", time_ms=1, step=3, body={"name": "rolled_back", "values": {}})
    note([metric(1), metric(3), event, rewind(1), metric(2)])
    assert list(live_records(journal_path(run_folder))) == [metric(1), event, metric(2)]


def test_only_the_beginning_of_a_journal_may_be_looked_at(run_folder: Path, note: Note) -> None:
    note([metric(1), metric(2), rewind(0)])
    end = [end for _, end in read_records(journal_path(run_folder))][1]
    assert [r.step for r in live_records(journal_path(run_folder), end)] == [1, 2]


def test_steps_in_order_need_no_rewind(run_folder: Path) -> None:
    timeline = Timeline(journal_path(run_folder))
    for step in (0, 1, 1, 5):
        assert timeline.went_back(step, 9, to_before=True) is None
        timeline.metrics(step, {f"{step}": 1.0}, 9)


def test_metrics_take_their_step_back_and_events_leave_it(run_folder: Path, note: Note) -> None:
    note([metric(4), metric(8)])
    timeline = Timeline(journal_path(run_folder))
    back = timeline.went_back(4, 9, to_before=False)
    assert back == rewind(4)
    assert timeline.last == 4
    timeline = Timeline(journal_path(run_folder))
    assert timeline.went_back(4, 9, to_before=True) == rewind(3)


def test_a_value_done_again_the_same_keeps_its_time(run_folder: Path, note: Note) -> None:
    note([metric(4, 100, loss=1.0), metric(5, 200, loss=2.0, rate=3.0)])
    timeline = Timeline(journal_path(run_folder))
    timeline.went_back(5 - 1, 9, to_before=False)
    records = timeline.metrics(5, {"loss": 2.0, "rate": 4.0, "new": 1.0}, 900)
    assert [(r.time_ms, r.body) for r in records] == [
        (200, {"values": {"loss": 2.0}}),
        (900, {"values": {"rate": 4.0, "new": 1.0}}),
    ]


def test_what_depends_on_the_clock_is_marked_when_it_is_done_again(run_folder: Path, note: Note) -> None:
    note([Record(kind="metrics", time_ms=5, step=5, body={"values": {"memory/rss": 1.0}})])
    timeline = Timeline(journal_path(run_folder))
    timeline.went_back(4, 9, to_before=False)
    (record,) = timeline.metrics(5, {"memory/rss": 2.0}, 9)
    assert record.body == {"values": {"memory/rss": 2.0}, "again": True}


def test_the_same_value_or_picture_of_the_same_step_is_no_news(run_folder: Path, note: Note) -> None:
    picture = Record(kind="picture", time_ms=5, step=5, body={"name": "p", "file": "f", "digest": "d"})
    note([metric(5, loss=1.0), picture])
    timeline = Timeline(journal_path(run_folder))
    assert timeline.metrics(5, {"loss": 1.0}, 9) == []
    assert not timeline.picture(5, "p", "d")
    assert timeline.picture(5, "p", "other")
    assert timeline.picture(6, "p", "other")
    assert timeline.metrics(6, {"loss": 1.0, "validation/seconds": 2.0}, 9) != []
    assert timeline.metrics(6, {"loss": 1.0, "validation/seconds": 3.0}, 9) == []


def _value(step: int) -> dict[str, Any]:
    return {"train/loss": math.sin(step), "train/rate": 1.0 / (1 + step)}


def _tell(step: int, clock: int, journal: Journal, timeline: Timeline) -> None:
    back = timeline.went_back(step, clock, to_before=True)
    for record in ([back] if back else []) + timeline.metrics(step, _value(step), clock):
        journal.append(record)


@settings(max_examples=60, deadline=None)
@given(
    kills=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 60)), max_size=4),
    checkpoint=st.integers(1, 5),
    every=st.integers(1, 3),
)
def test_a_run_killed_anywhere_tells_the_same_points_as_an_undisturbed_one(
    tmp_path_factory: Any, kills: list[tuple[int, int]], checkpoint: int, every: int
) -> None:
    folder, clock, step = tmp_path_factory.mktemp("kill"), 0, 0
    for life, torn in [*kills, (99, 0)]:
        journal = Journal(folder)
        timeline = Timeline(journal.path)
        for now in range(step + 1, min(step + life, 20) + 1):
            clock += 1
            if now % every == 0:
                _tell(now, clock, journal, timeline)
        journal.close()
        step = min(step + life, 20) // checkpoint * checkpoint
        if torn and life < 99:
            with journal.path.open("ab") as file:
                file.write(metric(99).line()[: min(torn, 40)])
    expected = [(n, _value(n)) for n in range(1, 21) if n % every == 0]
    assert [(r.step, r.body["values"]) for r in live_records(journal_path(folder))] == expected
    points = {
        (r.step, name, value, r.time_ms)
        for r, _ in read_records(journal_path(folder))
        if r and r.kind == "metrics"
        for name, value in r.body["values"].items()
    }
    assert len(points) == 2 * len(expected)
