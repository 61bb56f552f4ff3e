import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from tds_cli.demonstration import write_brats
from tds_core.metrics import region_dice
from tds_data import MODALITIES, Case, Modality, Region, Volume, read_volume, write_volume

Tds = Callable[..., tuple[int, str, str]]


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def data(phantom: Case, tmp_path: Path) -> Path:
    """Two patients: all four sequences, and two of them."""
    write_brats(phantom, tmp_path / "data" / "a")
    few = {m: phantom.images[m] for m in (Modality.T1CE, Modality.FLAIR)}
    write_brats(Case(name="phantom-0008", images=few, reference=phantom.reference), tmp_path / "data" / "b")
    return tmp_path / "data"


@pytest.fixture
def empty_for(phantom: Case, tmp_path: Path) -> Callable[..., Path]:
    """Writes masks of nothing for some cases."""

    def write(*names: str) -> Path:
        folder = tmp_path / "masks"
        folder.mkdir(exist_ok=True)
        nothing = phantom.grid.with_voxels(np.zeros(phantom.grid.shape, np.uint8))
        for name in names:
            write_volume(folder / f"{name}.nii.gz", nothing)
        return folder

    return write


def test_model_is_scored_per_patient_and_on_average(tds: Tds, data: Path, tmp_path: Path) -> None:
    code, out, err = tds("evaluate", data, "-o", tmp_path / "scores.json")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines[:4]] == ["case", "a", "b", "mean"]
    assert [line[1] for line in lines[1:3]] == ["(PHANTOM)", "(PHANTOM)"]
    assert lines[3][1:4] == ["of", "2", "PHANTOMS"]
    assert [len(line) for line in lines[1:4]] == [8, 8, 10]
    assert "PHANTOM: a, b" in out
    assert "Research use only" in out
    document = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert list(document) == [
        "schema_version",
        "task",
        "model",
        "cases",
        "mean",
        "phantom_mean",
        "subsets",
        "summary",
    ]
    first, second = document["cases"]
    assert (first["case"], first["phantom"]) == ("a", True)
    assert first["modalities"] == list(MODALITIES)
    assert second["modalities"] == ["t1ce", "flair"]
    assert set(first["dice"]) == set(first["hd95_mm"]) == {"WT", "TC", "ET"}
    assert document["mean"]["dice"]["WT"] == pytest.approx(fmean(c["dice"]["WT"] for c in document["cases"]), abs=1e-4)
    assert (document["mean"]["kind"], document["mean"]["cases"], document["phantom_mean"]) == ("phantom", 2, None)
    assert document["subsets"] == []
    assert len(document["model"]["sha256"]) == 64
    assert lines[1][2] == f"{first['dice']['WT']:.3f}"


def test_every_metric_is_summed_up_with_an_interval(tds: Tds, data: Path) -> None:
    code, out, _ = tds("evaluate", data, "--json")
    document = json.loads(out)
    assert code == 0
    first = document["cases"][0]
    assert first["regions"]["WT"]["dice"] == first["dice"]["WT"]
    named = {"iou", "surface_dice", "sensitivity", "specificity", "precision", "volume_error_ml", "calibration_error"}
    assert named | {"lesion_dice", "lesion_hd95_mm"} <= set(first["regions"]["ET"])
    summed = next(row for row in document["summary"] if (row["region"], row["metric"]) == ("WT", "dice"))
    assert summed["kind"] == "phantom"
    assert summed["mean"] == document["mean"]["dice"]["WT"]
    assert summed["interval_low"] <= summed["mean"] <= summed["interval_high"]


