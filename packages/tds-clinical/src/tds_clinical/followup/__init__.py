"""What changed between time points of one patient.

Research use only. Categories are computed from images alone: they know neither symptoms nor steroids nor treatment, and
replace no reading by a radiologist.
"""

from typing import TYPE_CHECKING

from tds_clinical.followup.model import (
    FOLLOW_UP_VERSION,
    IMAGES_ALONE_NOTICE,
    AlignmentSummary,
    Assessment,
    ChangeKind,
    FollowUp,
    LesionChange,
    TimePointSummary,
)
from tds_clinical.followup.options import Alignment, Clinical, ClinicalStatus, FollowUpOptions, Steroids, TimePoint

if TYPE_CHECKING:
    from tds_clinical.followup.comparison import compare

__all__ = [
    "FOLLOW_UP_VERSION",
    "IMAGES_ALONE_NOTICE",
    "Alignment",
    "AlignmentSummary",
    "Assessment",
    "ChangeKind",
    "Clinical",
    "ClinicalStatus",
    "FollowUp",
    "FollowUpOptions",
    "LesionChange",
    "Steroids",
    "TimePoint",
    "TimePointSummary",
    "compare",
]


def __getattr__(name: str) -> object:
    # Reports need the values alone; what compares is loaded when it is first asked for.
    if name == "compare":
        from tds_clinical.followup.comparison import compare as found  # noqa: PLC0415  # as above

        return found
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
