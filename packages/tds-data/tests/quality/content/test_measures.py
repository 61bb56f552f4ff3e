"""Each measure alone, against what it has to be by construction."""

import numpy as np
import pytest
from drawn import drawn_case
from faults import cut_off, mirror_study, rotate, shift, swap

from tds_data import Case, Modality
from tds_data.quality import content
from tds_data.quality.content import (
    asymmetry,
    atlas,
    bias,
    brain,
    contrast,
    coverage,
    flipped,
    interior,
    mirrored,
    motion,
    noise,
    order,
    registration,
    robust,
    skull,
    view,
)

T1, T1CE, T2, FLAIR = Modality


def placed_of(case: Case) -> atlas.Placed:
    seen = view.make_view(case)
    fit = brain.lay_brain(seen)
    assert fit is not None
    return atlas.place(seen, fit)


def interior_of(case: Case) -> interior.Interior:
    found = interior.find_interior(view.make_view(case))
    assert found is not None
    return found


def test_robust_fit_ignores_a_tenth_of_outliers() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(2000)
    wanted = 3 + 2 * x + 0.01 * rng.standard_normal(2000)
    wanted[:200] += 50
    fit = robust.robust_fit(np.stack([np.ones_like(x), x], axis=1), wanted, rounds=8)
    np.testing.assert_allclose(fit.coefficients, [3, 2], atol=0.02)
    assert fit.spread == pytest.approx(0.01, rel=0.3)


def test_atlas_is_symmetric_and_a_brain_large() -> None:
    average = atlas.load_atlas()
    np.testing.assert_array_equal(average.brain, average.brain[::-1])
    assert 1500 < average.brain.sum() * atlas.ATLAS_SPACING_MM**3 / 1000 < 2000
    assert (average.white + average.grey <= average.brain + 0.02).all()
    middle = average.brain.shape[0] // 2
    assert atlas.places_mm()[middle, 0, 0, 0] == 0


def test_fit_finds_a_known_affine(drawn: Case) -> None:
    seen = view.make_view(drawn)
    fit = brain.lay_brain(seen)
    assert fit is not None
    assert fit.agreement > 0.98
    np.testing.assert_allclose(fit.scales, 1, atol=0.04)
    assert fit.tilt_deg < 4
    moved = Case(name="x", images={T1: type(drawn.grid)(drawn.grid.voxels, _turned(drawn.grid.ras_from_voxel))})
    other = brain.lay_brain(view.make_view(moved))
    assert other is not None
    assert other.tilt_deg == pytest.approx(12, abs=4)
    np.testing.assert_allclose(other.scales, 0.9, atol=0.05)


def _turned(affine: np.ndarray) -> np.ndarray:
    cosine, sine = np.cos(np.radians(12)), np.sin(np.radians(12))
    turn = np.array([[1, 0, 0, 4], [0, cosine, -sine, -9], [0, sine, cosine, 7], [0, 0, 0, 1]])
    return turn @ np.diag([0.9, 0.9, 0.9, 1]) @ affine


def test_displacement_is_the_planted_one(drawn: Case) -> None:
    found = registration.measure_displacements(interior_of(shift(drawn, T2, (2, -3, 4))))[T2]
    np.testing.assert_allclose(found.shift_mm, (2, -3, 4), atol=0.4)
    turned = registration.measure_displacements(interior_of(rotate(drawn, FLAIR, 5, 2)))[FLAIR]
    assert np.abs(turned.turn_deg[2]) == pytest.approx(5, abs=0.6)
    still = registration.measure_displacements(interior_of(drawn))
    assert max(found.mm for found in still.values()) < 0.5


def test_one_sequence_has_nothing_to_compare_with(drawn: Case) -> None:
    alone = Case(name="x", images={T1: drawn.grid})
    assert registration.measure_displacements(interior_of(alone)) == {}
    assert motion.measure_copies(interior_of(alone)) == {}
    assert mirrored.suspect_mirrored(placed_of(alone)) == {}
    assert order.check_order(interior_of(alone)) == ()
    assert contrast.measure_enhancement(view.make_view(alone)) is None
    assert (
        interior.find_interior(
            view.make_view(Case(name="x", images={T1: drawn.grid.with_voxels(drawn.grid.voxels * 0)}))
        )
        is None
    )


