"""The number 4 has three meanings; the whole set tells which, or is refused."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tds_data.datasets import index_dataset
from tds_data.errors import SchemeUndecided


def scheme(make: SimpleNamespace, root: Path, *sets: tuple[list[str], tuple[int, ...]], new: bool = True) -> str:
    for names, labels in sets:
        make.brats(root, names, labels, ends=make.NEW if new else make.OLD, sequences=("t1", "flair"))
    return index_dataset(root).scheme


GLI = ["BraTS-GLI-00001-000"]
LATE = ["BraTS-GLI-02001-100", "BraTS-GLI-02001-101"]
SSA = ["BraTS-SSA-00001-000"]
PED = ["BraTS-PED-00001-000"]
MET = ["BraTS-MET-00001-000"]
OLD = ["BraTS2021_00001"]


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([(OLD, (1, 2, 4))], "brats-2021"),
        ([(OLD, (1, 2))], "brats-2021"),
        ([(OLD, (1, 2, 3))], "brats-2023"),
        ([(["Brats18_CBICA_AAB_1"], (4,))], "brats-2021"),
        ([(GLI, (1, 2, 3))], "brats-2023"),
        ([(GLI, (1, 2))], "brats-2023"),
        ([(GLI, (2, 3, 4))], "brats-2024"),
        ([(LATE, (1, 2, 3))], "brats-2024"),
        ([(SSA, (1, 2, 3))], "brats-2023"),
        ([(SSA, (1, 2, 4))], "brats-2021"),
        ([(MET, (1, 3, 4))], "brats-2024"),
        ([(OLD, (1, 2, 4)), (["BraTS-SSA-00002"], (1, 2, 4))], "brats-2021"),
        ([(OLD, (1, 2)), (SSA, (1, 2, 3))], "brats-2023"),
        ([(PED, (1, 2, 3, 4))], "brats-ped-2024"),
        ([(PED, (3, 4))], "brats-ped-2024"),
        ([(GLI, ())], "brats-2023"),
    ],
)
def test_names_and_labels_decide(
    sets: list[tuple[list[str], tuple[int, ...]]], expected: str, make: SimpleNamespace, tmp_path: Path
) -> None:
    assert scheme(make, tmp_path / "set", *sets) == expected


@pytest.mark.parametrize(
    "sets",
    [
        [(GLI, (1, 2, 4))],
        [(MET, (4,))],
        [(PED, (1, 2, 3))],
        [(PED, (1, 4))],
        [(["somebody"], (3, 4))],
        [(OLD, (3, 4))],
        [(SSA, (3, 4))],
        [(OLD, (4,)), (GLI, (3,))],
        [(OLD, (1, 7))],
    ],
)
def test_undecidable_set_is_refused_with_a_way_out(
    sets: list[tuple[list[str], tuple[int, ...]]], make: SimpleNamespace, tmp_path: Path
) -> None:
    with pytest.raises(SchemeUndecided, match="say which it is") as caught:
        scheme(make, tmp_path / "set", *sets)
    assert "labels" in str(caught.value)
    assert "--scheme" in str(caught.value)
    assert index_dataset(tmp_path / "set", scheme="brats-2024").scheme == "brats-2024"


@pytest.mark.parametrize(
    ("folder", "sets", "expected"),
    [
        ("ASNR-MICCAI-BraTS2023-PED-Challenge-TrainingData", [(PED, (1, 2, 3))], "brats-2023"),
        ("BraTS-PEDs 2024", [(PED, (1, 2, 3))], "brats-ped-2024"),
        ("BraTS2024-BraTS-GLI", [(GLI, (1, 2, 4))], "brats-2024"),
        ("BraTS2024-BraTS-GLI", [(GLI, (1, 2, 3))], "brats-2024"),
        ("BraTS2023-GLI", [(GLI, (1, 2, 4))], "brats-2021"),
        ("MICCAI_BraTS_2019", [(["somebody"], (1, 2, 4))], "brats-2021"),
    ],
)
def test_year_in_a_folder_decides(
    folder: str,
    sets: list[tuple[list[str], tuple[int, ...]]],
    expected: str,
    make: SimpleNamespace,
    tmp_path: Path,
) -> None:
    assert scheme(make, tmp_path / folder, *sets) == expected


@pytest.mark.parametrize("folder", ["downloads-2024", "2024-05-01", "heads_2023"])
def test_year_that_is_not_of_a_release_decides_nothing(folder: str, make: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(SchemeUndecided):
        scheme(make, tmp_path / folder, (PED, (1, 2, 3)))


def test_year_may_stand_in_a_folder_below_the_root(make: SimpleNamespace, tmp_path: Path) -> None:
    assert scheme(make, tmp_path, (["BraTS-PEDs2024/BraTS-PED-00001-000"], (1, 2, 3))) == "brats-ped-2024"


def test_plain_names_with_four_and_no_three_are_of_the_old_scheme(make: SimpleNamespace, tmp_path: Path) -> None:
    assert scheme(make, tmp_path / "set", (["somebody"], (1, 2, 4)), new=False) == "brats-2021"


def test_evidence_is_kept(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, OLD, (1, 2, 4))
    assert index_dataset(tmp_path).attributes["scheme_told_by"] == "old names: labels 1, 2, 4"


def test_set_without_masks_has_no_scheme(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, OLD, None)
    assert index_dataset(tmp_path).scheme == "none"


def test_one_mask_is_not_read_by_itself(make: SimpleNamespace, tmp_path: Path) -> None:
    """A patient without 3 or 4 has the scheme that the others show."""
    make.brats(tmp_path, ["BraTS2021_00001"], (1, 2))
    make.brats(tmp_path, ["BraTS2021_00002"], (1, 2, 3))
    assert index_dataset(tmp_path).scheme == "brats-2023"
