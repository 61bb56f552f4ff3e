import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tds_core import Bundle, Engine, InferenceOptions, OutOfMemory, Segmentation, segment
from tds_core.evaluation import sequence_subsets, with_sequences
from tds_core.inference import coarse_labels, predict
from tds_data import (
    MODALITIES,
    REGION_LABELS,
    Case,
    DataError,
    Modality,
    PhantomConfig,
    RefusedStudy,
    Region,
    SequenceNotFound,
    Volume,
    VoxelError,
    make_phantom,
    prepare,
)

STAGES = ["quality", "model", "preprocess", "infer", "restore", "measure"]


@pytest.fixture(scope="module")
def shipped(phantom: Case, bundle: Bundle, engine: Engine) -> Segmentation:
    return segment(phantom, bundle=bundle, engine=engine)


@pytest.fixture(scope="module")
def original(phantom: Case, bundle: Bundle, bright: Engine) -> Segmentation:
    return segment(phantom, bundle=bundle, engine=bright)


def moved(volume: Volume, order: tuple[int, ...], flipped: tuple[int, ...], shift_mm: NDArray[np.float64]) -> Volume:
    """Store the same head in another voxel order, and put it elsewhere in the world."""
    voxels = np.flip(np.transpose(volume.voxels, order), flipped)
    stored = np.zeros((4, 4))
    stored[3, 3] = 1
    for new, old in enumerate(order):
        stored[old, new] = -1 if new in flipped else 1
        stored[old, 3] += voxels.shape[new] - 1 if new in flipped else 0
    affine = volume.ras_from_voxel @ stored
    affine[:3, 3] += shift_mm
    return Volume(voxels, affine)


def moved_case(case: Case, order: tuple[int, ...], flipped: tuple[int, ...], shift_mm: NDArray[np.float64]) -> Case:
    images = {m: moved(v, order, flipped, shift_mm) for m, v in case.images.items()}
    assert case.reference is not None
    return Case(name=case.name, images=images, reference=moved(case.reference, order, flipped, shift_mm))


def test_shipped_model_finds_the_phantoms_tumour(shipped: Segmentation, phantom: Case, bundle: Bundle) -> None:
    report = shipped.report
    assert report.dice is not None
    assert report.dice[Region.WT] >= 0.6
    assert report.model == bundle.identity
    assert report.case == phantom.name
    assert report.modalities == MODALITIES
    assert not report.phantom
    assert phantom.reference is not None
    (x, y, z) = report.lesions[0].centroid_mm
    truth = np.argwhere(phantom.reference.voxels > 0).mean(axis=0)
    place = phantom.grid.ras_from_voxel[:3, :3] @ truth + phantom.grid.ras_from_voxel[:3, 3]
    assert np.linalg.norm(place - (x, y, z)) < 15


def test_mask_holds_labels_on_the_studys_own_grid(shipped: Segmentation, phantom: Case) -> None:
    assert shipped.mask.same_grid(phantom.grid)
    assert shipped.mask.voxels.dtype == np.uint8
    assert set(np.unique(shipped.mask.voxels)) <= {0, 1, 2, 3}
    assert not shipped.mask.voxels[phantom.grid.voxels == 0].all()


def test_volumes_in_the_report_are_those_of_the_mask(shipped: Segmentation) -> None:
    for region in Region:
        inside = np.isin(shipped.mask.voxels, list(REGION_LABELS[region]))
        assert shipped.report.volume_ml[region] == pytest.approx(inside.sum() * 0.027)
    total = sum(lesion.volume_ml[Region.WT] for lesion in shipped.report.lesions)
    assert total == pytest.approx(shipped.report.volume_ml[Region.WT])


@pytest.mark.parametrize("subset", list(sequence_subsets(MODALITIES)), ids="-".join)
def test_every_subset_of_the_sequences_runs(
    phantom: Case, coarse_bundle: Bundle, engine: Engine, subset: tuple[Modality, ...]
) -> None:
    result = segment(with_sequences(phantom, subset), bundle=coarse_bundle, engine=engine)
    assert result.report.modalities == subset
    assert result.mask.same_grid(phantom.grid)
    missing = {f.value for f in result.report.quality if f.code == "MISSING-SEQUENCE"}
    assert missing == {m.value for m in MODALITIES} - {m.value for m in subset}


