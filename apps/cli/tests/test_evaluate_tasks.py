import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tds_core.metrics import EMPTY_DISTANCE_MM
from tds_data import Volume, write_volume
from tds_data.datasets import index_dataset, write_manifest

Tds = Callable[..., tuple[int, str, str]]

GRID = np.diag([1.0, 1.0, 2.0, 1.0])
LIVER, TUMOUR = (slice(2, 14), slice(2, 14), slice(1, 7)), (slice(5, 8), slice(5, 8), slice(2, 5))


def labels(*, tumour: bool = True) -> Volume:
    voxels = np.zeros((16, 16, 8), np.uint8)
    voxels[LIVER] = 1
    if tumour:
        voxels[TUMOUR] = 2
    return Volume(voxels, GRID)


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """Experts' label maps of three cases, one of them a phantom."""
    folder = tmp_path / "experts"
    folder.mkdir()
    for name in ("one", "two", "phantom-0003"):
        write_volume(folder / f"{name}.nii.gz", labels())
    return folder


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """Masks to judge: a tumour missed, everything right, and once more."""
    folder = tmp_path / "found"
    (folder / "two").mkdir(parents=True)
    write_volume(folder / "one.nii.gz", labels(tumour=False))
    write_volume(folder / "two" / "mask.nii.gz", labels())
    write_volume(folder / "phantom-0003.nii.gz", labels())
    return folder


def test_label_maps_of_another_task_are_scored_by_its_regions(tds: Tds, maps: Path, found: Path) -> None:
    code, out, err = tds("evaluate", maps, "--task", "liver-tumour", "--predictions", found, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["task"], document["model"]) == ("liver-tumour", None)
    scored = {case["case"]: case for case in document["cases"]}
    assert scored["one"]["dice"] == {"liver": 1.0, "tumour": 0.0}
    assert scored["one"]["hd95_mm"]["tumour"] == EMPTY_DISTANCE_MM
    assert scored["two"]["dice"] == {"liver": 1.0, "tumour": 1.0}
    assert [case["case"] for case in document["cases"] if case["phantom"]] == ["phantom-0003"]
    assert document["mean"]["dice"] == {"liver": 1.0, "tumour": 0.5}
    assert document["phantom_mean"]["dice"]["tumour"] == 1.0
    row = next(r for r in document["summary"] if (r["region"], r["metric"]) == ("tumour", "hd95_mm"))
    assert (row["cases"], row["stand_ins"]) == (2, 1)


def test_some_cases_are_chosen_and_told_as_a_table(tds: Tds, maps: Path, found: Path) -> None:
    arguments = ("--task", "liver-tumour", "--predictions", found, "--case", "one")
    code, out, _ = tds("evaluate", maps, *arguments)
    assert code == 0
    assert out.splitlines()[0].split() == ["case", "Dice", "liver", "Dice", "tumour", "HD95", "liver", "HD95", "tumour"]
    assert out.splitlines()[1].split() == ["one", "1.000", "0.000", "0.0", "373.1"]
    code, _, err = tds("evaluate", maps, "--task", "liver-tumour", "--predictions", found, "--case", "four")
    assert code == 2
    assert "no case with a mask is called four; names look like" in err


def test_task_of_ones_own_comes_from_a_file(tds: Tds, maps: Path, found: Path, tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("{name: organ, labels: [all, lump], regions: {anything: [1, 2]}}")
    code, out, _ = tds("evaluate", maps, "--task", tmp_path / "task.yaml", "--predictions", found, "--json")
    assert code == 0
    assert json.loads(out)["mean"]["dice"] == {"anything": 1.0}


def test_data_set_is_scored_by_its_manifest_or_folder(tds: Tds, found: Path, tmp_path: Path) -> None:
    lits = tmp_path / "LiTS"
    lits.mkdir()
    rng = np.random.default_rng(0)
    for number in range(2):
        write_volume(lits / f"volume-{number}.nii", Volume(rng.normal(40, 10, (16, 16, 8)).astype(np.float32), GRID))
        write_volume(lits / f"segmentation-{number}.nii", labels())
    manifest = index_dataset(lits)
    write_manifest(manifest, tmp_path / "manifest.json")
    shutil.copy(found / "one.nii.gz", found / f"{manifest.cases[0].name}.nii.gz")
    shutil.copy(found / "two" / "mask.nii.gz", found / f"{manifest.cases[1].name}.nii.gz")
    documents = []
    for data in (tmp_path / "manifest.json", lits):
        code, out, _ = tds("evaluate", data, "--task", "liver-tumour", "--predictions", found, "--json")
        assert code == 0
        documents.append(json.loads(out))
    assert documents[0] == documents[1]
    assert documents[0]["mean"]["dice"] == {"liver": 1.0, "tumour": 0.5}


def test_report_shows_the_worst_cases(tds: Tds, maps: Path, found: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra report of tds-core is not installed")
    arguments = ("--task", "liver-tumour", "--predictions", found, "--report", tmp_path / "report")
    code, _, _ = tds("evaluate", maps, *arguments)
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert code == 0
    patients, phantoms = page.split('<section class="phantoms"')
    assert "Dice liver 1.000, tumour 0.000" in patients
    assert "<b>phantom-0003</b> (phantom)" in phantoms


def test_masks_that_cannot_be_compared_are_refused(tds: Tds, maps: Path, found: Path) -> None:
    command = ("evaluate", maps, "--task", "liver-tumour", "--predictions", found)
    write_volume(found / "one.nii.gz", Volume(np.full((16, 16, 8), 3, np.uint8), GRID))
    code, _, err = tds(*command)
    assert code == 3
    assert "'one.nii.gz' holds the labels 3; the task 'liver-tumour' has 0 for the background and 1 liver, 2" in err
    write_volume(found / "one.nii.gz", Volume(np.zeros((16, 16, 4), np.uint8), GRID))
    code, _, err = tds(*command)
    assert code == 3
    assert "not on its reference's grid" in err
    (found / "one.nii.gz").unlink()
    code, _, err = tds(*command)
    assert code == 3
    assert "no mask of 'one'" in err


def test_folder_without_masks_is_refused(tds: Tds, found: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    code, _, err = tds("evaluate", tmp_path / "nothing", "--task", "liver-tumour", "--predictions", found)
    assert code == 2
    assert "there is no expert's mask in 'nothing'" in err
