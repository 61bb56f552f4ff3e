from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tds_data import Modality, Volume, VoxelError, load_case, to_canonical
from tds_data.discover import discover
from tds_data.errors import RegistrationFailed
from tds_data.raw import RegisterConfig, load_atlas, register_affine, register_rigid, resample_to
from tds_data.raw._search import Search, coarser
from tds_data.raw.register import displacement_mm, head_points

pytest.importorskip("SimpleITK")

T1, T1CE, T2, FLAIR = Modality
Head = Callable[..., Volume]
Laid = Callable[..., np.ndarray]
QUICK = RegisterConfig(levels_mm=(6.0, 4.0), samples=15_000)
COARSE = (3.0, 3.0, 3.0)


@pytest.fixture(scope="module")
def fixed(head: Head) -> Volume:
    return head(T1CE, spacing_mm=COARSE)


def error_mm_and_deg(found: np.ndarray, true: np.ndarray, volume: Volume) -> tuple[float, float]:
    """How far off the surface of the head is, and by how much it is turned."""
    off = found @ np.linalg.inv(true)
    turn = np.rad2deg(Rotation.from_matrix(off[:3, :3]).magnitude())
    return displacement_mm(off, np.eye(4), head_points(volume)), float(turn)


@pytest.mark.parametrize(
    ("modality", "turn_deg", "shift_mm", "spacing_mm", "axes"),
    [
        (T2, (5, -3, 4), (4, -6, 3), (2.0, 2.0, 5.0), "RAS"),
        (FLAIR, (-8, 6, 10), (-12, 9, 15), (2.0, 4.0, 2.0), "LPI"),
        (T1, (20, 10, -14), (30, -20, 10), COARSE, "LAS"),
    ],
)
def test_a_known_turn_and_shift_is_found(
    modality: Modality,
    turn_deg: tuple[float, ...],
    shift_mm: tuple[float, ...],
    spacing_mm: tuple[float, float, float],
    axes: str,
    head: Head,
    laid: Laid,
    fixed: Volume,
) -> None:
    true = laid(turn_deg, shift_mm)
    moving = head(modality, spacing_mm=spacing_mm, atlas_from_ras=true, axes=axes, seed=5)
    found = register_rigid(moving, fixed, QUICK)
    off_mm, off_deg = error_mm_and_deg(found.fixed_from_moving, true, fixed)
    assert off_mm < 1
    assert off_deg < 1
    assert found.spread_mm < 1
    assert found.information > found.information_before
    assert found.turn_deg == pytest.approx(np.linalg.norm(turn_deg), abs=1)
    assert np.allclose(found.fixed_from_moving[:3, :3] @ found.fixed_from_moving[:3, :3].T, np.eye(3))


def test_the_same_images_give_the_same_matrix(head: Head, laid: Laid, fixed: Volume) -> None:
    moving = head(FLAIR, spacing_mm=COARSE, atlas_from_ras=laid((3, 2, 1), (1, 2, 3)))
    first, second = (register_rigid(moving, fixed, QUICK) for _ in range(2))
    assert np.array_equal(first.fixed_from_moving, second.fixed_from_moving)
    assert first.spread_mm == second.spread_mm


def test_a_brain_is_brought_to_the_atlas(head: Head, head_brain: Volume, laid: Laid) -> None:
    lay = laid((4, -3, 6), (5, 5, -4)) @ np.diag([1.08, 0.95, 1.05, 1.0])
    whole = head(T1, spacing_mm=COARSE, atlas_from_ras=lay)
    brain = resample_to(head_brain, whole, np.linalg.inv(lay)).voxels > 0.5
    found = register_affine(whole.with_voxels(np.where(brain, whole.voxels, 0)), load_atlas(), QUICK)
    points = head_points(head_brain)
    assert displacement_mm(found.fixed_from_moving @ np.linalg.inv(lay), np.eye(4), points) < 3


def test_images_of_different_things_are_refused(fixed: Volume) -> None:
    noise = fixed.with_voxels(np.random.default_rng(1).integers(0, 900, fixed.shape).astype(np.int16))
    with pytest.raises(RegistrationFailed, match="check that both"):
        register_rigid(noise, fixed, RegisterConfig(levels_mm=(6.0,), samples=5000))


def test_a_turn_beyond_the_limit_is_refused(head: Head, laid: Laid, fixed: Volume) -> None:
    moving = head(T1, spacing_mm=COARSE, atlas_from_ras=laid((0, 0, 20), (0, 0, 0)))
    limit = RegisterConfig(levels_mm=(6.0, 3.0), samples=20_000, max_turn_deg=10, max_shift_mm=1e-6, max_spread_mm=1e-9)
    with pytest.raises(
        RegistrationFailed, match=r"turns the head by (19|20) degrees, more than 10.*when it is repeated"
    ):
        register_rigid(moving, fixed, limit)


