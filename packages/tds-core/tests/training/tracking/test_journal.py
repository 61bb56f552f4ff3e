import errno
import os
from pathlib import Path

import pytest

from tds_core.training.tracking.journal import Journal, journal_path, read_records
from tds_core.training.tracking.records import Record

from .conftest import metric


def lines(folder: Path) -> list[Record | None]:
    return [record for record, _ in read_records(journal_path(folder))]


def test_lines_are_read_in_order_from_any_line_on(run_folder: Path) -> None:
    journal = Journal(run_folder)
    for step in range(3):
        journal.append(metric(step, loss=step / 2))
    journal.sync()
    journal.close()
    ends = [end for _, end in read_records(journal.path)]
    assert ends[-1] == journal.path.stat().st_size
    assert [r.step for r, _ in read_records(journal.path, ends[0]) if r] == [1, 2]


def test_without_a_journal_there_are_no_lines(run_folder: Path) -> None:
    assert lines(run_folder) == []


@pytest.mark.parametrize("torn", [b"", b"{", b'{"kind":"metrics"', b"x" * 200_000])
def test_a_torn_line_is_cut_off_and_the_others_stay(run_folder: Path, torn: bytes) -> None:
    journal = Journal(run_folder)
    journal.append(metric(1))
    journal.close()
    with journal.path.open("ab") as file:
        file.write(torn)
    assert lines(run_folder) == [metric(1)]
    journal = Journal(run_folder)
    journal.append(metric(2))
    journal.close()
    assert lines(run_folder) == [metric(1), metric(2)]


def test_a_journal_of_one_torn_line_is_empty(run_folder: Path) -> None:
    journal_path(run_folder).parent.mkdir()
    journal_path(run_folder).write_bytes(b"y" * 70_000)
    Journal(run_folder).close()
    assert journal_path(run_folder).stat().st_size == 0


def test_a_damaged_line_in_the_middle_is_told(run_folder: Path) -> None:
    journal = Journal(run_folder)
    journal.append(metric(1))
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b"\x00\x00\n" + metric(2).line())
    assert lines(run_folder) == [metric(1), None, metric(2)]


def test_a_line_that_the_disk_takes_half_of_is_not_there(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, write = Journal(run_folder), os.write
    journal.append(metric(1))
    calls = []

    def half(descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:7])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space"):
            journal.append(metric(2))
    assert journal.path.stat().st_size == len(metric(1).line())
    journal.append(metric(3))
    journal.close()
    assert lines(run_folder) == [metric(1), metric(3)]


def test_a_journal_does_not_grow_without_end(run_folder: Path) -> None:
    journal = Journal(run_folder, max_bytes=len(metric(1).line()) + 1)
    journal.append(metric(1))
    with pytest.raises(OSError, match="as long as it may be"):
        journal.append(metric(2))
    journal.close()
    assert lines(run_folder) == [metric(1)]
