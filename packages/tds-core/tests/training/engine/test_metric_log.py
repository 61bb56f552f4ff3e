import errno
import json
import os
from pathlib import Path

import pytest

from tds_core.training.engine.metric_log import METRICS_NAME, MetricLog


def lines(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / METRICS_NAME


def test_flush_brings_every_line_to_disk_and_returns_the_length(path: Path) -> None:
    log = MetricLog(path)
    log.add({"step": 1, "loss": 0.1})
    assert not path.exists()
    assert log.flush() == path.stat().st_size
    assert path.read_text() == '{"step": 1, "loss": 0.1}\n'


def test_lines_appear_before_a_flush_when_there_are_many(path: Path) -> None:
    log = MetricLog(path)
    for step in range(30):
        log.add({"step": step})
    assert lines(path) == list(range(25))


def test_cut_takes_back_what_came_later_on_disk_and_in_memory(path: Path) -> None:
    log = MetricLog(path)
    log.add({"step": 1})
    length = log.flush()
    log.add({"step": 2})
    log.flush()
    log.add({"step": 3})
    log.cut(length)
    log.add({"step": 4})
    log.flush()
    assert lines(path) == [1, 4]


def test_next_process_cuts_half_a_line(path: Path) -> None:
    first = MetricLog(path)
    first.add({"step": 1})
    length = first.flush()
    with path.open("a") as file:
        file.write('{"step": 2, "lo')
    second = MetricLog(path)
    second.cut(length)
    second.add({"step": 2})
    second.flush()
    assert lines(path) == [1, 2]


def test_file_that_is_shorter_than_it_was_is_told_and_gone_on_with(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = MetricLog(path)
    log.cut(100)
    log.add({"step": 1})
    log.flush()
    assert "metrics_shorter_than_checkpoint bytes=0 expected=100" in caplog.text
    assert lines(path) == [1]


def test_full_disk_loses_no_line_and_leaves_no_half_line(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = MetricLog(path)
    log.add({"step": 1})
    log.flush()

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    log.add({"step": 2})
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            log.flush()
    log.flush()
    assert lines(path) == [1, 2]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        patch.setattr(Path, "open", lambda *_: full(None))
        for step in range(3, 30):
            log.add({"step": step})
    assert "metrics_not_written" in caplog.text
    log.flush()
    assert lines(path) == list(range(1, 30))
