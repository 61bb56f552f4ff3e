"""What a structured report says, read from the file by nothing but its content items."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.codes import LOWER_UNCERTAINTY, UPPER_UNCERTAINTY

_IMAGING_MEASUREMENTS = "126010"
_MEASUREMENT_GROUP = "125007"
_TRACKING_ID = "112039"
_TRACKING_UID = "112040"
_FINDING = "121071"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadNumber:
    """One measurement.

    Attributes:
        value: The number as binary floating point.
        decimal: The same as decimal string.
        unit: Code of its unit.
        upper: How much larger it may be; `None` if that is not said.
        lower: How much smaller it may be.
        line_lps_mm: The two ends of the line that it is the length of, shape (2, 3); `None` if that is not said.
    """

    value: float
    decimal: float
    unit: str
    upper: float | None
    lower: float | None
    line_lps_mm: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadGroup:
    """One measurement group.

    Attributes:
        template: `1411` or `1501`.
        tracking_id: Tracking Identifier.
        tracking_uid: Tracking Unique Identifier.
        finding: Code Value of the finding.
        numbers: The measurements, by Code Value of their names.
        segments: SOP Instance UID and numbers of the segments that it is about; `None` if it is about none.
    """

    template: str
    tracking_id: str
    tracking_uid: str
    finding: str
    numbers: Mapping[str, ReadNumber]
    segments: tuple[str, tuple[int, ...]] | None


def read_groups(document: Dataset) -> tuple[ReadGroup, ...]:
    """Return the measurement groups of a structured report by TID 1500.

    Args:
        document: The report.

    Raises:
        ValueError: If a group does not have exactly one tracking identifier of each kind and one finding.
    """
    return tuple(
        _group(item)
        for measurements in _named(document, _IMAGING_MEASUREMENTS)
        for item in _named(measurements, _MEASUREMENT_GROUP)
    )


def _group(group: Dataset) -> ReadGroup:
    numbers = {_name(item): _number(item) for item in group.ContentSequence if item.ValueType == "NUM"}
    images = [item.ReferencedSOPSequence[0] for item in group.ContentSequence if item.ValueType == "IMAGE"]
    return ReadGroup(
        template=str(group.ContentTemplateSequence[0].TemplateIdentifier),
        tracking_id=str(_one(group, _TRACKING_ID).TextValue),
        tracking_uid=str(_one(group, _TRACKING_UID).UID),
        finding=str(_one(group, _FINDING).ConceptCodeSequence[0].CodeValue),
        numbers=numbers,
        segments=next(map(_segments, images), None),
    )


def _segments(image: Dataset) -> tuple[str, tuple[int, ...]]:
    numbers = image.ReferencedSegmentNumber
    several = (numbers,) if isinstance(numbers, int) else tuple(numbers)
    return str(image.ReferencedSOPInstanceUID), several


def _number(item: Dataset) -> ReadNumber:
    measured = item.MeasuredValueSequence[0]
    lines = [child.GraphicData for child in item.get("ContentSequence", ()) if child.ValueType == "SCOORD3D"]
    return ReadNumber(
        value=float(measured.FloatingPointValue),
        decimal=float(measured.NumericValue),
        unit=str(measured.MeasurementUnitsCodeSequence[0].CodeValue),
        upper=_below(item, UPPER_UNCERTAINTY.value),
        lower=_below(item, LOWER_UNCERTAINTY.value),
        line_lps_mm=np.array(lines[0], float).reshape(-1, 3) if lines else None,
    )


def _below(item: Dataset, name: str) -> float | None:
    return next((float(c.MeasuredValueSequence[0].FloatingPointValue) for c in _named(item, name)), None)


def _one(parent: Dataset, name: str) -> Dataset:
    (item,) = _named(parent, name)
    return item


def _named(parent: Dataset, name: str) -> Iterator[Dataset]:
    return (item for item in parent.get("ContentSequence", ()) if _name(item) == name)


def _name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)
