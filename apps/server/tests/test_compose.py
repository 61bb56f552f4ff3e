import json
import os
from pathlib import Path

import numpy as np
import pytest

from tds_clinical.testing import write_classic_study
from tds_data import Case, LesionReport, Modality, read_volume, write_volume
from tds_data.testing import draw_brain
from tds_serve import JobCancelled, SegmentationFailed, StudyRefused, StudySegmenter
from tds_server import compose
from tds_server.compose import local_segmenter


class Progress:
    def __init__(self, *, cancel_at: str = "") -> None:
        self.heard: list[tuple[float, str]] = []
        self.cancel_at = cancel_at

    def __call__(self, fraction: float, stage: str) -> None:
        self.heard.append((fraction, stage))
        if stage == self.cancel_at:
            raise JobCancelled("cancelled")


@pytest.fixture(scope="module")
def segmenter() -> StudySegmenter:
    return local_segmenter()


@pytest.fixture(scope="module")
def head() -> Case:
    """A stripped brain at 3 mm with a lesion, in two sequences, without a mask."""
    return Case(name="head", images=draw_brain(modalities=[Modality.T1CE, Modality.FLAIR]).images)


@pytest.fixture
def study(head: Case, tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    for modality, volume in head.images.items():
        write_volume(folder / f"{modality}.nii.gz", volume)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_study_becomes_a_result_folder(segmenter: StudySegmenter, study: Path, tmp_path: Path) -> None:
    progress = Progress()
    report = segmenter.segment(study, tmp_path / "result", progress=progress)
    assert names(tmp_path / "result") == ["mask.nii.gz", "overlay.png", "report.html", "result.json"]
    stored = json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))
    assert LesionReport.from_dict(stored) == report
    assert report.modalities == (Modality.T1CE, Modality.FLAIR)
    assert not report.phantom
    assert read_volume(tmp_path / "result" / "mask.nii.gz").same_grid(read_volume(study / "t1ce.nii.gz"))
    fractions = [fraction for fraction, _ in progress.heard]
    assert fractions == sorted(fractions)
    assert progress.heard[0] == (0.0, "read")
    assert progress.heard[-1][1] == "write"
    assert all(0 <= fraction <= 1 for fraction in fractions)


def test_dicom_gives_the_same_lesions(segmenter: StudySegmenter, study: Path, head: Case, tmp_path: Path) -> None:
    write_classic_study(head, tmp_path / "dicom")
    from_dicom = segmenter.segment(tmp_path / "dicom", tmp_path / "one", progress=Progress())
    from_nifti = segmenter.segment(study, tmp_path / "two", progress=Progress())
    assert from_dicom.lesions == from_nifti.lesions


def test_result_keeps_how_the_study_was_read(segmenter: StudySegmenter, head: Case, tmp_path: Path) -> None:
    write_classic_study(head, tmp_path / "dicom")
    report = segmenter.segment(tmp_path / "dicom", tmp_path / "result", progress=Progress())
    assert [flag.message for flag in report.quality if flag.code == "SERIES-READ"] == [
        "series 1 was read as t1ce",
        "series 2 was read as flair",
    ]
    assert report.phantom
    stored = json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))
    assert LesionReport.from_dict(stored).quality == report.quality


def test_phantom_is_marked_and_what_was_assumed_is_kept(segmenter: StudySegmenter, study: Path, tmp_path: Path) -> None:
    for path in study.iterdir():
        path.rename(path.with_name(f"phantom-0007_{path.name}"))
    (tmp_path / "upload").mkdir()
    study.rename(tmp_path / "upload" / "inner")
    report = segmenter.segment(tmp_path / "upload", tmp_path / "result", progress=Progress())
    assert report.phantom
    assert [flag.message for flag in report.quality if flag.code == "ASSUMED"] == ["taken from the subfolder inner"]
    assert "PHANTOM" in (tmp_path / "result" / "report.html").read_text(encoding="utf-8").upper()


@pytest.mark.parametrize("stage", ["read", "quality", "write"])
def test_cancelled_study_leaves_nothing(segmenter: StudySegmenter, study: Path, tmp_path: Path, stage: str) -> None:
    with pytest.raises(JobCancelled):
        segmenter.segment(study, tmp_path / "result", progress=Progress(cancel_at=stage))
    assert names(tmp_path) == ["study"]


def test_unreadable_study_is_refused_by_its_kind(segmenter: StudySegmenter, study: Path, tmp_path: Path) -> None:
    os.truncate(study / "flair.nii.gz", 5000)
    with pytest.raises(StudyRefused, match="truncated") as caught:
        segmenter.segment(study, tmp_path / "result", progress=Progress())
    assert caught.value.code == "VOLUME-READ-ERROR"
    assert names(tmp_path) == ["study"]


def test_study_that_the_quality_gate_refuses_has_the_code_of_its_first_error(
    segmenter: StudySegmenter, study: Path, tmp_path: Path
) -> None:
    flair = read_volume(study / "flair.nii.gz")
    write_volume(study / "flair.nii.gz", flair.with_voxels(np.zeros(flair.shape, np.int16)))
    with pytest.raises(StudyRefused, match="flair") as caught:
        segmenter.segment(study, tmp_path / "result", progress=Progress())
    assert caught.value.code == "CONSTANT-IMAGE"


def test_empty_folder_is_refused(segmenter: StudySegmenter, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    with pytest.raises(StudyRefused) as caught:
        segmenter.segment(tmp_path / "study", tmp_path / "result", progress=Progress())
    assert caught.value.code == "SEQUENCE-NOT-FOUND"


def test_too_little_memory_is_no_fault_of_the_study(study: Path, tmp_path: Path) -> None:
    with pytest.raises(SegmentationFailed, match="GiB") as caught:
        local_segmenter(max_bytes=1).segment(study, tmp_path / "result", progress=Progress())
    assert caught.value.code == "OUT-OF-MEMORY"
    assert names(tmp_path) == ["study"]


def test_result_that_cannot_be_written_is_no_fault_of_the_study(
    segmenter: StudySegmenter, study: Path, tmp_path: Path
) -> None:
    (tmp_path / "result").write_text("in the way", encoding="utf-8")
    with pytest.raises(SegmentationFailed) as caught:
        segmenter.segment(study, tmp_path / "result", progress=Progress())
    assert caught.value.code == "VOLUME-WRITE-ERROR"


def test_fault_of_the_program_is_not_taken_for_a_refused_study(
    segmenter: StudySegmenter, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(compose, "write_html", fail)
    with pytest.raises(ZeroDivisionError):
        segmenter.segment(study, tmp_path / "result", progress=Progress())
    assert names(tmp_path) == ["study"]