@settings(max_examples=12, deadline=None)
@given(
    order=st.permutations(range(3)).map(tuple),
    flipped=st.sets(st.integers(0, 2)).map(tuple),
    shift=st.tuples(*[st.integers(-300, 300)] * 3),
)
def test_same_head_in_another_voxel_order_has_the_same_lesions_at_the_same_places(
    phantom: Case,
    bundle: Bundle,
    bright: Engine,
    original: Segmentation,
    order: tuple[int, ...],
    flipped: tuple[int, ...],
    shift: tuple[int, int, int],
) -> None:
    shift_mm = np.array(shift, dtype=float)
    other = segment(moved_case(phantom, order, flipped, shift_mm), bundle=bundle, engine=bright)
    expected = moved(original.mask, order, flipped, shift_mm)
    np.testing.assert_array_equal(other.mask.voxels, expected.voxels)
    assert other.report.dice == original.report.dice
    assert other.report.volume_ml == pytest.approx(original.report.volume_ml)
    assert len(other.report.lesions) == len(original.report.lesions) > 0
    here = sorted(lesion.centroid_mm for lesion in original.report.lesions)
    there = sorted(tuple(np.array(lesion.centroid_mm) - shift_mm) for lesion in other.report.lesions)
    np.testing.assert_allclose(there, here, atol=2e-3)


def test_real_network_sees_the_same_head_in_every_order(phantom: Case, coarse_bundle: Bundle, engine: Engine) -> None:
    turned = moved_case(phantom, (2, 0, 1), (0, 2), np.array([10.0, 0.0, -5.0]))
    one, two = (segment(case, bundle=coarse_bundle, engine=engine) for case in (phantom, turned))
    expected = moved(one.mask, (2, 0, 1), (0, 2), np.array([10.0, 0.0, -5.0]))
    np.testing.assert_array_equal(two.mask.voxels, expected.voxels)


def test_input_is_not_changed(phantom: Case, bundle: Bundle, bright: Engine) -> None:
    before = {m: v.voxels.copy() for m, v in phantom.images.items()}
    segment(phantom, bundle=bundle, engine=bright)
    for modality, voxels in before.items():
        np.testing.assert_array_equal(phantom.images[modality].voxels, voxels)


def test_stages_are_told_as_they_begin_and_timed(phantom: Case, bundle: Bundle, bright: Engine) -> None:
    told: list[str] = []
    options = InferenceOptions(progress=told.append, phantom=True)
    result = segment(phantom, bundle=bundle, engine=bright, options=options)
    assert told == STAGES
    assert list(result.report.timings_s) == STAGES
    assert all(seconds >= 0 for seconds in result.report.timings_s.values())
    assert result.report.phantom


def test_dice_is_reported_only_with_a_reference(phantom: Case, bundle: Bundle, bright: Engine) -> None:
    blind = replace(phantom, reference=None)
    assert segment(blind, bundle=bundle, engine=bright).report.dice is None
    seen = segment(phantom, bundle=bundle, engine=bright).report.dice
    assert seen is not None
    assert 0 < seen[Region.WT] < 1


def test_bundle_and_engine_default_to_the_shipped_ones(phantom: Case, bundle: Bundle) -> None:
    flair = with_sequences(phantom, [Modality.FLAIR])
    assert segment(flair).report.model == bundle.identity


def test_study_that_does_not_fit_is_refused_before_the_network_runs(
    phantom: Case, bundle: Bundle, bright: Engine
) -> None:
    told: list[str] = []
    with pytest.raises(OutOfMemory):
        segment(phantom, bundle=bundle, engine=bright, options=InferenceOptions(max_bytes=1000, progress=told.append))
    assert "infer" not in told


def test_study_that_the_gate_refuses_gets_no_mask(phantom: Case, bundle: Bundle, bright: Engine) -> None:
    with_skull = phantom.images[Modality.T1].with_voxels(np.random.default_rng(0).normal(500, 9, phantom.grid.shape))
    case = replace(phantom, images={**phantom.images, Modality.T1: with_skull})
    with pytest.raises(RefusedStudy) as caught:
        segment(case, bundle=bundle, engine=bright)
    assert isinstance(caught.value, DataError)
    assert "SKULL-PRESENT" in {flag.code for flag in caught.value.flags}


def test_study_with_no_sequence_that_the_model_knows_is_refused(phantom: Case, bundle: Bundle, bright: Engine) -> None:
    only_t1 = replace(bundle, preprocess=replace(bundle.preprocess, modalities=(Modality.T1,)))
    flair = with_sequences(phantom, [Modality.FLAIR])
    with pytest.raises(SequenceNotFound, match="the model reads t1; the study has only flair"):
        segment(flair, bundle=only_t1, engine=bright)


@pytest.mark.parametrize(
    ("reliable_with", "warned"),
    [((), False), ((Modality.FLAIR,), True), ((Modality.FLAIR, Modality.T2), False)],
    ids=["needs none", "needs one that is absent", "needs one of two"],
)
def test_study_without_what_the_model_relies_on_is_warned_of(
    phantom: Case, bundle: Bundle, bright: Engine, reliable_with: tuple[Modality, ...], *, warned: bool
) -> None:
    case = with_sequences(phantom, [Modality.T1, Modality.T2])
    flags = segment(case, bundle=replace(bundle, reliable_with=reliable_with), engine=bright).report.quality
    found = [flag for flag in flags if flag.code == "UNRELIABLE-SEQUENCES"]
    assert [flag.value for flag in found] == ["t1, t2"] * warned


