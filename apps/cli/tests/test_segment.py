import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from tds_clinical.testing import write_classic_study
from tds_core.metrics import region_dice
from tds_data import Case, LesionReport, Modality, Region, Severity, Volume, read_volume, write_volume

Tds = Callable[..., tuple[int, str, str]]

RESULT_FILES = ["mask.nii.gz", "overlay.png", "report.html", "result.json"]


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def report_in(folder: Path) -> LesionReport:
    return LesionReport.from_dict(json.loads((folder / "result.json").read_text(encoding="utf-8")))


def same_findings(first: LesionReport, second: LesionReport) -> bool:
    def findings(report: LesionReport) -> tuple[object, ...]:
        return report.lesions, report.volume_ml, report.modalities

    return findings(first) == findings(second)


@pytest.fixture(scope="module")
def result(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tds_cli.main import run  # noqa: PLC0415  # once for the whole module

    out = tmp_path_factory.mktemp("results") / "out"
    assert run(["segment", str(phantom_folder), "-o", str(out)]) == 0
    return out


def test_result_folder_holds_mask_report_and_pictures(result: Path) -> None:
    assert sorted(p.name for p in result.iterdir()) == RESULT_FILES
    with Image.open(result / "overlay.png") as picture:
        assert min(picture.size) > 400
    html = (result / "report.html").read_text(encoding="utf-8")
    assert "esearch use only" in html
    assert "PHANTOM" in html.upper()


def test_mask_is_on_the_grid_and_affine_of_the_input(result: Path, phantom_folder: Path) -> None:
    mask = nib.load(result / "mask.nii.gz")
    image = nib.load(phantom_folder / "phantom-0007_t1.nii.gz")
    assert mask.shape == image.shape
    assert np.allclose(mask.affine, image.affine)
    assert mask.get_data_dtype() == np.uint8
    assert set(np.unique(np.asarray(mask.dataobj))) <= {0, 1, 2, 3}


def test_result_agrees_with_the_mask(result: Path, phantom: Case) -> None:
    report = report_in(result)
    mask = read_volume(result / "mask.nii.gz")
    assert report.volume_ml[Region.WT] == pytest.approx(np.count_nonzero(mask.voxels) * 0.027)
    assert phantom.reference is not None
    assert report.dice == region_dice(mask.voxels, phantom.reference.voxels)
    assert report.phantom


def test_result_says_how_long_each_stage_took(result: Path) -> None:
    timings = report_in(result).timings_s
    assert {"read", "load", "quality", "preprocess", "infer", "restore", "measure"} <= set(timings)
    assert all(seconds >= 0 for seconds in timings.values())


def test_result_json_is_for_people_too(result: Path) -> None:
    text = (result / "result.json").read_text(encoding="utf-8")
    assert text.startswith('{\n  "case": ')
    assert text.endswith("}\n")


def test_summary_says_what_was_found_and_where(tds: Tds, study: Path, tmp_path: Path) -> None:
    (study / "phantom-0007_t2.nii.gz").unlink()
    code, out, err = tds("segment", study, "-o", tmp_path / "out", "--reference", study / "phantom-0007_seg.nii.gz")
    assert (code, err) == (0, "")
    assert "found in t1, t1ce, flair" in out
    assert re.search(r"whole tumour \(WT\): \d+\.\d mL", out)
    assert "warning: t2 is missing" in out
    assert "PHANTOM" in out
    assert re.search(r"Dice against the PHANTOM's own truth: WT \d\.\d{3}, TC", out)
    assert str(tmp_path / "out") in out
    assert re.search(r"done in \d+\.\d s", out)
    assert "Research use only" in out


def test_json_output_is_the_result_and_its_place(tds: Tds, study: Path, tmp_path: Path) -> None:
    for name in ("t1", "t2", "seg"):
        (study / f"phantom-0007_{name}.nii.gz").unlink()
    code, out, err = tds("segment", study, "-o", tmp_path / "deep" / "out", "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["output"] == str(tmp_path / "deep" / "out")
    assert LesionReport.from_dict(document["result"]) == report_in(tmp_path / "deep" / "out")
    assert document["result"]["dice"] is None
    assert document["total_s"] >= document["result"]["timings_s"]["infer"]


def test_single_file_is_what_the_option_says(tds: Tds, phantom: Case, tmp_path: Path) -> None:
    write_volume(tmp_path / "scan.nii.gz", phantom.images[Modality.FLAIR])
    code, out, _ = tds("segment", tmp_path / "scan.nii.gz", "-o", tmp_path / "out", "--modality", "flair")
    assert code == 0
    assert "found in flair" in out
    assert not report_in(tmp_path / "out").phantom


def test_dicom_gives_the_findings_of_the_nifti_that_it_was_made_from(
    tds: Tds, phantom: Case, result: Path, tmp_path: Path
) -> None:
    write_classic_study(phantom, tmp_path / "dicom")
    (tmp_path / "dicom" / "notes.txt").write_text("no image", encoding="utf-8")
    code, out, err = tds("segment", tmp_path / "dicom", "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    assert same_findings(report_in(tmp_path / "out"), report_in(result))
    assert "note: series 1 was read as t1" in out
    notes = [flag.code for flag in report_in(tmp_path / "out").quality if flag.severity is Severity.INFO]
    assert notes == ["SERIES-READ"] * 4 + ["FILES-IGNORED"]


def test_dicom_series_are_read_as_the_option_says(tds: Tds, phantom: Case, tmp_path: Path) -> None:
    write_classic_study(Case(name="two", images=dict(list(phantom.images.items())[:2])), tmp_path / "dicom")
    code, out, _ = tds("segment", tmp_path / "dicom", "-o", tmp_path / "out", "--series", "flair=1")
    assert code == 0
    assert "found in t1ce, flair" in out


def test_earlier_result_is_replaced_only_when_asked_to(tds: Tds, study: Path, result: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(result, out)
    (out / "report.html").write_text("the earlier one", encoding="utf-8")
    code, _, err = tds("segment", study, "-o", out)
    assert code == 1
    assert "already holds a result" in err
    assert (out / "report.html").read_text(encoding="utf-8") == "the earlier one"
    assert tds("segment", study, "-o", out, "--overwrite")[0] == 0
    assert report_in(out).lesions == report_in(result).lesions


@pytest.mark.parametrize("option", ["STUDY", "--reference", "--model"])
def test_result_never_takes_the_place_of_what_it_is_made_from(
    tds: Tds, study: Path, result: Path, tmp_path: Path, option: str
) -> None:
    out = tmp_path / "out"
    shutil.copytree(result, out)
    inside = out / "phantom"
    shutil.copytree(study, inside)
    mask = inside / "phantom-0007_seg.nii.gz"
    before = sorted(path.relative_to(out) for path in out.rglob("*"))
    arguments = {
        "STUDY": (inside,),
        "--reference": (study, "--reference", mask),
        "--model": (study, "--model", inside),
    }
    code, _, err = tds("segment", *arguments[option], "-o", out, "--overwrite")
    assert code == 1
    assert "an input, is in that folder" in err
    assert sorted(path.relative_to(out) for path in out.rglob("*")) == before


def test_study_folder_cannot_be_the_output_folder(tds: Tds, study: Path) -> None:
    before = listed(study)
    assert tds("segment", study, "-o", study, "--overwrite")[0] == 1
    assert listed(study) == before


def test_memory_limit_refuses_a_study_before_it_is_too_late(tds: Tds, study: Path, tmp_path: Path) -> None:
    code, _, err = tds("segment", study, "-o", tmp_path / "out", "--max-ram", "0.1")
    assert code == 5
    assert "the limit is 0.1 GiB" in err
    assert "--max-ram" in err
    assert listed(tmp_path) == ["patient"]


@pytest.mark.parametrize("missing", ["study", "reference"])
def test_path_that_does_not_exist_is_a_usage_error(tds: Tds, study: Path, tmp_path: Path, missing: str) -> None:
    arguments: tuple[object, ...] = (study, "--reference", tmp_path / "no-mask.nii.gz")
    code, _, err = tds(
        "segment", *((tmp_path / "no-study",) if missing == "study" else arguments), "-o", tmp_path / "o"
    )
    assert code == 2
    assert "there is no file or folder" in err


@pytest.mark.parametrize(("option", "value"), [("--modality", "t1"), ("--series", "t1=3"), ("--trust", "abc")])
def test_option_that_does_not_fit_the_input_is_a_usage_error(
    tds: Tds, study: Path, tmp_path: Path, option: str, value: str
) -> None:
    code, _, err = tds("segment", study, "-o", tmp_path / "out", option, value)
    assert code == 2
    assert option in err


def test_series_that_is_not_there_is_a_usage_error(tds: Tds, phantom: Case, tmp_path: Path) -> None:
    write_classic_study(Case(name="one", images={Modality.T1: phantom.images[Modality.T1]}), tmp_path / "dicom")
    code, _, err = tds("segment", tmp_path / "dicom", "-o", tmp_path / "out", "--series", "t2=9")
    assert code == 2
    assert "one of: 1" in err


def test_reference_on_another_grid_is_refused(tds: Tds, study: Path, tmp_path: Path) -> None:
    write_volume(tmp_path / "mask.nii.gz", Volume(np.zeros((4, 4, 4), np.uint8), np.eye(4)))
    code, _, err = tds("segment", study, "-o", tmp_path / "out", "--reference", tmp_path / "mask.nii.gz")
    assert code == 3
    assert "not on the same grid" in err


@pytest.mark.real_data
def test_real_patient_from_nifti_and_from_dicom(tds: Tds, real_patient: Path, tmp_path: Path) -> None:
    assert tds("segment", real_patient, "-o", tmp_path / "nifti")[0] == 0
    report = report_in(tmp_path / "nifti")
    assert report.dice is not None
    assert not report.phantom
    images = {m: read_volume(real_patient / f"{real_patient.name}_{m}.nii.gz") for m in Modality}
    write_classic_study(Case(name="real", images=images), tmp_path / "dicom")
    assert tds("segment", tmp_path / "dicom", "-o", tmp_path / "from-dicom")[0] == 0
    from_dicom = report_in(tmp_path / "from-dicom")
    assert [lesion.volume_ml for lesion in from_dicom.lesions] == [lesion.volume_ml for lesion in report.lesions]
    for found, expected in zip(from_dicom.lesions, report.lesions, strict=True):
        assert found.centroid_mm == pytest.approx(expected.centroid_mm, abs=0.01)
