import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tds_data import LesionReport, ModelIdentity, Region, VolumeWriteError, atomic, atomic_folder, check_target
from tds_data._leftovers import host_tag, is_running


def names_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def fill(folder: Path, name: str = "x") -> None:
    """Write what a demo writes: a report, a mask and a phantom."""
    report = LesionReport(
        case=name,
        modalities=(),
        lesions=(),
        volume_ml=dict.fromkeys(Region, 0.0),
        quality=(),
        model=ModelIdentity(name="m", version="1", sha256="0", architecture="a", licence="MIT"),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "phantom").mkdir()
    (folder / "phantom" / "phantom-0007_t1.nii.gz").write_text("a")
    (folder / "mask.nii.gz").write_text("mask")
    (folder / "result.json").write_text(json.dumps(report.to_dict()))


def case_in(folder: Path) -> str:
    return str(json.loads((folder / "result.json").read_text())["case"])


def test_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out"
    with atomic_folder(target) as folder:
        fill(folder)
        assert not target.exists()
    assert (target / "phantom" / "phantom-0007_t1.nii.gz").read_text() == "a"
    assert names_in(target.parent) == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_interrupted_work_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic_folder(tmp_path / "out") as folder:  # noqa: PT012  # the block is what is tested
        fill(folder)
        raise error
    assert names_in(tmp_path) == []


def test_full_disk_is_a_write_error(tmp_path: Path) -> None:
    with pytest.raises(VolumeWriteError, match="disk is full"), atomic_folder(tmp_path / "out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names_in(tmp_path) == []


def test_other_errors_of_the_work_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "out"):
        (tmp_path / "absent").read_text()
    with pytest.raises(VolumeWriteError, match="mine"), atomic_folder(tmp_path / "out"):
        raise VolumeWriteError(tmp_path, "mine")


def test_nearly_full_disk_is_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(100, 90, 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(VolumeWriteError, match="0 MiB left"):
        check_target(tmp_path / "out")


def test_existing_result_goes_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with atomic_folder(target) as folder:
        fill(folder, "old")
    with pytest.raises(VolumeWriteError, match="ask to overwrite"):
        check_target(target)
    with atomic_folder(target, overwrite=True) as folder:
        fill(folder, "new")
        assert case_in(target) == "old"
    assert case_in(target) == "new"
    assert names_in(tmp_path) == ["out"]


def test_failed_overwrite_keeps_the_old_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    with atomic_folder(target) as folder:
        fill(folder, "old")
    rename = Path.rename

    def refuse_the_new_one(self: Path, other: Path) -> Path:
        if ".partial-" in self.name:
            raise PermissionError(errno.EPERM, "no")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", refuse_the_new_one)
    with pytest.raises(VolumeWriteError, match="no; choose"), atomic_folder(target, overwrite=True) as folder:
        fill(folder, "new")
    assert case_in(target) == "old"
    assert names_in(tmp_path) == ["out"]


def test_foreign_folders_are_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "thesis.tex").write_text("x")
    with pytest.raises(VolumeWriteError, match="holds other things"), atomic_folder(target, overwrite=True):
        pass
    assert (target / "thesis.tex").read_text() == "x"


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "study/t1.nii.gz", "phantom/patient-0001_t1.nii.gz", "phantom/phantom-1/x.nii.gz", "overlay.png/x"],
)
def test_result_with_anything_foreign_in_it_is_never_replaced(tmp_path: Path, name: str) -> None:
    target, foreign = tmp_path / "out", tmp_path / "out" / name
    fill(target)
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_text("precious")
    with pytest.raises(VolumeWriteError, match="is no part of a result") as caught:
        check_target(target, overwrite=True)
    assert any(repr(str(part)) in str(caught.value) for part in (Path(name), Path(name).parent))
    with pytest.raises(VolumeWriteError), atomic_folder(target, overwrite=True):
        pass
    assert foreign.read_text() == "precious"


@pytest.mark.parametrize("text", ["{}", "no JSON", "[" * 100_000, '{"schema_version": "2.0"}'])
def test_folder_whose_result_is_no_report_is_never_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "result.json").write_text(text)
    with pytest.raises(VolumeWriteError, match="no lesion report"), atomic_folder(tmp_path / "out", overwrite=True):
        pass
    assert (tmp_path / "out" / "result.json").read_text() == text


