"""The examples run as they stand."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tds_data import PhantomConfig, make_phantom, write_volume


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two studies: a phantom, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("studies")
    case = make_phantom(PhantomConfig(seed=7, spacing_mm=3.0))
    (folder / "phantom").mkdir()
    for modality, volume in case.images.items():
        write_volume(folder / "phantom" / f"{modality}.nii.gz", volume)
    (folder / "broken").mkdir()
    (folder / "broken" / "flair.nii.gz").write_bytes(b"no image")
    return folder


def run(root: Path, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "examples" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own scripts


def test_a_phantom_is_detected_from_python_and_called_one(root: Path) -> None:
    done = run(root, "python_api.py")
    assert done.returncode == 0, done.stderr
    assert "phantom" in done.stdout
    assert "Research use only" in done.stdout
    assert "WT: " in done.stdout
    assert "Dice: WT " in done.stdout


def test_a_study_without_reference_has_no_dice(root: Path, studies: Path) -> None:
    done = run(root, "python_api.py", studies / "phantom")
    assert done.returncode == 0, done.stderr
    assert "WT: " in done.stdout
    assert "Dice" not in done.stdout


def test_a_folder_of_studies_is_segmented_and_the_refused_one_told(root: Path, studies: Path, tmp_path: Path) -> None:
    done = run(root, "segment_folder.py", studies, tmp_path / "out")
    assert done.returncode == 1, done.stderr
    assert "phantom: done" in done.stdout
    assert "broken: refused: cannot read 'flair.nii.gz'" in done.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["phantom"]
    assert {p.name for p in (tmp_path / "out/phantom").iterdir()} == {
        "mask.nii.gz",
        "overlay.png",
        "report.html",
        "result.json",
    }
    report = json.loads((tmp_path / "out/phantom/result.json").read_text(encoding="utf-8"))
    assert report["dice"] is None


def test_finished_studies_are_left_alone(root: Path, studies: Path, tmp_path: Path) -> None:
    only = tmp_path / "studies"
    shutil.copytree(studies / "phantom", only / "phantom")
    (tmp_path / "out" / "phantom").mkdir(parents=True)
    done = run(root, "segment_folder.py", only, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "has a result already" in done.stdout
