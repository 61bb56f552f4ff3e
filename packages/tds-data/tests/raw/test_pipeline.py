from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tds_data import Modality, SequenceNotFound, Volume, VoxelError, check_case, load_case, to_canonical
from tds_data.discover import discover
from tds_data.errors import RegistrationFailed
from tds_data.raw import (
    BiasConfig,
    DefaceConfig,
    RawConfig,
    RegisterConfig,
    atlas_brain,
    load_atlas,
    pipeline,
    prepare_raw,
    reference_of,
    resample_to,
    to_native,
    to_prepared,
)
from tds_data.raw.plan import Space
from tds_data.raw.register import displacement_mm, head_points

pytest.importorskip("SimpleITK")

T1, T1CE, T2, FLAIR = Modality
Head = Callable[..., Volume]
Laid = Callable[..., np.ndarray]
QUICK = RegisterConfig(levels_mm=(6.0, 4.0), samples=15_000)
TURNS = {T1CE: ((3, 4, -6), (5, -4, 3)), T2: ((5, 1, -3), (9, -8, 6))}
SPECS = {T1CE: ((3.0, 3.0, 3.0), "LPS"), T2: ((2.0, 2.0, 6.0), "LAS")}


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


@pytest.fixture(scope="module")
def lays(laid: Laid) -> Mapping[Modality, np.ndarray]:
    return {modality: laid(*turn) for modality, turn in TURNS.items()}


@pytest.fixture(scope="module")
def images(head: Head, lays: Mapping[Modality, np.ndarray]) -> dict[Modality, Volume]:
    return {
        m: head(m, spacing_mm=spacing, axes=axes, atlas_from_ras=lays[m], seed=i)
        for i, (m, (spacing, axes)) in enumerate(SPECS.items())
    }


@pytest.fixture
def known_brain(
    head_brain: Volume, lays: Mapping[Modality, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Volume, np.ndarray], Volume]:
    """Let the true brain stand in for the network's."""

    def brain(volume: Volume, lay: np.ndarray) -> Volume:
        share = resample_to(head_brain, volume, np.linalg.inv(lay)).voxels
        return volume.with_voxels((share > 0.5).astype(np.uint8))

    monkeypatch.setattr(pipeline, "find_brain", lambda volume, *_, **__: brain(volume, lays[T1CE]))
    return brain


@pytest.mark.usefixtures("known_brain")
def test_a_raw_study_becomes_registered_stripped_and_passes_the_gate(
    images: dict[Modality, Volume], lays: Mapping[Modality, np.ndarray]
) -> None:
    heard: list[tuple[int, int, str]] = []
    study = prepare_raw(images, RawConfig(register=QUICK), name="x", progress=lambda *step: heard.append(step))
    assert study.case.name == "x"
    assert study.had_skull
    assert study.case.modalities == (T1CE, T2)
    assert study.case.grid.same_grid(to_canonical(images[T1CE]))
    assert not [flag for flag in check_case(study.case) if flag.severity == "error"]
    for volume in study.case.images.values():
        assert volume.voxels.dtype == np.float32
        assert not volume.voxels[study.brain.voxels == 0].any()
    true = np.linalg.inv(lays[T1CE]) @ lays[T2]
    off = study.registrations[T2].fixed_from_moving @ np.linalg.inv(true)
    assert displacement_mm(off, np.eye(4), head_points(images[T1CE])) < 1
    assert [step[0] for step in heard] == list(range(4))
    assert {step[1] for step in heard} == {4}
    assert set(study.seconds) == {"register", "strip", "atlas", "resample", "deface"}


def test_masks_return_to_every_raw_sequence(
    images: dict[Modality, Volume],
    lays: Mapping[Modality, np.ndarray],
    known_brain: Callable[[Volume, np.ndarray], Volume],
) -> None:
    study = prepare_raw(images, RawConfig(register=QUICK))
    for modality, image in images.items():
        native = to_native(study.brain, study.plan, modality)
        assert native.same_grid(image)
        assert dice(native.voxels > 0, known_brain(image, lays[modality]).voxels > 0) > 0.97
    back = to_prepared(to_native(study.brain, study.plan), study.plan)
    assert np.array_equal(back.voxels, study.brain.voxels)


def test_in_the_atlas_brains_lie_on_the_average_brain(
    images: dict[Modality, Volume],
    lays: Mapping[Modality, np.ndarray],
    known_brain: Callable[[Volume, np.ndarray], Volume],
) -> None:
    config = RawConfig(
        register=QUICK, atlas=True, bias=BiasConfig(voxel_mm=8.0, iterations=(5,)), deface=DefaceConfig()
    )
    study = prepare_raw(images, config)
    assert study.plan.space is Space.ATLAS
    assert study.case.grid.same_grid(load_atlas())
    assert dice(study.brain.voxels > 0, atlas_brain().voxels > 0) > 0.95
    assert study.atlas is not None
    assert displacement_mm(study.atlas.fixed_from_moving, lays[T1CE], head_points(images[T1CE])) < 5
    for modality, image in images.items():
        native = to_native(study.brain, study.plan, modality)
        assert dice(native.voxels > 0, known_brain(image, lays[modality]).voxels > 0) > 0.95
    inside = (study.brain.voxels > 0) & (atlas_brain().voxels > 0)
    pair = study.case.images[T1CE].voxels[inside], load_atlas().voxels[inside]
    assert np.corrcoef(*pair)[0, 1] > 0.8
    for modality, found in study.defaced.items():
        image = images[modality]
        assert found.same_grid(image)
        changed = found.voxels != image.voxels
        assert changed.any()
        brain = to_native(study.brain, study.plan, modality).voxels > 0
        assert not changed[brain].any()


