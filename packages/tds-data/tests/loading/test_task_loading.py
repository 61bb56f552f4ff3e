from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from tds_data import PreprocessConfig
from tds_data.cache import Cache, CacheConfig, build_cache, combine_caches
from tds_data.datasets import index_dataset
from tds_data.errors import LoadingError
from tds_data.loading import HEAVY, LoaderMeans, Patch, PatchConfig, PatchDataset, PatchLoader, augment, augment_batch
from tds_data.loading.augmentation.apply import fill_patch
from tds_data.loading.augmentation.config import AugmentConfig
from tds_data.loading.augmentation.draw import draw
from tds_data.loading.augmentation.record import AugmentRecord, BiasField, Geometry
from tds_data.loading.augmentation.source import CaseSource, tensor_source
from tds_data.loading.augmentation.workspace import Workspace
from tds_data.task import HEAD_NECK_TUMOUR, LIVER_TUMOUR, Task

SPACING = PreprocessConfig(spacing_mm=(2.0, 2.0, 5.0))
CONFIG = PatchConfig(shape=(24, 20, 14), batch_size=2, batches_per_epoch=6, augmentation=HEAVY, seed=1)
TURNED = Geometry(matrix=((0.0, 1.0, 0.1), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
SCALED = Geometry(matrix=((1.4, 0.0, 0.0), (0.0, 1.4, 0.0), (0.0, 0.0, 1.4)))
MakeSet = Callable[..., Path]


@pytest.fixture
def livers(lits: MakeSet, tmp_path: Path) -> Cache:
    return build_cache(index_dataset(lits(3)), tmp_path / "livers", CacheConfig(preprocess=SPACING, task=LIVER_TUMOUR))


@pytest.fixture
def heads(hecktor: MakeSet, tmp_path: Path) -> Cache:
    config = CacheConfig(preprocess=SPACING, task=HEAD_NECK_TUMOUR)
    return build_cache(index_dataset(hecktor(3, without_pet=1)), tmp_path / "heads", config)


def filled(source: object, start: tuple[int, int, int], record: AugmentRecord, shape: tuple[int, int, int]) -> Patch:
    channels = 1 if isinstance(source, CaseSource) else source.image.shape[0]  # type: ignore[attr-defined]
    out = Patch(image=torch.empty((channels, *shape)), labels=torch.empty(shape, dtype=torch.uint8))
    fill_patch(source, start, record, out, Workspace(), donor=lambda _: None)  # type: ignore[arg-type]
    return out


@pytest.mark.parametrize("geometry", [Geometry(), TURNED, SCALED], ids=["cut", "turned", "scaled"])
def test_what_lies_outside_a_windowed_image_is_air(livers: Cache, geometry: Geometry) -> None:
    case = livers.cases[0]
    source = CaseSource(case=case, arrays=case.arrays())
    patch = filled(source, (-20, -20, -20), AugmentRecord(geometry=geometry), (72, 72, 72))
    assert (patch.image[0, 0] == -1).all()
    assert (patch.image[0, :, :, -1] == -1).all()
    assert float(patch.image.max()) > -0.1
    assert float(patch.image.min()) == -1


def test_windows_stay_windows_under_heavy_augmentation(heads: Cache) -> None:
    with PatchLoader(heads, CONFIG, LoaderMeans(workers=0)) as loader:
        for batch in loader.batches():
            assert float(batch.images[:, 0].min()) >= -1
            assert float(batch.images[:, 0].max()) <= 1
            assert float(batch.images[:, 1].max()) > 1 or not batch.images[:, 1].any()
            for record in batch.records:
                fields = [step for step in record.augmentation.steps if isinstance(step, BiasField)]
                assert all(0 not in step.coefficients for step in fields)
                assert record.augmentation.mixing is None


def test_absent_channel_stays_zero(heads: Cache) -> None:
    with PatchLoader(heads.cases[1:2], replace(CONFIG, batches_per_epoch=3), LoaderMeans(workers=0)) as loader:
        for batch in loader.batches():
            assert not batch.images[:, 1].any()
            assert batch.images[:, 0].any()


def test_zero_inside_a_window_is_changed_like_any_other_value() -> None:
    image = torch.zeros((1, 8, 8, 8))
    image[0, 0, 0, 0] = 0.5
    patch = Patch(image=image, labels=torch.zeros((8, 8, 8), dtype=torch.uint8), windowed=(0,))
    config = AugmentConfig(noise_chance=1.0, noise_std=(0.1, 0.1))
    noisy, _ = augment(patch, config, np.random.default_rng(0))
    scored, _ = augment(replace(patch, windowed=()), config, np.random.default_rng(0))
    assert float(noisy.image[:, 1:].std()) > 0.05
    assert not scored.image[:, 1:].any()


def test_windowed_channel_that_is_absent_stays_zero_outside_too() -> None:
    image = torch.zeros((2, 8, 8, 8))
    image[1] = 0.5
    patch = Patch(image=image, labels=torch.zeros((8, 8, 8), dtype=torch.uint8), windowed=(0, 1))
    changed, _ = augment(patch, AugmentConfig(mirror_chance=1.0), np.random.default_rng(0), shape=(12, 12, 12))
    assert not changed.image[0].any()
    assert (changed.image[1, 0] == -1).all()


def test_background_of_a_scored_channel_stays_zero_beside_a_window() -> None:
    image = torch.stack([torch.full((8, 8, 8), 0.5), torch.zeros((8, 8, 8))])
    image[1, :4] = 1.0
    patch = Patch(image=image, labels=torch.zeros((8, 8, 8), dtype=torch.uint8), windowed=(0,))
    config = AugmentConfig(noise_chance=1.0, noise_std=(0.1, 0.1), brightness_chance=1.0)
    changed, _ = augment(patch, config, np.random.default_rng(0))
    assert not changed.image[1, 4:].any()
    assert changed.image[1, :4].std() > 0.05
    assert changed.image[0].std() > 0.05


def test_batch_of_windows_is_augmented_like_its_patches() -> None:
    images = torch.rand((2, 1, 12, 12, 12)) * 2 - 1
    labels = torch.zeros((2, 12, 12, 12), dtype=torch.uint8)
    config = replace(HEAVY, mixing_chance=0.0)
    many, _, records = augment_batch(
        images, labels, config, [np.random.default_rng(n) for n in range(2)], windowed=(0,)
    )
    one, record = augment(Patch(image=images[1], labels=labels[1], windowed=(0,)), config, np.random.default_rng(1))
    assert torch.equal(many[1], one.image)
    assert records[1] == record
    assert many.abs().max() <= 1


@pytest.mark.parametrize("geometry", [TURNED, SCALED], ids=["turned", "scaled"])
def test_many_labels_are_turned_as_few_are(geometry: Geometry) -> None:
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.integers(0, 8, (6, 6, 6)).astype(np.uint8))
    labels = coarse.repeat_interleave(5, 0).repeat_interleave(5, 1).repeat_interleave(5, 2)
    image = torch.zeros((1, 30, 30, 30))
    shape, start = (24, 24, 24), (3, 3, 3)
    found = filled(tensor_source(image, labels), start, AugmentRecord(geometry=geometry), shape).labels
    # Three labels go together: with the others taken out, each voxel that keeps its label must have it in both.
    shares = {}
    for label in range(1, 8):
        mask = (labels == label).to(torch.float32)[None]
        source = tensor_source(mask, torch.zeros_like(labels))
        shares[label] = filled(source, start, AugmentRecord(geometry=geometry), shape).image[0]
    stacked = torch.stack([1 - sum(shares.values()), *shares.values()])
    best, second = stacked.topk(2, dim=0).values
    expected = stacked.argmax(0)
    clear = best - second > 1e-4
    assert set(found.unique().tolist()) == set(range(8))
    assert torch.equal(found[clear].long(), expected[clear])
    assert clear.float().mean() > 0.9


def test_regions_of_the_task_are_what_patches_are_centred_on(livers: Cache) -> None:
    config = replace(CONFIG, foreground_share=1.0, batches_per_epoch=20, augmentation=None, shape=(8, 8, 8))
    with PatchLoader(livers, config, LoaderMeans(workers=0)) as loader:
        regions = [record.region for batch in loader.batches() for record in batch.records]
    assert {region: regions.count(region) > 10 for region in regions} == {"liver": True, "tumour": True}
    only = replace(config, region_weights={"tumour": 1.0})
    with PatchLoader(livers, only, LoaderMeans(workers=0)) as loader:
        for batch in loader.batches():
            assert (batch.labels == 2).flatten(1).any(1).all()


def test_region_that_the_task_has_not_is_named(livers: Cache) -> None:
    with pytest.raises(LoadingError, match="names WT; the task 'liver-tumour' has the regions liver, tumour"):
        PatchLoader(livers, replace(CONFIG, region_weights={"WT": 1.0}))


def test_label_that_no_case_has_is_never_centred_on(lits: MakeSet, tmp_path: Path) -> None:
    manifest = index_dataset(lits(2, tumours=False), scheme="lits")
    cache = build_cache(manifest, tmp_path / "cache", CacheConfig(preprocess=SPACING, task=LIVER_TUMOUR))
    with PatchLoader(cache, replace(CONFIG, foreground_share=1.0), LoaderMeans(workers=0)) as loader:
        records = [record for batch in loader.batches() for record in batch.records]
    assert {record.region for record in records} == {"liver"}


def test_workers_make_the_patches_of_a_task_as_well(heads: Cache) -> None:
    found = []
    for workers in (0, 2):
        with PatchLoader(heads, CONFIG, LoaderMeans(workers=workers)) as loader:
            found.append([(b.images.clone(), b.labels.clone()) for b in loader.batches()])
    for (image, labels), (other_image, other_labels) in zip(*found, strict=True):
        assert torch.equal(image, other_image)
        assert torch.equal(labels, other_labels)


def test_cases_of_several_caches_are_one_training_set(livers: Cache, lits: MakeSet, tmp_path: Path) -> None:
    other = build_cache(index_dataset(lits(2)), tmp_path / "other", CacheConfig(preprocess=SPACING, task=LIVER_TUMOUR))
    cases = combine_caches({"here": livers, "there": other})
    with PatchLoader(cases, CONFIG, LoaderMeans(workers=0)) as loader:
        batches = list(loader.batches())
        names = {record.case for batch in batches for record in batch.records}
        assert {name.partition("+")[0] for name in names} == {"here", "there"}
        again = loader.replay(batches[0].records[0])
        assert torch.equal(again.image, batches[0].images[0])
    dataset = PatchDataset(cases, CONFIG)
    assert torch.equal(dataset[0][0], batches[0].images[0])


def test_cases_that_do_not_go_together_are_refused(livers: Cache, heads: Cache) -> None:
    with pytest.raises(LoadingError, match="join caches with combine_caches"):
        PatchLoader((*livers.cases, *livers.cases), CONFIG)
    with pytest.raises(LoadingError, match="cache both for one task"):
        PatchLoader((*livers.cases, *heads.cases), CONFIG)


def test_budget_of_many_labels_is_larger(livers: Cache) -> None:
    many = Task(name="many", channels=("ct",), labels=tuple("abcdef"), regions={"all": (1, 2, 3, 4, 5, 6)}, windows={})
    few = PatchLoader(livers, CONFIG).plan.worker_bytes
    counts = dict.fromkeys(range(1, 7), 1)
    cases = [replace(case, task=many, counts=counts) for case in livers.cases]
    assert PatchLoader(cases, CONFIG).plan.worker_bytes > few


def test_bias_field_leaves_windows_alone() -> None:
    config = AugmentConfig(bias_chance=1.0)
    record = draw(config, np.random.default_rng(0), (True, True), windowed=(0,))
    assert [set(step.coefficients) for step in record.steps if isinstance(step, BiasField)] == [{1}]
    assert draw(config, np.random.default_rng(0), (True,), windowed=(0,)).steps == ()