@pytest.mark.parametrize(("a", "b"), [(T1, T2), (T1, FLAIR), (T2, FLAIR), (T1CE, T2)])
def test_swapped_names_are_undone(drawn: Case, a: Modality, b: Modality) -> None:
    content, evidence = order.find_swap(order.correlate(interior_of(swap(drawn, a, b))))
    assert evidence > order.SWAP_EVIDENCE
    assert content[a] == b or content[b] == a


def test_ends_of_a_box_and_of_a_ball() -> None:
    box = np.zeros((40, 40, 40), np.bool_)
    box[5:35, 5:35, 5:35] = True
    assert set(coverage.measure_ends(box, (1.0, 1.0, 1.0)).values()) == {1.0}
    x, y, z = np.ogrid[-20:20, -20:20, -20:20]
    ball = x**2 + y**2 + z**2 < 18**2
    assert max(coverage.measure_ends(ball, (1.0, 1.0, 1.0)).values()) < coverage.FLAT_CUT
    assert coverage.measure_ends(np.zeros((4, 4, 4), np.bool_), (1.0, 1.0, 1.0)) == {}


def test_cut_names_its_side_and_its_sequences(drawn: Case) -> None:
    flags = coverage.check_coverage(view.make_view(cut_off(drawn, 40, axis=1)))
    assert [f.subject for f in flags] == ["t1, t1ce, t2, flair"]
    assert "front" in (flags[0].value or "")


def test_noise_is_measured_in_parts_of_the_contrast(drawn: Case) -> None:
    sequence = view.make_view(drawn).sequences[T1]
    quiet = noise.measure_noise(sequence)
    rng = np.random.default_rng(1)
    voxels = drawn.grid.voxels + np.rint(60 * rng.standard_normal(drawn.grid.shape)).astype(np.int16)
    voxels = np.where(drawn.grid.voxels > 0, np.maximum(voxels, 1), 0)
    noisy = noise.measure_noise(view.make_view(_single(drawn, voxels)).sequences[T1])
    assert quiet is not None
    assert noisy is not None
    darkest, brightest = np.quantile(sequence.low[sequence.share > 0.98], [0.1, 0.9])
    added = 60 / (sequence.scale * (brightest - darkest))
    assert np.sqrt(noisy**2 - quiet**2) == pytest.approx(added, rel=0.2)


def _single(case: Case, voxels: np.ndarray) -> Case:
    return Case(name="x", images={T1: case.grid.with_voxels(voxels)})


def test_noise_is_unknown_where_there_is_little_inside(drawn: Case) -> None:
    voxels = np.where(np.arange(drawn.grid.shape[2]) < 30, drawn.grid.voxels, 0)
    sequences = view.make_view(_single(drawn, voxels)).sequences
    assert all(noise.measure_noise(s) is None or noise.measure_noise(s) > 0 for s in sequences.values())
    thin = np.zeros(drawn.grid.shape, np.int16)
    thin[20:60, 20:60, 40] = drawn.grid.voxels[20:60, 20:60, 40]
    assert noise.check_noise(view.make_view(_single(drawn, thin))) == ()


def test_drift_is_the_planted_one() -> None:
    average = atlas.load_atlas()
    places = atlas.places_mm()
    image = 1.1 * average.white + 0.8 * average.grey + 0.4 * average.fluid
    flat = bias.measure_drift(image.astype(np.float32), average.brain)
    tilted = bias.measure_drift((image * np.exp(places[..., 1] / 150)).astype(np.float32), average.brain)
    y = places[..., 1][average.brain > 0.9]
    assert flat == pytest.approx(0, abs=0.05)
    assert tilted == pytest.approx((np.quantile(y, 0.975) - np.quantile(y, 0.025)) / 150, abs=0.05)
    assert bias.measure_drift(np.zeros_like(average.brain), average.brain) is None


