import json
from pathlib import Path

import pydicom
import pytest

from tds_clinical.dicom import inspect_study
from tds_clinical.dicom._words import plain_description
from tds_clinical.errors import AmbiguousSeries, ArchiveNotReadable, MixedPatients, SeriesNotFound
from tds_clinical.testing import (
    ClassicSeriesOptions,
    EnhancedSeriesOptions,
    MosaicSeriesOptions,
    write_classic_series,
    write_enhanced_series,
    write_mosaic_series,
)
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

NAMED_T1 = {"SeriesDescription": "AX T1"}


def test_every_series_has_a_row_with_what_is_known_of_it(study_folder: Path) -> None:
    table = inspect_study(study_folder)
    assert [row.name for row in table.rows] == ["1", "2", "3", "4"]
    assert [row.chosen for row in table.rows] == list(Modality)
    row = table.rows[1]
    assert (row.label, row.description, row.kind) == ("series 2", "AX T1 MPRAGE POST GAD", "classic")
    assert row.shape == (6, 5, 4)
    assert row.spacing_mm == pytest.approx((0.9, 1.1, 4.0))
    assert row.orientation == "axial"
    assert (row.repetition_ms, row.echo_ms, row.inversion_ms, row.contrast) == (1900, 2.5, 900, True)
    assert (row.guess, row.confidence, row.refused_because) == (Modality.T1CE, 0.95, "")
    assert "named by text and tag" in row.reason
    assert (table.disputes, table.damaged, table.ignored) == ((), (), {})


def test_the_table_is_plain_json(study_folder: Path) -> None:
    document = json.loads(json.dumps(inspect_study(study_folder).to_dict()))
    assert document["series"][0]["series"] == "1"
    assert document["series"][0]["spacing_mm"] == [0.9, 1.1, 4.0]
    assert document["series"][0]["refused_because"] is None
    assert document["ignored"] == {}


def test_a_series_that_cannot_become_a_volume_says_why(study_folder: Path) -> None:
    for path in (study_folder / "series003").iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.PixelSpacing
        dataset.save_as(path)
    row = inspect_study(study_folder).rows[2]
    assert row.spacing_mm is None
    assert row.shape == (6, 5, 4)
    assert "no usable PixelSpacing" in row.refused_because


@pytest.mark.parametrize("keyword", ["Rows", "ImageOrientationPatient"])
def test_what_is_unknown_is_left_open(study_folder: Path, keyword: str) -> None:
    for path in (study_folder / "series003").iterdir():
        dataset = pydicom.dcmread(path)
        delattr(dataset, keyword)
        dataset.save_as(path)
    row = inspect_study(study_folder).rows[2]
    assert row.refused_because
    assert (row.shape is None) == (keyword == "Rows")
    assert (row.orientation == "") == (keyword != "Rows")


@pytest.mark.parametrize(
    ("cosines", "orientation"),
    [
        ([1, 0, 0, 0, 1, 0], "axial"),
        ([0, 1, 0, 0, 0, -1], "sagittal"),
        ([1, 0, 0, 0, 0, -1], "coronal"),
        ([0.9703, 0.2419, 0, 0, 0, -1], "oblique coronal"),
        ([1, 0, 0, 1, 0, 0], ""),
    ],
)
def test_the_orientation_is_named(study_folder: Path, cosines: list[float], orientation: str) -> None:
    for path in (study_folder / "series001").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.ImageOrientationPatient = cosines
        dataset.save_as(path)
    assert inspect_study(study_folder).rows[0].orientation == orientation


def test_kinds_of_storage_are_named(volume: Volume, tmp_path: Path) -> None:
    write_classic_series(volume, tmp_path / "c", ClassicSeriesOptions(series_number=1))
    write_enhanced_series([volume], tmp_path / "e.dcm", EnhancedSeriesOptions(series_number=2, tags=NAMED_T1))
    mosaic = MosaicSeriesOptions(series=ClassicSeriesOptions(series_number=3))
    write_mosaic_series([volume], tmp_path / "m", mosaic)
    rows = inspect_study(tmp_path, {Modality.T1: "1"}).rows
    assert [row.kind for row in rows] == ["classic", "enhanced", "mosaic"]
    assert [row.shape for row in rows] == [(6, 5, 4)] * 3
    assert [row.guess for row in rows] == [Modality.T1] * 3


