import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tds_cli.commands.data.cache import OnDamage
from tds_data import Volume, write_volume
from tds_data.cache import DamagePolicy, open_cache

Tds = Callable[..., tuple[int, str, str]]


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """Three small heads of 3 mm named as in BraTS 2021, the last without a mask."""
    root = tmp_path / "Köpfe und mehr"
    inside = np.zeros((12, 13, 11), bool)
    inside[2:10, 2:11, 2:9] = True
    for number in range(3):
        name = f"BraTS2021_{number:05d}"
        (root / name).mkdir(parents=True)
        for seed, part in enumerate(("t1", "t1ce", "t2", "flair")):
            noise = np.random.default_rng(10 * number + seed).integers(100, 190, inside.shape)
            voxels = np.where(inside, noise, 0).astype(np.int16)
            write_volume(root / name / f"{name}_{part}.nii.gz", Volume(voxels, np.diag([3.0, 3, 3, 1])))
        if number < 2:
            mask = np.zeros(inside.shape, np.uint8)
            mask[4:8, 4:8, 4:7] = 2
            mask[5:7, 5:7, 5] = 4
            write_volume(root / name / f"{name}_seg.nii.gz", Volume(mask, np.diag([3.0, 3, 3, 1])))
    return root


def test_folder_is_cached_and_kept_the_second_time(tds: Tds, patients: Path, tmp_path: Path) -> None:
    code, out, err = tds("data", "cache", patients, "-o", tmp_path / "cache", "--spacing", "3")
    assert (code, err) == (0, "")
    assert "3 cases (3 made, 0 kept)" in out
    assert "1 of them have no mask" in out
    assert out.endswith(f"written to {tmp_path / 'cache'}\n")
    assert "(0 made, 3 kept)" in tds("data", "cache", patients, "-o", tmp_path / "cache", "--spacing", "3")[1]
    open_cache(tmp_path / "cache").verify()


def test_manifest_can_be_given_and_json_says_everything(tds: Tds, patients: Path, tmp_path: Path) -> None:
    assert tds("data", "index", patients, "-o", tmp_path / "m.json")[0] == 0
    code, out, _ = tds("data", "cache", tmp_path / "m.json", "-o", tmp_path / "cache", "--spacing", "3", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["cases"] == [f"BraTS2021_0000{n}" for n in range(3)]
    assert document["unlabelled"] == ["BraTS2021_00002"]
    assert (document["built"], document["skipped"], document["phantoms"]) == (3, [], 0)
    assert document["size_bytes"] == open_cache(tmp_path / "cache").nbytes


def spoil(patients: Path) -> None:
    path = patients / "BraTS2021_00001" / "BraTS2021_00001_t2.nii.gz"
    voxels = np.full((12, 13, 11), np.nan, np.float32)
    write_volume(path, Volume(voxels, np.diag([3.0, 3, 3, 1])))


def test_damaged_case_is_refused_or_left_out_as_chosen(tds: Tds, patients: Path, tmp_path: Path) -> None:
    spoil(patients)
    code, out, err = tds("data", "cache", patients, "-o", tmp_path / "cache", "--spacing", "3")
    assert (code, out) == (3, "")
    assert "BraTS2021_00001" in err
    code, out, _ = tds("data", "cache", patients, "-o", tmp_path / "cache", "--spacing", "3", "--on-damage", "skip")
    assert code == 0
    assert "2 cases" in out
    assert "left out BraTS2021_00001: t2 holds" in out


@pytest.mark.parametrize(
    "arguments", [("--spacing", "0"), ("--spacing", "inf"), ("--label", "RC"), ("--label", "RC=7"), ("--workers", "0")]
)
def test_arguments_that_cannot_be_are_refused(tds: Tds, patients: Path, tmp_path: Path, arguments: tuple) -> None:
    code, _, err = tds("data", "cache", patients, "-o", tmp_path / "cache", *arguments)
    assert code == 2
    assert arguments[0] in err
    assert not (tmp_path / "cache").exists()


def test_label_of_another_tissue_reaches_the_cache(tds: Tds, patients: Path, tmp_path: Path) -> None:
    plain = json.loads(tds("data", "cache", patients, "-o", tmp_path / "a", "--spacing", "3", "--json")[1])
    other = json.loads(
        tds("data", "cache", patients, "-o", tmp_path / "b", "--spacing", "3", "--label", "RC=0", "--json")[1]
    )
    assert plain["config_digest"] != other["config_digest"]


def test_folder_that_cannot_be_written_is_told(tds: Tds, patients: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, err = tds("data", "cache", patients, "-o", tmp_path / "file", "--spacing", "3")
    assert code == 1
    assert "choose a folder" in err


def test_choices_are_those_of_the_library() -> None:
    assert [choice.value for choice in OnDamage] == [policy.value for policy in DamagePolicy]