@pytest.mark.usefixtures("known_brain")
def test_sequences_that_lie_together_already_are_not_moved(
    images: dict[Modality, Volume], head: Head, lays: Mapping[Modality, np.ndarray]
) -> None:
    flair = head(FLAIR, spacing_mm=SPECS[T1CE][0], axes="RAS", atlas_from_ras=lays[T1CE], seed=9)
    study = prepare_raw({T1CE: images[T1CE], FLAIR: flair}, RawConfig(register=QUICK))
    assert np.array_equal(study.registrations[FLAIR].fixed_from_moving, np.eye(4))
    assert any(note.startswith("flair lies on t1ce to within 0.") for note in study.notes)
    inside = study.brain.voxels > 0
    assert np.array_equal(study.case.images[FLAIR].voxels[inside], to_canonical(flair).voxels[inside])


def test_a_study_without_skull_is_not_stripped_again(
    images: dict[Modality, Volume],
    known_brain: Callable[[Volume, np.ndarray], Volume],
    lays: Mapping[Modality, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brain = known_brain(images[T1CE], lays[T1CE])
    stripped = images[T1CE].with_voxels(np.where(brain.voxels > 0, images[T1CE].voxels, 0))
    monkeypatch.setattr(pipeline, "find_brain", lambda *_, **__: pytest.fail("stripped again"))
    study = prepare_raw({T1CE: stripped}, RawConfig(register=QUICK))
    assert study.notes == ("t1ce shows no skull; its own outline was taken for the brain's",)
    assert dice(study.brain.voxels > 0, to_canonical(brain).voxels > 0) > 0.999
    assert np.array_equal(study.case.images[T1CE].voxels, to_canonical(stripped).voxels)


def test_the_reference_is_t1ce_or_else_what_comes_next(images: dict[Modality, Volume]) -> None:
    volume = images[T2]
    assert reference_of({FLAIR: volume, T1CE: volume, T1: volume}) is T1CE
    assert reference_of({FLAIR: volume, T2: volume}) is T2
    assert reference_of({FLAIR: volume, T2: volume}, FLAIR) is FLAIR
    with pytest.raises(SequenceNotFound, match="has no t1; it has t2"):
        reference_of({T2: volume}, T1)
    with pytest.raises(SequenceNotFound, match="has no sequence; it has nothing"):
        prepare_raw({})


@pytest.mark.usefixtures("known_brain")
def test_failures_name_the_sequence(images: dict[Modality, Volume], monkeypatch: pytest.MonkeyPatch) -> None:
    empty = images[T2].with_voxels(np.zeros(images[T2].shape))
    with pytest.raises(VoxelError, match="t2 is constant"):
        prepare_raw({T1CE: images[T1CE], T2: empty})

    def fail(*_: object) -> None:
        message = "it went wrong"
        raise RegistrationFailed(message)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "register_rigid", fail)
        with pytest.raises(RegistrationFailed, match="t2 could not be registered to t1ce: it went wrong"):
            prepare_raw(images)
    monkeypatch.setattr(pipeline, "register_affine", fail)
    with pytest.raises(RegistrationFailed, match="the brain of t1ce could not be brought to the atlas: it went wrong"):
        prepare_raw({T1CE: images[T1CE]}, RawConfig(atlas=True))


@pytest.mark.real_data
def test_a_real_patient_with_one_moved_sequence_is_put_together(real_patients: list[Path]) -> None:
    case = load_case(discover(real_patients[4]))
    move = np.eye(4)
    move[:3, :3] = Rotation.from_rotvec(np.deg2rad([3, -2, 6])).as_matrix()
    move[:3, 3] = (4, 7, -5)
    flair = to_canonical(case.images[FLAIR])
    moved = resample_to(flair, flair, move)
    images = {T1CE: case.images[T1CE], T2: case.images[T2], FLAIR: moved}
    study = prepare_raw(images, replace(RawConfig(), register=RegisterConfig(levels_mm=(6.0, 3.0))))
    points = head_points(case.images[T1CE])
    assert displacement_mm(study.registrations[FLAIR].fixed_from_moving, np.linalg.inv(move), points) < 1
    assert not [flag for flag in check_case(study.case) if flag.severity == "error"]
    # The data set's own registration is kept or changed by little.
    assert displacement_mm(study.registrations[T2].fixed_from_moving, np.eye(4), points) < 2


@pytest.mark.usefixtures("known_brain")
def test_headers_are_trusted_if_that_is_wanted(images: dict[Modality, Volume]) -> None:
    study = prepare_raw(images, RawConfig(register=None))
    assert not study.registrations
    assert study.notes == ("sequences lie where their headers say and were not registered",)
    assert np.array_equal(study.plan.sequence(T2).prepared_from_native, np.eye(4))
