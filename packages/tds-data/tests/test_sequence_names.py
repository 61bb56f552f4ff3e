from pathlib import Path

import pytest

from tds_data import AmbiguousSequence, Modality
from tds_data.sequence_names import alias, channel_of, is_reference, modality_of, names_sequence, phantom_of, study_of

T1, T1CE, T2, FLAIR = Modality


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("BraTS2021_00002_t1.nii.gz", T1),
        ("BraTS2021_00002_t1ce.nii.gz", T1CE),
        ("BraTS2021_00002_t2.nii.gz", T2),
        ("BraTS2021_00002_flair.nii.gz", FLAIR),
        ("BraTS-GLI-00005-000-t1n.nii.gz", T1),
        ("BraTS-GLI-00005-000-t1c.nii.gz", T1CE),
        ("BraTS-GLI-00005-000-t2w.nii.gz", T2),
        ("BraTS-GLI-00005-000-t2f.nii.gz", FLAIR),
        ("sub-01_ses-02_T1w.nii.gz", T1),
        ("sub-01_ce-gadolinium_T1w.nii.gz", T1CE),
        ("sub-01_ce-none_T1w.nii.gz", T1),
        ("sub-01_T2w.nii", T2),
        ("sub-01_FLAIR.nii", FLAIR),
        ("FLAIR.nii", FLAIR),
        ("T2-FLAIR.nii.gz", FLAIR),
        ("t2_flair.nii.gz", FLAIR),
        ("T1_Gd.nii.gz", T1CE),
        ("T1 MPRAGE post.nii.gz", T1CE),
        ("t1_pre_contrast.nii.gz", T1),
        ("post-op_t1.nii.gz", T1),
        ("scan.nii.gz", None),
        ("patient_0001.nii.gz", None),
        ("t1_brain_mask.nii.gz", None),
        ("BraTS2021_00002_seg.nii.gz", None),
    ],
)
def test_names_tell_the_sequence(name: str, modality: Modality | None) -> None:
    assert modality_of(Path(name)) is modality


def test_name_of_two_sequences_is_ambiguous() -> None:
    with pytest.raises(AmbiguousSequence, match="names flair and t1"):
        modality_of(Path("t1_to_flair.nii.gz"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x_seg.nii.gz", True),
        ("x-seg.nii.gz", True),
        ("sub-01_dseg.nii.gz", True),
        ("seg.nii", True),
        ("x_t1_seg.nii", False),
        ("mask.nii.gz", False),
        ("x_t1.nii", False),
        ("_.nii", False),
    ],
)
def test_only_expert_masks_are_references(name: str, *, expected: bool) -> None:
    assert is_reference(Path(name)) is expected


def test_files_of_a_study_share_the_rest_of_the_name() -> None:
    names = ("P1_t1.nii.gz", "P1_T1_Gd.nii.gz", "P1_t2-flair.nii", "P1_seg.nii.gz")
    assert {study_of(Path(name)) for name in names} == {"p1"}
    assert study_of(Path("p1_other.nii")) == "p1-other"


def test_channel_numbers_have_four_digits() -> None:
    assert channel_of(Path("BRATS_001_0003.nii.gz")) == ("BRATS_001", 3)
    assert channel_of(Path("BraTS2021_00002.nii.gz")) is None


def test_descriptions_have_aliases() -> None:
    assert [alias(word) for word in ("T1w", "t1gd", "T2-FLAIR", "CT")] == [T1, T1CE, FLAIR, None]


@pytest.mark.parametrize("name", ["x_t1.nrrd", "B_0003.mha", "t1_and_t2.nii"])
def test_sequence_or_channel_number_is_a_sequence(name: str) -> None:
    assert names_sequence(Path(name))


@pytest.mark.parametrize("name", ["Segmentation.seg.nrrd", "t1_mask.mha", "scan.nrrd"])
def test_masks_and_plain_names_are_no_sequence(name: str) -> None:
    assert not names_sequence(Path(name))


PHANTOMS = (
    "phantom-0007_t1.nii.gz",
    "phantom-0007_0000.nii.gz",
    "phantom-0007.nii.gz",
    "phantom-0007-t1n.nii.gz",
    "sub-phantom0007_T1w.nii.gz",
)
OTHERS = ("patient_t1.nii.gz", "phantom-007_t1.nii.gz", "aphantom-0007_t1.nii", "phantom-0007x.nii")


@pytest.mark.parametrize("name", PHANTOMS)
def test_phantoms_are_known_by_their_names_in_every_layout(name: str) -> None:
    assert phantom_of(Path(name)) == "phantom-0007"


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_are_no_phantoms(name: str) -> None:
    assert phantom_of(Path(name)) is None
