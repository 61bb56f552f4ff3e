import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from tds_data.case import Case
from tds_data.errors import MissingDependency, VoxelError
from tds_data.phantom import PhantomConfig, make_phantom
from tds_data.phantoms.template import template_folder
from tds_data.vocabulary import MODALITIES, REGION_LABELS, Label, Modality, Region

if importlib.util.find_spec("nilearn") is None:
    pytest.skip("the anatomy comes with the extra `phantom`", allow_module_level=True)

SEEDS = range(4)
COARSE_MM = 3.0
NEIGHBOURS = ndimage.generate_binary_structure(3, 3)


def coarse(seed: int, **changes: object) -> Case:
    return make_phantom(PhantomConfig(**({"seed": seed, "spacing_mm": COARSE_MM} | changes)))


def labels_of(case: Case) -> np.ndarray:
    assert case.reference is not None
    return case.reference.voxels


def region(case: Case, name: Region) -> np.ndarray:
    return np.isin(labels_of(case), list(REGION_LABELS[name]))


def brain_of(case: Case) -> np.ndarray:
    return case.grid.voxels > 0


def median(case: Case, modality: Modality, where: np.ndarray) -> float:
    return float(np.median(case.images[modality].voxels[where]))


@pytest.fixture(scope="module")
def patients() -> list[Case]:
    return [coarse(seed, spacing_mm=2.0) for seed in SEEDS]


@pytest.fixture(scope="module")
def quiet() -> Case:
    return coarse(3, spacing_mm=2.0, tumours=0, noise=0.0, bias=0.0)


def test_same_seed_gives_the_same_voxels() -> None:
    first, second = coarse(5, spacing_mm=4.0), coarse(5, spacing_mm=4.0)
    assert first.name == second.name == "phantom-0005"
    for modality in MODALITIES:
        np.testing.assert_array_equal(first.images[modality].voxels, second.images[modality].voxels)
    np.testing.assert_array_equal(labels_of(first), labels_of(second))


def test_another_seed_gives_another_patient() -> None:
    first, second = coarse(5, spacing_mm=4.0), coarse(6, spacing_mm=4.0)
    assert brain_of(first).sum() != brain_of(second).sum()
    assert labels_of(first).sum() != labels_of(second).sum()


def test_a_case_holds_four_int16_images_and_a_uint8_mask(patients: list[Case]) -> None:
    for case in patients:
        assert case.modalities == MODALITIES
        assert {image.voxels.dtype for image in case.images.values()} == {np.dtype(np.int16)}
        assert labels_of(case).dtype == np.uint8
        assert set(np.unique(labels_of(case))) == {0, 1, 2, 3}


def test_grid_is_axis_aligned_ras_millimetres_around_the_brain(patients: list[Case]) -> None:
    for case in patients:
        np.testing.assert_array_equal(case.grid.ras_from_voxel[:3, :3], np.diag([2.0, 2.0, 2.0]))
        middle = np.argwhere(brain_of(case)).mean(axis=0)
        place = case.grid.ras_from_voxel @ [*middle, 1.0]
        assert abs(place[0]) < 5
        assert np.abs(place[1:3] - [-20, 10]).max() < 12


def test_background_is_zero_in_every_sequence_and_brain_is_not(patients: list[Case]) -> None:
    for case in patients:
        brain = brain_of(case)
        assert 1100 < brain.sum() * 0.008 < 1700
        for image in case.images.values():
            np.testing.assert_array_equal(image.voxels > 0, brain)
        assert not brain[[0, -1]].any()


def test_brain_is_one_piece(patients: list[Case]) -> None:
    for case in patients:
        pieces, _ = ndimage.label(brain_of(case), NEIGHBOURS)
        sizes = np.bincount(pieces.ravel())[1:]
        assert sizes.max() > 0.995 * sizes.sum()


def test_tumour_lies_in_the_brain_and_has_a_believable_volume(patients: list[Case]) -> None:
    for case in patients:
        whole = region(case, Region.WT)
        assert brain_of(case)[whole].all()
        assert 9.0 < whole.sum() * 0.008 < 150.1


def test_volumes_spread_over_the_whole_range() -> None:
    cases = [coarse(seed, spacing_mm=4.0, modalities=(Modality.T1,)) for seed in range(8)]
    volumes = [region(case, Region.WT).sum() * 0.064 for case in cases]
    assert min(volumes) < 30
    assert max(volumes) > 60


def test_core_makes_up_a_share_of_the_tumour_and_rim_wraps_necrosis(patients: list[Case]) -> None:
    wrapped = []
    for case in patients:
        labels, core = labels_of(case), region(case, Region.TC)
        assert 0.13 < core.sum() / region(case, Region.WT).sum() < 0.65
        shell = ndimage.binary_dilation(labels == Label.NCR, NEIGHBOURS) & (labels != Label.NCR)
        wrapped.append((labels[shell] == Label.ET).mean())
        depth = ndimage.distance_transform_edt(core)
        assert depth[labels == Label.NCR].mean() > depth[labels == Label.ET].mean()
    assert np.median(wrapped) > 0.55


def test_oedema_touches_the_core_and_prefers_white_matter(patients: list[Case]) -> None:
    for seed, case in zip(SEEDS, patients, strict=True):
        labels, core = labels_of(case), region(case, Region.TC)
        oedema = labels == Label.ED
        assert (oedema & ndimage.binary_dilation(core, NEIGHBOURS)).any()
        brain = brain_of(case)
        plain = coarse(seed, spacing_mm=2.0, tumours=0, noise=0.0, bias=0.0)
        t1, brain = plain.images[Modality.T1].voxels, brain & brain_of(plain)
        bright = t1 > np.median(t1[brain])
        near = ndimage.binary_dilation(oedema, iterations=5) & brain & ~core & ~oedema
        assert bright[oedema & brain].mean() > bright[near].mean() + 0.1


