"""Through every pair of layouts that share the information: voxels, affines and the meaning of labels stay."""

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data.datasets import TARGET_LAYOUTS, convert_dataset, index_dataset

SIGNS = [np.array(signs) for signs in itertools.product((-1.0, 1.0), repeat=3)]
ORDERS = list(itertools.permutations(range(3)))
DTYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64")


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Any orientation and spacing, oblique or not, with values that a header holds exactly."""
    order, signs = draw(st.sampled_from(ORDERS)), draw(st.sampled_from(SIGNS))
    spacing = np.array(draw(st.tuples(*[st.sampled_from([0.5, 1.0, 1.25, 3.0])] * 3)))
    matrix = np.zeros((4, 4))
    matrix[list(order), range(3)] = signs * spacing
    if draw(st.booleans()):
        matrix[:3, :3] = np.array([[0.75, -0.5, 0], [0.5, 0.75, 0], [0, 0, 1]]) @ matrix[:3, :3]
    matrix[:3, 3] = draw(st.tuples(*[st.sampled_from([-90.5, 0.0, 126.25])] * 3))
    matrix[3, 3] = 1
    return matrix


@st.composite
def data_sets(draw: st.DrawFn) -> dict[str, Any]:
    """What a data set holds, before any layout."""
    complete = draw(st.booleans())
    every = ("t1", "t1ce", "t2", "flair")
    cases = []
    for number in range(draw(st.integers(1, 3))):
        keys = every if complete else tuple(draw(st.sets(st.sampled_from(every), min_size=1)))
        cases.append(
            {
                "name": f"case_{number}",
                "images": {key: draw(st.sampled_from(DTYPES)) for key in every if key in keys},
                "affine": draw(affines()),
                "mask": draw(st.sampled_from(["uint8", "int16", "float32"])) if draw(st.booleans()) else None,
                "labels": draw(st.sets(st.sampled_from([1, 2, 3]))),
                "age": draw(st.sampled_from(["", "61", "7 months"])),
                "suffix": draw(st.sampled_from([".nii", ".nii.gz"])),
            }
        )
    return {"cases": cases, "complete": complete, "seed": draw(st.integers(0, 99))}


def written(root: Path, data: dict[str, Any]) -> Path:
    shape = (4, 3, 2)
    rng = np.random.default_rng(data["seed"])
    rows = ["name\tpatient\tphantom\tage"]
    for case in data["cases"]:
        folder = root / case["name"]
        folder.mkdir(parents=True)
        for key, dtype in case["images"].items():
            array = rng.integers(0, 200, shape).astype(dtype)
            nib.save(nib.Nifti1Image(array, case["affine"]), folder / f"{key}{case['suffix']}")
        if case["mask"] is not None:
            array = rng.choice([0, *sorted(case["labels"])], shape).astype(case["mask"])
            nib.save(nib.Nifti1Image(array, case["affine"]), folder / f"seg{case['suffix']}")
        rows.append(f"{case['name']}\tP{case['name']}\t\t{case['age'] or 'n/a'}")
    (root / "cases.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def able(layout: str, data: dict[str, Any]) -> bool:
    return data["complete"] or layout in {"brats", "bids"}


def without_split(found: dict[str, Any]) -> dict[str, Any]:
    for case in found.values():
        case.attributes.pop("split", None)
    return found


@settings(max_examples=25, deadline=None)
@given(data=data_sets(), path=st.lists(st.sampled_from(TARGET_LAYOUTS), min_size=1, max_size=3))
def test_any_chain_of_layouts_keeps_the_meaning(make: SimpleNamespace, data: dict[str, Any], path: list[str]) -> None:
    chain = [layout for layout in path if able(layout, data)]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        manifest = index_dataset(written(root / "start", data), scheme="brats-2023")
        before = make.meaning(manifest)
        for number, layout in enumerate(chain):
            convert_dataset(manifest, root / str(number), layout)
            manifest = index_dataset(root / str(number))
            assert manifest.layout == layout
            assert manifest.problems == ()
            assert without_split(make.meaning(manifest)) == before


PAIRS = list(itertools.product(TARGET_LAYOUTS, repeat=2))


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_there_and_back_through_each_pair(first: str, second: str, make: SimpleNamespace, tmp_path: Path) -> None:
    manifest = index_dataset(make.brats(tmp_path / "start", ["BraTS2021_00001", "BraTS2021_00002"]))
    before = make.meaning(manifest)
    for number, layout in enumerate((first, second, first)):
        convert_dataset(manifest, tmp_path / str(number), layout)
        manifest = index_dataset(tmp_path / str(number))
        assert make.meaning(manifest) == before


@pytest.mark.parametrize("layout", TARGET_LAYOUTS)
def test_copied_files_keep_their_bytes(layout: str, make: SimpleNamespace, tmp_path: Path) -> None:
    source = index_dataset(make.nnunet(tmp_path / "start"))
    done = convert_dataset(source, tmp_path / "there", layout)
    back = convert_dataset(index_dataset(tmp_path / "there"), tmp_path / "back", "nnunet", scheme="brats-2023")
    if layout != "decathlon":
        assert set(done.files) == set(back.files) == {"copied"}
        start, end = make.hashes(tmp_path / "start"), make.hashes(tmp_path / "back")
        images = {path: digest for path, digest in start.items() if path.endswith(".nii.gz")}
        assert {path: digest for path, digest in end.items() if path.endswith(".nii.gz")} == images
    else:
        assert set(done.files) == set(back.files) == {"recoded"}


@pytest.mark.parametrize("layout", ["brats", "bids", "nnunet"])
def test_time_points_keep_their_patient(layout: str, make: SimpleNamespace, tmp_path: Path) -> None:
    names = ["BraTS-GLI-00005-100", "BraTS-GLI-00005-101", "BraTS-GLI-00008-100"]
    source = index_dataset(make.brats(tmp_path / "start", names, (1, 2, 3, 4), ends=make.NEW))
    done = convert_dataset(source, tmp_path / "there", layout)
    assert any("1 patients have several cases" in note for note in done.notes) == (layout == "nnunet")
    found = index_dataset(tmp_path / "there")
    assert make.meaning(found) == make.meaning(source)
    assert len({case.patient for case in found.cases}) == 2


@pytest.mark.parametrize("layout", ["brats", "nnunet"])
def test_sessions_and_tables_of_bids_survive(layout: str, make: SimpleNamespace, tmp_path: Path) -> None:
    source = index_dataset(make.bids(tmp_path / "start"))
    convert_dataset(source, tmp_path / "there", layout)
    found = index_dataset(tmp_path / "there")
    assert make.meaning(found) == make.meaning(source)
    assert (found.licence, found.case("sub-01_ses-2").attributes["treatment"]) == ("CC0", "surgery")
    convert_dataset(found, tmp_path / "back", "bids")
    again = index_dataset(tmp_path / "back")
    assert make.meaning(again) == make.meaning(source)
    assert (tmp_path / "back/sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz").is_file()
    assert (tmp_path / "back/sub-01/sub-01_sessions.tsv").read_text(encoding="utf-8").count("\n") == 3


@pytest.mark.parametrize(("builder", "layouts"), [("lits", ["nnunet", "bids"]), ("hecktor", ["bids"])])
def test_ct_and_pet_survive(builder: str, layouts: Sequence[str], make: SimpleNamespace, tmp_path: Path) -> None:
    source = index_dataset(getattr(make, builder)(tmp_path / "start"))
    for layout in layouts:
        convert_dataset(source, tmp_path / layout, layout)
        found = index_dataset(tmp_path / layout)
        assert make.meaning(found) == make.meaning(source)


def test_ct_with_two_tissues_survives_the_decathlon(make: SimpleNamespace, tmp_path: Path) -> None:
    source = index_dataset(make.lits(tmp_path / "start"))
    convert_dataset(source, tmp_path / "there", "decathlon")
    found = index_dataset(tmp_path / "there")
    assert make.meaning(found) == make.meaning(source)
    assert found.scheme == "lits"


def test_decathlon_to_decathlon_copies_its_files(make: SimpleNamespace, tmp_path: Path) -> None:
    source = index_dataset(make.decathlon(tmp_path / "start"))
    done = convert_dataset(source, tmp_path / "there", "decathlon")
    assert dict(done.files) == {"copied": 5}
    start, end = make.hashes(tmp_path / "start"), make.hashes(tmp_path / "there")
    assert all(end[path] == digest for path, digest in start.items() if path.endswith(".gz"))


def test_reference_of_the_data_set_survives_bids(make: SimpleNamespace, tmp_path: Path) -> None:
    source = index_dataset(make.decathlon(tmp_path / "start", reference="A paper"))
    convert_dataset(source, tmp_path / "there", "bids")
    assert index_dataset(tmp_path / "there").attributes["reference"] == "A paper"


def test_nested_regions_survive_nnunet(make: SimpleNamespace, tmp_path: Path) -> None:
    labels = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": 3}
    source = index_dataset(make.nnunet(tmp_path / "start", labels=labels, regions_class_order=[1, 2, 3]))
    convert_dataset(source, tmp_path / "there", "nnunet")
    found = index_dataset(tmp_path / "there")
    assert (found.scheme, found.labels, found.attributes) == (source.scheme, source.labels, source.attributes)
    renumbered = convert_dataset(source, tmp_path / "other", "nnunet", scheme="brats-2023")
    assert "renumbered" in renumbered.notes[0]
    other = index_dataset(tmp_path / "other")
    assert make.meaning(other) == make.meaning(source)
    assert dict(other.labels) == {"whole tumor": (2, 1, 3), "tumor core": (1, 3), "enhancing tumor": (3,)}
    assert other.attributes["regions_class_order"] == "[2, 1, 3]"
    lost = convert_dataset(source, tmp_path / "bids", "bids")
    assert any("nested regions" in note for note in lost.notes)


@pytest.mark.parametrize("order", [None, "x", [1, 2], [7, 8, 9], {"a": 1}])
def test_regions_without_a_usable_order_get_one(order: object, make: SimpleNamespace, tmp_path: Path) -> None:
    labels = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": 3}
    more = {} if order is None else {"regions_class_order": order}
    source = index_dataset(make.nnunet(tmp_path / "start", labels=labels, **more))
    convert_dataset(source, tmp_path / "there", "nnunet")
    assert index_dataset(tmp_path / "there").attributes["regions_class_order"] == "[1, 2, 3]"


def test_cavities_and_cysts_keep_their_names(make: SimpleNamespace, tmp_path: Path) -> None:
    ped = index_dataset(make.brats(tmp_path / "ped", ["BraTS-PED-00001-000"], (1, 2, 3, 4), ends=make.NEW))
    assert ped.scheme == "brats-ped-2024"
    for layout in ("nnunet", "decathlon", "bids", "brats"):
        convert_dataset(ped, tmp_path / layout, layout)
        found = index_dataset(tmp_path / layout)
        assert make.meaning(found) == make.meaning(ped)
        assert found.scheme == "brats-ped-2024"


def test_phantoms_stay_phantoms(make: SimpleNamespace, tmp_path: Path) -> None:
    make.folders(tmp_path / "start")
    (tmp_path / "start" / "cases.tsv").write_text("name\tphantom\nfirst visit\ttrue\n", encoding="utf-8")
    source = index_dataset(tmp_path / "start")
    assert [case.phantom for case in source.cases] == [False, True]
    for layout in TARGET_LAYOUTS:
        convert_dataset(source, tmp_path / layout, layout)
        assert make.meaning(index_dataset(tmp_path / layout)) == make.meaning(source)
