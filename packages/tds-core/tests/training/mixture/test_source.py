from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader

from tds_core.training.mixture.augment import Sources
from tds_core.training.mixture.config import MixtureConfig
from tds_core.training.mixture.source import MixtureSource, PatchStream


def source(config: MixtureConfig, sources: Sources, *, workers: int = 0) -> MixtureSource:
    return MixtureSource(sources, config.sampling, seed=config.seed, workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_patches_are_the_same_for_any_number_of_workers_and_any_start(
    config: MixtureConfig, sources: Sources, workers: int
) -> None:
    stream = PatchStream(sources, config.sampling, seed=5, length=6)
    drawn = [image for images, _ in DataLoader(stream, batch_size=2, num_workers=workers) for image in images]
    late = PatchStream(sources, config.sampling, seed=5, length=2, start=4)
    assert len(late) == 2
    assert torch.equal(torch.stack(drawn), torch.stack([stream[i][0] for i in range(6)]))
    assert torch.equal(torch.stack(drawn[4:]), torch.stack([late[i][0] for i in range(2)]))


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_have_numbers_of_their_own_through_all_epochs(
    config: MixtureConfig, sources: Sources, workers: int
) -> None:
    made = source(config, sources, workers=workers)
    assert made.batches_per_epoch == 2
    batches = [batch for epoch in range(2) for batch in made.batches(epoch)]
    stream = PatchStream(sources, config.sampling, seed=config.seed, length=8)
    assert [tuple(batch.target.shape) for batch in batches] == [(2, 3, 16, 16, 16)] * 4
    for number, batch in enumerate(batches):
        for row in range(2):
            image, regions = stream[2 * number + row]
            assert torch.equal(batch.images[row], image)
            assert torch.equal(batch.target[row], regions)
    late = list(made.batches(1, start=1))
    assert len(late) == 1
    assert torch.equal(late[0].images, batches[3].images)
    assert list(made.batches(0, start=2)) == []
    made.close()


def test_another_seed_gives_other_patches(config: MixtureConfig, sources: Sources) -> None:
    one, two = (next(iter(source(replace(config, seed=seed), sources).batches(0))) for seed in (1, 2))
    assert not torch.equal(one.images, two.images)


def test_batches_leave_the_callers_random_numbers_alone(config: MixtureConfig, sources: Sources) -> None:
    torch.manual_seed(11)
    expected = torch.randn(2)
    torch.manual_seed(11)
    list(source(config, sources, workers=1).batches(0))
    assert torch.equal(torch.randn(2), expected)
