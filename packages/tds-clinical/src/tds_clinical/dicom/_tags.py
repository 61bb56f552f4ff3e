"""Header values as plain Python types, whatever a scanner wrote into them."""

import math
import struct
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final, cast

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from tds_clinical.dicom._quiet import quiet_pydicom

HEADER_TAGS: Final[tuple[str, ...]] = (
    "SOPClassUID",
    "SOPInstanceUID",
    "PatientID",
    "StudyInstanceUID",
    "StudyDate",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SeriesNumber",
    "SeriesDescription",
    "ProtocolName",
    "Modality",
    "Manufacturer",
    "ImageType",
    "ScanningSequence",
    "SequenceVariant",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "DiffusionBValue",
    "AngioFlag",
    "ContrastBolusAgent",
    "ContrastBolusVolume",
    "ContrastBolusTotalDose",
    "ContrastBolusStartTime",
    "ContrastBolusAgentSequence",
    "MRAcquisitionType",
    "SequenceName",
    "PulseSequenceName",
    "AcquisitionContrast",
    "EchoPulseSequence",
    "EchoPlanarPulseSequence",
    "ComplexImageComponent",
    "InversionRecovery",
    "InversionTimes",
    "EffectiveEchoTime",
    "FrameAcquisitionDateTime",
    "ContrastBolusUsageSequence",
    "EchoTrainLength",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "AcquisitionNumber",
    "SliceThickness",
    "SpacingBetweenSlices",
    "LossyImageCompression",
    "QualityControlImage",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "InstanceNumber",
    "EchoNumbers",
    "FlipAngle",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "DiffusionGradientOrientation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleSlope",
    "RescaleIntercept",
)
"""What is read of each file's header: enough to group, identify and place an image."""


_TEXT: Final = frozenset({"AE", "CS", "DA", "DS", "DT", "IS", "LO", "SH", "TM", "UI"})
_NUMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FD": "d", "FL": "f"}
)
_ESCAPE: Final = b"\x1b"


def text(header: Dataset, keyword: str) -> str:
    """Return an element as text, parts of a multiple value joined by backslashes, empty if absent or malformed."""
    return "\\".join(texts(header, keyword))


def texts(header: Dataset, keyword: str) -> tuple[str, ...]:
    """Return each value of an element as stripped text, empty if absent or malformed."""
    return tuple(str(value).strip() for value in _values(header, keyword))


def number(header: Dataset, keyword: str) -> float | None:
    """Return an element's single finite number, or `None` if it is absent or malformed."""
    values = numbers(header, keyword, 1)
    return values[0] if values else None


def numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return exactly `count` finite numbers of an element, or `None` if it is absent or malformed."""
    try:
        values = tuple(float(str(value)) for value in _values(header, keyword))
    except (TypeError, ValueError):
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def _values(header: Dataset, keyword: str) -> tuple[object, ...]:
    element = cast("DataElement | RawDataElement | None", header.get_item(_tag(keyword)))
    if element is None:
        return ()
    if isinstance(element, RawDataElement):
        stored = _stored_values(element)
        if stored is not None:
            return stored
    try:
        with quiet_pydicom():
            value = header.get(keyword)
    except Exception:  # noqa: BLE001  # damaged values fail in pydicom in many ways, and are as good as missing
        return ()
    if value is None or value == "":
        return ()
    return tuple(value) if isinstance(value, MultiValue | list | tuple) else (value,)


@cache
def _tag(keyword: str) -> BaseTag:
    tag = tag_for_keyword(keyword)
    if tag is None:
        message = f"{keyword!r} is no DICOM keyword"
        raise LookupError(message)
    return BaseTag(tag)


def _stored_values(element: RawDataElement) -> tuple[object, ...] | None:
    """Return the values of an element that has not been decoded; `None` if that takes more than is done here."""
    value = element.value
    if not value:
        return ()
    if element.VR in _TEXT and value.isascii() and _ESCAPE not in value:
        joined = value.decode("ascii").rstrip("\0 ")
        return tuple(joined.split("\\")) if joined else ()
    code = _NUMBERS.get(element.VR or "")
    if code is None or len(value) % struct.calcsize(code):
        return None
    order = "<" if element.is_little_endian else ">"
    return struct.unpack(f"{order}{len(value) // struct.calcsize(code)}{code}", value)
