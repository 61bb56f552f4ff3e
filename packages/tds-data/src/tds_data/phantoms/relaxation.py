"""What decides how bright a tissue is: proton density and relaxation times at 1.5 and 3 T, before and after contrast.

T1 of white and grey matter: Wright et al. 2008 (MAGMA 21, 121-130); of cerebrospinal fluid: Rooney et al. 2007 (Magn
Reson Med 57, 308-318); of blood and muscle: Stanisz et al. 2005 (Magn Reson Med 54, 507-512); of fat and marrow: de
Bazelaire et al. 2004 (Radiology 230, 652-659). T2: Stanisz et al. 2005, Wansapura et al. 1999 (J Magn Reson Imaging 9,
531-538), and for fluid what trains of echoes see. Relaxivity: Rohrer et al. 2005 (Invest Radiol 40, 715-724). These
were then shifted by hand, within what is reported, until phantoms' contrasts resembled clinical pictures; lesions'
values are chosen by hand altogether. No patient's voxels are used.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tds_data.phantoms.exact import settled

LOW_TESLA: Final = 1.5
HIGH_TESLA: Final = 3.0
_RELAXIVITY: Final = {
    LOW_TESLA: (5.2, 6.1),
    HIGH_TESLA: (5.0, 7.1),
}  # of gadobutrol, per second and mmol/L, for T1 and T2


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissue:
    """What decides a tissue's brightness at one field strength.

    Attributes:
        density: Protons relative to water.
        t1_ms: Longitudinal relaxation time.
        t2_ms: Transverse relaxation time.
        uptake_mmol: Contrast agent that it takes up, in mmol per litre.
        flow: How much of its spin-echo signal flows away, 0 to 1.
        bound: Protons bound to large molecules relative to white matter, whose saturation by the other slices' pulses
            darkens T1 spin echoes (Dixon et al. 1990, Magn Reson Imaging 8, 417-422).
        mobile: How much of it may be replaced between inversion and reading, which spoils its null.
    """

    density: float
    t1_ms: float
    t2_ms: float
    uptake_mmol: float = 0.0
    flow: float = 0.0
    bound: float = 0.0
    mobile: float = 0.0

    def enhanced(self, tesla: float) -> "Tissue":
        """Return the tissue after contrast agent.

        Args:
            tesla: Field strength.
        """
        faster = [rate * self.uptake_mmol / 1000 for rate in _RELAXIVITY[tesla]]
        return replace(self, t1_ms=1 / (1 / self.t1_ms + faster[0]), t2_ms=1 / (1 / self.t2_ms + faster[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A tissue at both field strengths: (1.5 T, 3 T)."""

    density: float
    t1_ms: tuple[float, float]
    t2_ms: tuple[float, float]
    uptake_mmol: float = 0.0
    spread: float = 0.03  # relative standard deviation of the times between individuals
    flow: float = 0.0
    bound: float = 0.0
    mobile: float = 0.0


_TABLE: Final = {
    "white": _Row(density=0.70, t1_ms=(646, 838), t2_ms=(76, 71), uptake_mmol=0.02, bound=1.0),
    "grey": _Row(density=0.80, t1_ms=(1110, 1360), t2_ms=(90, 85), uptake_mmol=0.02, spread=0.045, bound=0.55),
    "fluid": _Row(density=1.0, t1_ms=(4200, 4300), t2_ms=(1100, 900), spread=0.04, mobile=1.0),
    "iron": _Row(density=0.75, t1_ms=(870, 1120), t2_ms=(62, 52), uptake_mmol=0.02, spread=0.06, bound=0.8),
    "scar": _Row(density=0.80, t1_ms=(1000, 1250), t2_ms=(118, 108), uptake_mmol=0.02, spread=0.08, bound=0.6),
    "vein": _Row(density=0.80, t1_ms=(1441, 1750), t2_ms=(120, 60), uptake_mmol=1.1, spread=0.08, flow=0.3),
    "artery": _Row(density=0.80, t1_ms=(1441, 1750), t2_ms=(200, 150), uptake_mmol=0.9, spread=0.08, flow=0.9),
    "plexus": _Row(density=0.88, t1_ms=(1500, 1900), t2_ms=(95, 85), uptake_mmol=0.5, spread=0.15),
    "dura": _Row(density=0.62, t1_ms=(900, 1050), t2_ms=(48, 42), uptake_mmol=0.38, spread=0.15),
    "bone": _Row(density=0.10, t1_ms=(400, 450), t2_ms=(8, 6)),
    "marrow": _Row(density=0.62, t1_ms=(330, 390), t2_ms=(60, 58), uptake_mmol=0.05, spread=0.08),
    "fat": _Row(density=0.92, t1_ms=(288, 371), t2_ms=(85, 82), spread=0.05),
    "muscle": _Row(density=0.78, t1_ms=(1008, 1412), t2_ms=(44, 40), uptake_mmol=0.12),
    "skin": _Row(density=0.70, t1_ms=(750, 900), t2_ms=(40, 36), uptake_mmol=0.15),
    "mucosa": _Row(density=0.88, t1_ms=(1300, 1600), t2_ms=(160, 140), uptake_mmol=0.6, spread=0.1),
    "vitreous": _Row(density=1.0, t1_ms=(3900, 4100), t2_ms=(1000, 800)),
    "lens": _Row(density=0.60, t1_ms=(900, 1100), t2_ms=(25, 22)),
    "air": _Row(density=0.0, t1_ms=(1000, 1000), t2_ms=(10, 10)),
    "oedema": _Row(density=0.83, t1_ms=(1080, 1400), t2_ms=(122, 114), uptake_mmol=0.01, spread=0.06, bound=0.7),
    "necrosis": _Row(density=0.91, t1_ms=(1500, 1780), t2_ms=(152, 140), uptake_mmol=0.0, spread=0.14, bound=0.4),
    "glioma": _Row(density=0.85, t1_ms=(1150, 1450), t2_ms=(136, 127), uptake_mmol=0.015, spread=0.09, bound=0.5),
    "rim": _Row(density=0.83, t1_ms=(1100, 1380), t2_ms=(122, 114), uptake_mmol=0.22, spread=0.13, bound=0.5),
    "blood": _Row(density=0.84, t1_ms=(480, 600), t2_ms=(70, 55), spread=0.15, bound=0.4),
    "cavity": _Row(density=0.99, t1_ms=(3800, 3950), t2_ms=(800, 650), spread=0.05, mobile=0.5),
}

TISSUES: Final = tuple(_TABLE)
"""The names of all tissues of a phantom."""


def draw_tissues(rng: np.random.Generator, tesla: float) -> dict[str, Tissue]:
    """Return an individual's tissues, before contrast agent.

    Args:
        rng: Source of randomness.
        tesla: Field strength, 1.5 or 3.
    """
    column = 0 if tesla == LOW_TESLA else 1
    dose = float(rng.uniform(0.75, 1.3))
    drawn = {}
    for name, row in _TABLE.items():
        t1, t2, uptake = np.exp(row.spread * np.clip(rng.normal(0, 1, size=3), -2, 2))
        drawn[name] = Tissue(
            density=row.density,
            t1_ms=settled(row.t1_ms[column] * t1),
            t2_ms=settled(row.t2_ms[column] * t2),
            uptake_mmol=settled(row.uptake_mmol * dose * uptake**2),
            flow=row.flow,
            bound=row.bound,
            mobile=row.mobile,
        )
    return drawn