def test_a_stretch_beyond_the_limit_is_refused(fixed: Volume) -> None:
    wide = Volume(fixed.voxels, np.diag([1.3, 1, 1, 1]) @ fixed.ras_from_voxel)
    limit = RegisterConfig(levels_mm=(6.0,), samples=20_000, max_scale=1.1)
    with pytest.raises(RegistrationFailed, match="stretches the head"):
        register_affine(wide, fixed, limit)


def test_an_end_worse_than_the_start_is_refused(
    fixed: Volume, head: Head, monkeypatch: pytest.MonkeyPatch, laid: Laid
) -> None:
    moving = head(T2, spacing_mm=COARSE)
    monkeypatch.setattr(Search, "run", lambda *_, **__: laid((0, 0, 9), (9, 0, 0)))
    with pytest.raises(RegistrationFailed, match="worse than where it began"):
        register_rigid(moving, fixed, QUICK)


def test_a_search_that_gains_nothing_keeps_the_start(
    fixed: Volume, monkeypatch: pytest.MonkeyPatch, laid: Laid
) -> None:
    end = laid((0, 0, 0.2), (0, 0, 0))
    monkeypatch.setattr(Search, "run", lambda *_, **__: end)
    monkeypatch.setattr(Search, "information", lambda _, matrix, **__: 1 - 1e-3 * np.array_equal(matrix, end))
    found = register_rigid(fixed, fixed, QUICK)
    assert np.array_equal(found.fixed_from_moving, np.eye(4))
    assert found.information == 1


def test_images_that_never_meet_are_refused(fixed: Volume) -> None:
    from tds_data.raw._itk import single_thread  # noqa: PLC0415
    from tds_data.raw._search import make_levels  # noqa: PLC0415

    far = np.eye(4)
    far[0, 3] = 5000
    with single_thread() as sitk:
        levels = make_levels(fixed, fixed, (6.0,))
        search = Search(sitk=sitk, levels=levels, centre_mm=np.zeros(3), samples=5000, bins=32)
        assert search.information(far, level=0) == 0
        with pytest.raises(RegistrationFailed, match="do not overlap"):
            search.run(far, level=0, rigid=True, seed=1)


def test_broken_images_are_refused(fixed: Volume) -> None:
    broken = np.array(fixed.voxels, np.float32)
    broken[3, 3, 3] = np.nan
    with pytest.raises(VoxelError, match="the moving image holds 1 voxels"):
        register_rigid(fixed.with_voxels(broken), fixed)
    with pytest.raises(VoxelError, match="the fixed image is constant"):
        register_rigid(fixed, fixed.with_voxels(np.zeros(fixed.shape)))


@pytest.mark.parametrize("wrong", [{"levels_mm": ()}, {"samples": 0}, {"seed": 0}, {"max_turn_deg": -1.0}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="at least one level, and numbers above 0"):
        RegisterConfig(**wrong)  # type: ignore[arg-type]  # on purpose


def test_coarser_images_keep_their_place() -> None:
    voxels = np.zeros((40, 30, 6))
    voxels[21:24, 9:12, 2:4] = 5
    affine = np.array([[0, -1.0, 0, 3], [2, 0, 0, 4], [0, 0, 5, 5], [0, 0, 0, 1]])
    volume = Volume(voxels, affine)
    small = coarser(volume, 3.0)
    assert np.allclose(small.spacing_mm, (3, 3, 5))

    def centroid(v: Volume) -> np.ndarray:
        weights = v.voxels / v.voxels.sum()
        index = [(weights * axis).sum() for axis in np.indices(v.shape)]
        return v.ras_from_voxel[:3, :3] @ index + v.ras_from_voxel[:3, 3]

    assert np.allclose(centroid(small), centroid(volume), atol=1e-4)


@pytest.mark.real_data
def test_a_moved_sequence_of_a_real_patient_is_found(real_patients: list[Path]) -> None:
    case = load_case(discover(real_patients[2]))
    fixed = case.images[T1CE]
    move = np.eye(4)
    move[:3, :3] = Rotation.from_rotvec(np.deg2rad([4, -6, 5])).as_matrix()
    move[:3, 3] = (6, -9, 7)
    truth = np.linalg.inv(move)
    image = to_canonical(case.images[FLAIR])
    moving = resample_to(image, image, move)
    found = register_rigid(moving, fixed)
    off_mm, off_deg = error_mm_and_deg(found.fixed_from_moving, truth, fixed)
    assert off_mm < 1
    assert off_deg < 1
