import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tds_data import Region
from tds_data.cache import Cache, CacheConfig, build_cache, open_cache
from tds_data.cache.case_file import check_arrays, read_header
from tds_data.cache.index import INDEX_NAME
from tds_data.datasets import Manifest
from tds_data.errors import CacheError, DamagedCache, StaleCache


@pytest.fixture
def cache(data_set: Callable[..., Manifest], at_3_mm: CacheConfig, tmp_path: Path) -> Cache:
    return build_cache(data_set(2), tmp_path / "cache", at_3_mm)


@pytest.mark.parametrize(
    ("region", "labels"), [(Region.WT, {1, 2, 3}), (Region.TC, {1, 3}), (Region.ET, {3})], ids=["WT", "TC", "ET"]
)
def test_foreground_lists_every_voxel_of_a_region(cache: Cache, region: Region, labels: set[int]) -> None:
    case = cache.cases[0]
    arrays = case.arrays()
    count = case.region_voxels(region)
    listed = {case.region_voxel(arrays.foreground, region, n) for n in range(count)}
    expected = {tuple(map(int, p)) for p in np.argwhere(np.isin(arrays.labels, list(labels)))}
    assert len(listed) == count
    assert listed == expected


def test_lesion_box_is_tight(cache: Cache) -> None:
    case = cache.cases[0]
    labels = case.arrays().labels
    assert case.lesion_box is not None
    inside = labels[case.lesion_box.slices]
    assert np.count_nonzero(inside) == np.count_nonzero(labels)
    assert inside.any((1, 2)).all()


def test_arrays_lie_on_pages_and_cannot_be_written(cache: Cache) -> None:
    _, places, _ = read_header(cache.cases[0].path)
    assert [place.offset % 4096 for place in places.values()] == [0, 0, 0]
    with pytest.raises(ValueError, match="read-only"):
        cache.cases[0].arrays().labels[0, 0, 0] = 1


def test_opened_cache_is_the_one_that_was_built(cache: Cache) -> None:
    opened = open_cache(cache.folder)
    assert [c.header_sha256 for c in opened.cases] == [c.header_sha256 for c in cache.cases]
    assert opened.cases[0].lesion_box == cache.cases[0].lesion_box
    assert opened.nbytes == cache.nbytes == sum(p.stat().st_size for p in cache.folder.glob("*.tdscase"))
    assert not opened.is_phantom


def test_every_single_bit_of_an_array_is_covered(cache: Cache) -> None:
    path = cache.cases[0].path
    good = path.read_bytes()
    _, places, _ = read_header(path)
    for place in places.values():
        for offset in (place.offset, place.offset + place.nbytes - 1):
            path.write_bytes(good[:offset] + bytes([good[offset] ^ 128]) + good[offset + 1 :])
            with pytest.raises(DamagedCache, match="altered"):
                cache.cases[0].verify()


def test_swapped_case_is_noticed(cache: Cache) -> None:
    first, second = (case.path for case in cache.cases)
    first.write_bytes(second.read_bytes())
    with pytest.raises(DamagedCache, match="another case"):
        cache.cases[0].verify()
    with pytest.raises(DamagedCache, match="not the file"):
        open_cache(cache.folder)


def test_file_that_vanished_or_shrank_is_noticed_when_mapped(cache: Cache) -> None:
    first, second = cache.cases
    os.truncate(first.path, 5000)
    with pytest.raises(DamagedCache, match="less than"):
        first.arrays()
    os.truncate(first.path, 0)
    with pytest.raises(DamagedCache):
        first.arrays()
    second.path.unlink()
    with pytest.raises(DamagedCache):
        second.arrays()
    with pytest.raises(DamagedCache, match="No such file"):
        second.verify()


def test_file_that_shrinks_while_it_is_checked_is_noticed(cache: Cache) -> None:
    path = cache.cases[0].path
    _, places, _ = read_header(path)
    os.truncate(path, 5000)
    with pytest.raises(DamagedCache, match="altered"):
        check_arrays(path, places)
    path.unlink()
    with pytest.raises(DamagedCache, match="No such file"):
        check_arrays(path, places)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "other"}', "[" * 100_000])
def test_index_that_is_none_is_refused(cache: Cache, text: str) -> None:
    (cache.folder / INDEX_NAME).write_text(text)
    with pytest.raises(DamagedCache, match="no list of a cache"):
        open_cache(cache.folder)


@pytest.mark.parametrize("key", ["manifest_digest", "config_digest", "cases", "skipped"])
@pytest.mark.parametrize("value", [None, [{"name": 1}], 5])
def test_index_with_an_entry_that_cannot_be_is_refused(cache: Cache, key: str, value: object) -> None:
    path = cache.folder / INDEX_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(DamagedCache, match="no list of a cache"):
        open_cache(cache.folder)


def test_index_cannot_name_a_file_outside_its_folder(cache: Cache) -> None:
    path = cache.folder / INDEX_NAME
    document = json.loads(path.read_text())
    document["cases"][0]["file"] = f"../{cache.folder.name}/{document['cases'][0]['file']}"
    path.write_text(json.dumps(document))
    with pytest.raises(DamagedCache, match="no list of a cache"):
        open_cache(cache.folder)


def test_cache_of_another_version_is_stale(cache: Cache) -> None:
    path = cache.folder / INDEX_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    with pytest.raises(StaleCache, match="version 99"):
        open_cache(cache.folder)


def test_folder_without_a_cache_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="tds data cache"):
        open_cache(tmp_path)


def test_damage_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(DamagedCache(Path("a.tdscase"), "cut")))  # noqa: S301  # our own
    assert (error.path, error.reason) == (Path("a.tdscase"), "cut")


def test_unknown_name_of_the_package_is_an_error() -> None:
    import tds_data.cache as package  # noqa: PLC0415

    assert "build_cache" in dir(package)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018
