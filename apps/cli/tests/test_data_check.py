import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tds_data import read_volume, write_volume
from tds_data.datasets import index_dataset, write_manifest

Tds = Callable[..., tuple[int, str, str]]


@pytest.fixture
def dataset(phantom_folder: Path, tmp_path: Path) -> Path:
    """A data set of one phantom, to be damaged."""
    root = tmp_path / "set"
    shutil.copytree(phantom_folder, root / "phantom-0007")
    return root


def image(dataset: Path, name: str) -> Path:
    return next((dataset / "phantom-0007").glob(f"*_{name}.nii.gz"))


def copied(dataset: Path) -> None:
    """Plant an error: one image under two names, with other bytes."""
    volume = read_volume(image(dataset, "t2"))
    write_volume(image(dataset, "flair"), volume.with_voxels(volume.voxels.astype(np.float32)))


def emptied(dataset: Path) -> None:
    """Plant a warning: a slice that was lost."""
    path = image(dataset, "t2")
    volume = read_volume(path)
    voxels = np.array(volume.voxels)
    voxels[:, :, voxels.shape[2] // 2] = 0
    write_volume(path, volume.with_voxels(voxels))


def test_sound_data_set_passes_and_is_shown(tds: Tds, dataset: Path, tmp_path: Path) -> None:
    code, out, err = tds("data", "check", dataset, "-o", tmp_path / "out", "--workers", 1)
    assert (code, err) == (0, "")
    assert out.startswith("1 case of layout ")
    assert f"written to {tmp_path / 'out' / 'check.html'} and check.json" in out
    page = (tmp_path / "out" / "check.html").read_text(encoding="utf-8")
    assert page.count("<article") == 1
    assert page.count("data:image/webp") == 4
    document = json.loads((tmp_path / "out" / "check.json").read_text(encoding="utf-8"))
    assert [case["name"] for case in document["cases"]] == ["phantom-0007"]
    assert document["cases"][0]["phantom"]


def test_error_is_told_and_fails_the_command(tds: Tds, dataset: Path) -> None:
    copied(dataset)
    code, out, _ = tds("data", "check", dataset, "--workers", 1)
    assert code == 3
    (row,) = [line.split() for line in out.splitlines() if line.startswith("phantom-0007 ") and " error " in line]
    assert row[:5] == ["phantom-0007", "error", "SAME-SEQUENCE", "t2,", "flair"]
    assert "find out which of the two the image is" in out


@pytest.mark.parametrize(
    ("plant", "fail_on", "expected"),
    [
        (emptied, "error", 0),
        (emptied, "warning", 3),
        (emptied, "never", 0),
        (copied, "never", 0),
    ],
)
def test_exit_code_follows_fail_on(
    tds: Tds, dataset: Path, plant: Callable[[Path], None], fail_on: str, expected: int
) -> None:
    plant(dataset)
    code, out, _ = tds("data", "check", dataset, "--workers", 1, "--fail-on", fail_on)
    assert code == expected
    assert "MISSING-SLICES" in out or "SAME-SEQUENCE" in out


def test_manifest_is_checked_without_indexing_and_json_is_the_report(tds: Tds, dataset: Path, tmp_path: Path) -> None:
    write_manifest(index_dataset(dataset), tmp_path / "manifest.json")
    image(dataset, "t1").write_bytes(b"something else")
    code, out, _ = tds("data", "check", tmp_path / "manifest.json", "--json", "--workers", 1)
    assert code == 3
    document = json.loads(out)
    assert document["output"] is None
    assert document["schema_version"] == "1.0"
    codes = [(flag["code"], flag["subject"]) for flag in document["cases"][0]["findings"]]
    assert {("FILE-CHANGED", "t1"), ("UNREADABLE", "t1")} <= set(codes)
    assert document["codes"]["UNREADABLE"]["severity"] == "error"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "there is no file or folder"),
        (["manifest.json", "--scheme", "brats-2021"], "--layout and --scheme are for a folder"),
        (["set", "--workers", "0"], "workers"),
        (["set", "--fail-on", "sometimes"], "sometimes"),
    ],
)
def test_what_cannot_be_is_a_usage_error(
    tds: Tds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    (tmp_path / "manifest.json").write_text("{}")
    code, _, err = tds("data", "check", *arguments)
    assert code == 2
    assert words in err


def test_folder_that_is_a_file_is_refused_before_the_work(tds: Tds, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    code, out, err = tds("data", "check", dataset, "-o", tmp_path / "out")
    assert (code, out) == (1, "")
    assert "choose an output folder" in err
    assert (tmp_path / "out").read_text() == "mine"


def test_folder_without_a_data_set_is_told(tds: Tds, tmp_path: Path) -> None:
    code, _, err = tds("data", "check", tmp_path)
    assert code == 3
    assert "error: " in err


def test_fault_of_the_whole_set_is_told_beside_the_cases(tds: Tds, dataset: Path) -> None:
    path = image(dataset, "seg")
    mask = read_volume(path)
    labels = np.array(mask.voxels)
    labels[labels == 1] = 9
    write_volume(path, mask.with_voxels(labels))
    code, out, _ = tds("data", "check", dataset, "--workers", 1)
    assert code == 3
    assert "(data set)" in out
    assert "SCHEME-UNDECIDED" in out
    assert "LABELS-OUTSIDE-SCHEME" in out