def test_report_is_a_page_with_tables_and_plots(tds: Tds, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra report of tds-core is not installed")
    code, out, err = tds("evaluate", data, "--report", tmp_path / "report")
    assert (code, err) == (0, "")
    assert f"the page is {tmp_path / 'report' / 'index.html'}" in out
    assert {"index.html", "cases.csv", "summary.csv", "scores.json", "boxes-phantoms.png"} <= set(
        listed(tmp_path / "report")
    )
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count("in which the masks differ most: the fill is what was found") == 4  # in alt and caption
    code, _, err = tds("evaluate", data, "--report", tmp_path / "report")
    assert code == 1
    assert "report" in err


def test_every_subset_of_the_sequences_is_scored(tds: Tds, data: Path) -> None:
    code, out, _ = tds("evaluate", data, "--case", "b", "--subsets", "--json")
    document = json.loads(out)
    assert code == 0
    assert [entry["modalities"] for entry in document["subsets"]] == [["t1ce", "flair"], ["t1ce"], ["flair"]]
    assert document["subsets"][0]["cases"] == document["cases"]
    assert document["subsets"][0]["mean"]["dice"] == document["mean"]["dice"]


def test_table_of_subsets_follows_the_table_of_patients(tds: Tds, data: Path) -> None:
    (data / "a" / "phantom-0007_t2.nii.gz").unlink()
    code, out, _ = tds("evaluate", data, "--subsets")
    heads, *rows = (line.split("  ") for line in out.split("\n\n")[1].splitlines() if "HD95" not in line)
    counts = {row[0].removesuffix(" (PHANTOMS)"): row[-1].strip() for row in rows if row[-1].strip() in {"1", "2"}}
    assert code == 0
    assert heads[0] == "sequences"
    assert len(counts) == 7
    assert counts["t1ce flair"] == "2"
    assert counts["t1 t1ce flair"] == "1"


def test_masks_that_exist_are_scored_without_a_model(tds: Tds, data: Path, phantom: Case, tmp_path: Path) -> None:
    assert phantom.reference is not None
    truth = np.asarray(phantom.reference.voxels)
    found = np.roll(truth, 2, axis=0)
    (tmp_path / "masks" / "b").mkdir(parents=True)
    write_volume(tmp_path / "masks" / "a.nii.gz", phantom.reference.with_voxels(found))
    write_volume(tmp_path / "masks" / "b" / "mask.nii.gz", phantom.reference)
    code, out, _ = tds("evaluate", data, "--predictions", tmp_path / "masks", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["model"] is None
    expected = {str(r): round(value, 4) for r, value in region_dice(found, truth).items()}
    assert document["cases"][0]["dice"] == expected
    assert document["cases"][1]["dice"] == {"WT": 1.0, "TC": 1.0, "ET": 1.0}
    assert document["cases"][1]["hd95_mm"] == {"WT": 0.0, "TC": 0.0, "ET": 0.0}
    assert document["cases"][0]["hd95_mm"][Region.WT] == pytest.approx(6.0)


def test_phantoms_are_never_averaged_with_patients(
    tds: Tds, data: Path, phantom: Case, empty_for: Callable[..., Path]
) -> None:
    assert phantom.reference is not None
    write_brats(replace(phantom, name="someone"), data / "c")
    masks = empty_for("c")
    write_volume(masks / "a.nii.gz", phantom.reference)
    write_volume(masks / "b.nii.gz", phantom.reference)
    code, out, _ = tds("evaluate", data, "--predictions", masks, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["mean"]["kind"] == "patient"
    assert document["mean"]["dice"] == {"WT": 0.0, "TC": 0.0, "ET": 0.0}
    assert document["phantom_mean"] == {
        "kind": "phantom",
        "cases": 2,
        "dice": {"WT": 1.0, "TC": 1.0, "ET": 1.0},
        "hd95_mm": {"WT": 0.0, "TC": 0.0, "ET": 0.0},
    }
    code, out, _ = tds("evaluate", data, "--predictions", masks)
    assert code == 0
    means = [line.split("  ")[0] for line in out.splitlines() if line.startswith("mean")]
    assert means == ["mean of 1 patient", "mean of 2 PHANTOMS"]
    assert "HD95 WT: 373.13 stands in for 1 of 1 patient, of whom one mask is empty." in out
    assert "stands in for 1 of 2" not in out


def test_missing_mask_is_told_by_name(tds: Tds, data: Path, tmp_path: Path) -> None:
    code, _, err = tds("evaluate", data, "--predictions", tmp_path)
    assert code == 3
    assert "name it a.nii.gz or a/mask.nii.gz" in err


def test_mask_on_another_grid_is_not_scored(tds: Tds, data: Path, tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nii", Volume(np.zeros((4, 4, 4), np.uint8), np.eye(4)))
    code, _, err = tds("evaluate", data, "--case", "a", "--predictions", tmp_path)
    assert code == 3
    assert "not on its reference's grid" in err


def test_cases_without_a_reference_are_listed_before_any_work(tds: Tds, data: Path) -> None:
    shutil.copytree(data / "a", data / "c")
    for name in ("a", "c"):
        (data / name / "phantom-0007_seg.nii.gz").unlink()
    code, out, err = tds("evaluate", data)
    assert (code, out) == (3, "")
    assert "no reference mask for a, c" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere"],
        ["data", "--case", "z"],
        ["data", "--subsets", "--predictions", "data"],
        ["data", "--task", "liver-tumour"],
        ["data", "--task", "liver-tumor", "--predictions", "data"],
        ["data", "--task", "absent.yaml", "--predictions", "data"],
        ["nowhere", "--task", "liver-tumour", "--predictions", "data"],
        ["data", "-o", "data"],
        ["data", "-o", "nowhere/scores.json"],
    ],
)
def test_impossible_request_is_a_usage_error(
    tds: Tds, data: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    code, out, _ = tds("evaluate", *arguments)
    assert (code, out) == (2, "")


def test_scores_that_cannot_be_written_leave_nothing(
    tds: Tds, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Path, _text: str, **_how: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    (tmp_path / "masks").mkdir()
    shutil.copy(data / "a" / "phantom-0007_seg.nii.gz", tmp_path / "masks" / "a.nii.gz")
    arguments = ("--predictions", tmp_path / "masks", "-o", tmp_path / "scores.json")
    code, _, err = tds("evaluate", data, "--case", "a", *arguments)
    assert code == 1
    assert "No space left" in err
    assert listed(tmp_path) == ["data", "masks"]


@pytest.mark.real_data
def test_real_patient_is_scored_on_its_own_grid(tds: Tds, real_patient: Path, tmp_path: Path) -> None:
    reference = read_volume(real_patient / f"{real_patient.name}_seg.nii.gz")
    write_volume(tmp_path / f"{real_patient.name}.nii.gz", reference)
    code, out, _ = tds(
        "evaluate", real_patient.parent, "--case", real_patient.name, "--predictions", tmp_path, "--json"
    )
    assert code == 0
    assert json.loads(out)["mean"]["dice"] == {"WT": 1.0, "TC": 1.0, "ET": 1.0}
    assert json.loads(out)["cases"][0]["phantom"] is False