def test_links_in_a_result_are_foreign(tmp_path: Path) -> None:
    target = tmp_path / "out"
    fill(target)
    (target / "mask.nii.gz").rename(tmp_path / "kept.nii.gz")
    (target / "mask.nii.gz").symlink_to(tmp_path / "kept.nii.gz")
    with pytest.raises(VolumeWriteError, match=r"'mask\.nii\.gz', which is no part"):
        check_target(target, overwrite=True)


@pytest.mark.parametrize("name", ["out", "out/phantom", "out/mask.nii.gz", "link", "link/mask.nii.gz"])
def test_target_that_holds_an_input_is_refused(tmp_path: Path, name: str) -> None:
    target = tmp_path / "out"
    fill(target)
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(VolumeWriteError, match="an input, is in that folder"):
        check_target(target, overwrite=True, protected=[tmp_path / "other", tmp_path / name])
    with (
        pytest.raises(VolumeWriteError, match="an input"),
        atomic_folder(target, overwrite=True, protected=[tmp_path / name]),
    ):
        pass
    assert names_in(target) == ["mask.nii.gz", "phantom", "result.json"]


def test_inputs_beside_or_above_the_target_are_fine(tmp_path: Path) -> None:
    fill(tmp_path / "study" / "out", "old")
    protected = [tmp_path / "study", tmp_path / "study" / "out-2"]
    with atomic_folder(tmp_path / "study" / "out", overwrite=True, protected=protected) as folder:
        fill(folder, "new")
    assert case_in(tmp_path / "study" / "out") == "new"


@pytest.mark.parametrize("moved", [".partial-", "out"])
def test_signal_between_the_renames_leaves_a_whole_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    target = tmp_path / "out"
    fill(target, "old")
    rename = Path.rename

    def interrupted(self: Path, other: Path) -> Path:
        renamed = rename(self, other)
        if self.name == moved or (moved in self.name and moved != "out"):
            raise KeyboardInterrupt
        return renamed

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_folder(target, overwrite=True) as folder:
        fill(folder, "new")
    assert case_in(target) == ("old" if moved == "out" else "new")
    assert names_in(tmp_path) == ["out"]


def test_target_that_fills_up_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(VolumeWriteError, match="holds other things"), atomic_folder(target):  # noqa: PT012
        target.mkdir()
        (target / "x").write_text("x")
    assert names_in(tmp_path) == ["out"]


def test_empty_folder_is_used(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with atomic_folder(target) as folder:
        fill(folder)
    assert (target / "result.json").is_file()


def test_files_and_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(VolumeWriteError, match="file or a link"):
            check_target(tmp_path / name)
    with pytest.raises(VolumeWriteError, match="choose an output folder"):
        check_target(tmp_path / "file" / "out")


def test_parent_that_vanishes_is_a_write_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(VolumeWriteError, match="Permission denied"):
        check_target(tmp_path / "out")
    monkeypatch.setattr(atomic, "check_target", lambda *_, **__: None)
    with pytest.raises(VolumeWriteError, match="Permission denied"), atomic_folder(tmp_path / "out"):
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
from tds_data import atomic_folder
with atomic_folder(Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "half").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "out"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)  # noqa: S603  # our own script
    assert killed.returncode == -signal.SIGKILL
    assert len(names_in(tmp_path)) == 1
    (tmp_path / ".out.partial-notes").mkdir()
    (tmp_path / f".out.partial-{os.getpid()}-{host_tag()}-running").mkdir()
    with atomic_folder(target) as folder:
        fill(folder)
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == [f".out.partial-{os.getpid()}-{host_tag()}-running", ".out.partial-notes", "out"]


def test_result_that_was_being_replaced_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "is_running", lambda _: False)
    replaced = tmp_path / f".out.replaced-1-{host_tag()}-x"
    fill(replaced, "old")
    with pytest.raises(VolumeWriteError, match="already holds a result"):
        check_target(tmp_path / "out")
    assert case_in(tmp_path / "out") == "old"
    with atomic_folder(tmp_path / "out", overwrite=True) as folder:
        fill(folder, "new")
    assert case_in(tmp_path / "out") == "new"


def test_running_processes_are_told_from_ended_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])  # our own script
    ended.wait()
    assert not is_running(ended.pid)
    assert is_running(os.getpid())
    assert is_running(10**30)
    monkeypatch.setattr(os, "name", "nt")
    assert is_running(ended.pid)
