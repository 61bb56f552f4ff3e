import errno
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tds_core.bundle import DEFAULT_BUNDLE
from tds_core.training.engine.protocols import Overlay, Tracker
from tds_core.training.tracking import JournalTracker, SilentTracker
from tds_core.training.tracking import tracker as tracker_module
from tds_core.training.tracking.journal import Journal, journal_path, read_records
from tds_core.training.tracking.records import Record

from .conftest import metric


@pytest.fixture
def tracker(run_folder: Path) -> Iterator[JournalTracker]:
    made = JournalTracker(run_folder, Journal(run_folder), None)
    yield made
    made.finish("failed")


def lines(folder: Path) -> list[Record]:
    return [record for record, _ in read_records(journal_path(folder)) if record is not None]


def overlay(name: str = "case-0-axial", grey: int = 7) -> Overlay:
    return Overlay(name=name, pixels=np.full((4, 5, 3), grey, dtype=np.uint8))


def test_everything_is_in_the_journal_before_it_is_anywhere_else(run_folder: Path, tracker: Tracker) -> None:
    tracker.metrics(1, {"train/loss": 0.5, "train/odd": float("nan")})
    tracker.event(2, "rolled_back", {"to": 1, "why": float("inf")})
    tracker.finish("finished")
    kinds = [(r.kind, r.step) for r in lines(run_folder)]
    assert kinds == [("metrics", 1), ("event", 2), ("finish", 1)]
    assert lines(run_folder)[0].body == {"values": {"train/loss": 0.5, "train/odd": "NaN"}}
    assert lines(run_folder)[1].body == {"name": "rolled_back", "values": {"to": 1, "why": "Infinity"}}


def test_pictures_are_files_of_the_run_and_the_same_one_is_noted_once(run_folder: Path, tracker: Tracker) -> None:
    for _ in range(2):
        tracker.overlays(10, (overlay(), overlay("../odd name", 9)))
    noted = [r.body["file"] for r in lines(run_folder)]
    assert noted == ["tracking/overlays/case-0-axial/step-000010.png", "tracking/overlays/_odd_name/step-000010.png"]
    assert all((run_folder / file).read_bytes().startswith(b"\x89PNG") for file in noted)


def test_another_value_at_the_latest_step_takes_that_step_back(run_folder: Path, tracker: Tracker) -> None:
    tracker.metrics(10, {"a": 1.0})
    tracker.metrics(20, {"a": 2.0, "speed/steps_per_s": 1.0})
    tracker.metrics(20, {"a": 2.0, "b": 1.0, "speed/steps_per_s": 9.0})  # no other value but of the clock
    tracker.metrics(20, {"a": 3.0})  # from 25 back to 18: nothing in between was noted
    assert [(r.kind, r.step) for r in lines(run_folder)] == [
        ("metrics", 10),
        ("metrics", 20),
        ("metrics", 20),
        ("rewind", 19),
        ("metrics", 20),
    ]


def test_names_of_files_that_are_no_text_are_noted(run_folder: Path, tracker: Tracker) -> None:
    tracker.event(1, "file", {"name": "case-\udcff"})
    assert lines(run_folder)[0].body["values"] == {"name": "case-?"}


def test_going_back_is_noted_before_what_is_done_again(run_folder: Path, tracker: Tracker) -> None:
    tracker.metrics(10, {"a": 1.0})
    tracker.metrics(20, {"a": 2.0})
    tracker.event(10, "resumed", {})
    tracker.metrics(10, {"a": 1.0})
    tracker.metrics(20, {"a": 2.0})
    noted = lines(run_folder)
    assert [(r.kind, r.step) for r in noted] == [
        ("metrics", 10),
        ("metrics", 20),
        ("rewind", 10),
        ("event", 10),
        ("metrics", 20),
    ]
    assert noted[4].time_ms == noted[1].time_ms


