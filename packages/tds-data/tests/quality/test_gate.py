from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tds_data import (
    Case,
    Modality,
    QualityFlag,
    RefusedStudy,
    Severity,
    Volume,
    check_case,
    quality,
    refuse_errors,
)
from tds_data.quality.gate import by_weight
from tds_data.quality.structure import check_structure
from tds_data.testing import draw_brain

T1, T1CE, T2, FLAIR = Modality


def checked(case: Case) -> tuple[QualityFlag, ...]:
    return by_weight(check_structure(case))


def codes(flags: tuple[QualityFlag, ...]) -> dict[str, Severity]:
    return {flag.code: flag.severity for flag in flags}


def replaced(case: Case, voxels: np.ndarray, affine: np.ndarray | None = None) -> Case:
    ras = case.grid.ras_from_voxel if affine is None else affine
    return Case(name="x", images={T1: Volume(voxels, ras)})


def test_stripped_head_with_four_sequences_passes(case: Case) -> None:
    assert checked(case) == ()
    assert check_case(draw_brain()) == ()
    refuse_errors(check_case(draw_brain()))


def test_gate_refuses_what_is_no_brain(case: Case) -> None:
    flags = check_case(case)
    assert codes(flags) == {"NOT-A-BRAIN": Severity.ERROR}
    with pytest.raises(RefusedStudy, match="NOT-A-BRAIN"):
        refuse_errors(flags)


def test_gate_says_once_what_both_kinds_of_checks_found(case: Case) -> None:
    noise = np.random.default_rng(0).integers(0, 30, case.grid.shape)
    flags = check_case(replaced(case, case.grid.voxels + noise))
    assert [(flag.code, flag.subject) for flag in flags].count(("SKULL-PRESENT", "t1")) == 1


def test_gate_says_nothing_of_the_content_of_useless_images() -> None:
    brain = draw_brain(modalities=[T1, T2])
    voxels = np.full(brain.grid.shape, np.nan, np.float32)
    one = Case(name="x", images={T1: brain.grid.with_voxels(voxels), T2: brain.images[T2]})
    none = Case(name="x", images={T1: brain.grid.with_voxels(voxels)})
    assert set(codes(check_case(one))) == {"NOT-FINITE", "MISSING-SEQUENCE"}
    assert set(codes(check_case(none))) == {"NOT-FINITE", "MISSING-SEQUENCE"}


def test_errors_come_first() -> None:
    brain = draw_brain()
    twice = Case(name="x", images={T1: brain.images[T1], T1CE: brain.images[T1]})
    severities = [flag.severity for flag in check_case(twice)]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert severities[0] is Severity.ERROR


def test_each_missing_sequence_is_named(case: Case) -> None:
    flags = checked(Case(name="x", images={T1CE: case.images[T1CE]}))
    assert [(f.code, f.severity, f.value) for f in flags] == [
        ("MISSING-SEQUENCE", "warning", name) for name in ("t1", "t2", "flair")
    ]
    refuse_errors(flags)


def test_nan_and_constant_images_are_errors(case: Case) -> None:
    broken = case.grid.voxels.astype(np.float32)
    broken[0, 0, :2] = np.nan, np.inf
    flags = checked(
        Case(name="x", images={T1: case.grid.with_voxels(broken), T2: case.grid.with_voxels(np.zeros_like(broken))})
    )
    assert codes(flags)["NOT-FINITE"] is Severity.ERROR
    assert flags[0].value == "2 voxels"
    assert codes(checked(replaced(case, np.full(case.grid.shape, 7))))["CONSTANT-IMAGE"] is Severity.ERROR


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize(
    ("factor", "code"),
    [(1e39, "NOT-FINITE"), (1e-46, "CONSTANT-IMAGE"), (1e-50, "CONSTANT-IMAGE"), (1e-320, "CONSTANT-IMAGE")],
)
def test_intensities_beyond_single_precision_are_errors(case: Case, factor: float, code: str, kind: str) -> None:
    with np.errstate(over="ignore"):
        voxels = (case.grid.voxels * factor).astype(kind)
    flags = checked(replaced(case, voxels))
    assert codes(flags)[code] is Severity.ERROR


@pytest.mark.parametrize("factor", [1e-38, 1e-30, 1.0, 1e30, 1e35])
def test_unusual_scales_within_single_precision_pass(case: Case, factor: float) -> None:
    assert set(codes(checked(replaced(case, case.grid.voxels * factor)))) == {"MISSING-SEQUENCE"}


