"""What a scanner was told to do: timing and sampling of each sequence, and the signal equations.

Spin echo, spoiled gradient echo and inversion recovery after Bernstein, King and Zhou 2004, Handbook of MRI Pulse
Sequences, chapters 14 and 16; timings are those of clinical tumour protocols.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from tds_data.phantoms.exact import settled
from tds_data.phantoms.relaxation import Tissue
from tds_data.vocabulary import Modality


class Technique(StrEnum):
    """How a signal is made."""

    SPIN_ECHO = "spin echo"
    GRADIENT_ECHO = "gradient echo"
    PREPARED_GRADIENT_ECHO = "prepared gradient echo"
    FLUID_NULLED = "fluid-nulled inversion recovery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How one sequence is acquired.

    Attributes:
        technique: How the signal is made.
        repetition_ms: TR.
        echo_ms: TE.
        inversion_ms: TI; as a share of the time to the null of cerebrospinal fluid for `FLUID_NULLED`, 0 without.
        flip_degrees: Flip angle of gradient echoes.
        inflow: Share of mobile fluid that the inversion did not reach.
        slice_mm: Thickness of the slices; 0 for a three-dimensional acquisition.
        gap_mm: Distance between them.
        pixel_mm: Edge of the voxels within a slice, or along all axes.
    """

    technique: Technique
    repetition_ms: float
    echo_ms: float
    inversion_ms: float = 0.0
    flip_degrees: float = 90.0
    inflow: float = 0.0
    slice_mm: float = 0.0
    gap_mm: float = 0.0
    pixel_mm: float = 1.0


_2D_SHARE: Final = {Modality.T1: 0.85, Modality.T1CE: 0.38, Modality.T2: 0.75, Modality.FLAIR: 0.75}
_SHORT_MS: Final = 1000.0
_SATURATION: Final = 0.17


def draw_protocol(rng: np.random.Generator, modality: Modality, *, thick: bool | None) -> Protocol:
    """Return how a scanner acquires a sequence.

    Args:
        rng: Source of randomness.
        modality: The sequence.
        thick: Whether in thick slices; `None` for as it happens in clinics.
    """
    flat = rng.random() < _2D_SHARE[modality]
    flat = flat if thick is None else thick
    timing = _TIMINGS[modality](rng, flat=flat)
    slice_mm = float(rng.choice((2.0, 3.0, 3.0, 4.0, 5.0, 5.0)))
    gap_mm = float(rng.choice((0.0, 0.5, 1.0)))
    pixel_mm = float(rng.uniform(0.6, 1.0))
    technique, repetition, echo, inversion, flip = timing
    return Protocol(
        technique=technique,
        repetition_ms=settled(repetition),
        echo_ms=settled(echo),
        inversion_ms=settled(inversion),
        flip_degrees=settled(flip),
        inflow=settled(float(rng.uniform(0.005, 0.022))),
        slice_mm=slice_mm if flat else 0.0,
        gap_mm=gap_mm if flat else 0.0,
        pixel_mm=settled(pixel_mm),
    )


def signal(protocol: Protocol, tissue: Tissue, fluid: Tissue) -> float:
    """Return how bright a tissue is.

    Args:
        protocol: The sequence.
        tissue: As it is when the sequence runs: after contrast agent where that was given.
        fluid: Cerebrospinal fluid, whose null decides an inversion time.
    """
    recovered = 1 - np.exp(-protocol.repetition_ms / tissue.t1_ms)
    decayed = np.exp(-protocol.echo_ms / tissue.t2_ms)
    if protocol.technique is Technique.SPIN_ECHO:
        value = recovered * decayed * (1 - tissue.flow)
        if protocol.repetition_ms < _SHORT_MS:
            value *= 1 - _SATURATION * tissue.bound
    elif protocol.technique is Technique.GRADIENT_ECHO:
        angle = np.deg2rad(protocol.flip_degrees)
        value = np.sin(angle) * recovered / (1 - np.cos(angle) * (1 - recovered)) * decayed
    else:
        inversion_ms = protocol.inversion_ms
        if protocol.technique is Technique.FLUID_NULLED:
            inversion_ms *= fluid.t1_ms * np.log(2 / (1 + np.exp(-protocol.repetition_ms / fluid.t1_ms)))
        left = 2 * np.exp(-inversion_ms / tissue.t1_ms) - np.exp(-protocol.repetition_ms / tissue.t1_ms)
        value = abs(1 - left) * decayed
        if protocol.technique is Technique.FLUID_NULLED:
            value *= 1 - tissue.flow
            value += protocol.inflow * tissue.mobile * decayed
    return settled(float(tissue.density * value))


_Timing = tuple[Technique, float, float, float, float]


def _t1(rng: np.random.Generator, *, flat: bool) -> _Timing:
    if flat:
        return Technique.SPIN_ECHO, rng.uniform(420, 650), rng.uniform(8, 14), 0.0, 90.0
    return _prepared(rng)


def _t1ce(rng: np.random.Generator, *, flat: bool) -> _Timing:
    if flat:
        return Technique.SPIN_ECHO, rng.uniform(420, 650), rng.uniform(8, 14), 0.0, 90.0
    if rng.random() < 0.5:  # noqa: PLR2004 - as often as not
        return Technique.GRADIENT_ECHO, rng.uniform(7, 12), rng.uniform(2.5, 4), 0.0, rng.uniform(15, 25)
    return _prepared(rng)


def _prepared(rng: np.random.Generator) -> _Timing:
    technique = Technique.PREPARED_GRADIENT_ECHO
    return technique, rng.uniform(1400, 1900), rng.uniform(2.5, 4), rng.uniform(1050, 1250), rng.uniform(8, 12)


def _t2(rng: np.random.Generator, *, flat: bool) -> _Timing:
    repetition = rng.uniform(3800, 6500) if flat else rng.uniform(2500, 3500)
    return Technique.SPIN_ECHO, repetition, rng.uniform(82, 112), 0.0, 90.0


def _flair(rng: np.random.Generator, *, flat: bool) -> _Timing:
    repetition = rng.uniform(8000, 11000) if flat else rng.uniform(7000, 9000)
    return Technique.FLUID_NULLED, repetition, rng.uniform(120, 165), rng.uniform(0.93, 0.99), 90.0


_TIMINGS: Final = {Modality.T1: _t1, Modality.T1CE: _t1ce, Modality.T2: _t2, Modality.FLAIR: _flair}
