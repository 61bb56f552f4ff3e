import errno

import pytest
import torch

from tds_core.errors import ConfigError, TrainingOutOfMemory
from tds_core.training.distributed import World
from tds_core.training.guards import (
    MemoryGuard,
    PeerOutOfMemory,
    UpdateTorn,
    changing_weights,
    fail_together,
    host_memory,
    is_out_of_memory,
)

CPU = torch.device("cpu")


def _allocation_error() -> RuntimeError:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        _allocation_error(),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried to allocate 8"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        PeerOutOfMemory(),
    ],
)
def test_errors_of_memory_are_known(error: BaseException) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes do not match"),
        ValueError("out of memory"),
        OSError(errno.ENOSPC, "No space left on device"),
        TrainingOutOfMemory("it is decided already"),
        UpdateTorn("out of memory"),
    ],
)
def test_other_errors_are_not_taken_for_it(error: BaseException) -> None:
    assert not is_out_of_memory(error)


class _Told(World):
    """A world that notes what is said, and whose other process answers."""

    def __init__(self, *, others: bool) -> None:
        super().__init__()
        self.others = others
        self.said: list[bool] = []

    def any(self, flag: bool, /) -> bool:  # noqa: FBT001  # as it is there
        self.said.append(flag)
        return flag or self.others


def test_want_of_memory_here_is_told_to_the_others() -> None:
    world = _Told(others=False)
    with pytest.raises(MemoryError), fail_together(world):
        raise MemoryError
    assert world.said == [True]


def test_want_of_memory_elsewhere_fails_here() -> None:
    world = _Told(others=True)
    with pytest.raises(PeerOutOfMemory, match="another process"), fail_together(world):
        pass
    assert world.said == [False]


def test_other_errors_tell_nothing() -> None:
    world = _Told(others=False)
    with pytest.raises(RuntimeError, match="shapes"), fail_together(world):
        raise RuntimeError("shapes do not match")
    assert world.said == []


def test_success_everywhere_goes_on() -> None:
    world = _Told(others=False)
    with fail_together(world):
        pass
    assert world.said == [False]


def test_memory_that_runs_out_while_weights_change_is_no_reason_to_try_again() -> None:
    with pytest.raises(UpdateTorn), changing_weights(World()):
        raise _allocation_error()
    with pytest.raises(RuntimeError, match="shapes"), changing_weights(World()):
        raise RuntimeError("shapes do not match")


def test_step_is_measured_on_the_host() -> None:
    guard = MemoryGuard(CPU)
    before = guard.taken_bytes() or 0
    guard.begin()
    torch.ones(64, 1024, 1024 // 4).sum()
    assert (guard.peak_bytes() or 0) - before > 48 * 1024**2


def test_limit_leaves_what_is_not_taken() -> None:
    used = host_memory.tree_bytes() or 0
    guard = MemoryGuard(CPU, max_ram_bytes=used + 100 * 1024**2)
    assert 50 * 1024**2 < (guard.permitted_bytes() or 0) < 150 * 1024**2
    assert (guard.left_bytes() or 0) <= 150 * 1024**2
    assert not guard.is_over()
    assert MemoryGuard(CPU).permitted_bytes() is None


def test_more_than_allowed_is_seen_and_looked_at_now_and_then() -> None:
    now = [0.0]
    guard = MemoryGuard(CPU, max_ram_bytes=1, clock=lambda: now[0])
    assert guard.is_over()
    guard.max_ram_bytes = 2**60
    assert guard.is_over()
    now[0] += 10
    assert not guard.is_over()


def test_limit_that_cannot_be_watched_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_memory, "tree_bytes", lambda: None)
    with pytest.raises(ConfigError, match="max_ram_bytes cannot be kept"):
        MemoryGuard(CPU, max_ram_bytes=2**30)


def test_numbers_to_track_are_bytes() -> None:
    numbers = MemoryGuard(CPU).numbers()
    assert numbers["memory/ram_bytes"] > 2**20
    assert numbers["memory/ram_left_bytes"] > 2**20


class _Gpu:
    """Stands in for torch.cuda: 8 GiB, of which 5 are free, 2 cached and 1 taken."""

    def __init__(self) -> None:
        self.fraction = 1.0
        self.emptied = 0

    def get_device_properties(self, _device: torch.device) -> "_Gpu":
        return self

    total_memory = 8 * 2**30

    def set_per_process_memory_fraction(self, fraction: float, _device: torch.device) -> None:
        self.fraction = fraction

    def memory_allocated(self, _device: torch.device) -> int:
        return 2**30

    def memory_reserved(self, _device: torch.device) -> int:
        return 3 * 2**30

    def max_memory_allocated(self, _device: torch.device) -> int:
        return 2 * 2**30

    def mem_get_info(self, _device: torch.device) -> tuple[int, int]:
        return 5 * 2**30, self.total_memory

    def reset_peak_memory_stats(self, _device: torch.device) -> None:
        pass

    def empty_cache(self) -> None:
        self.emptied += 1


def test_gpu_leaves_what_is_free_and_what_its_cache_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = _Gpu()
    monkeypatch.setattr(torch, "cuda", gpu)
    guard = MemoryGuard(torch.device("cuda", 0))
    guard.begin()
    assert guard.left_bytes() == 7 * 2**30
    assert guard.peak_bytes() == 2 * 2**30
    assert guard.numbers()["memory/vram_peak_bytes"] == 2 * 2**30
    guard.free()
    assert gpu.emptied == 1


def test_limit_on_the_gpu_is_enforced_by_the_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = _Gpu()
    monkeypatch.setattr(torch, "cuda", gpu)
    guard = MemoryGuard(torch.device("cuda", 0), max_vram_bytes=4 * 2**30)
    assert gpu.fraction == 0.5
    assert guard.left_bytes() == 3 * 2**30