def test_healthy_tissues_have_the_contrast_of_their_sequence(quiet: Case) -> None:
    t2, t1 = quiet.images[Modality.T2].voxels, quiet.images[Modality.T1].voxels
    brain = brain_of(quiet)
    inner = ndimage.binary_erosion(brain, iterations=3)
    fluid = inner & (t2 > np.percentile(t2[brain], 98))
    white = inner & (t1 > np.percentile(t1[brain], 75))
    grey = inner & (t1 > np.percentile(t1[brain], 25)) & (t1 < np.percentile(t1[brain], 35)) & ~fluid
    for modality in (Modality.T1, Modality.T1CE):
        assert median(quiet, modality, white) > median(quiet, modality, grey) > median(quiet, modality, fluid)
    assert median(quiet, Modality.T2, fluid) > median(quiet, Modality.T2, grey) > median(quiet, Modality.T2, white)
    flair_grey, flair_white = median(quiet, Modality.FLAIR, grey), median(quiet, Modality.FLAIR, white)
    assert 0.85 * flair_white < flair_grey < 1.5 * flair_white
    assert median(quiet, Modality.FLAIR, fluid) < 0.65 * flair_white


def test_tumour_has_the_contrast_of_its_sequence(patients: list[Case]) -> None:
    for case in patients:
        labels = labels_of(case)
        necrosis, oedema, rim = (labels == label for label in (Label.NCR, Label.ED, Label.ET))
        healthy = brain_of(case) & (labels == 0)
        assert median(case, Modality.T1CE, rim) > 1.15 * median(case, Modality.T1CE, necrosis)
        assert median(case, Modality.T1CE, rim) > 1.1 * median(case, Modality.T1CE, oedema)
        assert median(case, Modality.FLAIR, oedema) > 1.15 * median(case, Modality.FLAIR, healthy)
        assert median(case, Modality.T2, oedema) > 1.1 * median(case, Modality.T2, healthy)
        assert median(case, Modality.T2, necrosis) > median(case, Modality.T2, oedema)
        assert median(case, Modality.T1, necrosis) < 1.1 * median(case, Modality.T1, oedema)


def test_subset_of_sequences_looks_as_it_does_in_the_full_set() -> None:
    full, part = coarse(4), coarse(4, modalities=(Modality.FLAIR, Modality.T1))
    assert part.modalities == (Modality.T1, Modality.FLAIR)
    for modality in part.modalities:
        np.testing.assert_array_equal(part.images[modality].voxels, full.images[modality].voxels)


def test_same_patient_at_another_spacing() -> None:
    fine, rough = coarse(2, spacing_mm=2.0), coarse(2, spacing_mm=4.0)
    for name in Region:
        centres = []
        for case in (fine, rough):
            centre = np.argwhere(region(case, name)).mean(axis=0)
            centres.append((case.grid.ras_from_voxel @ [*centre, 1.0])[:3])
        assert np.linalg.norm(centres[0] - centres[1]) < 2.0
    assert region(fine, Region.WT).sum() * 8 == pytest.approx(region(rough, Region.WT).sum() * 64, rel=0.02)


def test_several_tumours_share_the_volume_and_lie_apart() -> None:
    case = coarse(8, tumours=3)
    assert 9.0 < region(case, Region.WT).sum() * 0.027 < 150.1
    pieces, count = ndimage.label(region(case, Region.TC), NEIGHBOURS)
    sizes = np.bincount(pieces.ravel())[1:]
    assert count >= 2
    assert np.sort(sizes)[-2] >= 5


def test_no_tumour_gives_an_empty_mask(quiet: Case) -> None:
    assert not labels_of(quiet).any()


def test_noise_and_bias_change_only_the_images() -> None:
    quiet, noisy, biased = (coarse(1, noise=n, bias=b) for n, b in ((0.0, 0.0), (0.1, 0.0), (0.0, 0.3)))
    for other in (noisy, biased):
        np.testing.assert_array_equal(labels_of(quiet), labels_of(other))
        np.testing.assert_array_equal(brain_of(quiet), brain_of(other))
    brain = brain_of(quiet)
    clean = quiet.images[Modality.T1].voxels[brain].astype(float)
    added = noisy.images[Modality.T1].voxels[brain] - clean
    assert 0.04 * clean.mean() < added.std() < 0.2 * clean.mean()
    ratio = np.zeros(brain.shape)
    ratio[brain] = biased.images[Modality.T1].voxels[brain] / clean
    inner = ndimage.binary_erosion(brain, iterations=2)
    assert np.std(ratio[inner]) > 0.05
    steps = np.abs(np.diff(ratio, axis=0))[inner[1:] & inner[:-1]]
    assert np.median(steps) < 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "seed lies between"),
        ({"spacing_mm": 0.1}, "spacing_mm lies between"),
        ({"spacing_mm": float("nan")}, "spacing_mm lies between"),
        ({"tumours": 6}, "tumours lies between"),
        ({"noise": 0.5}, "noise lies between"),
        ({"bias": -0.1}, "bias lies between"),
        ({"modalities": ()}, "at least one sequence"),
        ({"motion": 1.5}, "motion lies between"),
        ({"tesla": 7.0}, "1.5 or 3.0 tesla"),
    ],
)
def test_config_outside_its_range_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(VoxelError, match=message):
        PhantomConfig(**({"seed": 0} | changes))


def test_absent_nilearn_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependency, match=r"tds-data\[phantom\]"):
        coarse(0)


def test_nilearn_itself_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "nilearn"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "nilearn", raising=False)
    assert template_folder() == package / "datasets" / "data"
