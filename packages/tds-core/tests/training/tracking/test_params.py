import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_core.training.config import DataConfig, DatasetConfig, TrainingConfig, to_document
from tds_core.training.tracking.params import LONGEST_NAME, LONGEST_VALUE, allowed_name, flat_params


def test_a_whole_configuration_becomes_names_and_short_text() -> None:
    config = TrainingConfig(name="demo", data=DataConfig(datasets=(DatasetConfig(phantoms=2),)))
    params = flat_params(to_document(config))
    assert params["optimiser.name"] == "adamw"
    assert params["data.datasets.0.phantoms"] == "2"
    assert all(len(value) <= LONGEST_VALUE for value in params.values())


def test_a_long_value_is_split_and_nothing_is_lost() -> None:
    text = "".join(chr(97 + n % 26) for n in range(1700))
    params = flat_params({"a": {"b": text}})
    assert list(params) == ["a.b", "a.b.part-2", "a.b.part-3", "a.b.part-4"]
    assert "".join(params.values()) == text


def test_empty_things_and_passwords() -> None:
    assert flat_params({"a": {}, "b": [], "c": "", "d": "http://u:p@h/x"}) == {
        "a": "{}",
        "b": "[]",
        "c": "",
        "d": "http://h/x",
    }


@given(st.lists(st.text(min_size=1), unique=True, max_size=6))
def test_names_are_allowed_and_stay_different(names: list[str]) -> None:
    allowed = [allowed_name(name) for name in names]
    assert len(set(allowed)) == len(names)
    assert all(0 < len(name) <= LONGEST_NAME and name.isascii() for name in allowed)


@pytest.mark.parametrize("name", ["/a", "a//b", "a/", ".", "..", "../a", "..a", "a/./b", "a/../b", "/"])
def test_a_name_that_would_be_another_path_becomes_one_that_stays(name: str) -> None:
    allowed = allowed_name(name)
    assert posixpath.normpath(allowed) == allowed
    assert not allowed.startswith(("..", "/"))
    assert allowed != "."


def test_a_name_that_is_allowed_stays() -> None:
    assert allowed_name("val/dice_WT") == "val/dice_WT"
    assert len(allowed_name("n" * 400)) == LONGEST_NAME