def test_volumes_of_one_series_have_rows_and_names_of_their_own(volume: Volume, tmp_path: Path) -> None:
    volumes = [volume, volume.with_voxels(volume.voxels + 1)]
    write_enhanced_series(volumes, tmp_path / "e.dcm", EnhancedSeriesOptions(tags=NAMED_T1))
    table = inspect_study(tmp_path, {Modality.T1: "1.2"})
    assert [row.name for row in table.rows] == ["1.1", "1.2"]
    assert [row.chosen for row in table.rows] == [None, Modality.T1]
    assert table.rows[1].overridden
    said = r"time point 1 of 2 \(1\.1\), series 1, time point 2 of 2 \(1\.2\) could each"
    with pytest.raises(AmbiguousSeries, match=said):
        inspect_study(tmp_path, {Modality.T1: "1"})


def test_what_must_be_settled_is_told_and_not_raised(study_folder: Path, volume: Volume) -> None:
    write_classic_series(volume, study_folder / "again", ClassicSeriesOptions(series_number=9))
    table = inspect_study(study_folder)
    (dispute,) = table.disputes
    assert dispute.startswith("series 1, series 9 could each be the t1 sequence")
    assert [row.chosen for row in table.rows if row.guess is Modality.T1] == [None, None]
    settled = inspect_study(study_folder, {Modality.T1: "9"})
    assert settled.disputes == ()
    assert settled.rows[-1].overridden


def test_an_override_must_name_a_series(study_folder: Path) -> None:
    with pytest.raises(SeriesNotFound, match="one of: 1, 2, 3, 4"):
        inspect_study(study_folder, {Modality.T1: "77"})


def test_damaged_and_other_files_are_told(study_folder: Path) -> None:
    path = min(study_folder.rglob("*.dcm"))
    path.write_bytes(path.read_bytes()[:500])
    (study_folder / "a.txt").write_text("x")
    table = inspect_study(study_folder)
    assert path.name in table.damaged[0]
    assert table.ignored == {"no DICOM": 1}


def test_two_patients_are_refused(study_folder: Path) -> None:
    path = min(study_folder.rglob("*.dcm"))
    dataset = pydicom.dcmread(path)
    dataset.PatientID = "OTHER"
    dataset.save_as(path)
    with pytest.raises(MixedPatients):
        inspect_study(study_folder)


def test_a_file_that_claims_to_be_an_archive_is_refused_as_one(tmp_path: Path) -> None:
    (tmp_path / "study.zip").write_text("no archive")
    with pytest.raises(ArchiveNotReadable):
        inspect_study(tmp_path / "study.zip")


NAMED = {"SeriesDescription": "AX T1 MPRAGE Smith^John 19640203 +C"}


def test_a_description_is_shown_without_words_that_no_protocol_uses(volume: Volume, tmp_path: Path) -> None:
    write_classic_series(volume, tmp_path, ClassicSeriesOptions(tags=NAMED))
    (row,) = inspect_study(tmp_path).rows
    assert row.description == "AX T1 MPRAGE … … +C"
    (whole,) = inspect_study(tmp_path, whole_descriptions=True).rows
    assert whole.description == NAMED["SeriesDescription"]


@pytest.mark.parametrize(
    ("description", "shown"),
    [
        ("t1_mprage_sag_p2_iso_Gd", "t1 mprage sag p2 iso Gd"),
        ("t2_tirm_tra_dark-fluid", "t2 tirm tra dark-fluid"),
        ("AX T1 W/O CONTRAST", "AX T1 W/O CONTRAST"),
        ("3D_Brain_VIEW_FLAIR_SHC", "3D Brain VIEW FLAIR SHC"),
        ("T1 APRÈS INJECTION", "T1 APRÈS INJECTION"),
        ("Doe Jane T2", "… … T2"),
        ("MRN0012345", "…"),
        ("T2 \x1b[31mred", "T2 …"),
        ("", ""),
    ],
)
def test_words_of_protocols_are_kept(description: str, shown: str) -> None:
    assert plain_description(description) == shown
