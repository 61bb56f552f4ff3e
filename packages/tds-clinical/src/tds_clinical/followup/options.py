"""What a comparison of time points is given, and how it is made."""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from tds_clinical.errors import FollowUpError
from tds_data.report import LesionReport
from tds_data.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimePoint:
    """One study of the patient and what was found in it.

    Attributes:
        label: Short name, such as `baseline`; no patient identifiers.
        when: Date of the study, if known.
        image: A sequence in the space of the mask; time points are registered by it.
        mask: Labels 0 to 3.
        report: What was found in the mask.
    """

    label: str
    when: date | None
    image: Volume
    mask: Volume
    report: LesionReport


class Alignment(StrEnum):
    """How time points are brought together: by registering their images, or by trusting what their headers say."""

    REGISTER = "register"
    HEADERS = "headers"


class Steroids(StrEnum):
    """Corticosteroids now, against the baseline; `none` means at most a physiological replacement dose."""

    NONE = "none"
    LOWER = "lower"
    SAME = "same"
    HIGHER = "higher"


class ClinicalStatus(StrEnum):
    """How the patient is now, against the baseline, apart from other causes."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinical:
    """What images do not show and RANO asks for; `None` where it is not known.

    Attributes:
        steroids: Corticosteroids.
        status: How the patient is.
        radiotherapy_ended: Last day of radiotherapy.
        is_confirmed: Whether a later scan, at least four weeks after the latest time point, confirmed the change.
    """

    steroids: Steroids | None = None
    status: ClinicalStatus | None = None
    radiotherapy_ended: date | None = None
    is_confirmed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpOptions:
    """How time points are compared.

    Attributes:
        alignment: How they are brought together.
        reach_mm: How far apart a lesion may lie at two time points, surface to surface, and still be the same.
        rano_targets: How many target lesions RANO sums.
        recist_targets: How many target lesions RECIST sums in the brain.
        clinical: What images do not show.
        allow_different_models: Whether results of different models are compared, with a warning.

    Raises:
        FollowUpError: If a number is out of range.
    """

    alignment: Alignment = Alignment.REGISTER
    reach_mm: float = 3.0
    rano_targets: int = 3
    recist_targets: int = 2
    clinical: Clinical = field(default_factory=Clinical)
    allow_different_models: bool = False

    def __post_init__(self) -> None:
        if not self.reach_mm >= 0:
            message = f"reach_mm is a distance of at least 0; {self.reach_mm} was given"
            raise FollowUpError(message)
        if min(self.rano_targets, self.recist_targets) < 1:
            message = f"at least one target lesion is summed; {self.rano_targets}, {self.recist_targets} were given"
            raise FollowUpError(message)