def test_tissue_contrast_needs_a_brain() -> None:
    average = atlas.load_atlas()
    assert brain.measure_tissue_contrast(average.brain, np.zeros_like(average.brain)) is None
    assert brain.measure_tissue_contrast(average.brain, average.brain) == pytest.approx(0, abs=0.02)
    assert brain.measure_tissue_contrast(2 * average.white + average.grey, average.brain) > 0.5


def test_valley_lies_between_two_bright_layers() -> None:
    depth = np.zeros((60, 60, 60), np.intp)
    for layer in range(1, 12):
        depth[layer : 60 - layer, layer : 60 - layer, layer : 60 - layer] = layer
    image = np.choose(np.minimum(depth, 4), [0, 2, 2, 0.2, 1]).astype(np.float32)
    assert skull.measure_valley(image, depth) == pytest.approx(0.8)
    assert skull.measure_valley(depth.astype(np.float32), depth) == 0
    assert skull.measure_valley(-depth.astype(np.float32), depth) == 0


def test_leaning_turns_its_sign_with_the_study() -> None:
    for seed in (0, 1):
        case = drawn_case(seed)
        right, left = (asymmetry.measure_leaning(placed_of(c)) for c in (case, mirror_study(case)))
        assert right == pytest.approx(-left, abs=0.02)


def test_a_brain_that_leans_as_the_map_does_is_told_from_its_mirror_image() -> None:
    half = asymmetry.half_brain()
    middle = atlas.load_atlas().brain.shape[0] // 2
    images = {}
    for name, weights in asymmetry.load_weights().items():
        image = atlas.load_atlas().brain.copy()
        right = np.zeros(half.shape, np.float32)
        right[half] = 0.1 * weights / np.abs(weights).max()
        image[middle + 1 :] += right
        image[:middle] -= right[::-1]
        images[name] = image
    usual = _placed(images)
    assert asymmetry.measure_leaning(usual) > 0.8
    assert flipped.check_study_side(usual) == ()
    other = _placed({name: np.ascontiguousarray(image[::-1]) for name, image in images.items()})
    assert asymmetry.measure_leaning(other) < -0.8
    assert [f.code for f in flipped.check_study_side(other)] == ["FLIPPED-LEFT-RIGHT"]


def _placed(images: dict[str, np.ndarray]) -> atlas.Placed:
    fit = atlas.BrainFit(case_from_atlas=np.eye(4), agreement=1.0, scales=(1.0, 1.0, 1.0), tilt_deg=0.0, covered=1.0)
    sequences = {Modality(name): image for name, image in images.items() if name != asymmetry.SHARE}
    return atlas.Placed(fit=fit, images=sequences, share=images[asymmetry.SHARE], lesion=None)


def test_mask_in_the_middle_or_without_t2_and_flair_has_no_side(drawn: Case) -> None:
    assert (
        flipped.measure_mask_contrast(placed_of(Case(name="x", images={T1: drawn.grid}, reference=drawn.reference)))
        is None
    )
    speck = np.zeros(drawn.grid.shape, np.uint8)
    speck[40:43, 50:53, 50:53] = 1
    case = Case(name="x", images=drawn.images, reference=drawn.grid.with_voxels(speck))
    assert flipped.measure_mask_contrast(placed_of(case)) is None
    assert flipped.check_mask_side(placed_of(case)) == ()


def test_fit_that_runs_away_ends_and_agrees_with_nothing(drawn: Case) -> None:
    seen = view.make_view(drawn)
    far = np.eye(4)
    far[:3, 3] = 5000
    share = seen.sequences[T1].share
    target = atlas.load_atlas().brain[::2, ::2, ::2]
    fit = atlas._refine(far, share, seen.ras_from_low, target, atlas.places_mm(2))
    assert (fit.agreement, fit.covered) == (0.0, 0.0)


def test_package_lists_what_it_gives() -> None:
    assert set(dir(content)) == set(content.__all__)
    assert all(getattr(content, name) for name in content.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = content.nothing
