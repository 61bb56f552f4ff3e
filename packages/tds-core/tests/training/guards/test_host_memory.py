import mmap
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tds_core.training.guards import host_memory

MIB = 1024**2


def test_peak_remembers_what_was_given_back_until_it_is_reset() -> None:
    host_memory.reset_peak()
    before = host_memory.peak_bytes() or 0
    block = mmap.mmap(-1, 64 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block.write(b"\1" * (64 * MIB))
    block.close()
    peak = host_memory.peak_bytes() or 0
    assert peak >= before + 48 * MIB
    if host_memory.reset_peak():
        assert (host_memory.peak_bytes() or 0) < peak


def _hold(connection: Connection) -> None:
    block = bytearray(b"\1") * (64 * MIB)
    connection.send(len(block))
    connection.recv()


def test_what_workers_hold_is_counted() -> None:
    before = host_memory.tree_bytes()
    assert before is not None
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    worker = context.Process(target=_hold, args=(theirs,))
    worker.start()
    ours.recv()
    held = host_memory.tree_bytes()
    ours.send(None)
    worker.join()
    assert held is not None
    assert held - before > 56 * MIB
    assert host_memory.tree_bytes(worker.pid) is None


def _touch(block: mmap.mmap, connection: Connection) -> None:
    connection.send(sum(block[:: mmap.PAGESIZE]))
    connection.recv()


def test_memory_that_workers_share_is_counted_once() -> None:
    block = mmap.mmap(-1, 64 * MIB)
    block.write(b"\1" * (64 * MIB))
    before = host_memory.tree_bytes() or 0
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    worker = context.Process(target=_touch, args=(block, theirs))
    worker.start()
    ours.recv()
    held = host_memory.tree_bytes() or 0
    ours.send(None)
    worker.join()
    block.close()
    assert held - before < 32 * MIB


def test_systems_that_tell_nothing_are_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host_memory, "_PROC", tmp_path)
    assert host_memory.resident_bytes() is None
    assert host_memory.peak_bytes() is None
    assert host_memory.tree_bytes() is None
    assert not host_memory.reset_peak()


def test_older_kernels_are_asked_for_resident_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text("Name:\tpython\nRssAnon:\t  100 kB\nRssShmem:\t  20 kB\n")
    monkeypatch.setattr(host_memory, "_PROC", tmp_path)
    assert host_memory.tree_bytes(7) == 120 * 1024


def test_freed_memory_is_given_back_where_the_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    assert host_memory.trim()

    def nothing(_name: object) -> object:
        return object()

    monkeypatch.setattr("ctypes.CDLL", nothing)
    assert not host_memory.trim()