def test_network_that_gives_no_numbers_gives_no_mask(phantom: Case, bundle: Bundle) -> None:
    class Broken:
        def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
            logits = np.zeros((1, 3, *tensor.shape[2:]), np.float32)
            logits[0, 0, 3, 3, 3] = np.nan
            return logits

    with pytest.raises(VoxelError, match="the network's output is not finite"):
        segment(phantom, bundle=bundle, engine=Broken())


def test_healthy_phantom_with_an_engine_that_sees_nothing_has_an_empty_report(bundle: Bundle) -> None:
    pytest.importorskip("nilearn")

    class Blind:
        def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.full((1, 3, *tensor.shape[2:]), -9, np.float32)

    healthy = make_phantom(PhantomConfig(seed=1, spacing_mm=4.0, tumours=0))
    result = segment(healthy, bundle=bundle, engine=Blind())
    assert result.report.lesions == ()
    assert result.report.volume_ml == dict.fromkeys(Region, 0.0)
    assert result.report.dice == dict.fromkeys(Region, 1.0)
    assert not result.mask.voxels.any()


class TwoBlocks:
    """Sees one tumour of 1.7 mL and one of 13.8 mL on a grid of 2 mm, whatever it is shown."""

    def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = np.full((1, 3, *tensor.shape[2:]), -9, np.float32)
        logits[:, :, 20:26, 30:36, 30:36] = 9
        logits[:, :, 40:52, 30:42, 30:42] = 9
        return logits


@pytest.mark.parametrize(("min_lesion_ml", "expected"), [(0.0, [13.8, 1.7]), (5.0, [13.8]), (20.0, [])])
def test_small_lesions_are_dropped_by_their_volume(
    phantom: Case, bundle: Bundle, min_lesion_ml: float, expected: list[float]
) -> None:
    after = replace(bundle.postprocess, min_lesion_ml=min_lesion_ml, mirror=())
    report = segment(phantom, bundle=replace(bundle, postprocess=after), engine=TwoBlocks()).report
    # Borders move by up to half a voxel of the study's 3 mm.
    assert [lesion.volume_ml[Region.WT] for lesion in report.lesions] == pytest.approx(expected, rel=0.3)


class AxisEngine:
    """Answers with how far along each axis a voxel lies, so that mirroring shows."""

    def __init__(self) -> None:
        self.calls = 0

    def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        self.calls += 1
        assert all(n % 8 == 0 for n in tensor.shape[2:])
        assert tensor.flags.c_contiguous
        return tensor[:, :3]


@pytest.mark.parametrize("mirror", [(), (0,), (0, 1), (0, 1, 2)])
def test_every_combination_of_mirrored_axes_is_averaged_and_turned_back(mirror: tuple[int, ...]) -> None:
    tensor = np.random.default_rng(0).normal(size=(4, 9, 8, 5)).astype(np.float32)
    engine = AxisEngine()
    probabilities = predict(engine, tensor, mirror)
    assert engine.calls == 2 ** len(mirror)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-tensor[:3])), atol=1e-6)


def test_mirrored_average_of_a_network_is_symmetric(engine: Engine) -> None:
    tensor = np.random.default_rng(0).normal(size=(4, 16, 8, 8)).astype(np.float32)
    one = predict(engine, tensor, (0,))
    two = predict(engine, tensor[:, ::-1], (0,))[:, ::-1]
    np.testing.assert_allclose(one, two, atol=1e-5)
    assert np.abs(one - predict(engine, tensor)).max() > 1e-4


def test_extreme_logits_give_probabilities_without_overflow() -> None:
    tensor = np.zeros((4, 8, 8, 8), np.float32)
    tensor[0], tensor[1] = 1e30, -1e30
    probabilities = predict(AxisEngine(), tensor)
    assert [float(p.flat[0]) for p in probabilities] == [1.0, 0.0, 0.5]


@pytest.mark.parametrize("combination", list(itertools.product((0.4, 0.6), repeat=3)))
def test_regions_are_nested_in_the_label_map(bundle: Bundle, combination: tuple[float, float, float]) -> None:
    wt, tc, et = (value > 0.5 for value in combination)
    probabilities = np.array(combination, np.float32)[:, None, None, None]
    expected = 0 if not wt else 2 if not tc else 1 if not et else 3
    half = replace(bundle, postprocess=replace(bundle.postprocess, thresholds=dict.fromkeys(Region, 0.5)))
    assert coarse_labels(probabilities, half).item() == expected


def test_network_grid_of_the_phantom_is_that_of_the_bundle(phantom: Case, bundle: Bundle, bright: Engine) -> None:
    segment(phantom, bundle=replace(bundle, postprocess=replace(bundle.postprocess, mirror=())), engine=bright)
    shape = bright.shapes[-1]  # type: ignore[attr-defined]  # the fixture is a BrightEngine
    prepared = prepare(phantom, bundle.preprocess).tensor.shape[1:]
    assert all(0 <= padded - n < 8 for padded, n in zip(shape[2:], prepared, strict=True))
