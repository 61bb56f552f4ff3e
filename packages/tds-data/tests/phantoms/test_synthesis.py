from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tds_data.phantoms import Phantom, PhantomConfig, TumourKind, synthesize
from tds_data.vocabulary import MODALITIES, Label, Modality

Make = Callable[..., Phantom]
NEIGHBOURS = ndimage.generate_binary_structure(3, 3)


def voxels(phantom: Phantom, modality: Modality) -> np.ndarray:
    return phantom.case.images[modality].voxels.astype(np.float64)


def white_level(phantom: Phantom, modality: Modality) -> float:
    sure = (phantom.tissues["white"] > 0.95) & (phantom.reference.voxels == 0) & ~phantom.cavity
    return float(np.median(voxels(phantom, modality)[sure & (voxels(phantom, modality) > 1)]))


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


@settings(max_examples=6, deadline=None)
@given(
    st.builds(
        PhantomConfig,
        seed=st.integers(0, 2**40),
        spacing_mm=st.sampled_from([3.5, 4.0]),
        modalities=st.sets(st.sampled_from(MODALITIES), min_size=1).map(tuple),
        tumours=st.integers(0, 5),
        kind=st.sampled_from(TumourKind),
        noise=st.sampled_from([0.0, 0.05]),
        bias=st.sampled_from([0.0, 0.3]),
        tesla=st.sampled_from([None, 1.5, 3.0]),
        thick_slices=st.sampled_from([None, False, True]),
        motion=st.sampled_from([0.0, 0.7]),
    )
)
def test_every_configuration_gives_a_whole_case(config: PhantomConfig) -> None:
    phantom = synthesize(config)
    case = phantom.case
    assert set(case.modalities) == set(config.modalities) == set(phantom.acquisitions)
    labels = phantom.reference.voxels
    assert case.reference is phantom.reference
    assert set(np.unique(labels)) <= {0, 1, 2, 3}
    assert labels.any() == bool(config.tumours)
    assert phantom.cavity.any() <= (config.kind is TumourKind.RESECTED)
    kept = case.grid.voxels > 0
    for image in case.images.values():
        np.testing.assert_array_equal(image.voxels > 0, kept)
    assert kept[labels > 0].all()
    assert not (phantom.cavity & (labels > 0)).any()
    assert dice(kept, phantom.brain) > 0.93
    total = sum(phantom.tissues.values())
    np.testing.assert_allclose(total[phantom.brain], 1, atol=1e-5)
    assert not total[~phantom.brain].any()


@pytest.mark.parametrize("tesla", [1.5, 3.0])
def test_field_strength_is_the_one_asked_for(make: Make, tesla: float) -> None:
    phantom = make(2, tesla=tesla)
    assert {how.tesla for how in phantom.acquisitions.values()} == {tesla}


def test_field_strength_does_not_change_the_person(make: Make) -> None:
    low, high = make(2, tesla=1.5), make(2, tesla=3.0)
    np.testing.assert_array_equal(low.reference.voxels, high.reference.voxels)
    np.testing.assert_array_equal(low.brain, high.brain)
    assert (voxels(low, Modality.T1) != voxels(high, Modality.T1)).any()


def test_true_tissues_are_those_of_a_brain(make: Make) -> None:
    for seed in range(3):
        phantom = make(seed)
        volume_ml = {name: float(share.sum()) * 0.064 for name, share in phantom.tissues.items()}
        assert 350 < volume_ml["white"] < 800
        assert 450 < volume_ml["grey"] < 900
        assert 50 < volume_ml["fluid"] < 450


def test_low_grade_tumours_are_bright_in_flair_and_hardly_enhance(make: Make) -> None:
    shares = []
    for seed in range(4):
        phantom = make(seed, kind=TumourKind.LOW_GRADE, spacing_mm=3.0)
        labels = phantom.reference.voxels
        core = labels == Label.NCR
        shares.append((labels == Label.ET).sum() / (core | (labels == Label.ET)).sum())
        assert np.median(voxels(phantom, Modality.FLAIR)[core]) > 1.2 * white_level(phantom, Modality.FLAIR)
        assert np.median(voxels(phantom, Modality.T2)[core]) > 1.2 * white_level(phantom, Modality.T2)
        assert np.median(voxels(phantom, Modality.T1CE)[core]) < 1.1 * white_level(phantom, Modality.T1CE)
    assert min(shares) == 0
    assert max(shares) < 0.15


def test_cavities_hold_fluid_and_have_no_label(make: Make) -> None:
    for seed in range(3):
        phantom = make(seed, kind=TumourKind.RESECTED, spacing_mm=3.0)
        inner = ndimage.binary_erosion(phantom.cavity)
        assert phantom.cavity.sum() * 0.027 > 1
        assert not phantom.reference.voxels[phantom.cavity].any()
        assert set(np.unique(phantom.reference.voxels)) <= {0, 2, 3}
        assert np.median(voxels(phantom, Modality.T2)[inner]) > 1.7 * white_level(phantom, Modality.T2)
        assert np.median(voxels(phantom, Modality.FLAIR)[inner]) < white_level(phantom, Modality.FLAIR)
        wall = ndimage.binary_dilation(phantom.cavity, NEIGHBOURS, iterations=3)
        assert (phantom.reference.voxels[wall] == Label.ED).any()


