import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from tds_core.errors import TrainingOutOfMemory
from tds_core.training.distributed import World
from tds_core.training.guards import AdaptiveBatch, MemoryGuard

MIB = 2**20
ROOMY = 2**50


class Memory(MemoryGuard):
    """A machine whose memory is what a test says: every patch of a step takes `patch` bytes on top of `fixed`."""

    def __init__(self, *, left: int | None, patch: int = 100, limit: int | None = None, host: bool = True) -> None:
        super().__init__(torch.device("cpu"))
        self.left, self.patch, self.limit, self.host = left, patch, limit, host
        self.size = 0
        self.freed = 0

    @property
    def is_host(self) -> bool:
        return self.host

    def taken_bytes(self) -> int | None:
        return 1000

    def begin(self) -> None:
        self.size = 0

    def peak_bytes(self) -> int | None:
        return 1000 + self.patch * self.size

    def permitted_bytes(self) -> int | None:
        return self.limit

    def left_bytes(self) -> int | None:
        return self.left if self.limit is None else min(self.limit, self.left or self.limit)

    def free(self) -> None:
        self.freed += 1


class Steps:
    """Steps that note their micro-batches, and run out of memory above a size."""

    def __init__(self, memory: Memory, most: int = 99) -> None:
        self.memory, self.most = memory, most
        self.tried: list[int] = []

    def __call__(self, size: int) -> int:
        self.tried.append(size)
        self.memory.size = size
        if size > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate much")
        return size


def test_share_goes_through_at_once_unless_less_was_asked_for() -> None:
    memory = Memory(left=None)
    assert AdaptiveBatch(6, None, memory=memory, world=World()).size == 6
    assert AdaptiveBatch(6, 4, memory=memory, world=World()).size == 4
    assert AdaptiveBatch(6, 40, memory=memory, world=World()).size == 6


def test_failed_step_is_made_again_with_half_until_it_fits() -> None:
    memory = Memory(left=ROOMY, host=False)
    told: list[tuple[str, Mapping[str, object]]] = []
    micro = AdaptiveBatch(8, None, memory=memory, world=World(), report=lambda *event: told.append(event))
    step = Steps(memory, most=2)
    assert micro.run(step) == 2
    assert micro.run(step) == 2
    assert step.tried == [8, 4, 2, 2]
    assert memory.freed == 2
    assert [(kind, values["before"], values["after"], values["accumulated"]) for kind, values in told] == [
        ("micro_batch_halved", 8, 4, 2),
        ("micro_batch_halved", 4, 2, 4),
    ]
    assert "CUDA out of memory" in str(told[0][1]["reason"])
    json.dumps([values for _, values in told])


def test_odd_micro_batch_is_halved_upwards() -> None:
    memory = Memory(left=ROOMY, host=False)
    micro = AdaptiveBatch(5, None, memory=memory, world=World())
    step = Steps(memory, most=1)
    micro.run(step)
    assert step.tried == [5, 3, 2, 1]


def test_single_patch_that_does_not_fit_ends_the_run_with_advice() -> None:
    memory = Memory(left=ROOMY, host=False)
    micro = AdaptiveBatch(2, None, memory=memory, world=World())
    with pytest.raises(TrainingOutOfMemory, match=r"not even one patch .* smaller sampling\.patch"):
        micro.run(Steps(memory, most=0))


def test_other_errors_pass_through_at_once() -> None:
    memory = Memory(left=ROOMY, host=False)
    micro = AdaptiveBatch(4, None, memory=memory, world=World())

    def step(_size: int) -> int:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        micro.run(step)
    assert micro.size == 4


def test_run_on_a_cpu_doubles_from_single_patches_while_there_is_room() -> None:
    memory = Memory(left=ROOMY)
    micro = AdaptiveBatch(6, None, memory=memory, world=World())
    step = Steps(memory)
    for _ in range(5):
        micro.run(step)
    assert step.tried == [1, 2, 4, 6, 6]


def test_run_on_a_cpu_does_not_grow_beyond_what_is_left() -> None:
    memory = Memory(left=350)
    told: list[tuple[str, Mapping[str, object]]] = []
    micro = AdaptiveBatch(8, None, memory=memory, world=World(), report=lambda *event: told.append(event))
    step = Steps(memory)
    for _ in range(4):
        micro.run(step)
    assert step.tried == [1, 2, 2, 2]
    assert [kind for kind, _ in told] == ["micro_batch_held"]


