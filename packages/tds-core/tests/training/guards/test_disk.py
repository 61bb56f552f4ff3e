import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch

from tds_core.errors import DiskFull
from tds_core.training.config import SafetyConfig
from tds_core.training.distributed import World
from tds_core.training.engine.store import CheckpointStore
from tds_core.training.guards import DiskGuard, Machine, StopRequest, is_disk_full

MIB = 2**20
Told = list[tuple[str, Mapping[str, object]]]


class Clock:
    """Time that passes only while somebody sleeps; something may happen then."""

    def __init__(self) -> None:
        self.now = 0.0
        self.at: dict[float, object] = {}

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for due in [time for time in self.at if time <= self.now]:
            action = self.at.pop(due)
            assert callable(action)
            action()


class Disk:
    """A disk with as much room as a test says."""

    def __init__(self, folder: Path, free: int = 10**12, **safety: float) -> None:
        self.free, self.clock, self.stop = free, Clock(), StopRequest()
        self.told: Told = []
        settings = SafetyConfig(**{"min_free_disk_bytes": 0, "disk_pause_s": 10.0, "disk_patience_s": 60.0, **safety})  # type: ignore[arg-type]  # numbers all
        self.guard = DiskGuard(
            folder,
            settings,
            stop=self.stop,
            world=World(),
            report=lambda *event: self.told.append(event),
            machine=Machine(free=lambda _: self.free, clock=self.clock, sleep=self.clock.sleep),
        )


def test_with_room_it_writes_at_once(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    assert disk.guard.write(lambda: 5)
    assert disk.told == []
    assert disk.clock.now == 0


def test_room_that_is_to_stay_free_is_waited_for(tmp_path: Path) -> None:
    disk = Disk(tmp_path, free=99, min_free_disk_bytes=100)
    disk.clock.at[25.0] = lambda: setattr(disk, "free", 200)
    assert disk.guard.write(lambda: 5)
    assert disk.clock.now == pytest.approx(30)
    assert [kind for kind, _ in disk.told] == ["disk_full", "disk_free"]
    assert "min_free_disk_bytes" in str(disk.told[0][1]["problem"])


def test_next_checkpoint_must_fit_as_the_last_did(tmp_path: Path) -> None:
    disk = Disk(tmp_path, free=1000)
    assert disk.guard.write(lambda: 900)
    disk.free = 800
    written: list[float] = []

    def action() -> int:
        written.append(disk.clock.now)
        return 900

    disk.clock.at[5.0] = lambda: setattr(disk, "free", 1000)
    assert disk.guard.write(action)
    assert written == [pytest.approx(10)]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_disk_found_full_while_writing_is_waited_for(tmp_path: Path, number: int) -> None:
    disk = Disk(tmp_path)
    attempts = []

    def action() -> int:
        attempts.append(disk.clock.now)
        if len(attempts) < 3:
            raise OSError(number, os.strerror(number))
        return 5

    assert disk.guard.write(action)
    assert attempts == [0, pytest.approx(10), pytest.approx(20)]


def test_torch_that_hides_the_cause_is_seen_through() -> None:
    error = RuntimeError("PytorchStreamWriter failed writing file")
    error.__context__ = OSError(errno.ENOSPC, "No space left on device")
    assert is_disk_full(error)
    assert not is_disk_full(RuntimeError("PytorchStreamWriter failed writing file"))


def test_other_errors_pass_through(tmp_path: Path) -> None:
    disk = Disk(tmp_path)

    def action() -> int:
        raise PermissionError(errno.EACCES, "not yours")

    with pytest.raises(PermissionError, match="not yours"):
        disk.guard.write(action)


def test_patience_ends(tmp_path: Path) -> None:
    disk = Disk(tmp_path, free=0, min_free_disk_bytes=1)
    with pytest.raises(DiskFull, match=r"stayed so for 60 s; make room .* --resume"):
        disk.guard.write(lambda: 5)
    assert disk.clock.now == pytest.approx(60)


def test_wish_to_stop_is_heard_within_a_second_of_a_pause(tmp_path: Path) -> None:
    disk = Disk(tmp_path, free=0, min_free_disk_bytes=1)
    disk.clock.at[3.5] = lambda: disk.stop.request("enough")
    assert not disk.guard.write(lambda: 5)
    assert disk.clock.now < 5


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    mount = shutil.which("mount")
    folder = tmp_path / "disk"
    folder.mkdir()
    if mount is None or os.geteuid():
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(  # noqa: S603  # fixed arguments
        [mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this machine mounts no tmpfs")
    yield folder
    subprocess.run([str(shutil.which("umount")), str(folder)], check=True)  # noqa: S603  # fixed arguments


def _guard(folder: Path, told: Told, *, patience_s: float) -> DiskGuard:
    safety = SafetyConfig(min_free_disk_bytes=0, disk_pause_s=0.05, disk_patience_s=patience_s)
    return DiskGuard(folder, safety, stop=StopRequest(), world=World(), report=lambda *event: told.append(event))


def test_checkpoint_waits_for_room_on_a_disk_that_is_really_full(small_disk: Path) -> None:
    store = CheckpointStore(small_disk / "checkpoints", keep=2)
    told: Told = []
    guard = _guard(small_disk, told, patience_s=60)
    state = {"weights": torch.arange(256 * 1024, dtype=torch.float32)}

    def save(step: int) -> bool:
        return guard.write(lambda: store.save(state, step=step).stat().st_size)

    assert save(1)
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(bytes(8 * MIB))
    # What is free is looked at before; here the disk is found full in the middle of writing.
    guard._size = 0
    threading.Timer(0.5, ballast.unlink).start()
    assert save(2)
    assert [kind for kind, _ in told] == ["disk_full", "disk_free"]
    assert "No space left" in str(told[0][1]["problem"])
    assert store.steps == (1, 2)
    latest = store.latest()
    assert latest is not None
    assert torch.equal(latest.state["weights"], state["weights"])


def test_disk_that_stays_really_full_loses_no_checkpoint(small_disk: Path) -> None:
    store = CheckpointStore(small_disk / "checkpoints", keep=2)
    told: Told = []
    guard = _guard(small_disk, told, patience_s=0.3)
    state = {"weights": torch.arange(256 * 1024, dtype=torch.float32)}
    assert guard.write(lambda: store.save(state, step=1).stat().st_size)
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "ballast").write_bytes(bytes(8 * MIB))
    guard._size = 0
    with pytest.raises(DiskFull, match="everything up to the last checkpoint is kept"):
        guard.write(lambda: store.save(state, step=2).stat().st_size)
    latest = store.latest()
    assert latest is not None
    assert latest.step == 1
    assert sorted(path.name for path in small_disk.rglob("*.partial")) == []
