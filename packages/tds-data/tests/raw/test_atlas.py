import importlib.util

import numpy as np
import pytest

import tds_data.raw
from tds_data import MissingDependency
from tds_data.raw import atlas_brain, load_atlas


def test_the_atlas_is_a_brain_in_its_own_place() -> None:
    pytest.importorskip("nilearn")
    atlas = load_atlas()
    assert atlas.shape == (197, 233, 189)
    assert atlas.spacing_mm == (1.0, 1.0, 1.0)
    brain = atlas_brain()
    assert np.array_equal(brain.voxels > 0, atlas.voxels > 0)
    assert 1500 < np.count_nonzero(brain.voxels) * brain.voxel_volume_ml < 2100


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependency, match=r"tds-data\[register\]"):
        load_atlas()


def test_every_public_name_is_there() -> None:
    pytest.importorskip("SimpleITK")
    for name in tds_data.raw.__all__:
        assert getattr(tds_data.raw, name).__doc__
    assert dir(tds_data.raw) == sorted(tds_data.raw.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tds_data.raw.nothing  # noqa: B018  # asking is the test