def test_step_that_is_expected_not_to_fit_is_halved_before_it_is_made() -> None:
    memory = Memory(left=ROOMY)
    told: list[tuple[str, Mapping[str, object]]] = []
    micro = AdaptiveBatch(4, None, memory=memory, world=World(), report=lambda *event: told.append(event))
    step = Steps(memory)
    for _ in range(3):
        micro.run(step)
    memory.left = 250
    for _ in range(2):
        micro.run(step)
    assert step.tried == [1, 2, 4, 2, 2]
    assert told[0][0] == "micro_batch_halved"
    assert "expected to take" in str(told[0][1]["reason"])


def test_much_too_little_room_is_halved_more_than_once_beforehand() -> None:
    memory = Memory(left=ROOMY)
    micro = AdaptiveBatch(8, None, memory=memory, world=World())
    step = Steps(memory)
    for _ in range(4):
        micro.run(step)
    memory.left = 110
    micro.run(step)
    assert step.tried == [1, 2, 4, 8, 1]


def test_shortage_at_a_single_patch_is_told_once_and_the_run_goes_on() -> None:
    memory = Memory(left=ROOMY)
    told: list[tuple[str, Mapping[str, object]]] = []
    micro = AdaptiveBatch(1, None, memory=memory, world=World(), report=lambda *event: told.append(event))
    step = Steps(memory)
    micro.run(step)
    memory.left = 50
    micro.run(step)
    micro.run(step)
    assert [kind for kind, _ in told] == ["memory_short"]


def test_limit_of_the_user_that_a_single_patch_passes_ends_the_run() -> None:
    memory = Memory(left=ROOMY, limit=120)
    micro = AdaptiveBatch(1, None, memory=memory, world=World())
    step = Steps(memory)
    micro.run(step)
    memory.limit = 80
    with pytest.raises(TrainingOutOfMemory, match="the limit in safety leaves"):
        micro.run(step)
    assert step.tried == [1]


def test_host_memory_over_the_limit_ends_the_run() -> None:
    guard = MemoryGuard(torch.device("cpu"), max_ram_bytes=1)
    with pytest.raises(TrainingOutOfMemory, match=r"safety\.max_ram_bytes allows"):
        AdaptiveBatch(1, None, memory=guard, world=World()).run(lambda size: size)


def test_what_cannot_be_measured_changes_nothing() -> None:
    class Silent(Memory):
        def peak_bytes(self) -> int | None:
            return None

    memory = Silent(left=None)
    micro = AdaptiveBatch(4, None, memory=memory, world=World())
    step = Steps(memory)
    micro.run(step)
    micro.run(step)
    assert step.tried == [4, 4]


def test_state_goes_on_where_it_was() -> None:
    memory = Memory(left=ROOMY)
    micro = AdaptiveBatch(8, None, memory=memory, world=World())
    step = Steps(memory)
    for _ in range(2):
        micro.run(step)
    again = AdaptiveBatch(8, None, memory=Memory(left=ROOMY), world=World())
    again.load_state_dict(json.loads(json.dumps(micro.state_dict())))
    rest = Steps(memory)
    for _ in range(3):
        again.run(rest)
    assert rest.tried == [4, 8, 8]
    assert again.state_dict()["size"] == 8


def test_state_without_measurements_goes_on() -> None:
    memory = Memory(left=None)
    micro = AdaptiveBatch(8, 2, memory=memory, world=World())
    again = AdaptiveBatch(8, None, memory=memory, world=World())
    again.load_state_dict(micro.state_dict())
    assert again.size == 2


@pytest.mark.slow
def test_step_that_really_runs_out_gives_the_same_weights(tmp_path: Path) -> None:
    script = Path(__file__).with_name("out_of_memory_run.py")
    command = [sys.executable, str(script), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603  # ours
    assert done.returncode == 0, done.stderr
    runs = {path.stem: torch.load(path, weights_only=True) for path in tmp_path.glob("*.pt")}
    roomy = runs["roomy"]
    assert roomy["sizes"] == [1, 2, 4, 4]
    assert (roomy["weights"] - roomy["first"]).abs().max() > 1e-2
    for way in ("address_space", "limit"):
        tight = runs[way]
        assert max(tight["sizes"]) < 4
        assert (tight["weights"] - roomy["weights"]).abs().max() < 1e-6
        # A failed attempt leaves nothing behind: the same pieces without one give the same bits.
        assert torch.equal(runs[f"{way}-again"]["weights"], tight["weights"])
    assert "micro_batch_halved" in runs["address_space"]["events"]
    assert runs["limit"]["events"]
