import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from tds_cli.commands.followup import parse_points
from tds_cli.errors import UsageFault
from tds_cli.study import StudyRequest, read_raw_study
from tds_clinical.followup import FollowUp
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series, write_classic_study
from tds_clinical.testing.mask_report import report_mask
from tds_data import Case
from tds_data.nifti import read_volume, write_volume
from tds_data.report import RESEARCH_USE_NOTICE, LesionReport
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

Tds = Callable[..., tuple[int, str, str]]

FILES = ["followup.html", "followup.json", "timeline.png", "timeline.svg"]

pytest.importorskip("matplotlib")


def write_result(folder: Path, mask: Volume, report: LesionReport | None = None) -> Path:
    folder.mkdir(parents=True)
    write_volume(folder / "mask.nii.gz", mask)
    document = (report or report_mask(mask)).to_dict()
    (folder / "result.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def truth(case: Case) -> Volume:
    assert case.reference is not None
    return case.reference.with_voxels(case.reference.voxels.astype(np.uint8))


def shrunk(mask: Volume) -> Volume:
    """Return a mask without its upper half."""
    voxels = mask.voxels.copy()
    places = np.argwhere(voxels)
    voxels[:, :, int(places[:, 2].mean()) :] = 0
    return mask.with_voxels(voxels)


@pytest.fixture(scope="session")
def results(phantom: Case, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("results")
    mask = truth(phantom)
    return write_result(folder / "first", mask), write_result(folder / "second", shrunk(mask))


@pytest.fixture
def points(phantom_folder: Path, results: tuple[Path, Path]) -> list[object]:
    first, second = results
    return ["--at", "2026-01-10", phantom_folder, first, "--at", "2026-04-02", phantom_folder, second]


def test_two_results_become_a_folder_that_says_what_changed(tds: Tds, points: list[object], tmp_path: Path) -> None:
    code, out, err = tds("followup", *points, "--trust-headers", "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    document = json.loads((tmp_path / "out" / "followup.json").read_text())
    found = FollowUp.from_dict(document)
    assert [entry.when for entry in found.points] == [date(2026, 1, 10), date(2026, 4, 2)]
    assert found.is_phantom
    assert "PHANTOM" in out
    assert "2026-04-02" in out
    assert f"RANO 2.0: {found.assessments[0].category}" in out
    assert "images alone" in out
    assert RESEARCH_USE_NOTICE in out
    page = (tmp_path / "out" / "followup.html").read_text()
    assert "PHANTOM" in page
    assert "images alone" in page
    assert (tmp_path / "out" / "timeline.svg").read_text().count("<svg") == 1


def test_the_same_input_gives_the_same_files(tds: Tds, points: list[object], tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert tds("followup", *points, "--trust-headers", "-o", tmp_path / name)[0] == 0
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_json_holds_the_comparison(tds: Tds, points: list[object], tmp_path: Path) -> None:
    code, out, _ = tds("followup", *points, "--trust-headers", "-o", tmp_path / "out", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["output"] == str(tmp_path / "out")
    assert FollowUp.from_dict(document["follow_up"]).points[0].label == "2026-01-10"


def test_studies_are_registered_by_default(tds: Tds, points: list[object], tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    code, out, _ = tds("followup", *points, "-o", tmp_path / "out", "--json")
    assert code == 0
    alignment = FollowUp.from_dict(json.loads(out)["follow_up"]).points[0].alignment
    assert alignment is not None
    assert alignment.method == "registered"
    assert alignment.shift_mm < 0.5


def test_what_images_do_not_show_is_passed_on(tds: Tds, points: list[object], tmp_path: Path) -> None:
    clinic = ["--status", "worse", "--steroids", "higher", "--radiotherapy-ended", "2025-06-30", "--confirmed"]
    code, out, _ = tds("followup", *points, *clinic, "--trust-headers", "-o", tmp_path / "out", "--json")
    assert code == 0
    found = FollowUp.from_dict(json.loads(out)["follow_up"])
    assert [entry.category for entry in found.assessments[:2]] == ["PD", "PD"]
    assert any("clearly worse" in reason for reason in found.assessments[0].reasons)


def test_a_dicom_study_is_read_as_one(
    tds: Tds, phantom: Case, phantom_folder: Path, results: tuple[Path, Path], tmp_path: Path
) -> None:
    write_classic_study(phantom, tmp_path / "dicom")
    first, second = results
    points = ["--at", "2026-01-10", tmp_path / "dicom", first, "--at", "2026-04-02", phantom_folder, second]
    code, _, err = tds("followup", *points, "--trust-headers", "-o", tmp_path / "out")
    assert (code, err) == (0, "")


def test_a_result_on_resampled_slices_is_followed_up(tds: Tds, phantom: Case, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    write_classic_series(phantom.images[Modality.T1CE], folder, ClassicSeriesOptions(modality=Modality.T1CE))
    for path in folder.iterdir():  # as under a tilted gantry
        image = dcmread(path)
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x, y + 0.2 * float(z), z]
        image.save_as(path)
    grid = read_raw_study(StudyRequest(path=folder, resample=True)).images[Modality.T1CE]
    result = write_result(tmp_path / "result", grid.with_voxels(np.zeros(grid.shape, np.uint8)))
    points = ["--at", "2000-01-01", folder, result, "--at", "2026-04-02", folder, result]
    code, out, err = tds("followup", *points, "--trust-headers", "-o", tmp_path / "out")
    assert (code, "series_resampled" in err) == (0, True)
    assert "2026-04-02" in out


def test_sequences_that_are_not_shared_do(
    tds: Tds, study: Path, phantom_folder: Path, results: tuple[Path, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(phantom_folder, other)
    for path in other.iterdir():
        if not path.name.endswith("_flair.nii.gz"):
            path.unlink()
    for path in study.iterdir():
        if not path.name.endswith("_t1ce.nii.gz"):
            path.unlink()
    first, second = results
    points = ["--at", "2026-01-10", other, first, "--at", "2026-04-02", study, second]
    assert tds("followup", *points, "--trust-headers", "-o", tmp_path / "out")[0] == 0


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        ([], 0),
        (["2026-01-10", "study"], 1),
        (["2026-01-10", "study", "result"], 2),
        (["2026-01-10", "study", "result"], 0),
        (["2026-13-10", "study", "result"], 1),
        (["study", "2026-01-10", "result"], 1),
    ],
)
def test_incomplete_time_points_are_refused(values: list[str], marks: int) -> None:
    if not values:
        assert parse_points(values, marks) == []
        return
    with pytest.raises(UsageFault):
        parse_points(values, marks)


def test_a_day_that_is_none_is_refused(tds: Tds, points: list[object], tmp_path: Path) -> None:
    code, _, err = tds("followup", *points, "--radiotherapy-ended", "June", "-o", tmp_path / "out")
    assert code == 2
    assert "--radiotherapy-ended" in err


def test_one_time_point_is_refused(tds: Tds, points: list[object], tmp_path: Path) -> None:
    code, _, err = tds("followup", *points[:4], "--trust-headers", "-o", tmp_path / "out")
    assert code == 3
    assert "at least two" in err
    assert not (tmp_path / "out").exists()


def test_swapped_dates_are_refused(tds: Tds, points: list[object], tmp_path: Path) -> None:
    code, _, err = tds("followup", *points[4:], *points[:4], "--trust-headers", "-o", tmp_path / "out")
    assert code == 3
    assert "oldest first" in err
    assert not (tmp_path / "out").exists()


def test_a_mask_of_another_study_is_refused(tds: Tds, points: list[object], phantom: Case, tmp_path: Path) -> None:
    mask = truth(phantom)
    other = write_result(tmp_path / "result", Volume(mask.voxels[:-1], mask.ras_from_voxel))
    points[3] = other
    code, _, err = tds("followup", *points, "--trust-headers", "-o", tmp_path / "out")
    assert code == 3
    assert "time point 1" in err
    assert "lies on none of its study's sequences" in err


def test_a_report_of_another_mask_is_refused(tds: Tds, points: list[object], phantom: Case, tmp_path: Path) -> None:
    mask = truth(phantom)
    points[3] = write_result(tmp_path / "result", mask, report_mask(shrunk(mask)))
    assert tds("followup", *points, "--trust-headers", "-o", tmp_path / "out")[0] == 3


def test_results_of_different_models_need_leave(tds: Tds, points: list[object], phantom: Case, tmp_path: Path) -> None:
    mask = truth(phantom)
    report = report_mask(mask)
    report = replace(report, model=replace(report.model, sha256="1" * 64, version="2"))
    points[3] = write_result(tmp_path / "result", mask, report)
    code, _, err = tds("followup", *points, "--trust-headers", "-o", tmp_path / "out")
    assert code == 3
    assert "different models" in err
    code, out, _ = tds("followup", *points, "--trust-headers", "--allow-different-models", "-o", tmp_path / "out")
    assert code == 0
    assert "warning: Different models" in out
    assert "DIFFERENT-MODELS" in (tmp_path / "out" / "followup.html").read_text()


def test_a_folder_without_a_result_is_refused(tds: Tds, points: list[object], tmp_path: Path) -> None:
    points[3] = tmp_path
    code, _, err = tds("followup", *points, "-o", tmp_path / "out")
    assert code == 2
    assert "mask.nii.gz" in err


def test_a_result_that_is_no_report_is_refused(
    tds: Tds, points: list[object], results: tuple[Path, Path], tmp_path: Path
) -> None:
    shutil.copytree(results[0], tmp_path / "result")
    (tmp_path / "result" / "result.json").write_text("[" * 100_000)
    points[3] = tmp_path / "result"
    code, _, err = tds("followup", *points, "-o", tmp_path / "out")
    assert code == 3
    assert "time point 1 is no lesion report" in err


def test_what_is_in_the_way_is_not_replaced(tds: Tds, points: list[object], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    code, _, _ = tds("followup", *points, "--trust-headers", "-o", tmp_path / "out")
    assert code != 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_missing_matplotlib_is_told_before_any_work(
    tds: Tds, points: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    code, _, err = tds("followup", *points, "--trust-headers", "-o", tmp_path / "out")
    assert code != 0
    assert "tds-clinical[followup]" in err


@pytest.mark.slow
def test_what_segment_made_is_followed_up(tds: Tds, phantom_folder: Path, tmp_path: Path) -> None:
    assert tds("segment", phantom_folder, "-o", tmp_path / "first")[0] == 0
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    mask = read_volume(tmp_path / "second" / "mask.nii.gz")
    assert mask.voxels.any()
    points = []
    for day, name in (("2026-01-10", "first"), ("2026-04-02", "second")):
        points += ["--at", day, phantom_folder, tmp_path / name]
    code, out, _ = tds("followup", *points, "--trust-headers", "-o", tmp_path / "out", "--json")
    assert code == 0
    found = FollowUp.from_dict(json.loads(out)["follow_up"])
    assert Modality.T1CE in found.points[0].report.modalities
    assert {str(change.kind) for change in found.changes[0]} == {"matched"}
    assert not any(change.is_certain for change in found.changes[0])
    assert found.lesion_uids[0] == found.lesion_uids[1]
