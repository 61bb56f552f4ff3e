import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tds_core.training.tracking import __main__ as main_module
from tds_core.training.tracking.__main__ import DiscreetFormatter, deliver_while, main, open_deliveries
from tds_core.training.tracking.delivery import Delivery, Pauses
from tds_core.training.tracking.journal import Journal
from tds_core.training.tracking.lock import FileLock
from tds_core.training.tracking.records import Record
from tds_core.training.tracking.targets import Targets

from .conftest import metric, run_record
from .test_delivery import MemorySink

QUICK = Pauses(poll_s=0.01, first_s=0.01, longest_s=0.02)


class HangingSink(MemorySink):
    """A back end that accepts and never answers."""

    def deliver(self, records: object) -> int:  # noqa: ARG002  # of the protocol
        threading.Event().wait()
        return 0


@pytest.fixture(autouse=True)
def _quiet_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither signals nor priority of the tests change."""
    monkeypatch.setattr(main_module, "_prepare", lambda: None)
    monkeypatch.setattr(main_module, "_POLL_S", 0.01)


@pytest.fixture
def journal(run_folder: Path) -> Journal:
    made = Journal(run_folder)
    made.append(run_record())
    made.append(metric(1))
    return made


def save_targets(folder: Path) -> None:
    Targets(mlflow_uri=None, experiment="tds", tensorboard=False).save(folder)


def test_each_wanted_back_end_gets_a_delivery(run_folder: Path) -> None:
    both = Targets(mlflow_uri="sqlite://", experiment="tds", tensorboard=True)
    neither = Targets(mlflow_uri=None, experiment="tds", tensorboard=False)
    assert len(open_deliveries(run_folder, both)) == 2
    assert open_deliveries(run_folder, neither) == []


def test_a_process_that_delivers_everything_ends_well(
    run_folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_targets(run_folder)
    sinks = [MemorySink("one"), MemorySink("two")]
    monkeypatch.setattr(
        main_module, "open_deliveries", lambda folder, _: [Delivery(folder, sink, "t", QUICK) for sink in sinks]
    )
    assert main([str(run_folder)]) == 0
    assert [len(sink.got) for sink in sinks] == [2, 2]
    journal.append(Record(kind="finish", time_ms=1, body={"status": "finished"}))
    assert main([str(run_folder), "--parent", str(os.getppid())]) == 0
    assert [len(sink.got) for sink in sinks] == [3, 3]
    journal.append(metric(2))
    sinks[0].failures = [OSError("down")]
    assert main([str(run_folder)]) == 1
    assert [len(sink.got) for sink in sinks] == [3, 4]


def test_a_hanging_back_end_holds_up_neither_the_others_nor_the_end(run_folder: Path, journal: Journal) -> None:
    journal.append(Record(kind="finish", time_ms=1, body={"status": "finished"}))
    quick, hanging = MemorySink("quick"), HangingSink("hanging")
    deliveries = [Delivery(run_folder, sink, "t", QUICK) for sink in (hanging, quick)]
    start = time.monotonic()
    assert not deliver_while(deliveries, lambda: len(quick.got) == 3, orphan_s=0.1)
    assert time.monotonic() - start < 10
    assert [r.kind for r in quick.got] == ["run", "metrics", "finish"]


def test_what_is_left_when_the_training_is_gone_is_still_delivered(run_folder: Path, journal: Journal) -> None:
    sink = MemorySink()
    assert deliver_while([Delivery(run_folder, sink, "t", Pauses(poll_s=30.0))], lambda: True)
    assert len(sink.got) == 2
    assert journal.path.exists()


def test_one_process_delivers_at_a_time(run_folder: Path, journal: Journal) -> None:
    save_targets(run_folder)
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom tds_core.training.tracking.lock import FileLock\n"
        f"assert FileLock(Path({str(run_folder)!r}) / 'tracking' / 'delivery.lock').take()\n"
        "print('held', flush=True)\ntime.sleep(60)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:  # noqa: S603  # our own interpreter
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert main([str(run_folder)]) == 3
        assert main([str(run_folder), "--parent", "1"]) == 3
        holder.kill()
    assert main([str(run_folder)]) == 0
    assert journal.path.exists()


def test_a_lock_is_held_once_and_can_be_let_go(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock") as lock:
        assert lock.take()
        assert lock.take()
    lock.release()
    assert lock.take()
    lock.release()


def test_without_locks_in_the_file_system_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno  # noqa: PLC0415  # only here
    import fcntl  # noqa: PLC0415  # POSIX

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", none)
    with FileLock(tmp_path / "lock") as lock:
        assert lock.take()


def test_the_process_needs_neither_torch_nor_mlflow_to_start() -> None:
    code = (
        "import sys, tds_core.training.tracking.__main__\n"
        "print([m for m in ('torch', 'mlflow', 'tensorboard', 'monai') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # our own interpreter
    assert done.stdout.strip() == "[]"


def test_the_log_of_a_library_holds_no_password() -> None:
    error = OSError("400 for url: https://ada:secret@host/x")
    record = logging.LogRecord("x", logging.WARNING, "x", 1, "%s", (error,), (OSError, error, None))
    assert "secret" not in DiscreetFormatter("%(message)s").format(record)
