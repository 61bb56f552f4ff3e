import numpy as np
import pytest

from tds_data.phantoms.lattice import Lattice
from tds_data.phantoms.motion import blurred_by_motion, draw_poses
from tds_data.phantoms.scanner import Scan, acquire, draw_scan
from tds_data.phantoms.sequences import Protocol, Technique

BOX = Lattice(low_mm=(0.0, 0.0, 0.0), high_mm=(60.0, 70.0, 50.0), spacing_mm=1.0)
FLAT = Protocol(technique=Technique.SPIN_ECHO, repetition_ms=500, echo_ms=10, slice_mm=5.0, gap_mm=1.0, pixel_mm=0.8)
SOLID = Protocol(technique=Technique.SPIN_ECHO, repetition_ms=500, echo_ms=10, pixel_mm=0.9)
PERFECT = Scan(noise=0.0, bias=0.0, blur_mm=0.0, ringing=0.0, poses=(), offset=(0.5, 0.5, 0.5))


def scan(**changes: object) -> Scan:
    return Scan(**({name: getattr(PERFECT, name) for name in PERFECT.__slots__} | changes))


def ball() -> np.ndarray:
    x, y, z = BOX.axes_mm()
    squared = (x - 30) ** 2 + (y - 35) ** 2 + (z - 25) ** 2
    return (100 * (squared < 400) + 50 * (squared < 100)).astype(np.float32)


def acquired(image: np.ndarray, protocol: Protocol, how: Scan, seed: int = 0) -> np.ndarray:
    return acquire(np.random.default_rng(seed), image, BOX, protocol, how, 100.0)


@pytest.mark.parametrize("protocol", [FLAT, SOLID])
def test_even_head_stays_even_in_a_perfect_scanner(protocol: Protocol) -> None:
    image = np.full(BOX.shape, 80, np.float32)
    np.testing.assert_allclose(acquired(image, protocol, PERFECT), 80, rtol=1e-4)


def test_picture_keeps_its_place() -> None:
    for protocol in (FLAT, SOLID):
        seen = acquired(ball(), protocol, PERFECT)
        middle = [
            np.average(np.arange(n), weights=seen.sum(axis=tuple(b for b in range(3) if b != a)))
            for a, n in enumerate(BOX.shape)
        ]
        np.testing.assert_allclose(middle, [29.5, 34.5, 24.5], atol=0.2)


def test_thick_slices_blur_across_and_not_within() -> None:
    edge = np.zeros(BOX.shape, np.float32)
    edge[30:] = 100
    across = np.zeros(BOX.shape, np.float32)
    across[:, :, 25:] = 100
    within = np.diff(acquired(edge, FLAT, PERFECT)[:, 35, 25])
    through = np.diff(acquired(across, FLAT, PERFECT)[30, 35, :])
    assert within.max() > 50
    assert through.max() < 25
    thin = np.diff(acquired(across, SOLID, PERFECT)[30, 35, :])
    assert thin.max() > 50


def test_noise_is_rician() -> None:
    nothing = acquired(np.zeros(BOX.shape, np.float32), SOLID, scan(noise=0.1), seed=1)
    bright = acquired(np.full(BOX.shape, 100, np.float32), SOLID, scan(noise=0.1), seed=1)
    assert nothing.mean() == pytest.approx(10 * np.sqrt(np.pi / 2), rel=0.02)
    assert bright.mean() == pytest.approx(100.5, rel=0.01)
    assert 4 < bright.std() < 10


def test_bias_is_smooth_and_of_the_size_asked_for() -> None:
    seen = acquired(np.full(BOX.shape, 100, np.float32), SOLID, scan(bias=0.2))
    assert 0.03 < np.log(seen / 100).std() < 0.4
    assert np.abs(np.diff(seen, axis=0)).max() < 3


def test_ringing_overshoots_at_edges() -> None:
    edge = np.zeros(BOX.shape, np.float32)
    edge[30:] = 100
    assert acquired(edge, SOLID, scan(ringing=0.1)).max() > 105
    assert acquired(edge, SOLID, scan(blur_mm=1.0)).max() < 101


def test_head_that_keeps_still_has_no_poses() -> None:
    assert draw_poses(np.random.default_rng(0), 0.0) == ()
    for seed in range(20):
        poses = draw_poses(np.random.default_rng(seed), 1.0)
        assert 2 <= len(poses) <= 4
        assert [p.start for p in poses] == sorted(p.start for p in poses)
        assert all(abs(p.turn_degrees) <= 3 and max(map(abs, p.shift_mm)) <= 3.5 for p in poses)


def test_motion_smears_along_the_lines_and_keeps_brightness() -> None:
    image = ball()
    poses = draw_poses(np.random.default_rng(3), 1.0)
    moved = blurred_by_motion(image, poses, (1.0, 1.0), 100.0)
    outside = np.ones(BOX.shape, bool)
    outside[8:52, 12:58] = False
    assert moved[outside].mean() > 0.05
    assert moved.mean() == pytest.approx(image.mean(), rel=0.25)
    assert np.abs(moved - image).max() > 10


def test_poses_of_no_size_change_nothing() -> None:
    poses = tuple(
        type(p)(start=p.start, turn_degrees=0.0, shift_mm=(0.0, 0.0)) for p in draw_poses(np.random.default_rng(3), 1.0)
    )
    np.testing.assert_allclose(blurred_by_motion(ball(), poses, (1.0, 1.0), 100.0), ball(), atol=1e-2)


def test_drawn_faults_vary_around_what_is_asked_for() -> None:
    drawn = [draw_scan(np.random.default_rng(s), noise=0.02, bias=0.1, motion=0.0) for s in range(50)]
    assert np.median([d.noise for d in drawn]) == pytest.approx(0.02, rel=0.3)
    assert np.median([d.bias for d in drawn]) == pytest.approx(0.1, rel=0.3)
    assert len({d.noise for d in drawn}) == 50
    still = draw_scan(np.random.default_rng(0), noise=0.0, bias=0.0, motion=0.0)
    assert (still.noise, still.bias, still.poses) == (0.0, 0.0, ())


def test_voxels_larger_than_slices_are_taken_as_they_are() -> None:
    rough = BOX.at_spacing(5.0)
    thin = Protocol(technique=Technique.SPIN_ECHO, repetition_ms=500, echo_ms=10, slice_mm=3.0, pixel_mm=0.8)
    image = np.random.default_rng(0).random(rough.shape).astype(np.float32)
    np.testing.assert_allclose(acquire(np.random.default_rng(1), image, rough, thin, PERFECT, 1.0), image, rtol=1e-5)
