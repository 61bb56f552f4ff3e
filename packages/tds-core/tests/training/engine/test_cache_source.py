import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from tds_core.errors import ConfigError
from tds_core.training.distributed import Launch, World
from tds_core.training.engine import Batch, CacheSource
from tds_data import PreprocessConfig, write_volume
from tds_data.cache import Cache, CacheConfig, build_cache
from tds_data.datasets import CaseEntry, FileEntry, Manifest
from tds_data.loading import LoaderMeans, PatchConfig
from tds_data.testing import draw_brain

PATCHES = PatchConfig(shape=(8, 8, 8), batch_size=5, batches_per_epoch=3, seed=2)
HERE = LoaderMeans(workers=0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    root = tmp_path_factory.mktemp("drawn")
    case = draw_brain(shape=(30, 37, 32), spacing_mm=6.0, seed=1)
    assert case.reference is not None
    files: dict[str, FileEntry] = {}
    for name, volume in [*case.images.items(), ("seg", case.reference)]:
        write_volume(root / f"{name}.nii", volume)
        content = (root / f"{name}.nii").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        files[str(name)] = FileEntry(path=f"{name}.nii", sha256=digest, size_bytes=len(content))
    mask = files.pop("seg")
    entry = CaseEntry(name="head", patient="p", images=files, mask=mask, phantom=False)
    manifest = Manifest(layout="brats", cases=(entry,), scheme="brats-2023", root=root)
    return build_cache(manifest, root / "cache", CacheConfig(preprocess=PreprocessConfig(spacing_mm=6.0)))


def batches(cache: Cache, world: World, *, start: int = 0, means: LoaderMeans = HERE) -> list[Batch]:
    source = CacheSource(cache, PATCHES, means, world)
    try:
        assert source.batches_per_epoch == 3
        made: Iterator[Batch] = source.batches(1, start=start)
        return [Batch(images=batch.images.clone(), target=batch.target.clone(), cases=batch.cases) for batch in made]
    finally:
        source.close()


def test_one_process_has_whole_batches(cache: Cache) -> None:
    made = batches(cache, World())
    assert [tuple(batch.images.shape) for batch in made] == [(5, 4, 8, 8, 8)] * 3
    assert made[0].target.shape == (5, 8, 8, 8)
    assert made[0].target.dtype == torch.uint8
    assert made[0].cases == ("head",) * 5


def test_any_batch_can_be_the_first(cache: Cache) -> None:
    whole, late = batches(cache, World()), batches(cache, World(), start=2)
    assert len(late) == 1
    assert torch.equal(late[0].images, whole[2].images)


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("workers", [0, 1])
def test_shares_of_all_processes_are_the_batches_of_one(cache: Cache, size: int, workers: int) -> None:
    whole = batches(cache, World())
    means = replace(HERE, workers=workers)
    shares = [batches(cache, World(Launch(rank=rank, size=size)), means=means) for rank in range(size)]
    for number, batch in enumerate(whole):
        parts = [share[number] for share in shares]
        assert max(len(part.images) for part in parts) - min(len(part.images) for part in parts) <= 1
        assert torch.equal(torch.cat([part.images for part in parts]), batch.images)
        assert torch.equal(torch.cat([part.target for part in parts]), batch.target)


def test_more_processes_than_patches_are_refused(cache: Cache) -> None:
    with pytest.raises(ConfigError, match=r"raise sampling\.batch to 6"):
        CacheSource(cache, PATCHES, HERE, World(Launch(rank=0, size=6)))
