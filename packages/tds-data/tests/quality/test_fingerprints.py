import numpy as np
import pytest

from tds_data import Volume
from tds_data.quality.fingerprints import fingerprint


@pytest.fixture
def volume() -> Volume:
    return Volume(np.random.default_rng(1).integers(0, 900, (12, 14, 10)).astype(np.int16), np.diag([1, 1, 2, 1]))


def test_type_voxel_order_place_and_orientation_do_not_count(volume: Volume) -> None:
    same = fingerprint(volume)
    assert fingerprint(volume.with_voxels(volume.voxels.astype(np.float64))) == same
    assert fingerprint(volume.with_voxels(np.asfortranarray(volume.voxels))) == same
    moved = np.array(volume.ras_from_voxel)
    moved[0, 3] += 5
    assert fingerprint(Volume(volume.voxels, moved)) == same
    flip = np.array([[-1, 0, 0, 11], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    assert fingerprint(Volume(volume.voxels[::-1], volume.ras_from_voxel @ flip)) == same


def test_another_image_differs(volume: Volume) -> None:
    assert fingerprint(volume.with_voxels(volume.voxels + np.int16(1))) != fingerprint(volume)
    assert fingerprint(Volume(volume.voxels[::-1], volume.ras_from_voxel)) != fingerprint(volume)
