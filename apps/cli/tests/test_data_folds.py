import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from tds_data import Volume, write_volume
from tds_data.curation import read_folds
from tds_data.datasets import index_dataset, write_manifest

Tds = Callable[..., tuple[int, str, str]]
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def add_patient(root: Path, number: int, *, seed: int | None = None, mask: bool = True) -> None:
    """A small patient named as in BraTS 2023, with one image and a tumour that grows with its number."""
    name = f"BraTS-GLI-{number:05d}-000"
    (root / name).mkdir(parents=True)
    pattern = ndimage.gaussian_filter(
        np.random.default_rng(number if seed is None else seed).normal(size=(36, 40, 32)), 2
    )
    image = np.pad(100 + 900 * pattern, 2).astype(np.float32)
    write_volume(root / name / f"{name}-t1n.nii.gz", Volume(image, AFFINE))
    if mask:
        labels = np.zeros(image.shape, np.uint8)
        labels[: number + 1] = 1
        labels[0, 0, :2] = 2, 3
        write_volume(root / name / f"{name}-seg.nii.gz", Volume(labels, AFFINE))


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    root = tmp_path / "Köpfe"
    for number in range(5):
        add_patient(root, number)
    add_patient(root, 5, mask=False)
    return root


def test_folds_are_told_as_a_table_and_written(tds: Tds, patients: Path, tmp_path: Path) -> None:
    targets = ("-o", tmp_path / "folds.json", "--nnunet", tmp_path / "splits_final.json")
    code, out, err = tds("data", "folds", patients, *targets, "-k", 2, "--holdout", "BraTS-GLI-00004-000")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == [
        "part",
        "patients",
        "cases",
        "mean",
        "mL",
        "median",
        "mL",
        "smallest",
        "mL",
        "largest",
        "mL",
    ]
    assert [line.split()[:2] for line in lines[1:3]] == [["fold", "0"], ["fold", "1"]]
    assert lines[3].split()[:3] == ["holdout", "1", "1"]
    assert "not used, for want of a mask or as asked: 1 cases" in out
    assert "no leak" in out
    folds = read_folds(tmp_path / "folds.json", manifest=index_dataset(patients))
    assert folds.holdout == ("BraTS-GLI-00004-000",)
    splits = json.loads((tmp_path / "splits_final.json").read_text())
    assert [split["val"] for split in splits] == [list(fold) for fold in folds.folds]


def test_manifest_gives_the_same_folds_as_its_folder(tds: Tds, patients: Path, tmp_path: Path) -> None:
    write_manifest(index_dataset(patients), tmp_path / "manifest.json")
    first = json.loads(tds("data", "folds", patients, "-o", tmp_path / "a.json", "-k", 2, "--json")[1])
    second = json.loads(
        tds("data", "folds", tmp_path / "manifest.json", "-o", tmp_path / "b.json", "-k", 2, "--json")[1]
    )
    assert first["parts"] == second["parts"]
    assert (first["leaks"], first["nnunet"], first["left_out"]) == (0, None, ["BraTS-GLI-00005-000"])
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_leak_is_refused_and_nothing_written(tds: Tds, patients: Path, tmp_path: Path) -> None:
    add_patient(patients, 7, seed=0)
    code, out, err = tds("data", "folds", patients, "-o", tmp_path / "folds.json", "-k", 6, "--json")
    told = json.loads(out)["error"]
    assert (code, told["type"], told["code"]) == (3, "DataLeak", "study-refused")
    assert "'BraTS-GLI-00000-000'" in told["message"]
    assert "'BraTS-GLI-00007-000'" in err
    assert not (tmp_path / "folds.json").exists()
    code, _, _ = tds(
        "data", "folds", patients, "-o", tmp_path / "folds.json", "-k", 5, "--leave-out", "BraTS-GLI-00007-000"
    )
    assert code == 0


def test_volumes_of_earlier_folds_are_used_again(tds: Tds, patients: Path, tmp_path: Path) -> None:
    write_manifest(index_dataset(patients), tmp_path / "manifest.json")
    command = ("data", "folds", tmp_path / "manifest.json", "-o", tmp_path / "folds.json", "-k", 2)
    assert tds(*command)[0] == 0
    for mask in patients.glob("*/*-seg.nii.gz"):
        mask.unlink()
    assert tds(*command, "--overwrite", "--seed", 1)[0] == 0
    assert read_folds(tmp_path / "folds.json").seed == 1
    (tmp_path / "other.json").write_text("{}")
    assert tds("data", "folds", tmp_path / "manifest.json", "-o", tmp_path / "more.json", "-k", 2)[0] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "there.json"), "exists; choose another name or add --overwrite"),
        (("-o", "there.json", "--overwrite"), "holds no folds, so it is not replaced"),
        (("-o", "nowhere/folds.json"), "make it first"),
        (("-o", "."), "exists"),
        (("-o", "folds.json", "--nnunet", "folds.json"), "name the same file"),
        (("-o", "folds.json", "--nnunet", "there.json"), "exists"),
        (("-o", "folds.json", "--nnunet", "there.json", "--overwrite"), "holds no splits of nnU-Net"),
        (("-o", "folds.json", "--scheme", "brats-2023"), "leave those options out"),
        (("-o", "folds.json", "--layout", "brats"), "leave those options out"),
    ],
)
def test_file_that_will_not_be_written_is_told_before_any_work(
    tds: Tds, patients: Path, arguments: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(patients.parent)
    Path("there.json").write_text("{}")
    write_manifest(index_dataset(patients), Path("manifest.json"))
    code, out, err = tds("data", "folds", "manifest.json", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert Path("there.json").read_text() == "{}"


def test_impossible_split_is_told(tds: Tds, patients: Path, tmp_path: Path) -> None:
    code, _, err = tds("data", "folds", patients, "-o", tmp_path / "folds.json", "-k", 9)
    assert code == 3
    assert "5 patients with a mask are too few for 9 folds; ask for 5 folds at most" in err
    shutil.rmtree(patients)
    assert tds("data", "folds", patients, "-o", tmp_path / "folds.json")[0] == 2