def test_files_inside_the_run_are_noted_and_others_are_copied(
    run_folder: Path, tracker: Tracker, tmp_path: Path
) -> None:
    (run_folder / "plan.yaml").write_text("a: 1")
    (outside := tmp_path / "elsewhere").mkdir()
    (outside / "report.html").write_text("<p>")
    for path in (run_folder / "plan.yaml", outside, outside / "report.html"):
        tracker.artefact(path, "my/files")
    places = [r.body["path"] for r in lines(run_folder)]
    assert places == [
        "plan.yaml",
        "tracking/artefacts/my_files/elsewhere",
        "tracking/artefacts/my_files/report.html",
    ]
    assert (run_folder / places[1] / "report.html").read_text() == "<p>"


def test_a_file_that_is_not_there_is_told_and_no_error(
    tracker: Tracker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker.artefact(tmp_path / "gone", "x")
    assert "file_not_kept" in caplog.text


def test_a_bundle_is_noted_with_its_identity(run_folder: Path, tracker: JournalTracker) -> None:
    tracker.register_bundle(DEFAULT_BUNDLE, "tumours")
    (record,) = lines(run_folder)
    assert (record.kind, record.body["model"]) == ("bundle", "tumours")
    assert len(record.body["tags"]["tds.manifest_sha256"]) == 64
    assert "not a medical device" in record.body["tags"]["tds.notice"]
    assert (run_folder / record.body["path"] / "manifest.json").is_file()


@pytest.mark.parametrize("content", [None, "[", "just words"])
def test_a_bundle_that_cannot_be_read_is_told_and_no_error(
    tracker: JournalTracker, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text("{}")
        (tmp_path / "bundle.yaml").write_text(content)
    tracker.register_bundle(tmp_path, "m")
    assert "bundle_not_registered" in caplog.text


def test_a_full_disk_loses_nothing_that_fits_in_memory_and_counts_the_rest(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tracker_module, "_BACKLOG", 3)
    journal = Journal(run_folder)
    tracker = JournalTracker(run_folder, journal, None)

    def full(_: Record) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "append", full)
        for step in range(1, 6):
            tracker.metrics(step, {"a": 1.0 * step})
    assert caplog.text.count("journal_not_written") == 1
    tracker.metrics(6, {"a": 6.0})
    assert [r.step for r in lines(run_folder)] == [3, 4, 5, 6]
    tracker.finish("finished")
    assert "tracking_lost lines=2" in caplog.text


def test_pictures_on_a_full_disk_are_told_and_no_error(
    run_folder: Path, tracker: Tracker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    tracker.overlays(1, (overlay(),))
    assert "file_not_kept file=step-000001.png reason=No space left" in caplog.text
    assert lines(run_folder) == []


def test_nothing_happens_without_a_journal_or_after_the_end(run_folder: Path, tracker: JournalTracker) -> None:
    tracker.finish("finished")
    before = journal_path(run_folder).read_bytes()
    for silent in (tracker, JournalTracker(run_folder, None, None), SilentTracker()):
        silent.metrics(1, {"a": 1.0})
        silent.overlays(1, (overlay(),))
        silent.event(1, "x", {})
        silent.artefact(run_folder, "x")
        silent.register_bundle(DEFAULT_BUNDLE, "x")
        silent.finish("finished")
    assert journal_path(run_folder).read_bytes() == before


def test_two_processes_do_not_write_one_journal(run_folder: Path, tracker: Tracker) -> None:
    tracker.metrics(1, {"a": 1.0})
    code = "import sys, pathlib, tds_core.training.tracking.journal as j; j.Journal(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(run_folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own interpreter
    assert "another process writes journal.jsonl" in done.stderr
    assert [r.step for r in lines(run_folder)] == [1]


def test_lines_are_json(run_folder: Path, tracker: Tracker, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        tracker.metrics(1, {"a": 1.0})
    assert json.loads(journal_path(run_folder).read_text())["values"] == metric(1, a=1.0).body["values"]
    assert not caplog.records
