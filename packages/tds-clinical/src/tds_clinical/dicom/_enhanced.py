"""Enhanced MR images (PS3.3, sections A.36 and A.70): many frames in one file, described by functional groups.

A functional group says something of all frames (shared) or of one (per frame). Both are brought into the words of a
classic header, so that what reads classic images reads frames.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as DicomSequence

from tds_clinical.dicom._tags import HEADER_TAGS, number, text
from tds_clinical.errors import DicomReadError

_MACROS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "PlanePositionSequence": {"ImagePositionPatient": "ImagePositionPatient"},
        "PlaneOrientationSequence": {"ImageOrientationPatient": "ImageOrientationPatient"},
        "PixelMeasuresSequence": {
            "PixelSpacing": "PixelSpacing",
            "SliceThickness": "SliceThickness",
            "SpacingBetweenSlices": "SpacingBetweenSlices",
        },
        "PixelValueTransformationSequence": {
            "RescaleSlope": "RescaleSlope",
            "RescaleIntercept": "RescaleIntercept",
        },
        "FrameContentSequence": {
            "StackID": "StackID",
            "TemporalPositionIndex": "TemporalPositionIdentifier",
            "FrameAcquisitionNumber": "AcquisitionNumber",
            "DimensionIndexValues": "DimensionIndexValues",
        },
        "MREchoSequence": {"EffectiveEchoTime": "EchoTime"},
        "MRTimingAndRelatedParametersSequence": {
            "RepetitionTime": "RepetitionTime",
            "FlipAngle": "FlipAngle",
            "EchoTrainLength": "EchoTrainLength",
        },
        "MRModifierSequence": {"InversionTimes": "InversionTime", "InversionRecovery": "InversionRecovery"},
        "MRDiffusionSequence": {"DiffusionBValue": "DiffusionBValue"},
        "MRImageFrameTypeSequence": {
            "FrameType": "ImageType",
            "ComplexImageComponent": "ComplexImageComponent",
            "AcquisitionContrast": "AcquisitionContrast",
        },
        "ContrastBolusUsageSequence": {"ContrastBolusAgentAdministered": "ContrastBolusAgentAdministered"},
        "CardiacSynchronizationSequence": {"NominalCardiacTriggerDelayTime": "TriggerTime"},
    }
)
"""What each functional group says, and the word that a classic header has for it."""

_CONVERTED: Final = ("UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence")
_PULSES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}
)


def frame_values(path: Path, image: Dataset) -> Iterator[Mapping[str, Any]]:
    """Yield what the header of each frame would say, if it were a classic image.

    Args:
        path: The file, for messages.
        image: Whole header of an enhanced image.

    Raises:
        DicomReadError: If it does not describe each of its frames.
    """
    frames = int(number(image, "NumberOfFrames") or 1)
    shared = _items(path, image, "SharedFunctionalGroupsSequence")
    per_frame = _items(path, image, "PerFrameFunctionalGroupsSequence")
    if len(shared) > 1 or len(per_frame) != frames:
        reason = f"its functional groups describe {len(per_frame)} of {frames} frames; export it again"
        raise DicomReadError(path, reason)
    common = _said(path, shared[0]) if shared else {}
    for groups in per_frame:
        values = {**common, **_said(path, groups)}
        yield {**values, **_pulses(image, values)}


def _said(path: Path, groups: Dataset) -> dict[str, Any]:
    """Return what one item of the functional groups says, in classic words."""
    values: dict[str, Any] = {}
    for name in _CONVERTED:
        for item in _items(path, groups, name):
            values |= {keyword: _value(path, item, keyword) for keyword in HEADER_TAGS if keyword in item}
    for macro, words in _MACROS.items():
        for item in _items(path, groups, macro)[:1]:
            values |= {word: _value(path, item, said) for said, word in words.items() if said in item}
    for diffusion in _items(path, groups, "MRDiffusionSequence")[:1]:
        for direction in _items(path, diffusion, "DiffusionGradientDirectionSequence")[:1]:
            values["DiffusionGradientOrientation"] = _value(path, direction, "DiffusionGradientOrientation")
    return {keyword: _single(keyword, value) for keyword, value in values.items()}


def _single(keyword: str, value: Any) -> Any:  # noqa: ANN401  # whatever the file holds
    # Enhanced MR lists the inversion times of a pulse sequence; a classic header has room for the first.
    several = keyword == "InversionTime" and isinstance(value, MultiValue | list)
    return (value[0] if value else None) if several else value


def _pulses(image: Dataset, values: dict[str, Any]) -> dict[str, Any]:
    kinds = list(_PULSES.get(text(image, "EchoPulseSequence"), ()))
    if text(image, "EchoPlanarPulseSequence") == "YES":
        kinds.append("EP")
    if values.pop("InversionRecovery", None) == "YES":
        kinds.append("IR")
    return {"ScanningSequence": kinds} if kinds else {}


def _items(path: Path, dataset: Dataset, keyword: str) -> list[Dataset]:
    value = _value(path, dataset, keyword)
    return list(value) if isinstance(value, DicomSequence) else []


def _value(path: Path, dataset: Dataset, keyword: str) -> Any:  # noqa: ANN401  # whatever the file holds
    try:
        return dataset.get(keyword)
    except Exception as error:  # damaged values fail in pydicom in many ways
        raise DicomReadError(path, f"its {keyword} is damaged ({type(error).__name__}); export it again") from error
