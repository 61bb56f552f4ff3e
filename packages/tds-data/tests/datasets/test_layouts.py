"""Each layout is read to the cases that are in it."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tds_data.datasets import index_dataset, load_entry
from tds_data.datasets._tree import Tree
from tds_data.errors import DatasetError, LabelError, LayoutNotRecognised


def test_decathlon_is_read_in_its_own_channel_and_label_order(make: SimpleNamespace, tmp_path: Path) -> None:
    found = index_dataset(make.decathlon(tmp_path))
    assert (found.layout, found.scheme, found.licence) == ("decathlon", "decathlon-brain", "CC-BY-SA 4.0")
    assert [case.name for case in found.cases] == ["BRATS_001", "BRATS_002", "BRATS_900"]
    case = found.cases[0]
    assert {key: file.index for key, file in case.images.items()} == {"flair": 0, "t1": 1, "t1ce": 2, "t2": 3}
    assert found.case("BRATS_900").mask is None
    assert found.case("BRATS_900").attributes == {"split": "test"}
    assert found.attributes["name"] == "BRATS"
    assert json.loads(found.attributes["channels"])["t1ce"] == "t1gd"


def test_decathlon_case_is_loaded_with_labels_of_brats_2023(make: SimpleNamespace, tmp_path: Path) -> None:
    found = index_dataset(make.decathlon(tmp_path))
    case = load_entry(found, found.cases[0])
    stacked = make.voxels(0, (*make.SHAPE, 4))
    np.testing.assert_array_equal(case.images["t1"].voxels, stacked[..., 1])
    np.testing.assert_array_equal(case.images["flair"].voxels, stacked[..., 0])
    own = make.mask((1, 2, 3), 0)
    np.testing.assert_array_equal(case.reference.voxels, np.array([0, 2, 1, 3], np.uint8)[own])


def test_decathlon_of_one_channel_is_read_as_whole_files(make: SimpleNamespace, tmp_path: Path) -> None:
    make.save(tmp_path / "imagesTr" / "spleen_1.nii.gz", make.voxels(1))
    make.save(tmp_path / "labelsTr" / "spleen_1.nii.gz", make.mask((1,)))
    training = [{"image": "./imagesTr/spleen_1.nii.gz", "label": "./labelsTr/spleen_1.nii.gz"}]
    document = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "spleen"}, "training": training, "test": []}
    make.write_json(tmp_path / "dataset.json", document)
    found = index_dataset(tmp_path)
    assert found.scheme == "custom"
    assert dict(found.labels) == {"spleen": (1,)}
    assert found.cases[0].images["ct"].index is None


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"image": "./imagesTr/absent.nii.gz", "label": "./labelsTr/BRATS_001.nii.gz"}, "is not there"),
        ({"image": "../../etc/passwd", "label": "x"}, "cannot be taken"),
        ({"image": "/etc/passwd", "label": "x"}, "cannot be taken"),
        ({"image": 3}, "names no image"),
        ({"image": "./imagesTr/flat.nii.gz"}, "names 4 channels"),
        ({"image": "./imagesTr/broken.nii.gz"}, "cannot read"),
    ],
)
def test_decathlon_entry_that_cannot_be_taken_hides_no_other(
    entry: dict[str, object], told: str, make: SimpleNamespace, tmp_path: Path
) -> None:
    make.decathlon(tmp_path)
    make.save(tmp_path / "imagesTr" / "flat.nii.gz", make.voxels(1))
    (tmp_path / "imagesTr" / "broken.nii.gz").write_bytes(b"no image at all")
    document = json.loads((tmp_path / "dataset.json").read_text(encoding="utf-8"))
    document["training"].append(entry)
    make.write_json(tmp_path / "dataset.json", document)
    found = index_dataset(tmp_path)
    assert len(found.cases) == 3
    assert any(told in problem for problem in found.problems)


@pytest.mark.parametrize(
    "changes",
    [
        {"modality": None},
        {"modality": {"0": "FLAIR", "1": "FLAIR", "2": "t1gd", "3": "T2w"}},
        {"modality": {"1": "FLAIR", "2": "T1w", "3": "t1gd", "4": "T2w"}},
        {"modality": {"a": "FLAIR"}},
        {"modality": {}},
        {"labels": None},
        {"labels": {"0": "background", "x": "tumour"}},
        {"labels": {"background": 0, "a": 1, "b": 1}},
        {"labels": {"background": 0, "a": []}},
    ],
)
def test_decathlon_with_a_faulty_description_is_refused(
    changes: dict[str, object], make: SimpleNamespace, tmp_path: Path
) -> None:
    make.decathlon(tmp_path, **changes)
    with pytest.raises(DatasetError, match=r"dataset\.json"):
        index_dataset(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_description_that_is_no_json_object_is_refused(text: str, make: SimpleNamespace, tmp_path: Path) -> None:
    make.decathlon(tmp_path)
    (tmp_path / "dataset.json").write_text(text, encoding="utf-8")
    for layout in ("decathlon", "nnunet", None):
        with pytest.raises(DatasetError, match=r"'dataset\.json'"):
            index_dataset(tmp_path, layout=layout)


def test_decathlon_whose_lists_are_no_lists_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    make.decathlon(tmp_path, training={"a": 1})
    with pytest.raises(DatasetError, match="'training' is no list"):
        index_dataset(tmp_path)


def test_nnunet_is_read_with_its_channels(make: SimpleNamespace, tmp_path: Path) -> None:
    make.nnunet(tmp_path, licence="CC0")
    for number in range(4):
        make.save(tmp_path / "imagesTs" / f"x_{number:04d}.nii.gz", make.voxels(60 + number))
    make.save(tmp_path / "labelsTs" / "x.nii.gz", make.mask((1,)))
    found = index_dataset(tmp_path)
    assert (found.layout, found.scheme, found.licence) == ("nnunet", "brats-2023", "CC0")
    assert list(found.cases[0].images) == ["t1", "t1ce", "t2", "flair"]
    assert found.case("x").attributes == {"split": "test"}
    assert found.case("x").mask is not None
    assert found.problems == ()


def test_nnunet_regions_tell_the_tissues(make: SimpleNamespace, tmp_path: Path) -> None:
    labels = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": 3}
    found = index_dataset(make.nnunet(tmp_path, labels=labels, regions_class_order=[1, 2, 3]))
    assert found.scheme == "decathlon-brain"
    assert dict(found.labels) == {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": (3,)}
    assert found.attributes["regions_class_order"] == "[1, 2, 3]"
    assert load_entry(found, found.cases[0]).reference is not None


def test_nnunet_of_another_file_type_is_read(make: SimpleNamespace, tmp_path: Path) -> None:
    from tds_data.formats import write_image  # noqa: PLC0415  # one test of many
    from tds_data.volume import Volume  # noqa: PLC0415  # as above

    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "labelsTr").mkdir()
    write_image(tmp_path / "imagesTr" / "a_0000.nrrd", Volume(make.voxels(1), make.AFFINE))
    write_image(tmp_path / "labelsTr" / "a.nrrd", Volume(make.mask((1, 2, 3)), make.AFFINE))
    labels = {"background": 0, "NCR": 1, "ED": 2, "ET": 3}
    document = {"channel_names": {"0": "FLAIR"}, "labels": labels, "numTraining": 1, "file_ending": ".nrrd"}
    make.write_json(tmp_path / "dataset.json", document)
    found = index_dataset(tmp_path)
    np.testing.assert_array_equal(load_entry(found, found.cases[0]).images["flair"].voxels, make.voxels(1))


def test_nnunet_version_1_is_read(make: SimpleNamespace, tmp_path: Path) -> None:
    make.nnunet(tmp_path)
    document = json.loads((tmp_path / "dataset.json").read_text(encoding="utf-8"))
    document["modality"] = document.pop("channel_names")
    document["labels"] = {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumor"}
    document["training"] = [{"image": "./imagesTr/a_001.nii.gz", "label": "./labelsTr/a_001.nii.gz"}]
    del document["file_ending"]
    make.write_json(tmp_path / "dataset.json", document)
    found = index_dataset(tmp_path)
    assert (found.layout, found.scheme, len(found.cases)) == ("nnunet", "decathlon-brain", 2)


def test_nnunet_files_that_fit_nowhere_are_told(make: SimpleNamespace, tmp_path: Path) -> None:
    make.nnunet(tmp_path)
    make.save(tmp_path / "imagesTr" / "a_001.nii.gz", make.voxels(1))
    make.save(tmp_path / "imagesTr" / "a_001_0004.nii.gz", make.voxels(2))
    make.save(tmp_path / "labelsTr" / "lonely.nii.gz", make.mask((1,)))
    (tmp_path / "imagesTr" / "a_002_0003.nii.gz").unlink()
    (tmp_path / "labelsTr" / "a_002.nii.gz").unlink()
    found = index_dataset(tmp_path)
    assert any("does not end in a channel" in problem for problem in found.problems)
    assert any("names only 4 channels" in problem for problem in found.problems)
    assert any("no image for this mask" in problem for problem in found.problems)
    assert found.case("a_002").notes == ("missing: flair",)
    assert found.case("a_002").mask is None


def test_nnunet_that_lists_its_files_is_read(make: SimpleNamespace, tmp_path: Path) -> None:
    make.save(tmp_path / "elsewhere" / "a.nii.gz", make.voxels(1))
    make.save(tmp_path / "elsewhere" / "a-seg.nii.gz", make.mask((1, 2, 3)))
    good = {"images": ["./elsewhere/a.nii.gz"], "label": "elsewhere/a-seg.nii.gz"}
    listed = {
        "a": good,
        "b": {"images": ["../outside.nii.gz"]},
        "c": {"images": ["elsewhere/absent.nii.gz"]},
        "d": {"images": ["elsewhere/a.nii.gz", "elsewhere/a.nii.gz"]},
        "e": 3,
        "f": {},
    }
    labels = {"background": 0, "NCR": 1, "ED": 2, "ET": 3}
    document = {"channel_names": {"0": "FLAIR"}, "labels": labels, "file_ending": 3, "dataset": listed}
    make.write_json(tmp_path / "dataset.json", document)
    found = index_dataset(tmp_path)
    assert [case.name for case in found.cases] == ["a"]
    assert len(found.problems) == 5


def test_bids_is_read_with_its_tables(make: SimpleNamespace, tmp_path: Path) -> None:
    found = index_dataset(make.bids(tmp_path))
    assert (found.layout, found.scheme, found.licence) == ("bids", "brats-2023", "CC0")
    assert [case.name for case in found.cases] == ["sub-01_ses-1", "sub-01_ses-2", "sub-02"]
    first, second, other = found.cases
    assert first.patient == second.patient == "sub-01"
    assert first.attributes == {"session": "1", "age": "61", "sex": "F", "treatment": "none"}
    assert other.attributes == {"sex": "M"}
    assert list(other.images) == ["t1", "t1ce", "t2", "flair"]
    assert other.images["t1ce"].path == "sub-02/anat/sub-02_ce-gadolinium_T1w.nii.gz"
    assert load_entry(found, other).reference is not None


def test_bids_cases_with_doubtful_files_are_told_and_others_stay(make: SimpleNamespace, tmp_path: Path) -> None:
    make.bids(tmp_path)
    make.save(tmp_path / "sub-02/anat/sub-02_run-2_T2w.nii.gz", make.voxels(1))
    other = tmp_path / "derivatives/other/sub-01/ses-1/anat"
    make.save(other / "sub-01_ses-1_dseg.nii.gz", make.mask((1,)))
    make.save(tmp_path / "sub-03/anat/sub-03_T1w_FLAIR.nii.gz", make.voxels(1))
    (tmp_path / "sub-02/anat/sub-02_T1w.json").write_text("{}", encoding="utf-8")
    make.save(tmp_path / "sub-01/ses-2/anat/sub-01_ses-2_angio.nii.gz", make.voxels(1))
    found = index_dataset(tmp_path)
    assert [case.name for case in found.cases] == ["sub-01_ses-2"]
    assert any("are the same sequence" in problem for problem in found.problems)
    assert any("are both masks" in problem for problem in found.problems)
    assert any(problem.startswith("sub-03") for problem in found.problems)


def test_bids_tables_of_labels_that_contradict_each_other_are_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    make.bids(tmp_path)
    (tmp_path / "derivatives/experts/sub-01").joinpath("sub-01_dseg.tsv").write_text(
        "index\tname\n1\tedema\n", encoding="utf-8"
    )
    with pytest.raises(DatasetError, match="contradict each other"):
        index_dataset(tmp_path)


def test_bids_table_of_labels_without_its_columns_is_told(make: SimpleNamespace, tmp_path: Path) -> None:
    make.bids(tmp_path)
    (tmp_path / "derivatives/experts/dseg.tsv").write_text("number\tname\n1\tedema\n", encoding="utf-8")
    found = index_dataset(tmp_path)
    assert any("needs the columns index and name" in problem for problem in found.problems)
    assert found.scheme == "brats-2023"


def test_bids_with_a_broken_description_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    make.bids(tmp_path)
    (tmp_path / "dataset_description.json").write_text("{", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"dataset_description\.json"):
        index_dataset(tmp_path)


def test_bids_without_description_and_tables_is_read(make: SimpleNamespace, tmp_path: Path) -> None:
    make.save(tmp_path / "sub-01/anat/sub-01_FLAIR.nii.gz", make.voxels(1))
    found = index_dataset(tmp_path)
    assert (found.layout, found.scheme, found.cases[0].name) == ("bids", "none", "sub-01")
    assert found.cases[0].notes == ("missing: t1, t1ce, t2",)


def test_hecktor_is_read_with_its_clinical_table(make: SimpleNamespace, tmp_path: Path) -> None:
    found = index_dataset(make.hecktor(tmp_path))
    assert (found.layout, found.scheme) == ("hecktor", "hecktor")
    assert [case.name for case in found.cases] == ["CHUM-001", "MDA-002", "USZ-003"]
    assert list(found.cases[0].images) == ["ct", "pet"]
    assert found.cases[0].attributes == {"age": "55", "gender": "M"}
    assert found.cases[1].attributes == {"gender": "F"}
    assert found.cases[2].attributes == {"split": "test"}
    assert found.cases[2].mask is None
    with pytest.raises(DatasetError, match="do not load it as a brain"):
        load_entry(found, found.cases[0])


def test_hecktor_in_one_folder_for_each_case_is_read(make: SimpleNamespace, tmp_path: Path) -> None:
    make.save(tmp_path / "Task 1/CHUM-001/CHUM-001__CT.nii.gz", make.voxels(1))
    make.save(tmp_path / "Task 1/CHUM-001/CHUM-001__PT.nii.gz", make.voxels(2))
    make.save(tmp_path / "Task 1/CHUM-001/CHUM-001.nii.gz", make.mask((1, 2)))
    make.save(tmp_path / "Task 1/CHUM-001/CHUM-001__RTDOSE.nii.gz", make.voxels(3))
    found = index_dataset(tmp_path)
    assert found.cases[0].mask is not None
    assert found.problems == ()


def test_hecktor_lists_each_folder_as_often_for_many_cases_as_for_few(
    make: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.hecktor(tmp_path)
    looked: list[str] = []
    images = Tree.images
    monkeypatch.setattr(Tree, "images", lambda tree, folder: looked.append(folder) or images(tree, folder))
    index_dataset(tmp_path)
    few = len(looked)
    for number in range(10, 20):
        (tmp_path / "imagesTs" / f"USZ-{number:03d}__CT.nii.gz").write_bytes(b"x")
    looked.clear()
    assert len(index_dataset(tmp_path).cases) == 13
    assert len(looked) == few


def test_hecktor_files_twice_are_told(make: SimpleNamespace, tmp_path: Path) -> None:
    make.hecktor(tmp_path)
    make.save(tmp_path / "imagesTr" / "CHUM-001__CT.nii", make.voxels(9))
    make.save(tmp_path / "labelsTr" / "MDA_002.nii.gz", make.mask((1,)))
    found = index_dataset(tmp_path)
    assert any("two files for CT" in problem for problem in found.problems)
    assert any("are both masks" in problem for problem in found.problems)
    assert "MDA-002" not in [case.name for case in found.cases]


def test_lits_is_read_with_masks_by_number(make: SimpleNamespace, tmp_path: Path) -> None:
    found = index_dataset(make.lits(tmp_path))
    assert (found.layout, found.scheme) == ("lits", "lits")
    assert [case.name for case in found.cases] == ["test-volume-0", "volume-0", "volume-10"]
    masks = [None if case.mask is None else case.mask.path for case in found.cases]
    assert masks == [None, "batch 1/segmentation-0.nii", "batch 1/segmentation-10.nii"]
    assert found.cases[0].attributes == {"split": "test"}


def test_lits_numbers_twice_and_masks_alone_are_told(make: SimpleNamespace, tmp_path: Path) -> None:
    make.lits(tmp_path)
    make.save(tmp_path / "batch 2" / "volume-0.nii", make.voxels(5))
    make.save(tmp_path / "batch 2" / "segmentation-99.nii", make.mask((1,)))
    found = index_dataset(tmp_path)
    assert any("has the same number" in problem for problem in found.problems)
    assert any("no image for this mask" in problem for problem in found.problems)


def test_plain_folders_with_spaces_and_umlauts_are_read(make: SimpleNamespace, tmp_path: Path) -> None:
    found = index_dataset(make.folders(tmp_path))
    assert (found.layout, found.scheme) == ("folders", "brats-2023")
    assert [case.name for case in found.cases] == ["Zürich_zweite", "first visit"]
    assert list(found.cases[0].images) == ["t1", "t1ce", "t2", "flair"]
    assert load_entry(found, found.cases[0]).reference is not None


def test_one_folder_of_images_is_one_case(make: SimpleNamespace, tmp_path: Path) -> None:
    folder = tmp_path / "somebody"
    make.save(folder / "t1.nii.gz", make.voxels(1))
    make.save(folder / "adc.nii.gz", make.voxels(2))
    found = index_dataset(folder)
    assert [case.name for case in found.cases] == ["somebody"]
    assert found.cases[0].notes == ("not used: adc.nii.gz", "missing: t1ce, t2, flair")


def test_folder_in_which_every_name_is_doubtful_is_told(make: SimpleNamespace, tmp_path: Path) -> None:
    make.save(tmp_path / "unclear" / "t1_flair.nii.gz", make.voxels(1))
    with pytest.raises(DatasetError, match="names flair and t1"):
        index_dataset(tmp_path)


def test_licence_of_brats_is_read_from_its_file(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, ["BraTS2021_00001"])
    (tmp_path / "LICENCE.txt").write_text("CC BY 4.0\n", encoding="utf-8")
    assert index_dataset(tmp_path).licence == "CC BY 4.0"
    (tmp_path / "LICENCE.txt").write_bytes(b"\xff\xfe")
    assert index_dataset(tmp_path).licence is None


def test_plain_folders_with_doubtful_files_are_told_and_others_stay(make: SimpleNamespace, tmp_path: Path) -> None:
    make.folders(tmp_path)
    make.save(tmp_path / "twice" / "t1.nii.gz", make.voxels(1))
    make.save(tmp_path / "twice" / "t1n.nii.gz", make.voxels(2))
    make.save(tmp_path / "two masks" / "t1.nii.gz", make.voxels(1))
    make.save(tmp_path / "two masks" / "seg.nii.gz", make.mask((1,)))
    make.save(tmp_path / "two masks" / "gt.nii.gz", make.mask((1,)))
    make.save(tmp_path / "unclear" / "t1_flair.nii.gz", make.voxels(1))
    make.save(tmp_path / "only a mask" / "seg.nii.gz", make.mask((1,)))
    found = index_dataset(tmp_path)
    assert len(found.cases) == 2
    assert [problem.partition(":")[0] for problem in found.problems] == ["twice", "two masks", "unclear"]


def test_brats_of_2021_is_read(make: SimpleNamespace, tmp_path: Path) -> None:
    found = index_dataset(make.brats(tmp_path, ["BraTS2021_00002", "BraTS2021_00003"]))
    assert (found.layout, found.scheme) == ("brats", "brats-2021")
    assert [case.patient for case in found.cases] == ["BraTS2021_00002", "BraTS2021_00003"]
    reference = load_entry(found, found.cases[0]).reference
    assert sorted(np.unique(reference.voxels)) == [0, 1, 2, 3]


def test_brats_grades_are_kept_from_the_folders(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, ["HGG/Brats18_CBICA_AAB_1", "LGG/Brats18_TCIA01_131_1"])
    found = index_dataset(tmp_path)
    assert [case.attributes["grade"] for case in found.cases] == ["HGG", "LGG"]
    assert found.scheme == "brats-2021"


def test_brats_time_points_share_their_patient(make: SimpleNamespace, tmp_path: Path) -> None:
    names = ["BraTS-GLI-00005-100", "BraTS-GLI-00005-101", "BraTS-GLI-00008-100"]
    found = index_dataset(make.brats(tmp_path, names, (1, 2, 3, 4), ends=make.NEW))
    assert found.scheme == "brats-2024"
    assert [case.patient for case in found.cases] == ["BraTS-GLI-00005", "BraTS-GLI-00005", "BraTS-GLI-00008"]
    assert found.cases[1].attributes == {"session": "101"}
    with pytest.raises(LabelError, match="RC"):
        load_entry(found, found.cases[0])
    assert load_entry(found, found.cases[0], others={"RC": 0}).reference is not None


def test_brats_files_side_by_side_in_one_folder_are_read(make: SimpleNamespace, tmp_path: Path) -> None:
    for name in ("BraTS20_Training_001", "BraTS20_Training_002"):
        for path in make.brats(tmp_path / "parts", [name]).joinpath(name).iterdir():
            path.rename(tmp_path / path.name)
    found = index_dataset(tmp_path)
    assert [case.name for case in found.cases] == ["BraTS20_Training_001", "BraTS20_Training_002"]


def test_brats_mask_under_another_name_is_taken_with_a_note(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, ["BraTS20_Training_355"], suffix=".nii")
    folder = tmp_path / "BraTS20_Training_355"
    (folder / "BraTS20_Training_355_seg.nii").rename(folder / "W39_1998.09.19_Segm.nii")
    make.save(folder / "fa.nii", make.voxels(3))
    found = index_dataset(tmp_path)
    assert found.cases[0].mask.path.endswith("W39_1998.09.19_Segm.nii")
    assert found.cases[0].notes == (
        "the mask is taken from W39_1998.09.19_Segm.nii, which is named otherwise",
        "not used: fa.nii",
    )


def test_brats_cases_with_doubtful_files_are_told_and_others_stay(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, ["BraTS2021_00001", "BraTS2021_00002", "BraTS2021_00003"])
    make.save(tmp_path / "BraTS2021_00002" / "BraTS2021_00002_t1.nii", make.voxels(5))
    for key in make.MODALITIES:
        (tmp_path / "BraTS2021_00003" / f"BraTS2021_00003_{key}.nii.gz").unlink()
    found = index_dataset(tmp_path)
    assert [case.name for case in found.cases] == ["BraTS2021_00001"]
    assert any("are the same sequence" in problem for problem in found.problems)
    assert any("there is a mask and no image" in problem for problem in found.problems)


def test_brats_survival_table_is_joined_to_its_cases(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, ["BraTS20_Training_001", "BraTS20_Training_002"])
    (tmp_path / "survival_info.csv").write_text(
        "Brats20ID,Age,Survival_days\nBraTS20_Training_001,60.4,289\nBraTS20_Training_009,50,1\n", encoding="utf-8"
    )
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "broken.csv").write_bytes(b"\xff\xfe\x00")
    found = index_dataset(tmp_path)
    assert found.cases[0].attributes == {"age": "60.4", "survival_days": "289"}
    assert found.cases[1].attributes == {}
    assert any("broken.csv: the table cannot be read" in problem for problem in found.problems)


def test_table_larger_than_any_is_not_read(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, ["BraTS20_Training_001"])
    with (tmp_path / "huge.csv").open("wb") as stream:
        stream.truncate((64 << 20) + 1)
    assert any("larger than 64 MiB" in problem for problem in index_dataset(tmp_path).problems)


def test_table_of_cases_adds_patients_attributes_and_phantoms(make: SimpleNamespace, tmp_path: Path) -> None:
    make.folders(tmp_path)
    (tmp_path / "cases.tsv").write_text(
        'name\tpatient\tphantom\tage\nfirst visit\tP1\ttrue\t"44\nZürich_zweite\tP1\tn/a\tn/a\n', encoding="utf-8"
    )
    found = index_dataset(tmp_path)
    assert [case.patient for case in found.cases] == ["P1", "P1"]
    assert [case.phantom for case in found.cases] == [False, True]
    assert [dict(case.attributes) for case in found.cases] == [{}, {"age": '"44'}]


def test_layout_that_is_named_is_taken(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, ["BraTS2021_00001"])
    assert index_dataset(tmp_path, layout="folders").layout == "folders"
    with pytest.raises(LayoutNotRecognised, match="not in the layout lits"):
        index_dataset(tmp_path, layout="lits")
    with pytest.raises(LayoutNotRecognised, match="no layout 'surprise'"):
        index_dataset(tmp_path, layout="surprise")
