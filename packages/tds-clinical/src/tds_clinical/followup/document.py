"""The JSON form of a comparison."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np

from tds_clinical.errors import FollowUpError
from tds_clinical.followup.model import (
    FOLLOW_UP_VERSION,
    AlignmentSummary,
    Assessment,
    ChangeKind,
    FollowUp,
    LesionChange,
    TimePointSummary,
)
from tds_clinical.measurement import Diameters, LesionMeasurement
from tds_data.report import Interval, LesionReport, Point, QualityFlag, ReportFormatError, Severity
from tds_data.vocabulary import REGIONS, Region

_T = TypeVar("_T")


def to_document(follow_up: FollowUp) -> dict[str, Any]:
    """Return a comparison as plain JSON types.

    Args:
        follow_up: The comparison.
    """
    document: dict[str, Any] = _plain(follow_up)
    return document


def fields_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the comparison that a JSON document describes.

    Args:
        document: What `to_document` returned, perhaps through a JSON file.

    Raises:
        FollowUpError: If the major schema version differs, or a field is missing or of the wrong kind.
    """
    version = document.get("schema_version")
    if not isinstance(version, str) or version.partition(".")[0] != FOLLOW_UP_VERSION.partition(".")[0]:
        message = f"not a follow-up that this version can read: it reads schema version {FOLLOW_UP_VERSION}"
        raise FollowUpError(message)
    try:
        return {
            "points": _each(document["points"], _point_summary),
            "changes": _each(document["changes"], lambda changes: _each(changes, _change)),
            "assessments": _each(document["assessments"], _assessment),
            "lesion_uids": _each(document["lesion_uids"], _names),
            "quality": _each(document.get("quality", []), _flag),
            "notice": _text(document["notice"]),
            "schema_version": version,
        }
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, ReportFormatError) as error:
        message = f"not a follow-up: {type(error).__name__}: {error}"
        raise FollowUpError(message) from error


def _plain(value: Any) -> Any:  # noqa: ANN401  # JSON values of any kind
    if isinstance(value, LesionReport):
        return value.to_dict()
    if is_dataclass(value):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:  # noqa: ANN401  # JSON values of any kind
    if isinstance(value, date | StrEnum):
        return str(value)  # of a date, its ISO form
    return value.item() if isinstance(value, np.generic) else value


def _point_summary(entry: Any) -> TimePointSummary:  # noqa: ANN401  # from JSON
    alignment = entry.get("alignment")
    when = entry["when"]
    return TimePointSummary(
        label=_text(entry["label"]),
        when=None if when is None else date.fromisoformat(_text(when)),
        report=LesionReport.from_dict(entry["report"]),
        volume_interval_ml=_by_region(entry.get("volume_interval_ml", {}), _interval),
        interval_method=_text(entry.get("interval_method", "")),
        measurements=_each(entry.get("measurements", []), _measurement),
        alignment=None if alignment is None else _alignment(alignment),
    )


def _alignment(entry: Any) -> AlignmentSummary:  # noqa: ANN401  # from JSON
    spread = entry["spread_mm"]
    return AlignmentSummary(
        method=_text(entry["method"]),
        shift_mm=_number(entry["shift_mm"]),
        turn_deg=_number(entry["turn_deg"]),
        spread_mm=None if spread is None else _number(spread),
    )


def _measurement(entry: Any) -> LesionMeasurement:  # noqa: ANN401  # from JSON
    return LesionMeasurement(lesion=_count(entry["lesion"]), diameters=_by_region(entry["diameters"], _diameters))


def _diameters(entry: Any) -> Diameters:  # noqa: ANN401  # from JSON
    return Diameters(
        longest_mm=_number(entry["longest_mm"]),
        perpendicular_mm=_number(entry["perpendicular_mm"]),
        longest_ends_mm=_pair(entry["longest_ends_mm"], _place),
        perpendicular_ends_mm=_pair(entry["perpendicular_ends_mm"], _place),
        axis=_count(entry["axis"]),
        slice_index=_count(entry["slice_index"]),
    )


def _change(entry: Any) -> LesionChange:  # noqa: ANN401  # from JSON
    return LesionChange(
        kind=ChangeKind(entry["kind"]),
        before=_each(entry["before"], _count),
        after=_each(entry["after"], _count),
        place_mm=_place(entry["place_mm"]),
        volume_ml=_by_region(entry["volume_ml"], lambda pair: _pair(pair, _number)),
        is_certain=_truth(entry["is_certain"]),
        volume_interval_ml=_by_region(entry.get("volume_interval_ml", {}), lambda pair: _pair(pair, _interval)),
    )


def _assessment(entry: Any) -> Assessment:  # noqa: ANN401  # from JSON
    return Assessment(
        criteria=_text(entry["criteria"]),
        category=_text(entry["category"]),
        sum_mm=_each(entry["sum_mm"], _number),
        unit=_text(entry["unit"]),
        reasons=_each(entry["reasons"], _text),
        sum_interval=_each(entry.get("sum_interval", []), _interval),
        possible=_each(entry.get("possible", []), _text),
        targets=_each(entry.get("targets", []), lambda numbers: _each(numbers, _count)),
    )


def _flag(entry: Any) -> QualityFlag:  # noqa: ANN401  # from JSON
    value, subject = entry.get("value"), entry.get("subject")
    return QualityFlag(
        code=_text(entry["code"]),
        severity=Severity(entry["severity"]),
        message=_text(entry["message"]),
        value=None if value is None else _text(value),
        subject=None if subject is None else _text(subject),
    )


def _names(entry: Any) -> dict[int, str]:  # noqa: ANN401  # from JSON
    return {int(number): _text(uid) for number, uid in entry.items()}


def _each(entries: Any, read: Callable[[Any], _T]) -> tuple[_T, ...]:  # noqa: ANN401  # from JSON
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        message = f"a list is expected, not {type(entries).__name__}"
        raise TypeError(message)
    return tuple(read(entry) for entry in entries)


def _pair(entry: Any, read: Callable[[Any], _T]) -> tuple[_T, _T]:  # noqa: ANN401  # from JSON
    first, second = _each(entry, read)
    return first, second


def _interval(entry: Any) -> Interval:  # noqa: ANN401  # from JSON
    return _pair(entry, _number)


def _place(entry: Any) -> Point:  # noqa: ANN401  # from JSON
    x, y, z = _each(entry, _number)
    return x, y, z


def _by_region(entry: Any, read: Callable[[Any], _T]) -> dict[Region, _T]:  # noqa: ANN401  # from JSON
    return {region: read(entry[region.value]) for region in REGIONS if region.value in entry}


def _text(value: object) -> str:
    return _of_kind(value, str)


def _truth(value: object) -> bool:
    return _of_kind(value, bool)


def _count(value: object) -> int:
    if isinstance(value, bool):
        message = "a whole number is expected, not bool"
        raise TypeError(message)
    return _of_kind(value, int)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        message = (
            f"a finite number is expected, not {value!r}"
            if isinstance(value, float)
            else (f"a number is expected, not {type(value).__name__}")
        )
        raise TypeError(message)
    return float(value)


def _of_kind(value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        message = f"{kind.__name__} is expected, not {type(value).__name__}"
        raise TypeError(message)
    return value
