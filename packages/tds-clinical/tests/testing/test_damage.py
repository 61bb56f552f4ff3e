from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tds_clinical.testing import ClassicSeriesOptions, damage_file, write_classic_series
from tds_clinical.testing.damage import _DAMAGES, _elements
from tds_data.volume import Volume


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    volume = Volume(np.arange(32, dtype=np.uint16).reshape(4, 4, 2), np.eye(4))
    return write_classic_series(volume, tmp_path, ClassicSeriesOptions())[0].read_bytes()


def test_one_seed_does_the_same_damage_and_another_does_other(content: bytes) -> None:
    assert damage_file(content, 7) == damage_file(content, 7)
    assert len({damage_file(content, seed) for seed in range(50)}) > 40


def test_the_elements_of_a_file_are_walked_to_its_end(content: bytes) -> None:
    elements = _elements(bytearray(content))
    dataset = pydicom.dcmread(BytesIO(content))
    assert len(elements) == len(dataset) + len(dataset.file_meta)
    assert elements[-1].end == len(content)


@pytest.mark.parametrize("damage", _DAMAGES)
def test_every_kind_of_damage_changes_most_files(content: bytes, damage: object) -> None:
    assert callable(damage)
    changed = [bytes(damage(bytearray(content), np.random.default_rng(seed))) != content for seed in range(20)]
    assert sum(changed) >= 10


@pytest.mark.parametrize("damage", _DAMAGES)
@pytest.mark.parametrize("cut", [133, 139, 142, 160])
def test_a_file_that_is_damaged_already_can_be_damaged_again(content: bytes, damage: object, cut: int) -> None:
    assert callable(damage)
    for seed in range(5):
        assert isinstance(damage(bytearray(content[:cut]), np.random.default_rng(seed)), bytearray)


def test_a_file_that_is_hardly_there_is_left_alone() -> None:
    assert damage_file(b"short", 1) == b"short"
