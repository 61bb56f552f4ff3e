import contextlib
import logging
import os
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import SegmentationStorage

from tds_clinical.dicom import read_series_headers, read_study, scan_folder
from tds_clinical.dicom._files import FoundFiles
from tds_clinical.errors import ClinicalError, DicomReadError, FolderNotReadable, MixedPatients, NoImages
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data.errors import GridMismatch, SequenceNotFound
from tds_data.volume import Volume


def rewrite(path: Path, **values: object) -> None:
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def first_file(folder: Path) -> Path:
    return min(folder.rglob("*.dcm"))


def test_series_come_by_rising_number(study_folder: Path) -> None:
    series = read_series_headers(study_folder)
    assert [s.number for s in series] == [1, 2, 3, 4]
    assert [len(s.slices) for s in series] == [4, 4, 4, 4]
    assert series[0].label == "series 1"


def test_files_of_all_series_may_lie_in_one_folder(study_folder: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for n, path in enumerate(sorted(study_folder.rglob("*.dcm"))):
        path.rename(flat / f"{n}")
    assert len(read_series_headers(flat)) == 4


def test_other_files_are_ignored_and_counted(study_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (study_folder / "notes.txt").write_text("not an image")
    (study_folder / "empty").touch()
    segmentation = pydicom.dcmread(first_file(study_folder))
    segmentation.SOPClassUID = segmentation.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    segmentation.save_as(study_folder / "segmentation.dcm")
    with caplog.at_level(logging.INFO, logger="tds_clinical"):
        scan = scan_folder(study_folder)
    assert scan.ignored == 3
    assert "files_ignored count=3" in caplog.text
    assert len(scan.series) == 4


def test_linked_folders_are_followed_once(study_folder: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / "study").symlink_to(study_folder)
    (study_folder / "back").symlink_to(outer)
    (outer / "loop").symlink_to(outer / "loop")
    (outer / "gone").symlink_to(outer / "nothing")
    assert [len(s.slices) for s in read_series_headers(outer)] == [4, 4, 4, 4]


def test_a_single_file_is_a_series_of_one(study_folder: Path) -> None:
    (series,) = read_series_headers(first_file(study_folder))
    assert len(series.slices) == 1


def test_series_without_number_come_last(volume: Volume, tmp_path: Path) -> None:
    write_classic_series(volume, tmp_path / "a", ClassicSeriesOptions(tags={"SeriesNumber": None}))
    write_classic_series(volume, tmp_path / "b", ClassicSeriesOptions(series_number=9))
    series = read_series_headers(tmp_path)
    assert [s.number for s in series] == [9, None]
    assert series[1].label == "a series without a number"


@pytest.mark.parametrize("written", [b"IS\x02\x00x ", b"ZZ\x02\x007 "])
def test_a_malformed_series_number_counts_as_missing(volume: Volume, tmp_path: Path, written: bytes) -> None:
    for path in write_classic_series(volume, tmp_path, ClassicSeriesOptions(series_number=7)):
        content = path.read_bytes()
        start = content.index(b"\x20\x00\x11\x00IS") + 4
        path.write_bytes(content[:start] + written + content[start + 6 :])
    (series,) = read_series_headers(tmp_path)
    assert series.number is None


@settings(max_examples=60, deadline=None)
@given(place=st.integers(128, 1500), byte=st.integers(0, 255))
def test_a_changed_byte_gives_an_image_or_an_error_of_ours(place: int, byte: int) -> None:
    volume = Volume(np.arange(8, dtype=np.uint16).reshape(2, 2, 2), np.eye(4))
    with tempfile.TemporaryDirectory() as folder:
        path = write_classic_series(volume, Path(folder), ClassicSeriesOptions())[0]
        content = bytearray(path.read_bytes())
        content[min(place, len(content) - 1)] = byte
        path.write_bytes(content)
        with contextlib.suppress(ClinicalError, SequenceNotFound, GridMismatch):
            assert read_study(Path(folder)).case.modalities


def test_an_empty_folder_holds_no_images(tmp_path: Path) -> None:
    with pytest.raises(NoImages, match="no DICOM MR image") as raised:
        read_series_headers(tmp_path)
    assert raised.value.ignored == 0


def test_a_missing_folder_is_not_readable(tmp_path: Path) -> None:
    with pytest.raises(FolderNotReadable, match="cannot be listed"):
        read_series_headers(tmp_path / "Doe_Jane")


@pytest.mark.parametrize(("keyword", "counted"), [("PatientID", (2, 1)), ("StudyInstanceUID", (1, 2))])
def test_two_patients_or_studies_are_refused(study_folder: Path, keyword: str, counted: tuple[int, int]) -> None:
    rewrite(first_file(study_folder), **{keyword: "1.2.3"})
    with pytest.raises(MixedPatients, match="exactly one study") as raised:
        read_series_headers(study_folder)
    assert (raised.value.patients, raised.value.studies) == counted
    assert "PHANTOM" not in str(raised.value)


@pytest.mark.parametrize("kept_bytes", [132, 141, 153, 180, 200, 400, 600, 900, 1200])
def test_a_file_cut_in_its_header_is_named(study_folder: Path, kept_bytes: int) -> None:
    path = first_file(study_folder)
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(DicomReadError, match=path.name) as raised:
        scan_folder(study_folder)
    assert raised.value.path == path


def test_an_image_without_pixels_is_damaged(study_folder: Path) -> None:
    rewrite(first_file(study_folder), PixelData=None)
    with pytest.raises(DicomReadError, match="no pixels or is truncated"):
        scan_folder(study_folder)


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_an_image_that_does_not_say_what_it_is_or_where_it_belongs_is_damaged(study_folder: Path, keyword: str) -> None:
    rewrite(first_file(study_folder), **{keyword: None})
    with pytest.raises(DicomReadError, match=f"no {keyword}"):
        scan_folder(study_folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_read_rights_is_named(study_folder: Path) -> None:
    path = first_file(study_folder)
    path.chmod(0)
    with pytest.raises(DicomReadError, match="cannot be opened"):
        scan_folder(study_folder)


def test_a_file_that_vanishes_is_named(study_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = first_file(study_folder)
    gone = FoundFiles(paths=(path.with_name("gone.dcm"),))
    monkeypatch.setattr("tds_clinical.dicom.series.find_files", lambda _, **__: gone)
    with pytest.raises(DicomReadError, match=r"'gone\.dcm': the file cannot be opened"):
        scan_folder(study_folder)
