"""What phantom to make."""

import math
from dataclasses import dataclass
from typing import Final

from tds_data.errors import VoxelError
from tds_data.phantoms.plan import TumourKind
from tds_data.phantoms.relaxation import HIGH_TESLA, LOW_TESLA
from tds_data.vocabulary import MODALITIES, Modality

_SPACING_MM: Final = (0.5, 4.0)
_MAX_TUMOURS: Final = 5
_MAX_NOISE: Final = 0.2
_MAX_BIAS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomConfig:
    """What phantom to make.

    Attributes:
        seed: Which patient: the same seed is the same person and tumour at every spacing.
        spacing_mm: Edge of the cubic voxels, 0.5 to 4 mm.
        modalities: The sequences wanted; each looks the same whichever others are made.
        tumours: How many tumours share the tumour volume, 0 to 5.
        kind: What they are.
        noise: Typical standard deviation of the noise as a share of white matter's brightness, 0 to 0.2; each sequence
            has its own.
        bias: Typical change of brightness by the coil (its standard deviation), 0 to 0.5; each sequence has its own.
        tesla: Field strength, 1.5 or 3; `None` for either, as the seed decides.
        with_skull: Keep the skull, the scalp and the air around the head.
        thick_slices: Whether every sequence is measured in slices of 3 to 6 mm; `None` for as it happens in clinics.
        motion: How much the head moved, 0 for not at all to 1.

    Raises:
        VoxelError: If a value is out of range or no sequence is wanted.
    """

    seed: int
    spacing_mm: float = 1.0
    modalities: tuple[Modality, ...] = MODALITIES
    tumours: int = 1
    kind: TumourKind = TumourKind.HIGH_GRADE
    noise: float = 0.02
    bias: float = 0.08
    tesla: float | None = None
    with_skull: bool = False
    thick_slices: bool | None = None
    motion: float = 0.0

    def __post_init__(self) -> None:
        ranges = {
            "seed": (self.seed, 0, 2**63),
            "spacing_mm": (self.spacing_mm, *_SPACING_MM),
            "tumours": (self.tumours, 0, _MAX_TUMOURS),
            "noise": (self.noise, 0, _MAX_NOISE),
            "bias": (self.bias, 0, _MAX_BIAS),
            "motion": (self.motion, 0, 1),
        }
        for name, (value, low, high) in ranges.items():
            if not low <= value <= high:
                message = f"a phantom's {name} lies between {low} and {high}; {value} was given"
                raise VoxelError(message)
        if not self.modalities:
            raise VoxelError("a phantom needs at least one sequence; none was given: name one of t1, t1ce, t2, flair")
        if self.tesla is not None and not any(math.isclose(self.tesla, t) for t in (LOW_TESLA, HIGH_TESLA)):
            message = f"a phantom's field strength is {LOW_TESLA} or {HIGH_TESLA} tesla; {self.tesla} was given"
            raise VoxelError(message)
