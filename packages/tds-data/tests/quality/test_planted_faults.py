"""Each structural fault, planted into a copy of a head, is named by its code."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from tds_data import Case, Modality, Severity, Volume, check_case, load_case
from tds_data.discover import discover
from tds_data.quality.codes import CODES
from tds_data.quality.intensities import clipped_flags, unusable_flags
from tds_data.quality.sampling import SampledImage
from tds_data.quality.slices import slice_flags
from tds_data.quality.structure import check_structure
from tds_data.report import QualityFlag

T1, T1CE, T2, FLAIR = Modality

Plant = Callable[[Case], Case]


def changed(case: Case, modality: Modality, voxels: np.ndarray) -> Case:
    images = {**case.images, modality: case.images[modality].with_voxels(voxels)}
    return Case(name=case.name, images=images, reference=case.reference)


def masked(case: Case, change: Callable[[np.ndarray], None]) -> Case:
    labels = np.array(case.reference.voxels if case.reference else np.zeros(case.grid.shape, np.uint8), dtype=np.int16)
    change(labels)
    return Case(name=case.name, images=case.images, reference=case.grid.with_voxels(labels))


def middle(case: Case, axis: int) -> int:
    filled = np.flatnonzero((case.grid.voxels != 0).any(axis=tuple({0, 1, 2} - {axis})))
    return int(filled[len(filled) // 2])


def black_slice(axis: int, count: int = 1) -> Plant:
    def plant(case: Case) -> Case:
        voxels = np.array(case.images[T2].voxels)
        k = middle(case, axis)
        np.moveaxis(voxels, axis, 0)[k : k + count] = 0
        return changed(case, T2, voxels)

    return plant


def repeated_slice(axis: int, distance: int = 1) -> Plant:
    def plant(case: Case) -> Case:
        voxels = np.array(case.images[FLAIR].voxels)
        k = middle(case, axis)
        slices = np.moveaxis(voxels, axis, 0)
        slices[k + distance] = slices[k]
        return changed(case, FLAIR, voxels)

    return plant


def clipped_at(percentile: float) -> Plant:
    def plant(case: Case) -> Case:
        voxels = case.images[T1CE].voxels
        return changed(case, T1CE, np.minimum(voxels, int(np.percentile(voxels[voxels > 0], percentile))))

    return plant


def copied(case: Case) -> Case:
    return changed(case, FLAIR, np.array(case.images[T2].voxels))


def rescaled(case: Case) -> Case:
    return changed(case, T1CE, case.images[T1].voxels.astype(np.float32) * 0.37 + 0.0)


def rescaled_to_bytes(case: Case) -> Case:
    voxels = case.images[T1].voxels
    return changed(case, T1CE, np.rint(voxels * (255.0 / voxels.max())).astype(np.uint8))


def inverted(case: Case) -> Case:
    voxels = case.images[T2].voxels.astype(np.float32)
    return changed(case, FLAIR, np.where(voxels != 0, 5000 - voxels, 0))


def nan_voxels(case: Case) -> Case:
    voxels = case.images[T1].voxels.astype(np.float32)
    voxels[..., middle(case, 2)] = np.nan
    return changed(case, T1, voxels)


def infinite_voxel(case: Case) -> Case:
    voxels = case.images[T1].voxels.astype(np.float32)
    voxels[0, 0, 0] = np.inf
    return changed(case, T1, voxels)


def constant(case: Case) -> Case:
    return changed(case, T1, np.full(case.grid.shape, 7, np.int16))


def respaced(case: Case) -> Case:
    affine = case.grid.ras_from_voxel @ np.diag([1, 1, 12.0, 1])
    images = {m: Volume(v.voxels, affine) for m, v in case.images.items()}
    return Case(name=case.name, images=images)


def without_t2(case: Case) -> Case:
    return Case(name=case.name, images={m: v for m, v in case.images.items() if m is not T2})


def strange_label(case: Case) -> Case:
    return masked(case, lambda labels: labels.__setitem__((10, 10, 10), 7))


def label_in_the_corner(case: Case) -> Case:
    return masked(case, lambda labels: labels.__setitem__(np.s_[:4, :4, :4], 2))


def specks(case: Case) -> Case:
    inside = case.grid.voxels != 0
    places = np.argwhere(inside)[:: max(1, int(inside.sum()) // 40)]

    def dot(labels: np.ndarray) -> None:
        labels[tuple(places.T)] = 2

    return masked(case, dot)


def nothing_marked(case: Case) -> Case:
    return masked(case, lambda labels: labels.fill(0))


FAULTS: dict[str, tuple[Plant, str, str | None]] = {
    "an empty sagittal slice": (black_slice(0), "MISSING-SLICES", "t2"),
    "an empty coronal slice": (black_slice(1), "MISSING-SLICES", "t2"),
    "an empty axial slice": (black_slice(2), "MISSING-SLICES", "t2"),
    "five empty axial slices": (black_slice(2, 5), "MISSING-SLICES", "t2"),
    "a repeated sagittal slice": (repeated_slice(0), "DUPLICATED-SLICES", "flair"),
    "a repeated coronal slice": (repeated_slice(1), "DUPLICATED-SLICES", "flair"),
    "a repeated axial slice": (repeated_slice(2), "DUPLICATED-SLICES", "flair"),
    "a slice repeated farther away": (repeated_slice(2, 4), "DUPLICATED-SLICES", "flair"),
    "a narrow window": (clipped_at(95), "CLIPPED", "t1ce"),
    "a wide window": (clipped_at(99.5), "CLIPPED", "t1ce"),
    "a file copied under another name": (copied, "SAME-SEQUENCE", "t2, flair"),
    "a file copied and rescaled": (rescaled, "SAME-SEQUENCE", "t1, t1ce"),
    "a file copied and rescaled to bytes": (rescaled_to_bytes, "SAME-SEQUENCE", "t1, t1ce"),
    "a file copied and inverted": (inverted, "SAME-SEQUENCE", "t2, flair"),
    "a slice of NaN": (nan_voxels, "NOT-FINITE", "t1"),
    "an infinite voxel": (infinite_voxel, "NOT-FINITE", "t1"),
    "a constant image": (constant, "CONSTANT-IMAGE", "t1"),
    "extreme spacing": (respaced, "EXTREME-SPACING", None),
    "a missing sequence": (without_t2, "MISSING-SEQUENCE", "t2"),
    "a strange label": (strange_label, "LABELS-OUTSIDE-SCHEME", "mask"),
    "labels in the air": (label_in_the_corner, "LABELS-OUTSIDE-BRAIN", "mask"),
    "specks": (specks, "SPECKS", "mask"),
    "an empty mask": (nothing_marked, "EMPTY-MASK", "mask"),
}


def assert_named(check: Callable[[Case], tuple[QualityFlag, ...]], case: Case, fault: str) -> None:
    plant, code, subject = FAULTS[fault]
    before = {(flag.code, flag.subject) for flag in check(case)}
    found = {(flag.code, flag.subject): flag for flag in check(plant(case))}
    assert (code, subject) in found
    assert (code, subject) not in before
    flag = found[code, subject]
    assert flag.severity in {CODES[code].severity, Severity.ERROR, Severity.INFO}
    assert flag.value is not None or code == "EMPTY-MASK"


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_in_a_head_is_named(textured: Case, fault: str) -> None:
    assert_named(check_structure, textured, fault)


@pytest.fixture(scope="session")
def real_case(real_patients: list[Path]) -> Case:
    return load_case(discover(next(p for p in real_patients if p.name == "BraTS2021_00003")))


@pytest.mark.real_data
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_in_a_real_patient_is_named(real_case: Case, fault: str) -> None:
    assert_named(check_structure, real_case, fault)


@pytest.mark.real_data
def test_no_pair_of_a_real_patients_sequences_is_refused(real_patients: list[Path]) -> None:
    case = load_case(discover(next(p for p in real_patients if p.name == "BraTS2021_01484")))
    for pair in combinations(case.images, 2):
        flags = check_case(Case(name="pair", images={m: case.images[m] for m in pair}))
        assert [flag for flag in flags if flag.severity is Severity.ERROR] == [], pair


@pytest.mark.real_data
def test_untouched_real_patients_raise_no_error_and_few_warnings(real_patients: list[Path]) -> None:
    warnings = 0
    for folder in real_patients:
        flags = check_case(load_case(discover(folder)))
        assert [flag for flag in flags if flag.severity is Severity.ERROR] == [], folder.name
        warnings += sum(flag.severity is Severity.WARNING for flag in flags)
    assert warnings <= len(real_patients)


def test_faults_do_not_depend_on_the_order_of_the_voxels(textured: Case) -> None:
    turned = {m: Volume(v.voxels[::-1, :, ::-1], v.ras_from_voxel) for m, v in textured.images.items()}
    case = black_slice(0)(Case(name="turned", images=turned))
    assert [flag.code for flag in check_structure(case)] == ["MISSING-SLICES"]


def test_many_missing_slices_refuse_the_study(textured: Case) -> None:
    few, many = (check_structure(black_slice(2, count)(textured)) for count in (2, 6))
    assert {flag.code: flag.severity for flag in few} == {"MISSING-SLICES": Severity.WARNING}
    assert {flag.code: flag.severity for flag in many}["MISSING-SLICES"] is Severity.ERROR


def test_slices_are_counted_and_listed(textured: Case) -> None:
    (flag,) = check_structure(black_slice(2, 2)(textured))
    k = middle(textured, 2)
    assert flag.value == f"2 axial slices: {k}, {k + 1}"
    assert "axial" in flag.message


def test_few_specks_are_a_note(textured: Case) -> None:
    voxels = np.zeros(textured.grid.shape, np.uint8)
    voxels[20:28, 20:28, 20:28] = 2
    voxels[20, 20, 12] = 2
    case = Case(name="x", images=textured.images, reference=textured.grid.with_voxels(voxels))
    (flag,) = check_structure(case)
    assert (flag.code, flag.severity, flag.value) == ("SPECKS", Severity.INFO, "1 of 2 islands")


def test_fractions_and_nan_in_a_mask_are_outside_the_scheme(textured: Case) -> None:
    voxels = np.zeros(textured.grid.shape, np.float32)
    voxels[20:28, 20:28, 20:28] = 0.5
    voxels[0, 0, 0] = np.nan
    flags = check_structure(Case(name="x", images=textured.images, reference=textured.grid.with_voxels(voxels)))
    assert [(flag.code, flag.value) for flag in flags] == [("LABELS-OUTSIDE-SCHEME", "0.5, nan")]


def test_two_scans_of_one_contrast_are_not_one_image(textured: Case) -> None:
    noise = np.random.default_rng(5).normal(0, 6, textured.grid.shape)
    voxels = textured.images[T1].voxels
    again = np.where(voxels > 0, voxels + noise, 0).astype(np.int16)
    assert check_structure(changed(textured, T1CE, again)) == ()


def test_heads_without_a_shared_place_are_not_compared(textured: Case) -> None:
    left, right = (np.array(textured.images[T1].voxels) for _ in range(2))
    left[24:], right[:24] = 0, 0
    half = changed(changed(textured, T1, left), T2, right)
    assert "SAME-SEQUENCE" not in {flag.code for flag in check_structure(half)}


def test_flat_tissue_is_neither_clipped_nor_another_sequence(textured: Case) -> None:
    inside = textured.grid.voxels > 0
    two_levels = np.where(inside, 100, 0).astype(np.int16)
    two_levels[20:30, 20:30, 20:30] = 200
    flags = check_structure(changed(textured, T2, two_levels))
    assert not {flag.code for flag in flags} & {"SAME-SEQUENCE", "NOT-FINITE"}


def test_sequence_that_is_flat_where_both_cover_the_head_is_compared_with_none(textured: Case) -> None:
    voxels = np.where(textured.images[T2].voxels > 0, 300, 0).astype(np.int16)
    voxels[0, 0, 0] = 301
    flags = check_structure(changed(textured, T2, voxels))
    assert "SAME-SEQUENCE" not in {flag.code for flag in flags}


def test_head_that_the_coarse_sample_misses_is_not_called_clipped() -> None:
    for step in (1, 2):
        voxels = np.zeros((200, 160, 160), np.int16)
        voxels[1::2, 1::2, 1::2] = 100
        voxels[::2, ::2, ::2] = 100 if step == 2 else 0
        voxels[1, 1, 1] = 200
        image = SampledImage.of("t1", Volume(voxels, np.eye(4)))
        assert list(unusable_flags(image)) == []
        assert list(clipped_flags(image)) == []


def test_slices_that_are_equal_at_the_sampled_voxels_alone_are_not_copies() -> None:
    voxels = np.random.default_rng(2).integers(1, 900, (100, 100, 20)).astype(np.int16)
    voxels[:, :, 7] = voxels[:, :, 6]
    voxels[1, 1, 7] += 1
    image = SampledImage.of("t1", Volume(voxels, np.diag([2.0, 2, 5, 1])))
    assert list(slice_flags(image)) == []


def test_few_grey_levels_are_not_a_window() -> None:
    voxels = np.random.default_rng(2).integers(100, 120, (60, 60, 60)).astype(np.uint8)
    image = SampledImage.of("t1", Volume(np.pad(voxels, 4), np.eye(4)))
    assert list(clipped_flags(image)) == []


@pytest.mark.real_data
def test_gate_names_what_the_structure_shows_of_a_real_patient(real_case: Case) -> None:
    flags = {(flag.code, flag.subject) for flag in check_case(copied(black_slice(2)(real_case)))}
    assert {("SAME-SEQUENCE", "t2, flair"), ("MISSING-SLICES", "t2")} <= flags
