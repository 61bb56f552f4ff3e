import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from tds_cli import pipeline
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series, write_classic_study
from tds_data import Case

pytest.importorskip("matplotlib")
pytest.importorskip("SimpleITK")

Tds = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def earlier(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tds_cli.main import run  # noqa: PLC0415  # once for the whole module

    out = tmp_path_factory.mktemp("earlier") / "out"
    assert run(["segment", str(phantom_folder), "-o", str(out)]) == 0
    return out


def test_report_says_what_changed_since_the_prior(
    tds: Tds, phantom_folder: Path, earlier: Path, tmp_path: Path
) -> None:
    prior = ("--prior", "2026-01-05", phantom_folder, earlier, "--date", "2026-04-05")
    code, _, err = tds("segment", phantom_folder, "-o", tmp_path / "out", *prior)
    assert (code, err) == (0, "")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for word in ("2026-01-05", "2026-04-05", "RANO 2.0", "RECIST 1.1"):
        assert word in page
    assert "RANO" not in (earlier / "report.html").read_text(encoding="utf-8")


def test_dicom_says_itself_when_it_was_taken(
    tds: Tds, phantom: Case, phantom_folder: Path, earlier: Path, tmp_path: Path
) -> None:
    pytest.importorskip("fhir")
    write_classic_study(phantom, tmp_path / "study")
    prior = ("--prior", "1999-10-01", phantom_folder, earlier)
    assert tds("segment", tmp_path / "study", "-o", tmp_path / "out", *prior)[0] == 0
    assert "2000-01-01" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_dicom_of_another_patient_is_compared_with_a_warning(tds: Tds, phantom: Case, tmp_path: Path) -> None:
    pytest.importorskip("fhir")
    write_classic_study(phantom, tmp_path / "now")
    write_classic_study(phantom, tmp_path / "then")
    for path in (tmp_path / "then").rglob("*.dcm"):
        header = dcmread(path)
        header.PatientID = "4711"
        header.save_as(path)
    assert tds("segment", tmp_path / "then", "-o", tmp_path / "prior")[0] == 0
    prior = ("--prior", "1999-10-01", tmp_path / "then", tmp_path / "prior")
    assert tds("segment", tmp_path / "now", "-o", tmp_path / "out", *prior)[0] == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "PATIENT-DIFFERS" in page
    assert "4711" not in page


@pytest.mark.parametrize("day", ["2026-01-05", "2025-12-31"])
def test_prior_that_is_no_earlier_is_refused_before_the_model_runs(
    tds: Tds, phantom_folder: Path, earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, day: str
) -> None:
    monkeypatch.setattr(pipeline, "_segment", None)
    prior = ("--prior", "2026-01-05", phantom_folder, earlier, "--date", day)
    code, _, err = tds("segment", phantom_folder, "-o", tmp_path / "out", *prior)
    assert code == 2
    assert "a prior is earlier" in err


def test_images_do_not_say_when_they_were_taken(tds: Tds, phantom_folder: Path, earlier: Path, tmp_path: Path) -> None:
    code, out, err = tds(
        "segment", phantom_folder, "-o", tmp_path / "out", "--prior", "2026-01-05", phantom_folder, earlier
    )
    assert code == 2
    assert out == ""
    assert "say it with --date YYYY-MM-DD" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("day", "result", "told"),
    [("yesterday", "earlier", "takes a day such as"), ("2026-01-05", "study", "holds no mask.nii.gz")],
)
def test_prior_that_is_none_is_refused_before_anything_is_read(  # fixtures are parameters
    tds: Tds, phantom_folder: Path, earlier: Path, tmp_path: Path, day: str, result: str, told: str
) -> None:
    folder = {"earlier": earlier, "study": phantom_folder}[result]
    code, out, err = tds(
        "segment", phantom_folder, "-o", tmp_path / "o", "--prior", day, phantom_folder, folder, "--json"
    )
    assert code == 2
    assert told in out + err
    assert json.loads(out)["error"]


def test_prior_of_another_patient_is_told_with_the_result(tds: Tds, phantom: Case, tmp_path: Path) -> None:
    pytest.importorskip("fhir")
    for name, patient in (("before", "A"), ("now", "B")):
        for number, (modality, volume) in enumerate(phantom.images.items(), start=1):
            options = ClassicSeriesOptions(modality=modality, series_number=number, tags={"PatientID": patient})
            write_classic_series(volume, tmp_path / name / str(number), options)
    assert tds("segment", tmp_path / "before", "-o", tmp_path / "one")[0] == 0
    prior = ("--prior", "1999-10-01", tmp_path / "before", tmp_path / "one")
    code, out, _ = tds("segment", tmp_path / "now", "-o", tmp_path / "two", *prior)
    assert code == 0
    codes = [flag["code"] for flag in json.loads((tmp_path / "two" / "result.json").read_text())["quality"]]
    assert "PATIENT-DIFFERS" in codes
    assert "warning:" in out
