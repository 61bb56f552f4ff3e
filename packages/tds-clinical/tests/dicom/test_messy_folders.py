"""Folders as they come from archives and discs: other objects, files without preamble, thousands of files."""

import os
import time
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    MediaStorageDirectoryStorage,
    RTStructureSetStorage,
    SegmentationStorage,
    generate_uid,
)

from tds_clinical.dicom import inspect_study, looks_like_dicom, read_series, read_study, scan_folder
from tds_clinical.dicom._dataset import read_dataset
from tds_clinical.dicom._files import find_files
from tds_clinical.dicom._headers import Ignored
from tds_clinical.errors import DicomReadError, FolderNotReadable, GeometryNotSupported, NoImages
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data.volume import Volume


def write_object(path: Path, sop_class: UID) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        (SegmentationStorage, "segmentation"),
        (ComprehensiveSRStorage, "structured report"),
        (KeyObjectSelectionDocumentStorage, "structured report"),
        (EncapsulatedPDFStorage, "document"),
        (GrayscaleSoftcopyPresentationStateStorage, "presentation state"),
        (CTImageStorage, "image of another kind"),
        (RTStructureSetStorage, "DICOM object of another kind"),
        (MediaStorageDirectoryStorage, "DICOMDIR"),
    ],
)
def test_other_objects_are_counted_by_kind(study_folder: Path, sop_class: UID, kind: str) -> None:
    write_object(study_folder / "a", sop_class)
    write_object(study_folder / "b", sop_class)
    (study_folder / "c.txt").write_text("x")
    scan = scan_folder(study_folder)
    assert dict(scan.ignored_kinds) == {kind: 2, "no DICOM": 1}
    assert scan.ignored == 3
    assert read_study(study_folder).ignored == 3


def without_preamble(path: Path, syntax: UID, *, with_meta: bool) -> None:
    dataset = pydicom.dcmread(path)
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
    if with_meta:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.preamble = None
        dataset.save_as(path, enforce_file_format=False)
    else:
        bare = Dataset(dataset)
        pydicom.dcmwrite(
            path,
            bare,
            implicit_vr=syntax == ImplicitVRLittleEndian,
            little_endian=syntax != ExplicitVRBigEndian,
            enforce_file_format=False,
        )


@pytest.mark.parametrize(
    ("syntax", "with_meta"),
    [
        (ImplicitVRLittleEndian, True),
        (ImplicitVRLittleEndian, False),
        (ExplicitVRLittleEndian, True),
        (ExplicitVRLittleEndian, False),
        (ExplicitVRBigEndian, False),
    ],
)
def test_files_without_preamble_are_read(volume: Volume, tmp_path: Path, syntax: UID, *, with_meta: bool) -> None:
    for path in write_classic_series(volume, tmp_path, ClassicSeriesOptions()):
        without_preamble(path, syntax, with_meta=with_meta)
        assert path.read_bytes()[128:132] != b"DICM"
    assert looks_like_dicom(tmp_path)
    (series,) = scan_folder(tmp_path).series
    np.testing.assert_array_equal(read_series(series).voxels, volume.voxels)
    assert inspect_study(tmp_path).ignored == {}


@pytest.mark.parametrize(
    "content",
    [
        b"\x08\x00\x05\x00CS\x0a\x00ISO",
        b"\x08\x00\x05\x00CS",
        b"\x02\x00\x00\x00UL\x04\x00",
        b"\x08\x00\x16\x00\x00\x00\x00\x00",
    ],
)
def test_what_only_starts_like_dicom_is_ignored(study_folder: Path, content: bytes) -> None:
    (study_folder / "odd").write_bytes(content)
    (study_folder / "odder").write_bytes(content + bytes(range(256)))
    assert dict(scan_folder(study_folder).ignored_kinds) == {"no DICOM": 2}


def deflate(path: Path, *, zeros: int = 0) -> None:
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    if zeros:
        dataset.add_new((0x0029, 0x0010), "LO", "MAKER")
        dataset.add_new((0x0029, 0x1001), "OB", bytes(zeros))
    dataset.save_as(path)


def test_a_deflated_file_is_read(volume: Volume, tmp_path: Path) -> None:
    for path in write_classic_series(volume, tmp_path, ClassicSeriesOptions()):
        deflate(path)
    (series,) = scan_folder(tmp_path).series
    np.testing.assert_array_equal(read_series(series).voxels, volume.voxels)


