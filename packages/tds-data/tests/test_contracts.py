import numpy as np
import pytest

from tds_data import Case, GeometryError, GridMismatch, Modality, SequenceNotFound, Volume, VoxelError

T1, T1CE, T2, FLAIR = Modality


def volume(*shape: int, step: float = 1.0) -> Volume:
    return Volume(np.zeros(shape, np.uint8), np.diag([step, step, step, 1.0]))


def test_volume_is_read_only_and_leaves_the_callers_array_alone() -> None:
    voxels, affine = np.zeros((2, 3, 4)), np.eye(4)
    made = Volume(voxels, affine)
    with pytest.raises(ValueError, match="read-only"):
        made.voxels[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        made.ras_from_voxel[0, 0] = 2
    voxels[0, 0, 0] = affine[0, 3] = 5
    assert made.ras_from_voxel[0, 3] == 0


@pytest.mark.parametrize("voxels", [np.zeros((2, 2)), np.zeros((2, 0, 2)), np.zeros((1, 1, 1), complex)])
def test_arrays_that_are_no_volume_are_refused(voxels: np.ndarray) -> None:
    with pytest.raises(VoxelError):
        Volume(voxels, np.eye(4))


@pytest.mark.parametrize(
    ("affine", "reason"),
    [
        (np.eye(3), "4 x 4"),
        (np.full((4, 4), np.nan), "NaN"),
        (np.ones((4, 4)), "last row"),
        (np.diag([1.0, 1, 0, 1]), "singular"),
    ],
)
def test_matrices_that_are_no_affine_are_refused(affine: np.ndarray, reason: str) -> None:
    with pytest.raises(GeometryError, match=reason):
        Volume(np.zeros((2, 2, 2)), affine)


def test_voxel_size_follows_from_the_affine() -> None:
    turned = Volume(np.zeros((2, 2, 2)), np.array([[0, 2.0, 0, 0], [3, 0, 0, 0], [0, 0, -4, 0], [0, 0, 0, 1]]))
    assert turned.spacing_mm == (3.0, 2.0, 4.0)
    assert turned.voxel_volume_ml == pytest.approx(0.024)


def test_other_voxels_must_fit_the_grid() -> None:
    assert volume(2, 3, 4).with_voxels(np.ones((2, 3, 4))).voxels.sum() == 24
    with pytest.raises(VoxelError, match="do not fit"):
        volume(2, 3, 4).with_voxels(np.ones((4, 3, 2)))


def test_grids_are_compared_at_their_corners() -> None:
    assert volume(9, 9, 9).same_grid(volume(9, 9, 9, step=1.0005))
    assert not volume(90, 90, 90).same_grid(volume(90, 90, 90, step=1.0005))
    assert not volume(9, 9, 9).same_grid(volume(9, 9, 8))


def test_case_orders_its_sequences() -> None:
    case = Case(name="x", images={FLAIR: volume(2, 2, 2), T1: volume(2, 2, 2)})
    assert case.modalities == (T1, FLAIR)
    assert case.grid is case.images[T1]


def test_case_needs_known_sequences() -> None:
    with pytest.raises(SequenceNotFound, match="at least one"):
        Case(name="x", images={})
    with pytest.raises(SequenceNotFound, match="not ct"):
        Case(name="x", images={"ct": volume(2, 2, 2)})


def test_case_shares_one_grid() -> None:
    with pytest.raises(GridMismatch, match=r"t1 .* and t2 .*2, 2, 3"):
        Case(name="x", images={T1: volume(2, 2, 2), T2: volume(2, 2, 3)})
    with pytest.raises(GridMismatch, match="reference mask"):
        Case(name="x", images={T1: volume(2, 2, 2)}, reference=volume(2, 2, 2, step=1.5))
