import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tds_cli.commands.data.convert import TargetLayout
from tds_cli.commands.data.index import SourceLayout
from tds_data import Volume, write_volume
from tds_data.datasets import LAYOUTS, TARGET_LAYOUTS, read_manifest

Tds = Callable[..., tuple[int, str, str]]


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """Two small patients named as in BraTS 2021, the second without T2."""
    root = tmp_path / "Köpfe und mehr"
    for number, parts in ((1, "t1 t1ce t2 flair seg"), (2, "t1 t1ce flair seg")):
        name = f"BraTS2021_{number:05d}"
        (root / name).mkdir(parents=True)
        for seed, part in enumerate(parts.split()):
            voxels = np.random.default_rng(10 * number + seed).integers(0, 90, (6, 5, 4)).astype(np.int16)
            voxels = np.resize([0, 1, 2, 4], (6, 5, 4)).astype(np.uint8) if part == "seg" else voxels
            write_volume(root / name / f"{name}_{part}.nii.gz", Volume(voxels, np.eye(4)))
    return root


def test_summary_tells_what_is_there(tds: Tds, patients: Path) -> None:
    code, out, err = tds("data", "index", patients)
    assert (code, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines()[:10])
    assert lines["layout"] == "brats"
    assert lines["cases"] == "2"
    assert (lines["t1"], lines["t2"]) == ("2", "1")
    assert lines["labels"] == "brats-2021: 1 NCR, 2 ED, 4 ET"
    assert "the labels' scheme was told by: old names: labels 1, 2, 4" in out
    assert "  BraTS2021_00002: missing: t2" in out
    assert "images of no case" not in out
    (patients / "BraTS2021_00002" / "BraTS2021_00002_t1.nii.gz").rename(patients / "lost.nii.gz")
    assert "images of no case: 1: lost.nii.gz" in tds("data", "index", patients)[1]
    (patients / "lost.nii.gz").unlink()
    assert sorted(path.name for path in patients.iterdir()) == ["BraTS2021_00001", "BraTS2021_00002"]


def test_manifest_is_written_where_asked(tds: Tds, patients: Path, tmp_path: Path) -> None:
    code, out, _ = tds("data", "index", patients, "-o", tmp_path / "m.json")
    assert code == 0
    assert out.endswith(f"written to {tmp_path / 'm.json'}\n")
    assert [case.name for case in read_manifest(tmp_path / "m.json").cases] == ["BraTS2021_00001", "BraTS2021_00002"]


def test_manifest_takes_the_place_of_a_manifest_only(tds: Tds, patients: Path, tmp_path: Path) -> None:
    image = patients / "BraTS2021_00001" / "BraTS2021_00001_t1.nii.gz"
    before = image.read_bytes()
    code, out, err = tds("data", "index", patients, "-o", image)
    assert (code, out) == (2, "")
    assert "holds no manifest, so it is not replaced" in err
    assert image.read_bytes() == before
    for _ in range(2):
        assert tds("data", "index", patients, "-o", tmp_path / "m.json")[0] == 0


@pytest.mark.parametrize("place", ["nowhere/m.json", "sealed/m.json"])
def test_manifest_that_cannot_be_written_is_told_before_any_work(
    tds: Tds, patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "sealed").mkdir()
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path).name != "sealed")
    monkeypatch.setattr("tds_data.datasets.index_dataset", lambda *_, **__: pytest.fail("work began"))
    code, _, err = tds("data", "index", patients, "-o", tmp_path / place)
    assert code == 2
    assert "make it first" in err or "cannot be written to" in err


@pytest.mark.parametrize("command", [("index", ()), ("convert", ("--to", "bids"))])
def test_path_that_is_not_there_is_a_fault_of_usage(
    tds: Tds, tmp_path: Path, command: tuple[str, tuple[str, ...]]
) -> None:
    code, _, err = tds("data", command[0], tmp_path / "nowhere", "-o", tmp_path / "out", *command[1])
    assert code == 2
    assert "check the path" in err


@pytest.mark.parametrize("options", [("--source-scheme", "brats-2024"), ("--layout", "folders")])
def test_manifest_is_never_read_as_something_else(
    tds: Tds, patients: Path, tmp_path: Path, options: tuple[str, str]
) -> None:
    assert tds("data", "index", patients, "-o", tmp_path / "m.json")[0] == 0
    code, _, err = tds("data", "convert", tmp_path / "m.json", "-o", tmp_path / "out", "--to", "bids", *options)
    assert code == 2
    assert "leave those options out" in err
    assert not (tmp_path / "out").exists()


def test_strict_refuses_a_manifest_with_problems(tds: Tds, patients: Path, tmp_path: Path) -> None:
    (patients / "lost").symlink_to("nowhere")
    assert tds("data", "index", patients, "-o", tmp_path / "m.json")[0] == 0
    command = ("data", "convert", tmp_path / "m.json", "-o", tmp_path / "out", "--to", "bids")
    code, _, err = tds(*command, "--strict")
    assert code == 3
    assert "the manifest lists 1 files or cases that cannot be taken: lost" in err
    assert tds(*command)[0] == 0


