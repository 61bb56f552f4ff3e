import numpy as np
import pytest

from tds_data.phantoms.relaxation import TISSUES, Tissue, draw_tissues
from tds_data.phantoms.sequences import Protocol, Technique, draw_protocol, signal
from tds_data.vocabulary import MODALITIES, Modality

WATER = Tissue(density=1.0, t1_ms=4300, t2_ms=900, mobile=1.0)
SPIN_ECHO = Protocol(technique=Technique.SPIN_ECHO, repetition_ms=2000, echo_ms=80)


def tissues(tesla: float, seed: int = 0) -> dict[str, Tissue]:
    return draw_tissues(np.random.default_rng(seed), tesla)


def levels(modality: Modality, tesla: float, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    drawn = draw_tissues(rng, tesla)
    protocol = draw_protocol(rng, modality, thick=None)
    after = modality is Modality.T1CE
    return {n: signal(protocol, t.enhanced(tesla) if after else t, drawn["fluid"]) for n, t in drawn.items()}


def test_spin_echo_follows_its_equation() -> None:
    tissue = Tissue(density=0.8, t1_ms=1000, t2_ms=90)
    expected = 0.8 * (1 - np.exp(-2)) * np.exp(-80 / 90)
    assert signal(SPIN_ECHO, tissue, WATER) == pytest.approx(expected, rel=1e-8)


def test_short_spin_echo_is_darkened_by_bound_protons_and_flow() -> None:
    short = Protocol(technique=Technique.SPIN_ECHO, repetition_ms=500, echo_ms=10)
    free = Tissue(density=0.8, t1_ms=1000, t2_ms=90)
    bound = Tissue(density=0.8, t1_ms=1000, t2_ms=90, bound=1.0)
    flowing = Tissue(density=0.8, t1_ms=1000, t2_ms=90, flow=0.9)
    assert signal(short, bound, WATER) < signal(short, free, WATER)
    assert signal(SPIN_ECHO, bound, WATER) == signal(SPIN_ECHO, free, WATER)
    assert signal(short, flowing, WATER) == pytest.approx(0.1 * signal(short, free, WATER))


def test_gradient_echo_at_its_ernst_angle_is_at_its_brightest() -> None:
    tissue = Tissue(density=1.0, t1_ms=1000, t2_ms=1e9)
    ernst = np.rad2deg(np.arccos(np.exp(-10 / 1000)))

    def at(angle: float) -> float:
        protocol = Protocol(technique=Technique.GRADIENT_ECHO, repetition_ms=10, echo_ms=3, flip_degrees=angle)
        return signal(protocol, tissue, WATER)

    assert at(ernst) > max(at(ernst - 2), at(ernst + 2))
    assert at(ernst) == pytest.approx(np.tan(np.deg2rad(ernst / 2)), rel=1e-3)


def test_inversion_at_the_null_leaves_only_what_flowed_in() -> None:
    def at(inflow: float) -> float:
        protocol = Protocol(
            technique=Technique.FLUID_NULLED, repetition_ms=9000, echo_ms=130, inversion_ms=1.0, inflow=inflow
        )
        return signal(protocol, WATER, WATER)

    assert at(0.0) == pytest.approx(0, abs=1e-9)
    assert at(0.03) == pytest.approx(0.03 * np.exp(-130 / 900), rel=1e-6)


def test_contrast_agent_shortens_both_times_of_what_takes_it_up() -> None:
    for tesla in (1.5, 3.0):
        for name in ("rim", "vein", "plexus", "dura", "white", "fluid"):
            before = tissues(tesla)[name]
            after = before.enhanced(tesla)
            assert after.t1_ms <= before.t1_ms
            assert after.t2_ms <= before.t2_ms
        assert tissues(tesla)["fluid"].enhanced(tesla).t1_ms == pytest.approx(tissues(tesla)["fluid"].t1_ms)
        assert tissues(tesla)["rim"].enhanced(tesla).t1_ms < 0.7 * tissues(tesla)["rim"].t1_ms


def test_longitudinal_relaxation_is_slower_and_transverse_faster_in_the_stronger_field() -> None:
    for name in ("white", "grey", "oedema", "rim", "muscle"):
        low = np.mean([[tissues(1.5, s)[name].t1_ms, tissues(1.5, s)[name].t2_ms] for s in range(20)], axis=0)
        high = np.mean([[tissues(3.0, s)[name].t1_ms, tissues(3.0, s)[name].t2_ms] for s in range(20)], axis=0)
        assert high[0] > low[0]
        assert high[1] < low[1]


@pytest.mark.parametrize("tesla", [1.5, 3.0])
@pytest.mark.parametrize("seed", range(8))
def test_each_sequence_has_its_contrast_whatever_the_scanner(tesla: float, seed: int) -> None:
    t1, t1ce, t2, flair = (levels(m, tesla, seed) for m in MODALITIES)
    assert t1["white"] > t1["grey"] > t1["fluid"]
    assert t1["fat"] > t1["white"]
    assert t1ce["rim"] > 1.1 * t1ce["white"] > t1ce["necrosis"]
    assert t1ce["vein"] > t1ce["grey"] or t1ce["vein"] > t1["vein"]
    assert t2["fluid"] > t2["oedema"] > t2["grey"] > t2["white"]
    assert flair["oedema"] > 1.2 * flair["white"]
    assert flair["scar"] > flair["white"]
    assert flair["fluid"] < 0.75 * flair["white"]
    assert t2["artery"] < 0.5 * t2["white"]
    assert t2["bone"] < 0.1 * t2["white"]


def test_every_tissue_is_drawn_and_none_has_negative_times() -> None:
    drawn = tissues(3.0)
    assert tuple(drawn) == TISSUES
    assert all(t.t1_ms > 0 and t.t2_ms > 0 and 0 <= t.density <= 1 for t in drawn.values())


def test_thick_slices_are_asked_for_or_left_to_chance() -> None:
    def slices(thick: bool | None) -> list[float]:  # noqa: FBT001
        return [draw_protocol(np.random.default_rng(s), Modality.T2, thick=thick).slice_mm for s in range(30)]

    assert min(slices(thick=True)) >= 2
    assert max(slices(thick=False)) == 0
    assert min(slices(thick=None)) == 0 < max(slices(thick=None))
