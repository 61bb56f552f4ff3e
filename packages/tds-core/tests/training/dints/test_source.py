from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tds_core.errors import ConfigError
from tds_core.training.dints import PairedSource, split_patients
from tds_core.training.engine.protocols import Batch


class Numbers:
    """Patches that hold their own number."""

    def __init__(self, first: int, steps: int = 3) -> None:
        self.first, self.batches_per_epoch, self.closed = first, steps, False

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        for number in range(start, self.batches_per_epoch):
            value = self.first + 10 * epoch + number
            images = torch.full((2, 1, 1, 1, 1), float(value))
            yield Batch(images=images, target=images[:, 0].to(torch.uint8))

    def close(self) -> None:
        self.closed = True


def test_patches_come_in_turn_from_both_sources() -> None:
    source = PairedSource(Numbers(0), Numbers(100))
    assert source.batches_per_epoch == 3
    found = [(batch.images.flatten().tolist(), batch.target.flatten().tolist()) for batch in source.batches(2, start=1)]
    assert found == [([21, 121, 21, 121], [21, 121, 21, 121]), ([22, 122, 22, 122], [22, 122, 22, 122])]


def test_sources_of_other_lengths_are_refused() -> None:
    with pytest.raises(ConfigError, match="have 3 and 4 batches an epoch"):
        PairedSource(Numbers(0), Numbers(0, steps=4))


def test_both_sources_are_closed() -> None:
    first, second = Numbers(0), Numbers(1)
    PairedSource(first, second).close()
    assert first.closed
    assert second.closed


@given(st.lists(st.integers(), min_size=2, unique=True), st.integers(0, 99))
def test_every_patient_is_in_exactly_one_half(patients: list[int], seed: int) -> None:
    first, second = split_patients(patients, seed)
    assert sorted((*first, *second)) == sorted(patients)
    assert len(first) - len(second) in {0, 1}
    assert (first, second) == split_patients(patients, seed)
    assert [p for p in patients if p in first] == list(first)


def test_one_patient_cannot_be_halved() -> None:
    with pytest.raises(ConfigError, match="there are 1"):
        split_patients(["one"], 0)