def test_json_holds_the_same(tds: Tds, patients: Path, tmp_path: Path) -> None:
    code, out, _ = tds("data", "index", patients, "-o", tmp_path / "m.json", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["output"] == str(tmp_path / "m.json")
    assert (told["cases"], told["masks"], told["scheme"], told["problems"]) == (2, 2, "brats-2021", [])
    assert told["images"] == {"t1": 2, "t1ce": 2, "t2": 1, "flair": 2}
    assert told["notes"] == {"BraTS2021_00002": ["missing: t2"]}
    assert told["digest"] == read_manifest(tmp_path / "m.json").digest


def test_problems_are_listed_and_strict_refuses_them(tds: Tds, patients: Path) -> None:
    for number in range(3, 15):
        folder = patients / f"BraTS2021_{number:05d}"
        folder.mkdir()
        (folder / f"{folder.name}_t1.nii.gz").write_bytes(b"")
    code, out, _ = tds("data", "index", patients)
    assert code == 0
    assert "problems  12" in out
    assert "... and 2 more; --json shows all" in out
    code, _, err = tds("data", "index", patients, "--strict")
    assert code == 3
    assert "12 files or cases" in err


def test_phantoms_are_counted(tds: Tds, patients: Path) -> None:
    (patients / "BraTS2021_00002").rename(patients / "phantom-7")
    for path in (patients / "phantom-7").iterdir():
        path.rename(path.with_name(path.name.replace("BraTS2021_00002", "phantom-7")))
    assert "phantoms  1" in tds("data", "index", patients)[1]


def test_layout_and_scheme_can_be_named(tds: Tds, patients: Path) -> None:
    code, out, _ = tds("data", "index", patients, "--layout", "folders", "--scheme", "brats-2021", "--json")
    assert code == 0
    assert json.loads(out)["layout"] == "folders"
    assert tds("data", "index", patients, "--layout", "surprise")[0] == 2
    code, _, err = tds("data", "index", patients, "--scheme", "surprise")
    assert code == 2
    assert "choose one of brats-2021" in err


def test_folder_that_is_no_data_set_is_refused(tds: Tds, tmp_path: Path) -> None:
    code, out, err = tds("data", "index", tmp_path, "--json")
    assert code == 3
    assert json.loads(out)["error"]["type"] == "LayoutNotRecognised"
    assert "is not in any layout that is known" in err


def test_commands_offer_the_layouts_that_the_library_knows() -> None:
    assert set(SourceLayout) == set(LAYOUTS)
    assert set(TargetLayout) == set(TARGET_LAYOUTS)


def test_set_is_converted_and_told(tds: Tds, patients: Path, tmp_path: Path) -> None:
    code, out, err = tds("data", "convert", patients, "-o", tmp_path / "out", "--to", "bids")
    assert (code, err) == (0, "")
    assert f"2 cases in the layout bids written to {tmp_path / 'out'} (files: 9 copied)" in out
    assert (tmp_path / "out" / "participants.tsv").is_file()


def test_manifest_is_converted(tds: Tds, patients: Path, tmp_path: Path) -> None:
    tds("data", "index", patients, "-o", tmp_path / "m.json")
    arguments = ("--to", "nnunet", "--sequences", "t1ce,FLAIR", "--json")
    code, out, _ = tds("data", "convert", tmp_path / "m.json", "-o", tmp_path / "out", *arguments)
    told = json.loads(out)
    assert code == 0
    assert (told["layout"], told["cases"], told["files"]) == ("nnunet", 2, {"copied": 4, "recoded": 2})
    assert told["notes"][0] == "left out as asked: t1, t2"
    assert told["problems"] == []


def test_loss_is_refused_with_a_way_and_leaves_nothing(tds: Tds, patients: Path, tmp_path: Path) -> None:
    code, _, err = tds("data", "convert", patients, "-o", tmp_path / "out", "--to", "decathlon")
    assert code == 3
    assert "--sequences flair,t1,t1ce" in err
    assert not (tmp_path / "out").exists()


def test_result_is_never_written_over(tds: Tds, patients: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("x", encoding="utf-8")
    code, _, err = tds("data", "convert", patients, "-o", tmp_path / "out", "--to", "bids")
    assert code == 1
    assert "holds other things" in err


def test_problems_of_the_source_are_told(tds: Tds, patients: Path, tmp_path: Path) -> None:
    (patients / "BraTS2021_00003").mkdir()
    (patients / "BraTS2021_00003" / "BraTS2021_00003_t1.nii.gz").write_bytes(b"")
    code, out, _ = tds("data", "convert", patients, "-o", tmp_path / "out", "--to", "brats")
    assert code == 0
    assert "problems of the source, which are not in the result:" in out
    assert tds("data", "convert", patients, "-o", tmp_path / "strict", "--to", "brats", "--strict")[0] == 3


def test_layout_that_cannot_be_written_is_a_fault_of_usage(tds: Tds, patients: Path, tmp_path: Path) -> None:
    assert tds("data", "convert", patients, "-o", tmp_path / "out", "--to", "lits")[0] == 2
