import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tds_data import (
    AmbiguousSequence,
    GridMismatch,
    Modality,
    SequenceNotFound,
    StudyError,
    StudyFiles,
    Volume,
    VolumeReadError,
    load_case,
    write_volume,
)
from tds_data.discover import discover
from tds_data.formats import write_image, write_images

T1, T1CE, T2, FLAIR = Modality
Touch = Callable[..., Path]


def names(files: StudyFiles) -> dict[Modality, str]:
    return {m: source.name for m, source in files.images.items() if isinstance(source, Path)}


def write_4d(path: Path, count: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    stack = np.stack([np.full((4, 5, 6), index, np.int16) for index in range(count)], axis=-1)
    nib.save(nib.Nifti1Image(stack, np.eye(4)), path)
    return path


def test_brats_folder(touch: Touch) -> None:
    folder = touch("p_t1.nii.gz", "p_t1ce.nii.gz", "p_t2.nii.gz", "p_flair.nii.gz", "p_seg.nii.gz", inside="p")
    files = discover(folder)
    assert names(files) == {T1: "p_t1.nii.gz", T1CE: "p_t1ce.nii.gz", T2: "p_t2.nii.gz", FLAIR: "p_flair.nii.gz"}
    assert files.reference == folder / "p_seg.nii.gz"
    assert (files.name, files.layout, files.notes) == ("p", "brats", ())
    assert list(files.images) == [T1, T1CE, T2, FLAIR]


def test_brats_2023_folder_with_two_sequences(touch: Touch) -> None:
    files = discover(touch("G-5-000-t2f.nii.gz", "G-5-000-t1c.nii.gz", "G-5-000-seg.nii.gz"))
    assert list(files.images) == [T1CE, FLAIR]
    assert files.reference is not None


def test_plain_names(touch: Touch) -> None:
    files = discover(touch("t1.nii.gz", "FLAIR.nii", "brain_mask.nii.gz", "atlas.nii", "x.nii", "y.nii"))
    assert names(files) == {T1: "t1.nii.gz", FLAIR: "FLAIR.nii"}
    assert files.layout == "named"
    assert files.notes == ("not used: atlas.nii, brain_mask.nii.gz, x.nii, ...",)


def test_bids_subject_with_and_without_session(touch: Touch) -> None:
    plain = touch("anat/sub-1_T1w.nii.gz", "anat/sub-1_ce-gadolinium_T1w.nii.gz", inside="sub-1")
    assert names(discover(plain)) == {T1: "sub-1_T1w.nii.gz", T1CE: "sub-1_ce-gadolinium_T1w.nii.gz"}
    assert discover(plain).layout == "bids"
    assert discover(plain / "anat").name == "sub-1"
    session = touch("ses-a/anat/sub-2_ses-a_FLAIR.nii.gz", inside="sub-2")
    assert discover(session).name == "sub-2_ses-a"
    assert discover(session).notes == ("taken from the subfolder ses-a",)


def test_several_bids_sessions_are_refused(touch: Touch) -> None:
    folder = touch("ses-a/anat/s_T1w.nii.gz", "ses-b/anat/s_T1w.nii.gz")
    with pytest.raises(StudyError, match="holds 2 studies; use one of its subfolders, such as ses-a, ses-b"):
        discover(folder)


def test_folder_of_patients_is_refused_naming_three(touch: Touch) -> None:
    folder = touch(*[f"p{n}/t1.nii.gz" for n in range(5)], ".hidden/t1.nii.gz")
    with pytest.raises(StudyError, match=r"holds 5 studies; use one of its subfolders, such as p0, p1, p2$"):
        discover(folder)


def test_patients_side_by_side_are_refused(touch: Touch) -> None:
    folder = touch("a_t1.nii.gz", "a_t2.nii.gz", "b_t1.nii.gz", "b_t2.nii.gz")
    with pytest.raises(StudyError, match=r"files of 2 studies \(a, b\)"):
        discover(folder)


@pytest.mark.parametrize("pair", [("a_t1.nii.gz", "b_t1.nii.gz"), ("t1.nii", "t1.nii.gz"), ("t1n.nii", "T1w.nii")])
def test_two_candidates_are_ambiguous(touch: Touch, pair: tuple[str, str]) -> None:
    with pytest.raises(AmbiguousSequence) as caught:
        discover(touch(*pair, "flair.nii"))
    assert all(repr(name) in str(caught.value) for name in pair)


def test_two_reference_masks_are_ambiguous(touch: Touch) -> None:
    with pytest.raises(AmbiguousSequence, match="reference mask"):
        discover(touch("t1.nii", "a_seg.nii", "b_seg.nii"))


def test_names_without_sequence_are_listed(touch: Touch) -> None:
    with pytest.raises(SequenceNotFound, match=r"looked at a\.nii, b\.nii\)"):
        discover(touch("a.nii", "b.nii"))
    with pytest.raises(SequenceNotFound, match=r"f\.nii, \.\.\.\)"):
        discover(touch(*[f"{letter}.nii" for letter in "abcdefgh"], inside="many"))


def test_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(SequenceNotFound, match=r"no \.nii or \.nii\.gz file"):
        discover(tmp_path)


def test_absent_path_and_other_files(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no file or folder"):
        discover(tmp_path / "absent")
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(StudyError, match=r"not named \.nii"):
        discover(tmp_path / "x.txt")


def test_single_file(touch: Touch) -> None:
    folder = touch("x_flair.nii.gz", "scan.nii.gz", inside="single")
    assert discover(folder / "x_flair.nii.gz").images == {FLAIR: folder / "x_flair.nii.gz"}
    assert discover(folder / "scan.nii.gz", assume=T2).images == {T2: folder / "scan.nii.gz"}
    with pytest.raises(SequenceNotFound, match="which sequence to assume"):
        discover(folder / "scan.nii.gz")
    with pytest.raises(StudyError, match="is a folder"):
        discover(folder, assume=T2)


def test_folder_of_one_unnamed_file(touch: Touch) -> None:
    with pytest.raises(SequenceNotFound, match="does not say which sequence"):
        discover(touch("scan.nii.gz"))


def test_linked_file_keeps_its_own_name(touch: Touch, tmp_path: Path) -> None:
    folder = touch("object.nii")
    (tmp_path / "t1.nii").symlink_to(folder / "object.nii")
    assert list(discover(tmp_path / "t1.nii").images) == [T1]


CHANNELS = ("B_001_0000.nii.gz", "B_001_0001.nii.gz", "B_001_0002.nii.gz", "B_001_0003.nii.gz")


def test_decathlon_channels_are_in_task01_order_with_a_note(touch: Touch) -> None:
    files = discover(touch(*CHANNELS))
    assert names(files) == dict(zip((FLAIR, T1, T1CE, T2), CHANNELS, strict=True))
    assert files.layout == "decathlon"
    assert "order assumed" in files.notes[0]


def test_mask_beside_channels_is_the_reference(touch: Touch) -> None:
    folder = touch(*CHANNELS, "B_001_seg.nii.gz")
    files = discover(folder)
    assert files.reference == folder / "B_001_seg.nii.gz"
    assert len(files.images) == 4
    with pytest.raises(AmbiguousSequence, match="reference mask"):
        discover(touch(*CHANNELS, "B_001_seg.nii.gz", "other_seg.nii.gz", inside="two"))


@pytest.mark.parametrize("key", ["modality", "channel_names"])
def test_dataset_json_gives_the_channel_order(touch: Touch, key: str) -> None:
    folder = touch("imagesTr/B_001_0000.nii.gz", "imagesTr/B_001_0001.nii.gz")
    (folder / "dataset.json").write_text(json.dumps({key: {"1": "t1Gd", "0": "T2w"}}))
    files = discover(folder / "imagesTr")
    assert names(files) == {T1CE: "B_001_0001.nii.gz", T2: "B_001_0000.nii.gz"}
    assert files.notes == ()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"modality": {"a": "T1"}}', '{"modality": 3}'])
def test_dataset_json_without_order_is_refused(touch: Touch, text: str) -> None:
    folder = touch(*CHANNELS)
    (folder / "dataset.json").write_text(text)
    with pytest.raises(StudyError, match="no channel order"):
        discover(folder)


@pytest.mark.parametrize("channels", [{"0": "CT", "1": "T1"}, {"0": "T1", "1": "T1w"}])
def test_dataset_json_of_other_channels_is_refused(touch: Touch, channels: dict[str, str]) -> None:
    folder = touch(*CHANNELS)
    (folder / "dataset.json").write_text(json.dumps({"channel_names": channels}))
    with pytest.raises(StudyError, match="must be a different one"):
        discover(folder)


def test_channels_of_several_patients_need_one_of_the_files(touch: Touch) -> None:
    folder = touch(*CHANNELS[:2], "B_002_0000.nii.gz", "B_002_0001.nii.gz")
    with pytest.raises(StudyError, match="give one of its files instead, such as B_001_0000, B_002_0000"):
        discover(folder)
    files = discover(folder / "B_002_0001.nii.gz")
    assert files.name == "B_002"
    assert list(files.images) == [T1, FLAIR]


def test_numbered_patients_are_no_channels(touch: Touch) -> None:
    folder = touch("patient_0001.nii.gz", "patient_0002.nii.gz")
    with pytest.raises(SequenceNotFound):
        discover(folder)
    with pytest.raises(SequenceNotFound):
        discover(folder / "patient_0001.nii.gz")


def test_fifth_channel_and_doubled_channel_are_refused(touch: Touch) -> None:
    with pytest.raises(StudyError, match="only 4 are known"):
        discover(touch(*CHANNELS, "B_001_0004.nii.gz"))
    with pytest.raises(AmbiguousSequence, match="flair"):
        discover(touch(*CHANNELS, "B_001_0000.nii", inside="doubled"))


def test_four_dimensional_file_holds_task01_channels(tmp_path: Path) -> None:
    path = write_4d(tmp_path / "one" / "B_007_0000.nii.gz", 4)
    files = discover(path)
    assert (files.name, files.layout) == ("B_007", "decathlon-4d")
    assert files.images == {FLAIR: (path, 0), T1: (path, 1), T1CE: (path, 2), T2: (path, 3)}
    case = load_case(discover(path.parent))
    assert [int(v.voxels[0, 0, 0]) for v in case.images.values()] == [1, 2, 3, 0]


def test_reference_beside_a_four_dimensional_file_is_found(tmp_path: Path) -> None:
    write_4d(tmp_path / "B.nii.gz", 4)
    write_volume(tmp_path / "B_seg.nii.gz", Volume(np.full((4, 5, 6), 4, np.uint8), np.eye(4)))
    reference = load_case(discover(tmp_path)).reference
    assert reference is not None
    assert reference.voxels.max() == 3


@pytest.mark.parametrize("count", [2, 5])
def test_wrong_number_of_volumes_is_explained(tmp_path: Path, count: int) -> None:
    with pytest.raises(StudyError, match="should hold flair, t1, t1ce, t2"):
        discover(write_4d(tmp_path / "x.nii.gz", count))


def test_four_dimensional_file_is_no_single_sequence(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="should hold t1; split it"):
        discover(write_4d(tmp_path / "x.nii.gz", 4), assume=T1)


def test_unreadable_files_are_refused_when_loaded(touch: Touch) -> None:
    folder = touch("t1.nii.gz", "t2.nii.gz")
    (folder / "t2.nii.gz").write_text("text")
    with pytest.raises(VolumeReadError, match=r"t2\.nii\.gz"):
        load_case(discover(folder))


def test_grids_that_disagree_are_refused(touch: Touch) -> None:
    folder = touch("t1.nii.gz")
    write_volume(folder / "t2.nii.gz", Volume(np.zeros((2, 2, 2), np.uint8), np.eye(4)))
    with pytest.raises(GridMismatch, match=r"t1 .* and t2"):
        load_case(discover(folder))


@pytest.mark.real_data
def test_every_real_patient_is_found_whole(real_patients: list[Path]) -> None:
    for folder in real_patients:
        files = discover(folder)
        assert list(files.images) == [T1, T1CE, T2, FLAIR]
        assert files.reference is not None
    case = load_case(discover(real_patients[0]))
    assert case.grid.shape == (240, 240, 155)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_other_formats_named_by_sequence_make_a_study(tmp_path: Path, suffix: str) -> None:
    place = np.diag([-1.0, -1.0, 1.5, 1.0])
    for number, name in enumerate(("p_t1", "p_t1ce", "p_t2", "p_flair", "p_seg")):
        write_image(tmp_path / f"{name}{suffix}", Volume(np.full((4, 5, 6), number, np.int16), place))
    files = discover(tmp_path)
    assert (files.layout, list(files.images)) == ("brats", [T1, T1CE, T2, FLAIR])
    case = load_case(files)
    assert [int(v.voxels[0, 0, 0]) for v in case.images.values()] == [0, 1, 2, 3]
    assert case.reference is not None
    assert np.array_equal(case.grid.ras_from_voxel, place)


def test_detached_headers_make_a_study(tmp_path: Path) -> None:
    header = (
        "ObjectType = Image\nNDims = 3\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nDimSize = 2 2 2\n"
        "ElementType = MET_UCHAR\nElementDataFile = {}.raw\n"
    )
    for name in ("t1", "t2"):
        (tmp_path / f"{name}.mhd").write_text(header.format(name))
        (tmp_path / f"{name}.raw").write_bytes(bytes(range(8)))
    assert load_case(discover(tmp_path)).modalities == (T1, T2)


def test_one_sequence_in_two_formats_is_ambiguous(tmp_path: Path) -> None:
    for name in ("t1.nii.gz", "t1.nrrd"):
        write_image(tmp_path / name, Volume(np.zeros((2, 2, 2), np.uint8), np.eye(4)))
    with pytest.raises(AmbiguousSequence, match="both look like t1"):
        discover(tmp_path)


def test_archives_count_only_when_given_by_themselves(tmp_path: Path) -> None:
    write_image(tmp_path / "x_t1.npz", Volume(np.zeros((2, 2, 2), np.uint8), np.eye(4)))
    assert discover(tmp_path / "x_t1.npz").images == {T1: tmp_path / "x_t1.npz"}
    with pytest.raises(SequenceNotFound, match="nor NRRD or MetaImage"):
        discover(tmp_path)


@pytest.mark.parametrize("name", ["B_007.nrrd", "B_007.mha", "B_007.npz"])
def test_four_dimensional_file_of_any_format_holds_task01_channels(tmp_path: Path, name: str) -> None:
    write_images(tmp_path / name, [Volume(np.full((4, 5, 6), n, np.uint8), np.eye(4)) for n in range(4)])
    case = load_case(discover(tmp_path / name))
    assert [int(v.voxels[0, 0, 0]) for v in case.images.values()] == [1, 2, 3, 0]
