"""Every fault of content is named by its code, and what is right is left alone."""

import numpy as np
import pytest
from drawn import drawn_case
from faults import FAULTS, mirror_reference, mirror_sequence, no_contrast, shift

from tds_data import Case, Modality, Severity, Volume
from tds_data.quality.codes import CODES
from tds_data.quality.content import check_content
from tds_data.report import QualityFlag

T1, T1CE, T2, FLAIR = Modality

# What the drawn brain cannot show: it is symmetric but for chance, and coarse, so little drift and motion stay small.
BEYOND_DRAWING = {
    ("study mirrored", "all"),
    ("bias", "t1 70%"),
    ("bias", "t2 70%"),
    ("motion", "t1 1.5 mm"),
    ("motion", "t1 3 mm"),
    ("motion", "flair 1.5 mm"),
    ("motion", "flair 3 mm"),
}
PLANTED = [
    (fault, strength)
    for fault, entry in FAULTS.items()
    for strength in entry.plant
    if (fault, strength) not in BEYOND_DRAWING
]


def found(flags: tuple[QualityFlag, ...]) -> dict[str, Severity]:
    return {flag.code: flag.severity for flag in flags}


@pytest.mark.parametrize("seed", [0, 1])
def test_a_right_case_gives_no_finding(seed: int) -> None:
    assert check_content(drawn_case(seed)) == ()


@pytest.mark.parametrize(("fault", "strength"), PLANTED)
def test_planted_fault_is_named(drawn: Case, fault: str, strength: str) -> None:
    entry = FAULTS[fault]
    flags = check_content(entry.plant[strength](drawn))
    named = [flag for flag in flags if flag.code == entry.code]
    assert named, flags
    assert not entry.error or named[0].severity is Severity.ERROR
    assert all(flag.value and flag.message and "drawn" not in flag.message for flag in flags)


def test_every_planted_code_is_registered() -> None:
    assert {entry.code for entry in FAULTS.values()} <= CODES.keys()


def test_the_sequence_at_fault_is_named(drawn: Case) -> None:
    for fault in ("sequence mirrored", "sequence shifted", "noise", "bias", "ghost"):
        strength = list(FAULTS[fault].plant)[-1]
        flags = check_content(FAULTS[fault].plant[strength](drawn))
        assert [f.subject for f in flags if f.code == FAULTS[fault].code] == [strength.split()[0]]
    assert [f.subject for f in check_content(mirror_reference(drawn))] == ["mask"]


def test_large_shift_refuses_and_small_one_warns(drawn: Case) -> None:
    assert found(check_content(shift(drawn, T2, (0, 3, 0))))["MISREGISTERED"] is Severity.WARNING
    assert found(check_content(shift(drawn, T2, (0, 8, 0))))["MISREGISTERED"] is Severity.ERROR
    assert check_content(shift(drawn, T2, (0, 0.7, 0))) == ()


def test_of_two_sequences_either_may_be_at_fault(drawn: Case) -> None:
    two = Case(name="x", images={T1: drawn.images[T1], T2: drawn.images[T2]})
    assert check_content(two) == ()
    moved = check_content(shift(two, T2, (4, 0, 0)))
    assert [(f.code, f.subject) for f in moved] == [("MISREGISTERED", "t1, t2")]
    mirrored = check_content(FAULTS["sequence mirrored"].plant["t2"](two))
    assert [(f.code, f.subject, f.severity) for f in mirrored] == [("FLIPPED-LEFT-RIGHT", "t1, t2", "warning")]


def test_mirrored_sequence_is_told_where_the_head_is_off_the_middle(drawn: Case) -> None:
    def padded(volume: Volume) -> Volume:
        voxels = np.pad(np.asarray(volume.voxels), ((12, 0), (0, 0), (0, 0)))
        affine = volume.ras_from_voxel @ np.array([[1, 0, 0, -12], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        return Volume(voxels, affine)

    aside = Case(name="x", images={m: padded(v) for m, v in drawn.images.items()})
    assert check_content(aside) == ()
    flags = check_content(mirror_sequence(aside, T2))
    assert [(f.code, f.subject) for f in flags] == [("FLIPPED-LEFT-RIGHT", "t2")]


@pytest.mark.parametrize("modality", list(Modality))
def test_single_sequence_passes(drawn: Case, modality: Modality) -> None:
    assert check_content(Case(name="x", images={modality: drawn.images[modality]})) == ()


def test_nothing_to_look_at_gives_no_finding(drawn: Case) -> None:
    blank = drawn.grid.with_voxels(np.zeros(drawn.grid.shape, np.int16))
    assert check_content(Case(name="x", images={T1: blank})) == ()


def test_little_content_is_no_brain(drawn: Case) -> None:
    crumb = np.zeros(drawn.grid.shape, np.int16)
    crumb[30:36, 30:36, 30:36] = np.arange(216).reshape(6, 6, 6) + 1
    flags = check_content(Case(name="x", images={T1: drawn.grid.with_voxels(crumb)}))
    assert [(f.code, f.value) for f in flags] == [("NOT-A-BRAIN", "hardly any content")]


def test_partial_overlap_of_the_sequences_is_no_crash(drawn: Case) -> None:
    left, right = (np.array(drawn.images[m].voxels) for m in (T1, T2))
    left[:40], right[50:] = 0, 0
    case = Case(name="x", images={T1: drawn.grid.with_voxels(left), T2: drawn.grid.with_voxels(right)})
    assert check_content(case)


def test_sequences_that_hardly_meet_are_judged_one_by_one(drawn: Case) -> None:
    slab = np.array(drawn.images[T1CE].voxels)
    slab[:, :, :52], slab[:, :, 55:] = 0, 0
    flags = check_content(Case(name="x", images={T1: drawn.images[T1], T1CE: drawn.grid.with_voxels(slab)}))
    assert [(f.code, f.subject) for f in flags] == [("PARTIAL-COVERAGE", "t1ce")]


def test_head_with_its_skull_in_two_pieces_is_one_head(drawn: Case) -> None:
    skull = FAULTS["skull"].plant["noisy air"](drawn)
    voxels = np.array(skull.images[T2].voxels)
    voxels[2:8, 2:8, 2:8] = 900
    flags = check_content(Case(name="x", images={T2: skull.grid.with_voxels(voxels)}))
    assert [f.code for f in flags] == ["SKULL-PRESENT"]


def test_checks_change_nothing_and_repeat_themselves(drawn: Case) -> None:
    before = {m: np.array(v.voxels) for m, v in drawn.images.items()}
    broken = no_contrast(drawn)
    assert check_content(broken) == check_content(broken)
    check_content(drawn)
    for modality, voxels in before.items():
        np.testing.assert_array_equal(drawn.images[modality].voxels, voxels)


def test_brightness_of_a_standardised_image_is_not_called_drift() -> None:
    biased = FAULTS["bias"].plant["t2 150%"](drawn_case())
    assert "STRONG-BIAS" in {flag.code for flag in check_content(biased)}
    images = {}
    for modality, volume in biased.images.items():
        inside = volume.voxels > 0
        values = (volume.voxels - volume.voxels[inside].mean()) / volume.voxels[inside].std()
        images[modality] = volume.with_voxels(np.where(inside, values, 0).astype(np.float32))
    assert "STRONG-BIAS" not in {flag.code for flag in check_content(Case(name="x", images=images))}
