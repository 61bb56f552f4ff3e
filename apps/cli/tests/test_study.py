from pathlib import Path

import pytest

from tds_cli.errors import UsageFault
from tds_cli.study import StudyRequest, check_request, holds_images, read_study
from tds_data import MODALITIES, Case, Modality, write_volume
from tds_data.formats import write_image


def test_nifti_is_found_a_few_folders_down(tmp_path: Path) -> None:
    anatomy = tmp_path / "subject" / "ses-1" / "anat"
    anatomy.mkdir(parents=True)
    assert not holds_images(tmp_path / "subject")
    (anatomy / "sub-1_T1w.nii.gz").touch()
    assert holds_images(tmp_path / "subject")
    assert holds_images(anatomy / "sub-1_T1w.nii.gz")
    assert not holds_images(tmp_path / "scan.dcm")


def test_nifti_far_down_does_not_make_a_folder_of_dicom_nifti(tmp_path: Path) -> None:
    deep = tmp_path / "1" / "2" / "3" / "4" / "5"
    deep.mkdir(parents=True)
    (deep / "t1.nii").touch()
    assert not holds_images(tmp_path)


def test_folder_is_read_with_its_own_mask(phantom_folder: Path) -> None:
    study = read_study(StudyRequest(path=phantom_folder))
    assert study.case.modalities == MODALITIES
    assert study.case.reference is not None
    assert study.phantom
    assert study.notes == ()


def test_other_reference_takes_the_place_of_the_one_in_the_folder(study: Path, phantom: Case, tmp_path: Path) -> None:
    (study / "phantom-0007_seg.nii.gz").write_text("damaged", encoding="utf-8")
    assert phantom.reference is not None
    write_volume(tmp_path / "mine.nii.gz", phantom.reference)
    read = read_study(StudyRequest(path=study, reference=tmp_path / "mine.nii.gz"))
    assert read.case.reference is not None
    assert (read.case.reference.voxels == phantom.reference.voxels).all()


def test_what_had_to_be_assumed_is_kept_as_a_note(study: Path) -> None:
    notes = read_study(StudyRequest(path=study.parent)).notes
    assert [(note.code, note.message) for note in notes] == [("ASSUMED", "taken from the subfolder patient")]


def test_patient_is_no_phantom(study: Path) -> None:
    for path in study.iterdir():
        path.rename(path.with_name(path.name.replace("phantom-0007", "patient-0007")))
    assert not read_study(StudyRequest(path=study)).phantom


def test_request_for_a_folder_cannot_name_one_sequence(study: Path) -> None:
    with pytest.raises(UsageFault, match="--modality"):
        check_request(StudyRequest(path=study, modality=Modality.T1))


def test_sound_request_passes(study: Path) -> None:
    check_request(StudyRequest(path=study, reference=study / "phantom-0007_seg.nii.gz"))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_folder_of_another_format_is_the_same_study(phantom: Case, tmp_path: Path, suffix: str) -> None:
    for modality, volume in phantom.images.items():
        write_image(tmp_path / f"phantom-0007_{modality}{suffix}", volume)
    study = read_study(StudyRequest(path=tmp_path))
    assert study.phantom
    assert all((study.case.images[m].voxels == v.voxels).all() for m, v in phantom.images.items())


def test_segmentation_beside_dicom_does_not_make_a_folder_of_images(tmp_path: Path) -> None:
    for name in ("Segmentation.seg.nrrd", "snapshot.mha", "t1.npz"):
        (tmp_path / name).touch()
    assert not holds_images(tmp_path)
    (tmp_path / "t1.nrrd").touch()
    assert holds_images(tmp_path)
    assert holds_images(tmp_path / "t1.npz")
