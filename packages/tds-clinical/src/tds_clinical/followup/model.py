"""What a comparison of time points says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Final, Self

from tds_clinical.measurement import LesionMeasurement
from tds_data.report import RESEARCH_USE_NOTICE, Interval, LesionReport, Point, QualityFlag
from tds_data.vocabulary import Region

FOLLOW_UP_VERSION: Final = "1.0"
"""Version of the JSON form; the major number changes when a reader of the old form would break."""

IMAGES_ALONE_NOTICE: Final = (
    "Categories are computed from images alone. They do not know symptoms, steroids, treatment or a later "
    "confirmation, and they replace no reading by a radiologist."
)
"""Shown wherever a category is shown."""


class ChangeKind(StrEnum):
    """What became of a lesion."""

    MATCHED = "matched"
    NEW = "new"
    GONE = "gone"
    SPLIT = "split"
    MERGED = "merged"


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionChange:
    """One lesion, or what split or merged, between two neighbouring time points.

    Attributes:
        kind: What became of it. Where several lesions became several others, `split` if there are more of them now,
            else `merged`.
        before: Numbers of the lesions at the earlier time point.
        after: Numbers at the later one.
        place_mm: Where, RAS+ millimetres of the later time point.
        volume_ml: Millilitres of each region before and after.
        is_certain: Whether the whole tumour's change is larger than its intervals: they do not overlap.
        volume_interval_ml: Interval of each region's volume before and after, millilitres.
    """

    kind: ChangeKind
    before: tuple[int, ...]
    after: tuple[int, ...]
    place_mm: Point
    volume_ml: Mapping[Region, tuple[float, float]]
    is_certain: bool
    volume_interval_ml: Mapping[Region, tuple[Interval, Interval]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A category by one set of criteria.

    Attributes:
        criteria: `RANO 2.0`, `RANO 2.0 (volume)` or `RECIST 1.1`.
        category: `CR`, `PR`, `SD`, `PD`, `NE` (not evaluable) or `uncertain`.
        sum_mm: Sum of what the criteria measure at each time point: products in square millimetres (RANO), longest
            diameters in millimetres (RECIST) or volumes in millilitres (RANO by volume).
        unit: Unit of `sum_mm`: `mm2`, `mm` or `ml`.
        reasons: Why, in plain sentences without identifiers.
        sum_interval: Interval of each sum, in the same unit.
        possible: The categories that the intervals allow, when it is uncertain; else the category alone.
        targets: Numbers of the lesions that make up each sum.
    """

    criteria: str
    category: str
    sum_mm: tuple[float, ...]
    unit: str
    reasons: tuple[str, ...]
    sum_interval: tuple[Interval, ...] = ()
    possible: tuple[str, ...] = ()
    targets: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentSummary:
    """How a time point was brought onto the latest one.

    Attributes:
        method: `registered`, `headers`, or `reference` for the latest one itself.
        shift_mm: How far the middle of the head moved against the headers.
        turn_deg: By how much it turned.
        spread_mm: How far a second search ended from the first; `None` without a search.
    """

    method: str
    shift_mm: float = 0.0
    turn_deg: float = 0.0
    spread_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePointSummary:
    """One time point, without its images.

    Attributes:
        label: Short name, such as `baseline` or the date.
        when: Date of the study, if known.
        report: What was found.
        volume_interval_ml: Interval of each region's volume over the whole study, millilitres.
        interval_method: How the intervals were made.
        measurements: Diameters of its lesions.
        alignment: How it was brought onto the latest time point.
    """

    label: str
    when: date | None
    report: LesionReport
    volume_interval_ml: Mapping[Region, Interval] = field(default_factory=dict)
    interval_method: str = ""
    measurements: tuple[LesionMeasurement, ...] = ()
    alignment: AlignmentSummary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What changed over two or more time points, oldest first.

    Attributes:
        points: The time points.
        changes: For each pair of neighbours, what became of each lesion.
        assessments: The latest time point by each set of criteria.
        lesion_uids: Tracking UID of each lesion at each time point, by its number there.
        quality: What weakens the comparison.
        notice: The research-use notice, and that categories come from images alone.
        schema_version: Version of the JSON form.
    """

    points: tuple[TimePointSummary, ...]
    changes: tuple[tuple[LesionChange, ...], ...]
    assessments: tuple[Assessment, ...]
    lesion_uids: tuple[Mapping[int, str], ...]
    quality: tuple[QualityFlag, ...] = ()
    notice: str = f"{RESEARCH_USE_NOTICE} {IMAGES_ALONE_NOTICE}"
    schema_version: str = FOLLOW_UP_VERSION

    @property
    def is_phantom(self) -> bool:
        """Whether the studies are synthetic."""
        return any(point.report.phantom for point in self.points)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON types."""
        from tds_clinical.followup.document import to_document  # noqa: PLC0415  # it builds these values in turn

        return to_document(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Return the comparison that a JSON document describes.

        Fields that this version does not know are left out.

        Args:
            document: What `to_dict` returned, perhaps through a JSON file.

        Raises:
            FollowUpError: If the major schema version differs, or a field is missing or of the wrong kind.
        """
        from tds_clinical.followup.document import fields_of  # noqa: PLC0415  # as above

        return cls(**fields_of(document))
