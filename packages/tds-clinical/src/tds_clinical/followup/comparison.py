"""Two or more time points of one patient, compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tds_clinical.followup.alignment import Aligned, align
from tds_clinical.followup.assess import Setting, assess
from tds_clinical.followup.checks import check_points, find_obstacles, find_quality
from tds_clinical.followup.course import Course
from tds_clinical.followup.intervals import VolumeIntervals, find_intervals, overlap
from tds_clinical.followup.matching import Group, LesionSpace, Link, find_links, group_links
from tds_clinical.followup.model import FollowUp, LesionChange, TimePointSummary
from tds_clinical.followup.options import FollowUpOptions, TimePoint
from tds_clinical.followup.sizes import LesionSize, find_sizes
from tds_clinical.followup.tracking import first_names, next_names
from tds_clinical.measurement import LesionMeasurement, map_lesions, measure_lesions
from tds_clinical.uids import Uids
from tds_data.report import Interval, Point, QualityFlag, Severity
from tds_data.vocabulary import REGIONS, Region

Returned = Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Measured:
    """One time point with all that was measured."""

    point: TimePoint
    aligned: Aligned
    space: LesionSpace
    measurements: tuple[LesionMeasurement, ...]
    intervals: VolumeIntervals
    sizes: Mapping[int, LesionSize]

    @property
    def volumes(self) -> dict[int, float]:
        return {lesion.number: lesion.volume_ml[Region.WT] for lesion in self.point.report.lesions}


def compare(
    points: Sequence[TimePoint],
    options: FollowUpOptions | None = None,
    *,
    uids: Uids | None = None,
    tracked: Mapping[int, str] | None = None,
) -> FollowUp:
    """Return what changed over time: each lesion's fate, and a category by each set of criteria.

    Volumes and diameters are those of each time point on its own grid; only the matching of lesions needs the time
    points in one space.

    Args:
        points: Two or more, oldest first.
        options: How they are compared; the defaults if `None`.
        uids: Makes Tracking UIDs; random ones if `None`.
        tracked: Tracking UIDs of the first time point's lesions that are known already, by their number.

    Raises:
        FollowUpError: If the time points cannot be compared: fewer than two, out of order, of different models or
            kinds, or not to be registered.
        ResultsDisagree: If a mask and its report do not agree.
        ClinicalDependency: If SimpleITK is needed and not installed.
    """
    chosen = options or FollowUpOptions()
    check_points(points, chosen)
    maps = [map_lesions(point.mask, point.report) for point in points]
    aligned = align(points, chosen.alignment)
    measured = [_measure(*parts) for parts in zip(points, maps, aligned, strict=True)]
    links, groups = _match(measured, chosen)
    names, returned = _track(measured, groups, (uids or Uids.random(), tracked or {}), chosen)
    course = Course(sizes=tuple(entry.sizes for entry in measured), links=links, returned=returned)
    matrices = [entry.aligned.latest_from_point for entry in measured]
    obstacles = find_obstacles(points, matrices)
    setting = Setting(
        labels=tuple(point.label for point in points),
        latest=points[-1].when,
        obstacles=obstacles,
        clinical=chosen.clinical,
    )
    return FollowUp(
        points=tuple(_summary(entry) for entry in measured),
        changes=tuple(
            tuple(_change(group, before, after) for group in found)
            for found, (before, after) in zip(groups, pairwise(measured), strict=True)
        ),
        assessments=assess(course, setting, chosen),
        lesion_uids=names,
        quality=(*find_quality(points, obstacles), *_silent(course, measured)),
    )


def _measure(point: TimePoint, lesions: NDArray[np.uint16], aligned: Aligned) -> _Measured:
    measurements = measure_lesions(point.mask, lesions, point.report)
    intervals = find_intervals(point.mask, lesions, point.report)
    return _Measured(
        point=point,
        aligned=aligned,
        space=LesionSpace(
            lesions=point.mask.with_voxels(lesions),
            numbers=tuple(lesion.number for lesion in point.report.lesions),
        ),
        measurements=measurements,
        intervals=intervals,
        sizes=find_sizes(point.mask, lesions, point.report, measurements, intervals),
    )


def _links(before: _Measured, after: _Measured, reach_mm: float) -> tuple[Link, ...]:
    matrix = np.linalg.inv(after.aligned.latest_from_point) @ before.aligned.latest_from_point
    return find_links(before.space, after.space, matrix, reach_mm)


def _match(
    measured: Sequence[_Measured], options: FollowUpOptions
) -> tuple[tuple[tuple[Link, ...], ...], tuple[tuple[Group, ...], ...]]:
    links = tuple(_links(before, after, options.reach_mm) for before, after in pairwise(measured))
    groups = tuple(
        group_links(found, before.space.numbers, after.space.numbers)
        for found, (before, after) in zip(links, pairwise(measured), strict=True)
    )
    return links, groups


def _track(
    measured: Sequence[_Measured],
    groups: Sequence[Sequence[Group]],
    naming: tuple[Uids, Mapping[int, str]],
    options: FollowUpOptions,
) -> tuple[tuple[Mapping[int, str], ...], tuple[Returned, ...]]:
    """Return the Tracking UIDs at each time point, and the lesions that came back."""
    uids, known = naming
    names = [first_names(measured[0].space.numbers, uids, known)]
    returned: list[Returned] = [{}]
    for index, found in enumerate(groups, start=1):
        now = measured[index]
        carried = next_names(found, (measured[index - 1].volumes, now.volumes), names[-1])
        new = {number for group in found if not group.before for number in group.after}
        back: dict[int, tuple[int, int]] = {}
        for earlier in range(index - 2, -1, -1):
            if not new - set(back):
                break
            for then, number in _links(measured[earlier], now, options.reach_mm):
                if number in new and number not in back:
                    back[number] = (earlier, then)
                    name = names[earlier][then]
                    if name not in carried.values():
                        carried[number] = name
        for number in now.space.numbers:
            carried.setdefault(number, str(uids.make("lesion", index, number)))
        names.append(carried)
        returned.append(back)
    return tuple(names), tuple(returned)


def _silent(course: Course, measured: Sequence[_Measured]) -> tuple[QualityFlag, ...]:
    """Return a flag for lesions that are new and do not enhance, which no criterion here counts."""
    known = course.descendants(measured[0].space.numbers)[-1]
    numbers = [number for number in measured[-1].space.numbers if number not in known | set(course.sizes[-1])]
    if not numbers:
        return ()
    message = (
        f"New lesions of the latest time point without enhancing tumour: {', '.join(map(str, numbers))}. The criteria "
        "look at what enhances, so these are in no category."
    )
    return (QualityFlag(code="NEW-NOT-ENHANCING", severity=Severity.WARNING, message=message),)


def _summary(measured: _Measured) -> TimePointSummary:
    return TimePointSummary(
        label=measured.point.label,
        when=measured.point.when,
        report=measured.point.report,
        volume_interval_ml=measured.intervals.total,
        interval_method=measured.intervals.method,
        measurements=measured.measurements,
        alignment=measured.aligned.summary,
    )


def _change(group: Group, before: _Measured, after: _Measured) -> LesionChange:
    volumes = {
        region: (_volume(before, group.before, region), _volume(after, group.after, region)) for region in REGIONS
    }
    intervals = {
        region: (_interval(before, group.before, region), _interval(after, group.after, region)) for region in REGIONS
    }
    return LesionChange(
        kind=group.kind,
        before=group.before,
        after=group.after,
        place_mm=_place(group, before, after),
        volume_ml=volumes,
        is_certain=not overlap(*intervals[Region.WT]),
        volume_interval_ml=intervals,
    )


def _volume(measured: _Measured, numbers: Sequence[int], region: Region) -> float:
    return sum((entry.volume_ml[region] for entry in measured.point.report.lesions if entry.number in numbers), 0.0)


def _interval(measured: _Measured, numbers: Sequence[int], region: Region) -> Interval:
    ends = [measured.intervals.lesions[number][region] for number in numbers]
    return sum((low for low, _ in ends), 0.0), sum((high for _, high in ends), 0.0)


def _place(group: Group, before: _Measured, after: _Measured) -> Point:
    there = after if group.after else before
    number = (group.after or group.before)[0]
    centre = next(lesion.centroid_mm for lesion in there.point.report.lesions if lesion.number == number)
    if group.after:
        return centre
    matrix = np.linalg.inv(after.aligned.latest_from_point) @ before.aligned.latest_from_point
    x, y, z = (matrix @ [*centre, 1.0])[:3].tolist()
    return x, y, z
