"""What a comparison of time points says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tds_data.report import LesionReport, Point
from tds_data.vocabulary import Region


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
        kind: What became of it.
        before: Numbers of the lesions at the earlier time point.
        after: Numbers at the later one.
        place_mm: Where, RAS+ millimetres of the later time point.
        volume_ml: Millilitres of each region before and after.
        is_certain: Whether the whole tumour's change is larger than its intervals.
    """

    kind: ChangeKind
    before: tuple[int, ...]
    after: tuple[int, ...]
    place_mm: Point
    volume_ml: Mapping[Region, tuple[float, float]]
    is_certain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A category by one set of criteria.

    Attributes:
        criteria: `RANO 2.0` or `RECIST 1.1`.
        category: `CR`, `PR`, `SD`, `PD`, `NE` (not evaluable) or `uncertain`.
        sum_mm: Sum of what the criteria measure at each time point: products in square millimetres (RANO) or longest
            diameters in millimetres (RECIST).
        unit: Unit of `sum_mm`: `mm2` or `mm`.
        reasons: Why, in plain sentences without identifiers.
    """

    criteria: str
    category: str
    sum_mm: tuple[float, ...]
    unit: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePointSummary:
    """One time point, without its images.

    Attributes:
        label: Short name, such as `baseline` or the date.
        when: Date of the study, if known.
        report: What was found.
    """

    label: str
    when: date | None
    report: LesionReport


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What changed over two or more time points, oldest first.

    Attributes:
        points: The time points.
        changes: For each pair of neighbours, what became of each lesion.
        assessments: The latest time point by each set of criteria.
        lesion_uids: Tracking UID of each lesion at each time point, by its number there.
    """

    points: tuple[TimePointSummary, ...]
    changes: tuple[tuple[LesionChange, ...], ...]
    assessments: tuple[Assessment, ...]
    lesion_uids: tuple[Mapping[int, str], ...]