def test_a_deflated_bomb_is_refused(volume: Volume, tmp_path: Path) -> None:
    path = write_classic_series(volume, tmp_path, ClassicSeriesOptions())[0]
    deflate(path, zeros=80 << 20)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(DicomReadError, match="its deflated dataset grows beyond"):
        scan_folder(path)
    with pytest.raises(DicomReadError, match="its deflated dataset grows beyond"):
        read_dataset(path)


def test_a_deflated_bomb_does_not_hide_behind_a_false_length_or_a_long_preface(volume: Volume, tmp_path: Path) -> None:
    path = write_classic_series(volume, tmp_path, ClassicSeriesOptions())[0]
    deflate(path, zeros=80 << 20)
    content = path.read_bytes()
    for false_length in (0, 1 << 30):
        path.write_bytes(content[:140] + false_length.to_bytes(4, "little") + content[144:])
        with pytest.raises(DicomReadError, match="its deflated dataset grows beyond"):
            scan_folder(path)
    note = b"\x02\x00\x02\x01OB\0\0" + (5000).to_bytes(4, "little") + bytes(5000)
    path.write_bytes(content[:144] + note + content[144:])
    with pytest.raises(DicomReadError, match="its deflated dataset grows beyond"):
        scan_folder(path)


def test_a_deflated_file_that_breaks_off_is_damaged(volume: Volume, tmp_path: Path) -> None:
    path = write_classic_series(volume, tmp_path, ClassicSeriesOptions())[0]
    deflate(path)
    content = path.read_bytes()
    path.write_bytes(content[:-200])
    with pytest.raises(DicomReadError, match="damaged"):
        scan_folder(path)
    path.write_bytes(content[:600] + zlib.compress(b"x") + content[640:])
    with pytest.raises(DicomReadError, match="damaged"):
        read_dataset(path)


def test_a_file_that_vanished_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DicomReadError, match=r"'gone\.dcm': the file cannot be opened"):
        read_dataset(tmp_path / "gone.dcm")


def test_damage_is_passed_over_on_request(study_folder: Path) -> None:
    path = min(study_folder.rglob("*.dcm"))
    path.write_bytes(path.read_bytes()[:600])
    scan = scan_folder(study_folder, pass_over_damage=True)
    (error,) = scan.damaged
    assert error.path == path
    assert sum(len(series.slices) for series in scan.series) == 15


def test_a_folder_of_damage_alone_holds_no_images(study_folder: Path) -> None:
    for path in study_folder.rglob("*.dcm"):
        path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(NoImages, match="16 other files"):
        inspect_study(study_folder)


def test_a_series_in_two_frames_of_reference_is_refused(volume: Volume, tmp_path: Path) -> None:
    path = write_classic_series(volume, tmp_path, ClassicSeriesOptions())[0]
    dataset = pydicom.dcmread(path)
    dataset.FrameOfReferenceUID = "2.25.4711"
    dataset.save_as(path)
    (series,) = scan_folder(tmp_path).series
    with pytest.raises(GeometryNotSupported, match="series 1: its slices name 2 frames of reference") as raised:
        read_series(series)
    assert "4711" not in str(raised.value)


def test_progress_is_told_of_every_file(study_folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    scan_folder(study_folder, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 16) for n in range(1, 17)]


def test_a_folder_with_far_too_many_files_is_refused(study_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tds_clinical.dicom._files.MAX_FILES", 15)
    with pytest.raises(FolderNotReadable, match="it holds more than 15 files; give the folder of one study"):
        scan_folder(study_folder)
    monkeypatch.setattr("tds_clinical.dicom._files.MAX_FILES", 16)
    assert len(find_files(study_folder).paths) == 16


@pytest.mark.slow
def test_twenty_thousand_files_of_all_kinds_are_looked_at(volume: Volume, tmp_path: Path) -> None:
    paths = write_classic_series(volume, tmp_path / "t1", ClassicSeriesOptions())
    write_object(tmp_path / "object", SegmentationStorage)
    contents = [b"text", b"PK\x03\x04", (tmp_path / "object").read_bytes(), b"", os.urandom(500)]
    for n in range(19_000):
        folder = tmp_path / f"{n % 40}"
        folder.mkdir(exist_ok=True)
        (folder / f"{n}").write_bytes(contents[n % len(contents)])
    image = paths[0].read_bytes()
    start = image.index(b"\x08\x00\x18\x00UI") + 8
    for n in range(1_000):
        (tmp_path / f"copy{n}.dcm").write_bytes(image[: start + 60] + f"{n:04d}".encode() + image[start + 64 :])
    began = time.process_time()
    scan = scan_folder(tmp_path)
    assert time.process_time() - began < 60
    assert scan.ignored == 19_001
    assert scan.ignored_kinds[Ignored.ARCHIVE] == 3_800
