import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tds_core.errors import TrainingError
from tds_core.training.config import Device
from tds_core.training.distributed import Launch, World, _buckets, join_world

Torchrun = Callable[..., subprocess.CompletedProcess[str]]

SCRIPT = Path(__file__).with_name("processes.py")


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def environment(rank: int, port: str) -> dict[str, str]:
    numbers = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    return {**{name: str(value) for name, value in numbers.items()}, "MASTER_ADDR": "127.0.0.1"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes saw; this one is the first."""
    folder, port = tmp_path_factory.mktemp("world"), free_port()
    spec = spec_from_file_location("processes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    processes = module_from_spec(spec)
    spec.loader.exec_module(processes)
    command = [sys.executable, str(SCRIPT), "all", str(folder)]
    with (
        subprocess.Popen(command, env={**os.environ, **environment(1, port)}) as other,  # noqa: S603  # our own script
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in environment(0, port).items():
            patch.setenv(name, value)
        patch.setattr(_buckets, "_BUCKET_BYTES", _buckets._BUCKET_BYTES)  # the script lowers it
        with join_world(Device.CPU, timeout_s=120) as world:
            mine = processes.everything(world, folder)
        assert other.wait(60) == 0
    return [json.loads(json.dumps(mine)), json.loads((folder / "1.json").read_text())]


def test_processes_know_their_places(seen: list[dict[str, Any]]) -> None:
    assert [facts["world"] for facts in seen] == [[0, 2, True, "cpu"], [1, 2, False, "cpu"]]


def test_sums_and_means_are_the_same_everywhere_and_leave_what_was_given(seen: list[dict[str, Any]]) -> None:
    for facts in seen:
        assert facts["sum"] == [3, 30]
        assert facts["mean"] == [1.5, 15]
    assert [facts["given"] for facts in seen] == [[1, 10], [2, 20]]


def test_a_flag_in_any_process_is_seen_by_all(seen: list[dict[str, Any]]) -> None:
    assert [facts["any"] for facts in seen] == [[False, True, True]] * 2


def test_the_main_processs_value_reaches_all(seen: list[dict[str, Any]]) -> None:
    for facts in seen:
        assert facts["broadcast"] == {"rank": 0, "text": "ä", "list": [1, None, 2.5]}
        assert facts["tensor"] == [0.5, 0.5]


def test_values_of_any_length_are_gathered_in_order(seen: list[dict[str, Any]]) -> None:
    assert [facts["gather"] for facts in seen] == [[{"rank": 0, "long": "x"}, {"rank": 1, "long": "xxxxxx"}]] * 2


def test_uneven_shares_are_neighbours(seen: list[dict[str, Any]]) -> None:
    assert [facts["share"] for facts in seen] == [[0, 1], [2]]


def test_main_process_has_the_first_turn(seen: list[dict[str, Any]]) -> None:
    first, second = seen[0]["turn"]
    assert first < second


def test_gradients_are_summed_and_missing_ones_count_as_nothing(seen: list[dict[str, Any]]) -> None:
    expected = [[11.0] * 6, None, [30.0] * 5, [44.0] * 20, [55.0], [66.0] * 3]
    assert [facts["gradients"] for facts in seen] == [expected, expected]


def test_processes_that_differ_are_found_out_and_made_alike(seen: list[dict[str, Any]]) -> None:
    assert all("weights of the 2 processes differ" in facts["differ"] for facts in seen)
    assert seen[0]["weights"] == seen[1]["weights"]
    assert [True] in seen[1]["weights"]


def test_batch_normalisation_is_refused(seen: list[dict[str, Any]]) -> None:
    assert all("choose instance or group normalisation" in facts["batch_norm"] for facts in seen)


def test_memory_that_runs_out_in_one_process_makes_all_halve(seen: list[dict[str, Any]]) -> None:
    assert [facts["tried"] for facts in seen] == [[4, 2, 1]] * 2
    assert [facts["step"] for facts in seen] == [1, 1]


def test_update_that_is_torn_in_one_of_several_processes_ends_the_run(seen: list[dict[str, Any]]) -> None:
    assert ["memory of process 0 ran out" in seen[0]["torn"], "memory of process 1 ran out" in seen[1]["torn"]] == [
        True,
        True,
    ]


def test_all_processes_wait_for_the_main_ones_disk(seen: list[dict[str, Any]]) -> None:
    assert [facts["written"] for facts in seen] == [True, True]
    assert [facts["attempts"] for facts in seen] == [[0, 0, 0], []]
    assert all("stayed so" in facts["full"] for facts in seen)


def test_wish_to_stop_in_one_process_ends_the_wait_for_the_disk_in_all(seen: list[dict[str, Any]]) -> None:
    assert [facts["before"] for facts in seen] == [False, False]
    assert [facts["stopped_while_full"] for facts in seen] == [False, False]
    assert [facts["reason"] for facts in seen] == ["another process of the run was asked to stop", "told here"]


@pytest.mark.slow
def test_process_that_dies_leaves_nobody_waiting(torchrun: Torchrun, tmp_path: Path) -> None:
    done = torchrun("processes.py", "die", tmp_path)
    assert done.returncode != 0
    assert "SIGKILL" in done.stderr
    told = tmp_path / "0.json"
    # torchrun may end the first process before it has found out by itself.
    assert not told.exists() or "another process of this run ended" in json.loads(told.read_text())["error"]


@pytest.mark.slow
def test_process_that_does_not_answer_is_given_up_on(torchrun: Torchrun, tmp_path: Path) -> None:
    done = torchrun("processes.py", "sleep", tmp_path)
    assert done.returncode != 0
    message, waited = json.loads((tmp_path / "gave-up.json").read_text())
    assert "did not answer in time" in message
    assert waited < 30


@pytest.mark.slow
def test_two_machines_meet(torchrun: Torchrun, tmp_path: Path) -> None:
    meeting = ("--nnodes=2", "--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{free_port()}", "--rdzv-id=tds")
    with ThreadPoolExecutor(2) as pool:
        agents = [pool.submit(torchrun, "processes.py", "machines", tmp_path, how=meeting) for _ in range(2)]
        for agent in agents:
            assert agent.result().returncode == 0, agent.result().stderr
    seen = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(4)]
    assert [facts["sum"] for facts in seen] == [[10, 100]] * 4
    turns = seen[0]["turn"]
    # Of the other machine one process comes before its neighbour.
    assert turns[0] < turns[2] < min(turns[1], turns[3])


def test_meeting_without_the_others_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(0, free_port()).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match="did not answer in time"):
        join_world(Device.CPU, timeout_s=2)


def test_world_of_one_needs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment(0, "1"):
        monkeypatch.delenv(name, raising=False)
    with join_world(Device.CPU) as world, world.in_turn():
        assert (world.rank, world.size, world.is_main) == (0, 1, True)
        assert world.gather("a") == ["a"]
        assert world.broadcast("a") == "a"
        world.barrier()
    assert World(Launch(rank=1, size=2, local_rank=1, local_size=2)).share(5) == range(3, 5)
