import os
from pathlib import Path

import pytest

from tds_data.curation._run_lock import run_lock
from tds_data.errors import DownloadFailed


def test_lock_is_held_by_one_and_leaves_no_file(tmp_path: Path) -> None:
    with run_lock(tmp_path / ".lock"):
        with pytest.raises(DownloadFailed, match="another run is at work"), run_lock(tmp_path / ".lock"):
            pass
        assert (tmp_path / ".lock").exists()
    assert list(tmp_path.iterdir()) == []
    with run_lock(tmp_path / ".lock"):
        pass


def test_lock_is_let_go_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), run_lock(tmp_path / ".lock"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_file_left_by_a_killed_run_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"")
    with run_lock(tmp_path / ".lock"):
        pass


def test_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="cannot write into"), run_lock(tmp_path / "nothing" / ".lock"):
        pass


def test_file_that_its_holder_removes_in_between_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tds_data.curation._run_lock as module  # noqa: PLC0415  # patched

    real, removals = module._try_lock, [1, 1]

    def late(descriptor: int) -> None:
        if removals:
            removals.pop()
            (tmp_path / ".lock").unlink()
            if removals:
                (tmp_path / ".lock").write_bytes(b"")  # another one is there by now
        real(descriptor)

    monkeypatch.setattr(module, "_try_lock", late)
    with run_lock(tmp_path / ".lock"):
        assert os.path.exists(tmp_path / ".lock")  # noqa: PTH110  # not through what is tested
