from collections.abc import Callable

import numpy as np
import pytest
from nibabel.affines import apply_affine

from tds_data import GridMismatch, Modality, Volume, VoxelError
from tds_data.raw import DefaceConfig, face_region, remove_face, resample_to

Head = Callable[..., Volume]
Laid = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def atlas_from_ras(laid: Laid) -> np.ndarray:
    return laid((8, -6, 10), (7, -9, 5))


@pytest.fixture(scope="module")
def raw(head: Head, atlas_from_ras: np.ndarray) -> Volume:
    return head(Modality.T1, spacing_mm=(2.0, 2.0, 3.0), atlas_from_ras=atlas_from_ras, axes="LAS")


@pytest.fixture(scope="module")
def brain(head_brain: Volume, raw: Volume, atlas_from_ras: np.ndarray) -> Volume:
    moved = resample_to(head_brain, raw, np.linalg.inv(atlas_from_ras))
    return raw.with_voxels((moved.voxels > 0.1).astype(np.uint8))


def atlas_places(volume: Volume, atlas_from_ras: np.ndarray) -> np.ndarray:
    return apply_affine(atlas_from_ras @ volume.ras_from_voxel, np.moveaxis(np.indices(volume.shape), 0, -1))


def test_nose_eyes_mouth_and_ears_go(raw: Volume, brain: Volume, atlas_from_ras: np.ndarray) -> None:
    found = remove_face(raw, brain, atlas_from_ras)
    places = atlas_places(raw, atlas_from_ras)
    for centre, radius in (((0, 108, -48), 15), ((33, 66, -42), 8), ((-33, 66, -42), 8), ((0, 85, -95), 15)):
        near = np.linalg.norm(places - centre, axis=-1) < radius
        assert near.any()
        assert not found.voxels[near].any()
    for side in (-1, 1):
        ear = np.linalg.norm(places - (side * 88, -22, -38), axis=-1) < 8
        assert raw.voxels[ear].mean() > 100
        assert not found.voxels[ear].any()
    assert found.voxels.dtype == raw.voxels.dtype


def test_the_brain_and_its_margin_stay(raw: Volume, brain: Volume, atlas_from_ras: np.ndarray) -> None:
    from scipy import ndimage  # noqa: PLC0415  # an independent way to say near

    for margin in (0.0, 8.0, 15.0):
        found = remove_face(raw, brain, atlas_from_ras, DefaceConfig(margin_mm=margin, fill=-7))
        away = ndimage.distance_transform_edt(brain.voxels == 0, sampling=raw.spacing_mm)
        assert np.array_equal(found.voxels[away <= margin], raw.voxels[away <= margin])
        assert (found.voxels == -7).any()


def test_the_back_of_the_head_stays(raw: Volume, brain: Volume, atlas_from_ras: np.ndarray) -> None:
    found = remove_face(raw, brain, atlas_from_ras)
    places = atlas_places(raw, atlas_from_ras)
    back = (places[..., 1] < -60) | (places[..., 2] > 10)
    assert np.array_equal(found.voxels[back], raw.voxels[back])


def test_an_image_without_a_face_in_view_stays(atlas_from_ras: np.ndarray) -> None:
    affine = np.linalg.inv(atlas_from_ras) @ np.diag([2.0, 2, 2, 1])
    affine[:3, 3] += np.linalg.inv(atlas_from_ras)[:3, :3] @ (-20, -100, 20)
    volume = Volume(np.ones((20, 20, 20)), affine)
    assert not face_region(volume, atlas_from_ras).any()
    assert remove_face(volume, volume, atlas_from_ras).voxels.all()


def test_a_face_far_from_the_brain_goes_whole() -> None:
    volume = Volume(
        np.ones((30, 30, 30)),
        np.diag([10.0, 10, 10, 1]) + np.array([[0, 0, 0, -150]] * 2 + [[0, 0, 0, -250]] + [[0] * 4]),
    )
    brain = np.zeros(volume.shape, np.uint8)
    brain[15, 1, 28] = 1
    found = remove_face(volume, volume.with_voxels(brain), np.eye(4))
    assert np.array_equal(found.voxels == 0, face_region(volume, np.eye(4)))


def test_without_a_brain_nothing_is_removed(raw: Volume, brain: Volume, atlas_from_ras: np.ndarray) -> None:
    with pytest.raises(VoxelError, match="empty"):
        remove_face(raw, brain.with_voxels(np.zeros(brain.shape)), atlas_from_ras)
    with pytest.raises(GridMismatch, match="not on the grid"):
        remove_face(raw, Volume(brain.voxels[1:], brain.ras_from_voxel), atlas_from_ras)
