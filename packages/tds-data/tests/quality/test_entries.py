"""The check of one case from its files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tds_data import Case, Modality, QualityFlag, Severity, Volume, write_volume
from tds_data.datasets import index_dataset
from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest
from tds_data.quality.dataset_report import CaseReport
from tds_data.quality.entries import CaseTask, check_entry

Dataset = Callable[..., Path]
T1, T1CE, T2, FLAIR = Modality


def checked(root: Path, *, name: str = "one", **options: object) -> CaseReport:
    manifest = index_dataset(root, **options)
    return check_entry(CaseTask.of(manifest, manifest.case(name), is_pictured=False))


def subjects(report: CaseReport) -> set[tuple[str, str | None]]:
    return {(flag.code, flag.subject) for flag in report.flags}


def files_of(report: CaseReport) -> dict[str, QualityFlag]:
    return {flag.code: flag for flag in report.flags}


def test_report_tells_what_the_case_is(dataset: Dataset, noisier: Callable[[int], Case]) -> None:
    case = noisier(1)
    report = checked(dataset(one=case))
    assert report.name == "one"
    assert report.sequences == ("t1", "t1ce", "t2", "flair")
    assert (report.shape, report.orientation) == (case.grid.shape, "LPS")
    assert report.spacing_mm == pytest.approx((3, 3, 3))
    assert report.marked_ml == pytest.approx(np.count_nonzero(case.reference.voxels) * 0.027)
    assert len(set(report.fingerprints.values())) == 4
    assert report.pictures == ()
    assert not {code for code, _ in subjects(report)} & {"UNREADABLE", "FILE-CHANGED", "LABELS-OUTSIDE-SCHEME"}


def test_sequences_on_other_grids_are_findings_and_still_checked(dataset: Dataset, textured: Case) -> None:
    root = dataset(one=None)
    t2, flair = textured.images[T2], textured.images[FLAIR]
    coarse = np.array(t2.voxels[::2, ::2, ::2])
    coarse[:, :, 12] = 0
    write_volume(root / "one" / "t2.nii.gz", Volume(coarse, t2.ras_from_voxel @ np.diag([2, 2, 2, 1])))
    moved = np.array(flair.ras_from_voxel)
    moved[0, 3] += 6
    write_volume(root / "one" / "flair.nii.gz", Volume(flair.voxels, moved))
    report = checked(root)
    assert {("SHAPE-MISMATCH", "t2"), ("AFFINE-MISMATCH", "flair"), ("MISSING-SLICES", "t2")} <= subjects(report)
    assert "MISSING-SEQUENCE" not in {code for code, _ in subjects(report)}
    flags = files_of(report)
    assert flags["SHAPE-MISMATCH"].value == "26 x 32 x 25, not 52 x 64 x 50"
    assert flags["AFFINE-MISMATCH"].value == "up to 6 mm apart"
    assert flags["AFFINE-MISMATCH"].severity is Severity.ERROR


def test_mirrored_header_is_said_to_be_mirrored(dataset: Dataset, textured: Case) -> None:
    root = dataset(one=None)
    volume = textured.images[T2]
    mirrored = np.diag([-1.0, 1, 1, 1]) @ volume.ras_from_voxel
    write_volume(root / "one" / "t2.nii.gz", Volume(volume.voxels, mirrored))
    assert files_of(checked(root))["AFFINE-MISMATCH"].value.endswith(", mirrored")


def test_unreadable_sequence_is_not_called_missing(dataset: Dataset) -> None:
    root = dataset(one=None)
    (root / "one" / "t2.nii.gz").write_bytes(b"damaged")
    report = checked(root)
    assert ("UNREADABLE", "t2") in subjects(report)
    assert "MISSING-SEQUENCE" not in {code for code, _ in subjects(report)}
    assert set(report.fingerprints) == {"t1", "t1ce", "flair"}


def test_missing_sequence_is_named_once(dataset: Dataset, textured: Case) -> None:
    root = dataset(one=None)
    (root / "one" / "t1ce.nii.gz").unlink()
    volume = textured.images[T2]
    write_volume(root / "one" / "t2.nii.gz", Volume(volume.voxels[:-1], volume.ras_from_voxel))
    flags = [flag for flag in checked(root).flags if flag.code == "MISSING-SEQUENCE"]
    assert [flag.subject for flag in flags] == ["t1ce"]


def test_case_without_any_readable_file_is_reported(dataset: Dataset) -> None:
    root = dataset(one=None)
    manifest = index_dataset(root)
    for path in (root / "one").iterdir():
        path.unlink()
    report = check_entry(CaseTask.of(manifest, manifest.cases[0], is_pictured=True))
    assert {code for code, _ in subjects(report)} == {"UNREADABLE"}
    assert (report.shape, report.spacing_mm, report.orientation, report.pictures) == (None, None, None, ())


@pytest.mark.parametrize(
    ("scheme", "value", "is_named"),
    [("brats-2021", 4, False), ("brats-2023", 4, True), ("brats-2021", 3, True), ("brats-2024", 4, False)],
)
def test_labels_are_held_to_the_scheme_of_the_manifest(
    dataset: Dataset, textured: Case, scheme: str, value: int, *, is_named: bool
) -> None:
    root = dataset(one=None)
    voxels = np.zeros(textured.grid.shape, np.uint8)
    voxels[20:26, 20:26, 20:26] = value
    write_volume(root / "one" / "seg.nii.gz", textured.grid.with_voxels(voxels))
    codes = {code for code, _ in subjects(checked(root, scheme=scheme))}
    assert ("LABELS-OUTSIDE-SCHEME" in codes) is is_named
    assert "EMPTY-MASK" not in codes


def test_regions_of_a_custom_scheme_are_known_numbers(dataset: Dataset, textured: Case) -> None:
    pytest.importorskip("PIL")
    root = dataset(one=None)
    voxels = np.zeros(textured.grid.shape, np.uint8)
    voxels[20:26, 20:26, 20:26] = 5
    write_volume(root / "one" / "seg.nii.gz", textured.grid.with_voxels(voxels))
    manifest = index_dataset(root, scheme="brats-2023")
    custom = Manifest(
        layout="x", cases=manifest.cases, scheme="custom", labels={"whole": (5, 6), "core": (6,)}, root=root
    )
    report = check_entry(CaseTask.of(custom, custom.cases[0], is_pictured=True))
    assert "LABELS-OUTSIDE-SCHEME" not in {code for code, _ in subjects(report)}
    assert [region for region, _ in report.pictures[0].outlines] == ["WT"]


def test_mask_on_another_grid_is_a_finding(dataset: Dataset, textured: Case) -> None:
    root = dataset(one=None)
    labels = textured.grid.voxels[:-2] * 0
    labels[20:26, 20:26, 20:26] = 2
    write_volume(root / "one" / "seg.nii.gz", Volume(labels.astype(np.uint8), textured.grid.ras_from_voxel))
    report = checked(root)
    assert ("SHAPE-MISMATCH", "mask") in subjects(report)
    assert "LABELS-OUTSIDE-BRAIN" not in {code for code, _ in subjects(report)}


def test_ct_is_checked_for_what_is_no_matter_of_the_brain(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    rng = np.random.default_rng(0)
    voxels = rng.integers(-1000, 1000, (40, 40, 30)).astype(np.int16)
    voxels[:, :, 12] = voxels[:, :, 11]
    flat = np.zeros((40, 40, 30), np.int16)
    labels = np.zeros((40, 40, 30), np.uint8)
    labels[10:20, 10:20, 10:20] = 1
    affine = np.diag([4.0, 4, 4, 1])
    entries = {}
    for name, array in {"ct": voxels, "pet": flat, "mask": labels}.items():
        path = tmp_path / f"{name}.nii.gz"
        write_volume(path, Volume(array, affine))
        entries[name] = FileEntry(path=path.name, sha256="0" * 64, size_bytes=path.stat().st_size)
    mask = entries.pop("mask")
    case = CaseEntry(name="one", patient="one", images=entries, mask=mask)
    manifest = Manifest(layout="lits", cases=(case,), scheme="lits", root=tmp_path)
    report = check_entry(CaseTask.of(manifest, case, is_pictured=True))
    assert subjects(report) == {
        ("FILE-CHANGED", "ct"),
        ("FILE-CHANGED", "pet"),
        ("FILE-CHANGED", "mask"),
        ("DUPLICATED-SLICES", "ct"),
        ("THICK-SLICES", "ct"),
        ("THICK-SLICES", "pet"),
        ("CONSTANT-IMAGE", "pet"),
    }
    assert [picture.subject for picture in report.pictures] == ["ct"]
    assert set(report.fingerprints) == {"ct"}


def test_pet_may_be_on_another_grid_than_ct_and_a_part_of_a_body_may_be_short(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder).mkdir()
    ct = Volume(rng.integers(-1000, 1000, (60, 60, 18)).astype(np.int16), np.diag([3.0, 3, 3, 1]))
    write_volume(tmp_path / "imagesTr" / "CHUM-001__CT.nii.gz", ct)
    pet = Volume(rng.random((50, 50, 16), dtype=np.float32), np.diag([3.5, 3.5, 3.5, 1]))
    write_volume(tmp_path / "imagesTr" / "CHUM-001__PT.nii.gz", pet)
    labels = np.zeros((60, 60, 18), np.uint8)
    labels[20:30, 20:30, 5:10] = 1
    write_volume(tmp_path / "labelsTr" / "CHUM-001.nii.gz", ct.with_voxels(labels))
    assert checked(tmp_path, name="CHUM-001").flags == ()
    write_volume(tmp_path / "labelsTr" / "CHUM-001.nii.gz", pet.with_voxels(labels[:50, :50, :16]))
    assert subjects(checked(tmp_path, name="CHUM-001")) == {("SHAPE-MISMATCH", "mask")}


def test_errors_come_first(dataset: Dataset, textured: Case) -> None:
    root = dataset(one=None)
    (root / "one" / "t1ce.nii.gz").unlink()
    write_volume(root / "one" / "flair.nii.gz", textured.images[T2])
    severities = [flag.severity for flag in checked(root).flags]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


@pytest.mark.real_data
def test_real_patient_from_its_files_has_no_warning(real_patients: list[Path]) -> None:
    pytest.importorskip("PIL")
    folder = next(p for p in real_patients if p.name == "BraTS2021_00003")
    manifest = index_dataset(folder.parent)
    report = check_entry(CaseTask.of(manifest, manifest.case(folder.name), is_pictured=True))
    assert [flag for flag in report.flags if flag.severity is not Severity.INFO] == []
    assert [picture.subject for picture in report.pictures] == ["t1", "t1ce", "t2", "flair"]
    assert [region for region, _ in report.pictures[0].outlines] == ["WT", "TC", "ET"]