@pytest.mark.parametrize("step", [1e-320, 1e-12])
def test_spread_lost_in_single_precision_is_no_spread(case: Case, step: float) -> None:
    inside = case.grid.voxels > 0
    voxels = np.where(inside, 1.0, 0.0)
    voxels[24, 28, 20] += step
    flags = checked(replaced(case, voxels))
    assert codes(flags)["CONSTANT-IMAGE"] is Severity.ERROR
    faint = np.zeros(case.grid.shape, np.float32)
    faint[inside] = 1e-40
    faint[24, 28, 20] += np.float32(1.5e-45)
    assert codes(checked(replaced(case, faint)))["CONSTANT-IMAGE"] is Severity.ERROR


@pytest.mark.parametrize("kind", ["?", "u1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_mask_named_as_an_image_is_an_error(case: Case, kind: str, order: str) -> None:
    mask = np.asarray(case.grid.voxels > 0, dtype=kind, order=order)
    flag = checked(replaced(case, mask))[0]
    assert (flag.code, flag.severity, flag.value) == ("CONSTANT-IMAGE", "error", str(mask.max()))
    assert "t1 is a single value" in flag.message
    assert "CONSTANT-IMAGE" not in codes(checked(replaced(case, case.grid.voxels[::-1, :, ::-1])))


def test_wide_integers_that_single_precision_merges_are_errors(case: Case) -> None:
    voxels = np.where(case.grid.voxels > 0, 2**30 + case.grid.voxels.astype(np.int32) % 2, 0)
    assert codes(checked(replaced(case, voxels)))["CONSTANT-IMAGE"] is Severity.ERROR


@pytest.mark.parametrize(
    ("scale", "code", "severity"),
    [
        ((3.0, 1, 1), "EXTREME-SPACING", "error"),
        ((0.05, 1, 1), "EXTREME-SPACING", "error"),
        ((0.05, 1, 1), "ANISOTROPIC", "warning"),
        ((0.1, 0.1, 0.1), "TOO-SMALL", "error"),
        ((1.2, 1, 1), "THICK-SLICES", "warning"),
        ((0.6, 0.6, 0.6), "EMPTY-HEAD", "error"),
        ((0.9, 0.9, 0.9), "BRAIN-VOLUME", "warning"),
        ((1.5, 1.5, 1.5), "SKULL-PRESENT", "error"),
    ],
)
def test_grids_and_volumes_out_of_range(case: Case, scale: tuple[float, ...], code: str, severity: str) -> None:
    affine = case.grid.ras_from_voxel @ np.diag([*scale, 1.0])
    assert codes(checked(replaced(case, case.grid.voxels, affine))).get(code) == severity


def test_head_in_noise_is_not_stripped(case: Case) -> None:
    noise = np.random.default_rng(0).integers(0, 30, case.grid.shape)
    flags = checked(replaced(case, case.grid.voxels + noise))
    assert codes(flags)["SKULL-PRESENT"] is Severity.ERROR


def test_normalised_head_with_negative_background_passes(case: Case) -> None:
    voxels = (case.grid.voxels - 250.0) / 40.0
    assert set(codes(checked(replaced(case, voxels)))) == {"MISSING-SEQUENCE"}


def test_sequence_that_covers_half_the_head_is_warned_of(case: Case) -> None:
    half = np.array(case.grid.voxels)
    half[: half.shape[0] // 2] = 0
    flags = checked(Case(name="x", images={**case.images, FLAIR: case.grid.with_voxels(half)}))
    assert {f.code: f.value for f in flags}["LOW-COVERAGE"] == "50%"


def test_one_sequence_with_its_skull_does_not_make_the_others_small(case: Case) -> None:
    whole = np.random.default_rng(0).integers(100, 400, case.grid.shape).astype(np.int16)
    flags = checked(Case(name="x", images={**case.images, T2: case.grid.with_voxels(whole)}))
    assert {flag.code: flag.subject for flag in flags} == {"SKULL-PRESENT": "t2"}


def test_refusal_lists_errors_and_keeps_all_flags(case: Case) -> None:
    flags = checked(replaced(case, np.zeros(case.grid.shape)))
    with pytest.raises(RefusedStudy, match="CONSTANT-IMAGE: t1 is the same value") as caught:
        refuse_errors(flags)
    assert caught.value.flags == flags
    assert "MISSING" not in str(caught.value)


@pytest.mark.real_data
def test_real_patients_pass_in_little_time(real_patients: list[Path], timed: Callable[..., list[Any]]) -> None:
    found = timed("tds_data.quality:check_case", real_patients[:2])
    assert len(found) == len(real_patients[:2])
    for entry in found:
        assert [flag for flag in entry.flags if flag[0] != Severity.INFO] == []
        assert entry.seconds < 2.0


def test_package_has_what_it_names_and_nothing_else() -> None:
    assert all(getattr(quality, name) is not None for name in quality.__all__)
    assert set(quality.__all__) <= set(dir(quality))
    with pytest.raises(AttributeError, match="no attribute 'check_everything'"):
        _ = quality.check_everything
