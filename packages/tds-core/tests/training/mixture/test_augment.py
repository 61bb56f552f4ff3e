from dataclasses import replace

import numpy as np
import pytest
import torch

from tds_core import TrainingError
from tds_core.training.mixture.augment import Sources, change_image, draw_patch
from tds_core.training.mixture.config import SamplingConfig

CONFIG = SamplingConfig(patch=16, phantom_share=0.2, cube_share=0.4, shape_share=0.3, thick_slice_share=0.4)


@pytest.mark.parametrize("seed", range(12))
def test_patch_follows_from_its_random_numbers_alone(sources: Sources, seed: int) -> None:
    image, regions = draw_patch(sources, CONFIG, np.random.default_rng(seed))
    again = draw_patch(sources, CONFIG, np.random.default_rng(seed))
    assert torch.equal(image, again[0])
    assert torch.equal(regions, again[1])
    assert image.shape == (4, 16, 16, 16)
    assert regions.shape == (3, 16, 16, 16)
    assert image.dtype == regions.dtype == torch.float32
    assert torch.isfinite(image).all()
    assert 0 <= float(regions.min()) <= float(regions.max()) <= 1.001


def test_drawing_leaves_the_sources_as_they_were(sources: Sources) -> None:
    before = [s.image.clone() for s in sources.patients]
    for seed in range(20):
        draw_patch(sources, CONFIG, np.random.default_rng(seed))
    assert all(torch.equal(a, s.image) for a, s in zip(before, sources.patients, strict=True))


def test_patients_alone_are_enough(sources: Sources) -> None:
    alone = Sources(patients=sources.patients)
    for seed in range(6):
        assert draw_patch(alone, CONFIG, np.random.default_rng(seed))[0].shape == (4, 16, 16, 16)


def test_patches_centred_on_tumour_hold_tumour(sources: Sources) -> None:
    plain = Sources(patients=sources.patients)
    config = replace(CONFIG, foreground_share=1.0)
    shares = [float(draw_patch(plain, config, np.random.default_rng(s))[1][0].amax()) for s in range(10)]
    assert min(shares) > 0.5


@pytest.mark.parametrize("regions_left", [0, 1])
def test_patient_without_core_or_without_tumour_still_gives_patches(sources: Sources, regions_left: int) -> None:
    host = sources.patients[0]
    regions = host.regions.clone()
    regions[regions_left:] = 0
    bare = Sources(patients=(replace(host, regions=regions),))
    config = replace(CONFIG, foreground_share=1.0)
    for seed in range(6):
        image, found = draw_patch(bare, config, np.random.default_rng(seed))
        assert image.shape == (4, 16, 16, 16)
        assert not found[regions_left:].any()


def test_patient_without_t1_still_gives_patches(sources: Sources) -> None:
    host = sources.patients[0]
    image = host.image.clone()
    image[0] = 0
    bare = Sources(patients=(replace(host, image=image),))
    drawn = draw_patch(bare, replace(CONFIG, foreground_share=0.0), np.random.default_rng(0))[0]
    assert not drawn[0].any()


def test_sequences_are_dropped_whole_and_never_all(sources: Sources) -> None:
    image = sources.patients[0].image
    config = replace(CONFIG, keep_all_share=0.0)
    kept = set()
    for seed in range(40):
        changed = change_image(image, config, np.random.default_rng(seed))
        present = tuple(bool(channel.any()) for channel in changed)
        assert 1 <= sum(present) <= 3
        kept.add(present)
    assert len(kept) > 6
    every = change_image(image, replace(CONFIG, keep_all_share=1.0), np.random.default_rng(0))
    assert all(bool(channel.any()) for channel in every)


def test_outside_of_the_head_stays_empty(sources: Sources) -> None:
    image = sources.patients[0].image
    for seed in range(20):
        changed = change_image(image, CONFIG, np.random.default_rng(seed))
        assert not changed[image == 0].any()


def test_sources_that_cannot_be_drawn_from_are_refused(sources: Sources) -> None:
    with pytest.raises(TrainingError, match="nobody to train on"):
        Sources(patients=())
    with pytest.raises(TrainingError, match="1 stocks of outlines for 2 patients"):
        replace(sources, outlines=sources.outlines[:1])
    with pytest.raises(TrainingError, match="give lesion cubes too"):
        replace(sources, cubes=())
