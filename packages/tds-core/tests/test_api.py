from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tds_core
import tumor_detection
import tumor_detection.api
from tds_core import Bundle, BundleUntrusted, DeviceUnavailable, TumorDetector, TumorSegmenter, quick_detect
from tds_core.bundle import write_manifest
from tds_data import Case, DataError, Modality, Region, read_volume, write_volume

PUBLIC = ["TumorDetector", "TumorSegmenter", "quick_detect"]


@pytest.fixture(scope="module")
def study(phantom: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "patient"
    folder.mkdir()
    for modality, volume in phantom.images.items():
        write_volume(folder / f"patient_{modality}.nii.gz", volume)
    return folder


@pytest.fixture(scope="module")
def reference(phantom: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert phantom.reference is not None
    path = tmp_path_factory.mktemp("reference") / "expert.nii.gz"
    write_volume(path, phantom.reference)
    return path


@pytest.mark.parametrize("name", PUBLIC)
def test_friendlier_names_are_the_same_objects(name: str) -> None:
    assert getattr(tumor_detection, name) is getattr(tds_core, name) is getattr(tumor_detection.api, name)


def test_quick_detect_finds_the_tumour_of_a_study_on_disk(study: Path, reference: Path, phantom: Case) -> None:
    result = quick_detect(str(study), reference=reference)
    assert result.report.dice is not None
    assert result.report.dice[Region.WT] >= 0.6
    assert result.mask.same_grid(phantom.grid)


def test_detector_stays_loaded_and_reports_no_dice_without_a_reference(
    study: Path, coarse_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = TumorDetector()
    monkeypatch.setattr(detector, "bundle", coarse_bundle)
    first, second = detector.predict(study), detector.predict(study)
    assert first.report.dice is None
    np.testing.assert_array_equal(first.mask.voxels, second.mask.voxels)
    assert first.case.name == "patient"


def test_reference_in_the_folder_is_used_unless_another_one_is_given(
    study: Path,
    phantom: Case,
    reference: Path,
    coarse_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert phantom.reference is not None
    write_volume(tmp_path / "p_flair.nii.gz", read_volume(study / "patient_flair.nii.gz"))
    write_volume(tmp_path / "p_seg.nii.gz", phantom.reference)
    detector = TumorDetector()
    monkeypatch.setattr(detector, "bundle", coarse_bundle)
    assert detector.predict(tmp_path).report.dice is not None
    (tmp_path / "p_seg.nii.gz").write_bytes(b"damaged")
    with pytest.raises(DataError):
        detector.predict(tmp_path)
    assert detector.predict(tmp_path, reference=reference).report.dice is not None


def test_single_file_needs_a_name_or_a_modality(
    study: Path, coarse_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = tmp_path / "scan.nii.gz"
    write_volume(scan, read_volume(study / "patient_flair.nii.gz"))
    with pytest.raises(DataError):
        quick_detect(scan)
    detector = TumorDetector()
    monkeypatch.setattr(detector, "bundle", coarse_bundle)
    assert detector.predict(scan, modality=Modality.FLAIR).report.modalities == (Modality.FLAIR,)


def test_segmenter_returns_the_mask_alone(study: Path, coarse_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = TumorSegmenter()
    monkeypatch.setattr(segmenter._detector, "bundle", coarse_bundle)
    mask = segmenter.segment(study)
    np.testing.assert_array_equal(mask.voxels, segmenter._detector.predict(study).mask.voxels)


def test_model_from_elsewhere_runs_only_when_its_hash_is_named(bundle_copy: Path, phantom: Case) -> None:
    with (bundle_copy / "MODEL_CARD.md").open("a", encoding="utf-8") as card:
        card.write("Ours.\n")
    sha256 = write_manifest(bundle_copy)
    with pytest.raises(BundleUntrusted):
        TumorDetector(model_path=bundle_copy)
    with pytest.raises(BundleUntrusted):
        TumorSegmenter(str(bundle_copy))
    detector = TumorDetector(model_path=str(bundle_copy), device="cpu", trusted=[sha256])
    blind = replace(phantom, images={Modality.FLAIR: phantom.images[Modality.FLAIR]}, reference=None)
    assert detector.predict_case(blind).report.model.sha256 == sha256


def test_unknown_device_is_told_before_any_study_is_read() -> None:
    with pytest.raises(DeviceUnavailable):
        TumorDetector(device="tpu")


def test_missing_study_is_an_error_of_the_reader(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file or folder"):
        quick_detect(tmp_path / "absent")
