import logging

import numpy as np
import pytest

from tds_data import LabelError, Volume
from tds_data.datasets import SCHEME_NAMES, LabelScheme, find_scheme
from tds_data.datasets.schemes import scheme_of_values, tissue_named, tissues_of, to_brats, whole_numbers
from tds_data.errors import UnknownScheme


def volume(values: list[float], dtype: str = "uint8") -> Volume:
    return Volume(np.array(values, dtype).reshape(-1, 1, 1), np.eye(4))


def brats(values: list[float], scheme: str, dtype: str = "uint8", **others: int) -> list[int]:
    found = to_brats(volume(values, dtype), find_scheme(scheme), others=others or None)
    assert found.voxels.dtype == np.uint8
    return found.voxels.ravel().tolist()


@pytest.mark.parametrize(
    ("scheme", "values", "expected"),
    [
        ("brats-2021", [0, 1, 2, 4], [0, 1, 2, 3]),
        ("brats-2023", [0, 1, 2, 3], [0, 1, 2, 3]),
        ("decathlon-brain", [0, 1, 2, 3], [0, 2, 1, 3]),
        ("brats-ped-2024", [0, 1, 2, 4], [0, 3, 1, 2]),
        ("brats-2024", [0, 1, 2, 3], [0, 1, 2, 3]),
    ],
)
def test_labels_become_those_of_brats_2023(scheme: str, values: list[float], expected: list[int]) -> None:
    assert brats(values, scheme) == expected
    assert brats(values, scheme, "float32") == expected
    assert brats(values, scheme, "int16") == expected


def test_cavity_has_no_label_until_somebody_says_which() -> None:
    with pytest.raises(LabelError, match=r"holds RC, which has no label in BraTS 2023.*\{'RC': 0\}"):
        brats([0, 3, 4], "brats-2024")
    assert brats([0, 3, 4], "brats-2024", RC=0) == [0, 3, 0]
    assert brats([1, 3], "brats-ped-2024", CC=1) == [3, 1]


def test_cavity_that_does_not_occur_asks_nothing() -> None:
    assert brats([0, 1, 3], "brats-2024") == [0, 1, 3]


def test_others_cannot_move_tissues_that_have_a_label() -> None:
    assert brats([1, 2, 3], "brats-2023", NCR=0) == [1, 2, 3]


def test_label_outside_brats_is_refused() -> None:
    with pytest.raises(LabelError, match="are 0 to 3"):
        brats([0, 4], "brats-2024", RC=7)


def test_numbers_outside_the_scheme_are_refused() -> None:
    with pytest.raises(LabelError, match=r"outside the scheme brats-2021 \(3\), which has 1, 2, 4"):
        brats([1, 3], "brats-2021")
    with pytest.raises(LabelError, match="-1"):
        brats([-1, 1], "brats-2021", "int16")


@pytest.mark.parametrize("value", [0.5, float("nan"), float("inf")])
def test_values_that_are_no_whole_numbers_are_refused(value: float) -> None:
    with pytest.raises(LabelError, match="no whole numbers"):
        whole_numbers(np.array([value]))


def test_truth_values_are_labels() -> None:
    assert whole_numbers(np.array([True, False])).tolist() == [1, 0]


def test_translation_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        brats([1, 4], "brats-2021")
    assert "labels_translated scheme=brats-2021 changes={4: 3}" in caplog.text


def test_unknown_scheme_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownScheme, match="brats-2021"):
        find_scheme("brats-1999")
    assert {"brats-2021", "brats-2023", "none"} <= set(SCHEME_NAMES)


def test_tissues_that_share_a_number_are_refused() -> None:
    with pytest.raises(LabelError, match="number of its own"):
        LabelScheme(name="x", values={"a": 1, "b": 1})
    with pytest.raises(LabelError, match="not 0"):
        LabelScheme(name="x", values={"a": 0})


@pytest.mark.parametrize(
    ("label", "tissue"),
    [
        ("edema", "ED"),
        ("non-enhancing tumor", "NCR"),
        ("enhancing tumour", "ET"),
        ("GD-enhancing tumor", "ET"),
        ("SNFH", "ED"),
        ("Resection_Cavity", "RC"),
        ("Liver", "liver"),
        ("cancer", "tumour"),
        ("left atrium", "left atrium"),
    ],
)
def test_tissues_are_known_under_many_names(label: str, tissue: str) -> None:
    assert tissue_named(label) == tissue


def test_values_of_a_known_scheme_get_its_name() -> None:
    assert scheme_of_values({"ED": 1, "NCR": 2, "ET": 3}).name == "decathlon-brain"
    assert scheme_of_values({"left atrium": 1}).name == "custom"
    assert find_scheme("custom", {"left atrium": (1,)}).values == {"left atrium": 1}
    assert find_scheme("custom").values == {}


def test_nested_regions_tell_the_tissues() -> None:
    nested = {"whole_tumor": (1, 2, 3), "tumor core": (2, 3), "ET": (3,)}
    assert tissues_of(nested) == {"ET": 3, "ED": 1, "NCR": 2}


def test_regions_of_something_else_leave_numbered_labels() -> None:
    kidney = {"kidney and masses": (1, 2, 3), "masses": (2, 3), "tumor": (2,)}
    assert tissues_of(kidney) == {"tumour": 2, "label 1": 1, "label 3": 3}
    assert tissues_of({"whole tumor": (1, 2, 5), "ED": (2,), "tumor core": (5,)}) == {
        "ED": 2,
        "tumor core": 5,
        "label 1": 1,
    }
