"""What must not become a mask: each is told clearly, with the exit code of its kind, and leaves nothing behind."""

import gzip
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tds_core.bundle import DEFAULT_BUNDLE, MANIFEST_NAME, WEIGHTS_NAME
from tds_data import Volume, read_volume, write_volume

Tds = Callable[..., tuple[int, str, str]]
Damage = Callable[[Path], object]


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def image(study: Path, sequence: str = "t1") -> Path:
    return study / f"phantom-0007_{sequence}.nii.gz"


def change(path: Path, alter: Callable[[np.ndarray], np.ndarray]) -> None:
    volume = read_volume(path)
    nib.save(nib.Nifti1Image(alter(np.asarray(volume.voxels)), volume.ras_from_voxel), path)


def truncate(study: Path) -> None:
    os.truncate(image(study), image(study).stat().st_size // 2)


def write_text(study: Path) -> None:
    image(study).write_text("these are no voxels", encoding="utf-8")


def with_nan(voxels: np.ndarray) -> np.ndarray:
    changed = voxels.astype(np.float32)
    changed[changed.shape[0] // 2, 3, 3] = np.nan
    return changed


def other_grid(study: Path) -> None:
    volume = read_volume(image(study))
    moved = np.array(volume.ras_from_voxel)
    moved[0, 3] += 30
    write_volume(image(study), Volume(volume.voxels, moved))


def no_names(study: Path) -> None:
    for number, path in enumerate(sorted(study.iterdir())):
        path.rename(study / f"scan{number}.nii.gz")


def empty(study: Path) -> None:
    for path in study.iterdir():
        path.unlink()


def one_dicom_like_file(study: Path) -> None:
    empty(study)
    (study / "IM1").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 8)


DAMAGES: dict[str, tuple[Damage, str]] = {
    "truncated gzip": (truncate, "truncated"),
    "text named as NIfTI": (write_text, "it is no NIfTI file"),
    "gzipped text": (lambda study: image(study).write_bytes(gzip.compress(b"no voxels")), "it is no NIfTI file"),
    "two axes": (lambda study: change(image(study), lambda v: v[:, :, 20]), "not three axes"),
    "five axes": (lambda study: change(image(study), lambda v: np.stack([np.stack([v] * 2, -1)] * 2, -1)), "axes"),
    "NaN": (lambda study: change(image(study), with_nan), "NaN"),
    "all zero": (lambda study: change(image(study), np.zeros_like), "same value everywhere"),
    "another grid": (other_grid, "not on the same grid"),
    "two candidates": (lambda study: shutil.copy(image(study), study / "t1.nii.gz"), "both look like t1"),
    "no sequence named": (no_names, "rename the files"),
    "nothing inside": (empty, "neither NIfTI"),
    "empty DICOM": (one_dicom_like_file, "DICOM"),
    "mask with label 9": (lambda study: change(image(study, "seg"), lambda v: v * 0 + 9), "labels outside"),
}


@pytest.mark.parametrize(("damage", "told"), DAMAGES.values(), ids=list(DAMAGES))
def test_unusable_study_is_refused_and_leaves_nothing(tds: Tds, study: Path, damage: Damage, told: str) -> None:
    damage(study)
    code, out, err = tds("segment", study, "-o", study.parent / "out")
    assert (code, out) == (3, "")
    assert err.startswith("error: ")
    assert told in err
    assert "what to do: " in err
    assert listed(study.parent) == ["patient"]


@pytest.mark.parametrize("shape", [(40, 40), (40, 40, 40, 2, 2)])
def test_single_file_without_three_axes_is_refused(tds: Tds, tmp_path: Path, shape: tuple[int, ...]) -> None:
    nib.save(nib.Nifti1Image(np.ones(shape, np.int16), np.eye(4)), tmp_path / "t1.nii.gz")
    code, _, err = tds("segment", tmp_path / "t1.nii.gz", "-o", tmp_path / "out")
    assert code == 3
    assert str(shape) in err
    assert not (tmp_path / "out").exists()


def test_single_file_of_another_kind_is_refused(tds: Tds, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    assert tds("segment", tmp_path / "notes.txt", "-o", tmp_path / "out")[0] == 3
    (tmp_path / "IM1.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 8)
    code, _, err = tds("segment", tmp_path / "IM1.dcm", "-o", tmp_path / "out")
    assert code == 3
    assert "give the folder" in err


def test_target_that_is_a_file_is_refused_before_the_study_is_read(tds: Tds, study: Path, tmp_path: Path) -> None:
    truncate(study)
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    code, _, err = tds("segment", study, "-o", tmp_path / "out")
    assert code == 1
    assert "file or a link of that name" in err
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_target_that_holds_other_things_is_refused(tds: Tds, study: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine", encoding="utf-8")
    assert tds("segment", study, "-o", tmp_path / "out", "--overwrite")[0] == 1
    assert listed(tmp_path / "out") == ["thesis.txt"]


def test_target_that_cannot_be_made_is_refused(tds: Tds, study: Path) -> None:
    code, _, err = tds("segment", study, "-o", "/proc/out")
    assert code == 1
    assert "choose an output folder" in err


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    shutil.copytree(DEFAULT_BUNDLE, folder)
    return folder


def test_altered_bundle_is_refused(tds: Tds, study: Path, bundle: Path) -> None:
    weights = bundle / WEIGHTS_NAME
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    code, out, err = tds("segment", study, "-o", study.parent / "out", "--model", bundle)
    assert (code, out) == (4, "")
    assert WEIGHTS_NAME in err
    assert not (study.parent / "out").exists()


def test_bundle_that_nobody_vouches_for_is_refused(tds: Tds, study: Path, bundle: Path) -> None:
    with (bundle / MANIFEST_NAME).open("a", encoding="utf-8") as manifest:
        manifest.write("\n")
    code, _, err = tds("segment", study, "-o", study.parent / "out", "--model", bundle, "--trust", "0" * 64)
    assert code == 4
    assert "name that hash as trusted" in err


def test_bundle_that_is_not_there_is_refused(tds: Tds, study: Path, tmp_path: Path) -> None:
    assert tds("segment", study, "-o", tmp_path / "out", "--model", tmp_path / "nothing")[0] == 4
    assert not (tmp_path / "out").exists()


def start(study: Path, out: Path, *, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tds_cli", "segment", str(study), "-o", str(out)]
    return subprocess.Popen(  # noqa: S603  # this interpreter, fixed arguments
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,  # noqa: PLW1509  # the child has one thread when the limit is set
    )


def wait_until_working(process: subprocess.Popen[str], folder: Path) -> None:
    seen = 0
    deadline = time.monotonic() + 60
    while seen < 3:  # the early check makes and removes a folder of that kind too
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        seen = seen + 1 if any(".partial-" in name for name in listed(folder)) else 0
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_run_leaves_nothing(study: Path, number: signal.Signals, code: int) -> None:
    process = start(study, study.parent / "out")
    wait_until_working(process, study.parent)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.startswith("error: stopped before the end")
    assert listed(study.parent) == ["patient"]


def test_disk_that_fills_up_while_writing_leaves_nothing(study: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    process = start(study, study.parent / "out", before=limit)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("error: cannot write")
    assert listed(study.parent) == ["patient"]


def test_full_disk_is_refused_before_work_begins(tds: Tds, study: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(  # noqa: S603  # fixed arguments
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)],  # noqa: S607  # wherever the system has it
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("this account may not mount a small disk")
    try:
        code, _, err = tds("segment", study, "-o", disk / "out")
        left = listed(disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)  # noqa: S603, S607  # as above
    assert code == 1
    assert "the disk is full" in err
    assert left == []
