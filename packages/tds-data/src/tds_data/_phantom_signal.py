"""What a scanner makes of a phantom's tissues.

Spin-echo and inversion-recovery signal equations (Bernstein, King and Zhou 2004, Handbook of MRI Pulse Sequences,
chapters 14 and 16) on relaxation times near those reported at 3 T, adjusted by hand so that the contrasts between
tissues resemble clinical pictures. No patient's voxels are used.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from tds_data.vocabulary import Modality


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissue:
    """What decides a tissue's brightness.

    Attributes:
        density: Proton density relative to water.
        t1_ms: Longitudinal relaxation time before contrast agent.
        t2_ms: Transverse relaxation time.
        t1ce_ms: Longitudinal relaxation time after contrast agent.
        spread: Relative standard deviation of these times between individuals.
    """

    density: float
    t1_ms: float
    t2_ms: float
    t1ce_ms: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """Timing of a sequence.

    Attributes:
        repetition_ms: TR.
        echo_ms: TE.
        nulled: How near to the null of cerebrospinal fluid the signal is read after an inversion pulse, as a share
            of the time to the null; `None` without the pulse.
        enhanced: Whether contrast agent was given.
    """

    repetition_ms: float
    echo_ms: float
    nulled: float | None = None
    enhanced: bool = False


TISSUES: Final = {
    "white": Tissue(density=0.70, t1_ms=820, t2_ms=73, t1ce_ms=800, spread=0.02),
    "grey": Tissue(density=0.81, t1_ms=1280, t2_ms=83, t1ce_ms=1200, spread=0.02),
    "fluid": Tissue(density=1.0, t1_ms=3400, t2_ms=900, t1ce_ms=3300, spread=0.05),
    "vessel": Tissue(density=0.75, t1_ms=1700, t2_ms=70, t1ce_ms=190, spread=0.15),
    "necrosis": Tissue(density=0.92, t1_ms=1700, t2_ms=165, t1ce_ms=1650, spread=0.10),
    "oedema": Tissue(density=0.86, t1_ms=1400, t2_ms=122, t1ce_ms=1380, spread=0.08),
    "rim": Tissue(density=0.84, t1_ms=1250, t2_ms=106, t1ce_ms=700, spread=0.12),
}
"""Every tissue of a phantom."""

_SEQUENCES: Final = {
    Modality.T1: Sequence(repetition_ms=600, echo_ms=11),
    Modality.T1CE: Sequence(repetition_ms=600, echo_ms=11, enhanced=True),
    Modality.T2: Sequence(repetition_ms=5500, echo_ms=100),
    Modality.FLAIR: Sequence(repetition_ms=9000, echo_ms=125, nulled=0.96),
}
_TIMING_SPREAD: Final = 0.06


def draw_tissues(rng: np.random.Generator) -> dict[str, Tissue]:
    """Return an individual's tissues.

    Args:
        rng: Source of randomness.
    """
    drawn = {}
    for name, tissue in TISSUES.items():
        t1, t2 = np.exp(np.clip(rng.normal(0, tissue.spread, size=2), -2 * tissue.spread, 2 * tissue.spread))
        drawn[name] = Tissue(
            density=tissue.density,
            t1_ms=tissue.t1_ms * t1,
            t2_ms=tissue.t2_ms * t2,
            t1ce_ms=tissue.t1ce_ms * t1,
            spread=tissue.spread,
        )
    return drawn


def draw_signals(rng: np.random.Generator, tissues: dict[str, Tissue], modality: Modality) -> dict[str, float]:
    """Return how bright each tissue is in one sequence whose timing varies a little between scanners.

    Args:
        rng: Source of randomness.
        tissues: As from `draw_tissues`.
        modality: The sequence.
    """
    nominal = _SEQUENCES[modality]
    repetition, echo = np.exp(rng.normal(0, _TIMING_SPREAD, size=2).clip(-0.1, 0.1))
    sequence = Sequence(
        repetition_ms=nominal.repetition_ms * repetition,
        echo_ms=nominal.echo_ms * echo,
        nulled=nominal.nulled,
        enhanced=nominal.enhanced,
    )
    return {name: _signal(sequence, tissue, tissues["fluid"]) for name, tissue in tissues.items()}


def _signal(sequence: Sequence, tissue: Tissue, fluid: Tissue) -> float:
    t1 = tissue.t1ce_ms if sequence.enhanced else tissue.t1_ms
    recovered = 1 - np.exp(-sequence.repetition_ms / t1)
    if sequence.nulled is not None:
        null_ms = fluid.t1_ms * np.log(2 / (1 + np.exp(-sequence.repetition_ms / fluid.t1_ms)))
        recovered = abs(1 - 2 * np.exp(-sequence.nulled * null_ms / t1) + np.exp(-sequence.repetition_ms / t1))
    return float(tissue.density * recovered * np.exp(-sequence.echo_ms / tissue.t2_ms))
