"""What a segmentation found: the value that core produces and clinical, serve and the apps consume.

All places are in RAS+ millimetres, all volumes in millilitres. The JSON form is `docs/reference/result-schema.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from numbers import Integral, Real
from typing import Any, Final, Self, TypeVar

from tds_data.errors import DataError
from tds_data.vocabulary import REGIONS, Modality, Region

_T = TypeVar("_T")
_POINT_AXES: Final = 3

SCHEMA_VERSION: Final = "1.2"
"""Version of the JSON form; the major number changes when a reader of the old form would break."""

RESEARCH_USE_NOTICE: Final = "Research use only. Not a medical device. Not reviewed by a physician."
"""Shown wherever a result is shown."""

Point = tuple[float, float, float]
"""A place in RAS+ millimetres."""

Interval = tuple[float, float]
"""The lower and the upper end of what a number may be."""


class ReportFormatError(DataError, ValueError):
    """A JSON document is not a lesion report that this version can read."""


class Severity(StrEnum):
    """How much a quality flag weighs: `error` refuses the study, `warning` is shown, `info` is kept."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFlag:
    """One finding of the quality gate.

    Attributes:
        code: Stable identifier in upper case with hyphens, such as `MISSING-SEQUENCE`.
        severity: How much it weighs.
        message: What was seen and what to do, without patient identifiers.
        value: The value seen, as text, if there is one.
        subject: What the finding is about, if not the whole study: a sequence such as `t1ce`, two such as
            `t2, flair`, or `mask`.
    """

    code: str
    severity: Severity
    message: str
    value: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which model made a result.

    Attributes:
        name: Name of the bundle.
        version: Version of the bundle.
        sha256: Hash of the bundle's manifest, which holds the hash of each of its files.
        architecture: Network family, such as `SegResNet`.
        licence: SPDX identifier of the weights' licence.
    """

    name: str
    version: str
    sha256: str
    architecture: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One connected component of the whole tumour.

    Attributes:
        number: 1 for the largest, counting up.
        centroid_mm: Centre of mass, RAS+ millimetres.
        bounding_box_mm: Opposite corners of the axis-aligned RAS box around the lesion's voxels, millimetres.
        longest_diameter_mm: Largest distance between two voxel centres of the lesion, millimetres, in 3D.
        volume_ml: Millilitres of each region inside the lesion.
        volume_interval_ml: Interval of each volume, millilitres, by `LesionReport.interval_method`; `None` if there
            is none.
    """

    number: int
    centroid_mm: Point
    bounding_box_mm: tuple[Point, Point]
    longest_diameter_mm: float
    volume_ml: Mapping[Region, float]
    volume_interval_ml: Mapping[Region, Interval] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionReport:
    """Everything a segmentation says about one study.

    Attributes:
        case: Short label of the study, without patient identifiers.
        modalities: Sequences that were used, in model order.
        lesions: Largest first; empty when nothing was found.
        volume_ml: Millilitres of each region over the whole study.
        quality: Findings of the quality gate.
        model: Which model made the result.
        timings_s: Seconds spent in each named stage.
        dice: Dice of each region against a reference mask; only when one was given, else `None`.
        phantom: Whether the study is synthetic; its scores are never shown as patient scores.
        volume_interval_ml: Interval of each of `volume_ml`, millilitres; `None` if there is none.
        interval_method: How the intervals of the volumes were made; `None` if there are none.
        notice: The research-use notice.
        schema_version: Version of the JSON form.
    """

    case: str
    modalities: tuple[Modality, ...]
    lesions: tuple[Lesion, ...]
    volume_ml: Mapping[Region, float]
    quality: tuple[QualityFlag, ...]
    model: ModelIdentity
    timings_s: Mapping[str, float] = field(default_factory=dict)
    dice: Mapping[Region, float] | None = None
    phantom: bool = False
    volume_interval_ml: Mapping[Region, Interval] | None = None
    interval_method: str | None = None
    notice: str = RESEARCH_USE_NOTICE
    schema_version: str = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        document: dict[str, Any] = _plain(self)
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Return the report that a JSON document describes.

        Fields that this version does not know are left out, wherever they are: minor versions add some.

        Args:
            document: What `to_dict` returned, perhaps through a JSON file.

        Raises:
            ReportFormatError: If the major schema version differs or a field or region is missing or of the wrong kind.
        """
        version = _version(document)
        try:
            dice = document["dice"]
            return cls(
                case=_field(document, "case", str),
                modalities=tuple(Modality(m) for m in _field(document, "modalities", list)),
                lesions=tuple(_lesion(entry) for entry in _field(document, "lesions", list)),
                volume_ml=_by_region(document["volume_ml"]),
                quality=tuple(_flag(entry) for entry in _field(document, "quality", list)),
                model=_model(document["model"]),
                timings_s={stage: _number(seconds) for stage, seconds in _field(document, "timings_s", dict).items()},
                dice=None if dice is None else _by_region(dice),
                phantom=_field(document, "phantom", bool),
                volume_interval_ml=_intervals(document.get("volume_interval_ml")),
                interval_method=_optional_text(document, "interval_method"),
                notice=_field(document, "notice", str),
                schema_version=version,
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            message = f"not a lesion report: {type(error).__name__}: {error}"
            raise ReportFormatError(message) from error


def _version(document: Mapping[str, Any]) -> str:
    try:
        version = _field(document, "schema_version", str)
    except (KeyError, TypeError) as error:
        message = "not a lesion report: a report is a JSON object with a schema_version"
        raise ReportFormatError(message) from error
    if version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        message = f"schema version {version} cannot be read; this version reads {SCHEMA_VERSION}"
        raise ReportFormatError(message)
    return version


def _plain(value: Any) -> Any:  # noqa: ANN401  # JSON values of any kind
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, StrEnum):
        return str(value)
    is_foreign_number = isinstance(value, Real) and not isinstance(value, int | float)
    return _plain_number(value) if is_foreign_number else value


def _plain_number(value: Real) -> int | float:
    return int(value) if isinstance(value, Integral) else float(value)


def _field(entry: Mapping[str, Any], key: str, kind: type[_T]) -> _T:
    value = entry[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        message = f"{key} is of type {type(value).__name__}, not {kind.__name__}"
        raise TypeError(message)
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"a number is expected, not {type(value).__name__}"
        raise TypeError(message)
    return float(value)


def _by_region(entry: Mapping[str, Any]) -> dict[Region, float]:
    return {region: _number(entry[region.value]) for region in REGIONS}


def _model(entry: Mapping[str, Any]) -> ModelIdentity:
    return ModelIdentity(**{f.name: _field(entry, f.name, str) for f in fields(ModelIdentity)})


def _flag(entry: Mapping[str, Any]) -> QualityFlag:
    return QualityFlag(
        code=_field(entry, "code", str),
        severity=Severity(entry["severity"]),
        message=_field(entry, "message", str),
        value=None if entry.get("value") is None else _field(entry, "value", str),
        subject=None if entry.get("subject") is None else _field(entry, "subject", str),
    )


def _point(entry: object) -> Point:
    if not isinstance(entry, list | tuple) or len(entry) != _POINT_AXES:
        message = "a place has three coordinates"
        raise TypeError(message)
    x, y, z = entry
    return _number(x), _number(y), _number(z)


def _lesion(entry: Mapping[str, Any]) -> Lesion:
    low, high = _field(entry, "bounding_box_mm", list)
    return Lesion(
        number=_field(entry, "number", int),
        centroid_mm=_point(entry["centroid_mm"]),
        bounding_box_mm=(_point(low), _point(high)),
        longest_diameter_mm=_number(entry["longest_diameter_mm"]),
        volume_ml=_by_region(entry["volume_ml"]),
        volume_interval_ml=_intervals(entry.get("volume_interval_ml")),
    )


def _intervals(entry: object) -> dict[Region, Interval] | None:
    if entry is None:
        return None
    if not isinstance(entry, Mapping):
        message = "intervals are an object with one pair of numbers for each region"
        raise TypeError(message)
    found = {}
    for region in REGIONS:
        low, high = entry[region.value]
        found[region] = (_number(low), _number(high))
    return found


def _optional_text(entry: Mapping[str, Any], key: str) -> str | None:
    return None if entry.get(key) is None else _field(entry, key, str)
