"""Header values as plain Python types, whatever a scanner wrote into them."""

import math
from typing import Final

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

HEADER_TAGS: Final[tuple[str, ...]] = (
    "SOPClassUID",
    "SOPInstanceUID",
    "PatientID",
    "StudyInstanceUID",
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
    try:
        value = header.get(keyword)
    except (TypeError, ValueError, NotImplementedError, OverflowError):
        return ()
    if value is None or value == "":
        return ()
    return tuple(value) if isinstance(value, MultiValue | list | tuple) else (value,)
