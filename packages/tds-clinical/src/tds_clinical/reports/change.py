"""What a report says of changes since earlier time points."""

import base64
import io
from collections.abc import Sequence
from typing import Final

from PIL import Image

from tds_clinical.errors import ReportError
from tds_clinical.followup.model import Assessment, ChangeKind, FollowUp, LesionChange, TimePointSummary
from tds_clinical.reports.content import Assessed, Change, Table
from tds_clinical.reports.flags import flags_of
from tds_clinical.reports.language import Language
from tds_clinical.reports.wording import millilitres, volume
from tds_data.vocabulary import REGIONS, Region

_FORMATS: Final = ("PNG", "JPEG")
_UNITS: Final = {"mm": "mm", "mm2": "mm²", "ml": "mL"}


def change_since(follow_up: FollowUp, timeline: bytes | None, language: Language) -> Change:
    """Return what changed since the time point before the last one, and the course over all of them.

    Args:
        follow_up: The comparison.
        timeline: PNG or JPEG picture of the course.
        language: What to write it in.

    Raises:
        ReportError: If there are no two time points, or the picture is neither PNG nor JPEG.
    """
    if len(follow_up.points) < 2 or not follow_up.changes:  # noqa: PLR2004  # before and after
        message = f"a follow-up of {len(follow_up.points)} time point(s) has no change to show; give two or more"
        raise ReportError(message)
    words = language.words
    latest = follow_up.changes[-1]
    return Change(
        title=words.change_since.format(label=_named(follow_up.points[-2])),
        assessed=tuple(_assessed(entry, language) for entry in follow_up.assessments),
        flags=flags_of(follow_up.quality, language),
        caution=words.images_alone if follow_up.assessments else "",
        changes=_changes(latest, language) if latest else None,
        note=words.change_note if latest else "",
        course=_course(follow_up.points, language),
        timeline=None if timeline is None else _data_url(timeline),
        timeline_file=timeline,
        timeline_alt=words.course_alt,
    )


def _named(point: TimePointSummary) -> str:
    if point.when is None or point.label == point.when.isoformat():
        return point.label
    return f"{point.label} ({point.when.isoformat()})"


def _assessed(entry: Assessment, language: Language) -> Assessed:
    words = language.words
    sums = "; ".join(_sums(entry, language))
    return Assessed(
        title=words.assessment.format(criteria=entry.criteria, category=_category(entry, language)),
        sums=words.sums.format(sums=sums, unit=_UNITS.get(entry.unit, entry.unit)) if sums else "",
        reasons=entry.reasons,
    )


def _category(entry: Assessment, language: Language) -> str:
    words = language.words
    names = {
        "CR": words.complete_response,
        "PR": words.partial_response,
        "SD": words.stable_disease,
        "PD": words.progressive_disease,
        "NE": words.not_evaluable,
        "uncertain": words.uncertain_category,
    }
    category = names.get(entry.category, entry.category)
    if len(entry.possible) < 2:  # noqa: PLR2004  # a choice of one is none
        return category
    possible = words.either_or.join(names.get(name, name) for name in entry.possible)
    return words.possible.format(category=category, possible=possible)


def _sums(entry: Assessment, language: Language) -> list[str]:
    sums = [_sum(value, entry.unit, language) for value in entry.sum_mm]
    if len(entry.sum_interval) != len(sums):
        return sums
    ends = [[_sum(end, entry.unit, language) for end in interval] for interval in entry.sum_interval]
    text = language.words.sum_with_interval
    return [text.format(sum=value, low=low, high=high) for value, (low, high) in zip(sums, ends, strict=True)]


def _sum(value: float, unit: str, language: Language) -> str:
    return millilitres(value, language) if unit == "ml" else language.number(value, 0 if unit == "mm2" else 1)


def _changes(changes: Sequence[LesionChange], language: Language) -> Table:
    words = language.words
    kinds = {
        ChangeKind.MATCHED: words.matched,
        ChangeKind.NEW: words.new,
        ChangeKind.GONE: words.gone,
        ChangeKind.SPLIT: words.split,
        ChangeKind.MERGED: words.merged,
    }
    rows = tuple(
        (
            kinds[change.kind],
            _numbers(change.before),
            _numbers(change.after),
            words.certain if change.is_certain else words.uncertain,
            *(_before_after(change, region, language) for region in REGIONS),
        )
        for change in changes
    )
    regions = (words.region_change_ml.format(region=region) for region in REGIONS)
    columns = (words.became, words.lesions_before, words.lesions_after, words.is_certain, *regions)
    return Table(caption=words.became, columns=columns, rows=rows)


def _numbers(lesions: Sequence[int]) -> str:
    return ", ".join(map(str, lesions)) or "-"


def _before_after(change: LesionChange, region: Region, language: Language) -> str:
    volumes_ml = change.volume_ml.get(region, (0.0, 0.0))
    intervals_ml = change.volume_interval_ml.get(region, (None, None))
    before, after = (volume(v, i, language) for v, i in zip(volumes_ml, intervals_ml, strict=True))
    return language.words.before_after.format(before=before, after=after)


def _course(points: Sequence[TimePointSummary], language: Language) -> Table:
    words = language.words
    rows = []
    for point in points:
        intervals = point.volume_interval_ml or point.report.volume_interval_ml or {}
        volumes = (volume(point.report.volume_ml.get(r, 0.0), intervals.get(r), language) for r in REGIONS)
        when = "-" if point.when is None else point.when.isoformat()
        rows.append((point.label, when, str(len(point.report.lesions)), *volumes))
    regions = (words.region_volume_ml.format(region=region) for region in REGIONS)
    columns = (words.time_point, words.date, words.count, *regions)
    return Table(caption=words.course, columns=columns, rows=tuple(rows))


def _data_url(picture: bytes) -> str:
    try:
        with Image.open(io.BytesIO(picture), formats=_FORMATS) as opened:
            opened.load()
            kind = str(opened.format).lower()
    except (OSError, SyntaxError, ValueError) as error:
        message = (
            "the picture of the course is neither PNG nor JPEG, or damaged; give another one as ReportOptions.timeline"
        )
        raise ReportError(message) from error
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode("ascii")