def test_tumour_pushes_tissue_but_not_the_skull(make: Make) -> None:
    found = []
    for seed in (2, 4, 8):
        grown, healthy = make(seed, spacing_mm=3.0), make(seed, spacing_mm=3.0, tumours=0)
        assert dice(grown.brain, healthy.brain) > 0.99
        change = np.abs(grown.tissues["fluid"] - healthy.tissues["fluid"])
        near = ndimage.binary_dilation(grown.reference.voxels > 0, NEIGHBOURS, iterations=4)
        far = healthy.brain & ~ndimage.binary_dilation(near, NEIGHBOURS, iterations=6)
        found.append(change[near].mean() / max(change[far].mean(), 1e-6))
    assert min(found) > 1.4


def test_motion_changes_pictures_and_not_the_truth(make: Make) -> None:
    still, moved = make(6), make(6, motion=1.0)
    np.testing.assert_array_equal(still.reference.voxels, moved.reference.voxels)
    kept = still.case.grid.voxels > 0
    np.testing.assert_array_equal(kept, moved.case.grid.voxels > 0)
    for modality in MODALITIES:
        assert moved.acquisitions[modality].scan.poses
        one, other = voxels(still, modality)[kept], voxels(moved, modality)[kept]
        assert 0.2 < np.corrcoef(one, other)[0, 1] < 0.999


def test_thick_slices_are_smooth_across() -> None:
    thick, thin = (
        synthesize(PhantomConfig(seed=1, spacing_mm=1.5, modalities=(Modality.T2,), thick_slices=flag, noise=0.0))
        for flag in (True, False)
    )

    def roughness(phantom: Phantom) -> float:
        image = voxels(phantom, Modality.T2)
        kept = ndimage.binary_erosion(image > 0, iterations=3)
        across = np.abs(np.diff(image, n=2, axis=2))[kept[:, :, 1:-1]].mean()
        within = np.abs(np.diff(image, n=2, axis=0))[kept[1:-1]].mean()
        return float(across / within)

    assert thick.acquisitions[Modality.T2].protocol.slice_mm >= 2
    assert roughness(thick) < 0.75 * roughness(thin)


def test_whole_head_has_skull_scalp_and_noisy_air(make: Make) -> None:
    phantom = make(3, with_skull=True)
    t1 = voxels(phantom, Modality.T1)
    white = white_level(phantom, Modality.T1)
    depth = ndimage.distance_transform_edt(~phantom.brain, sampling=4.0)
    upper = np.zeros(t1.shape, bool)
    upper[:, :, t1.shape[2] * 2 // 3 :] = True
    skull = np.median(t1[upper & (depth > 2) & (depth < 6)])
    scalp = np.percentile(t1[upper & (depth > 8) & (depth < 20)], 90)
    air = t1[upper & (depth > 40)]
    assert skull < 0.8 * white < scalp
    assert 0 < air.mean() < 0.15 * white
    assert air.std() > 0
    assert phantom.brain.sum() * 0.064 > 1000
    assert (t1 > 0.5 * white).sum() > 1.4 * phantom.brain.sum()


def test_whole_head_holds_the_person_of_the_stripped_one(make: Make) -> None:
    head, brain = make(3, with_skull=True), make(3)
    assert head.brain.sum() == pytest.approx(brain.brain.sum(), rel=0.02)
    for label in (Label.NCR, Label.ED, Label.ET):
        places = []
        for phantom in (head, brain):
            middle = np.argwhere(phantom.reference.voxels == label).mean(axis=0)
            places.append((phantom.reference.ras_from_voxel @ [*middle, 1])[:3])
        assert np.linalg.norm(places[0] - places[1]) < 3


def test_enhancement_shows_after_contrast_agent_alone(make: Make) -> None:
    phantom = make(2, spacing_mm=2.0, bias=0.0)
    rim = ndimage.binary_erosion(phantom.reference.voxels == Label.ET)
    before, after = (np.median(voxels(phantom, m)[rim]) / white_level(phantom, m) for m in (Modality.T1, Modality.T1CE))
    assert after > before + 0.15


def test_no_two_people_are_alike(make: Make) -> None:
    one, other = make(0, tumours=0), make(1, tumours=0)
    shape = np.minimum(one.brain.shape, other.brain.shape)
    cut = tuple(slice(n) for n in shape)
    assert np.corrcoef(one.tissues["white"][cut].ravel(), other.tissues["white"][cut].ravel())[0, 1] < 0.9
    gains = {how.gain for p in (one, other) for how in p.acquisitions.values()}
    assert len(gains) == 8
