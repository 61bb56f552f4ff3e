import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tds_core.errors import CheckpointDamaged, TrainingError
from tds_core.training.engine import CheckpointStore, read_checkpoint
from tds_core.training.engine.store import _write


def state(number: int) -> dict[str, Any]:
    return {"weights": torch.full((1000,), float(number)), "step": number, "name": "x", "list": [1, 2.5, None, True]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture
def store(folder: Path) -> CheckpointStore:
    return CheckpointStore(folder, keep=2)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_saved_state_comes_back_whole(store: CheckpointStore) -> None:
    path = store.save(state(7), step=7)
    found = store.latest()
    assert found is not None
    assert (found.step, found.path, found.passed_over) == (7, path, ())
    assert torch.equal(found.state["weights"], state(7)["weights"])
    assert found.state["list"] == [1, 2.5, None, True]


def test_store_without_checkpoints_has_none(store: CheckpointStore) -> None:
    assert store.latest() is None
    assert store.steps == ()
    with pytest.raises(TrainingError, match="no checkpoint of step 3; there are none"):
        store.load(3)


def test_newest_are_kept_besides_the_best(store: CheckpointStore) -> None:
    for step in range(1, 7):
        store.save(state(step), step=step, best_step=2 if step >= 2 else None)
    assert list(store.steps) == [2, 5, 6]
    assert store.load(2).state["step"] == 2
    store.save(state(7), step=7, best_step=7)
    assert list(store.steps) == [6, 7]


def test_one_is_kept_if_one_is_asked_for(folder: Path) -> None:
    store = CheckpointStore(folder, keep=1)
    for step in (1, 2):
        store.save(state(step), step=step)
    assert store.steps == (2,)


def test_steps_sort_as_numbers(folder: Path) -> None:
    store = CheckpointStore(folder, keep=9)
    for step in (99_999_999, 100_000_000):
        store.save(state(1), step=step)
    found = store.latest()
    assert found is not None
    assert found.step == 100_000_000


def test_checkpoints_of_a_past_that_was_left_are_removed(folder: Path) -> None:
    store = CheckpointStore(folder, keep=5)
    for step in (1, 2, 3):
        store.save(state(step), step=step)
    store.save(state(20), step=2)
    assert store.steps == (1, 2)
    assert store.load(2).state["step"] == 20


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_torn_newest_is_passed_over_and_told(
    store: CheckpointStore, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    store.save(state(1), step=1)
    torn = store.save(state(2), step=2)
    data = torn.read_bytes()
    torn.write_bytes(data[: int(share * len(data))])
    found = store.latest()
    assert found is not None
    assert (found.step, found.passed_over) == (1, (torn.name,))
    assert "checkpoint_damaged" in caplog.text


def test_altered_weight_is_found_out_though_torch_would_take_it(store: CheckpointStore) -> None:
    path = store.save(state(1), step=1)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x00\x00\x80\x3f" * 16)
    data[at : at + 4] = b"\x00\x00\x00\x40"
    path.write_bytes(data)
    assert torch.load(io.BytesIO(data), weights_only=True)["weights"].max() == 2
    with pytest.raises(CheckpointDamaged, match="is torn or altered"):
        store.load(1)


def test_store_of_damaged_checkpoints_is_an_error_with_a_way_out(store: CheckpointStore) -> None:
    for step in (1, 2):
        store.save(state(step), step=step).write_bytes(b"")
    with pytest.raises(CheckpointDamaged, match=r"all 2 checkpoints of this run are damaged .* start afresh"):
        store.latest()


def test_file_under_another_name_is_not_believed(store: CheckpointStore, tmp_path: Path) -> None:
    other = store.save(state(1), step=1).rename(tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointDamaged, match="its name says another"):
        read_checkpoint(other)


def test_absent_file_is_damaged(folder: Path) -> None:
    with pytest.raises(CheckpointDamaged, match="cannot be read"):
        read_checkpoint(folder / f"checkpoint-00000001-{'0' * 16}.pt")


def test_checkpoint_that_would_run_code_is_refused(store: CheckpointStore) -> None:
    path = store.save({"step": Path("anything but numbers")}, step=1)
    with pytest.raises(CheckpointDamaged, match="UnpicklingError"):
        read_checkpoint(path)


def test_content_is_on_disk_before_it_gets_its_name(
    store: CheckpointStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append([name.rpartition("-")[0] or name for name in files(folder)])
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.save(state(1), step=1)
    assert seen == [[".checkpoint-00000001.partial".rpartition("-")[0]], ["checkpoint-00000001"]]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_failed_write_leaves_the_others_and_nothing_half_written(
    store: CheckpointStore, folder: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    store.save(state(1), step=1)
    before = files(folder)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os if failing == "fsync" else Path, failing, full)
        with pytest.raises(OSError, match="No space"):
            store.save(state(2), step=2)
    assert files(folder) == before
    store.save(state(2), step=2)
    assert store.steps == (1, 2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("size", [10, 10_000_000])
def test_full_disk_is_said_to_be_full_whatever_torch_makes_of_it(size: int) -> None:
    with Path("/dev/full").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space") as caught:
        _write({"weights": torch.zeros(size)}, file)
    assert caught.value.errno == errno.ENOSPC


def test_other_errors_of_torch_pass_through() -> None:
    class Broken(io.BytesIO):
        def write(self, _: object) -> int:
            message = "not the disk"
            raise RuntimeError(message)

    with pytest.raises(RuntimeError):
        _write({"weights": torch.zeros(1)}, Broken())


_HOLD = """
import sys
from pathlib import Path
from tds_core.training.engine import CheckpointStore
with CheckpointStore(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs locks of POSIX")
def test_two_processes_do_not_train_in_one_folder(store: CheckpointStore, folder: Path) -> None:
    command = [sys.executable, "-c", _HOLD, str(folder)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  # our own script
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(TrainingError, match="another process trains in"), store.lock():
            raise NotImplementedError
    finally:
        holder.kill()
        holder.communicate()
    with store.lock():
        pass


def test_lock_clears_what_a_killed_process_left(store: CheckpointStore, folder: Path) -> None:
    store.save(state(1), step=1)
    (folder / ".checkpoint-00000002.partial").write_bytes(b"half")
    with store.lock():
        assert [name for name in files(folder) if "partial" in name] == []
    assert store.steps == (1,)


@pytest.mark.skipif(sys.platform == "win32", reason="needs locks of POSIX")
def test_file_system_without_locks_is_told_and_trained_on(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("tds_core.training.engine.store.fcntl.lockf", missing)
    with store.lock():
        pass
    assert "run_folder_not_locked reason=No locks available" in caplog.text
