"""What an enhanced MR image says of itself beside its pixels: modules of the image and functional groups of its frames.

Sections of PS3.3 that ask for it: A.36 (Enhanced MR), A.70 (Legacy Converted), C.7.6.16 and C.8.13.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tds_data.vocabulary import Modality

ENHANCED_MODULES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "ManufacturerModelName": "Phantom",
        "DeviceSerialNumber": "1",
        "SoftwareVersions": "1",
        "AcquisitionDateTime": "20000101120000",
        "AcquisitionDuration": 60.0,
        "ResonantNucleus": "1H",
        "KSpaceFiltering": "NONE",
        "ApplicableSafetyStandardAgency": "IEC",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "PixelPresentation": "MONOCHROME",
        "VolumetricProperties": "VOLUME",
        "VolumeBasedCalculationTechnique": "NONE",
        "ComplexImageComponent": "MAGNITUDE",
        "ContentQualification": "RESEARCH",
        "PresentationLUTShape": "IDENTITY",
        "PulseSequenceName": "PHANTOM",
        "MultiPlanarExcitation": "NO",
        "PhaseContrast": "NO",
        "TimeOfFlightContrast": "NO",
        "SteadyStatePulseSequence": "NONE",
        "EchoPlanarPulseSequence": "NO",
        "SaturationRecovery": "NO",
        "SpectrallySelectedSuppression": "NONE",
        "OversamplingPhase": "NONE",
        "GeometryOfKSpaceTraversal": "RECTILINEAR",
        "RectilinearPhaseEncodeReordering": "LINEAR",
        "SegmentedKSpaceTraversal": "SINGLE",
        "NumberOfKSpaceTrajectories": 1,
    }
)
"""Modules of an enhanced image that say the same of every phantom."""

FRAME_TYPE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "FrameType": ["ORIGINAL", "PRIMARY", "OTHER", "NONE"],
        "PixelPresentation": "MONOCHROME",
        "VolumetricProperties": "VOLUME",
        "VolumeBasedCalculationTechnique": "NONE",
    }
)
"""What kind of image a frame is."""

_CONTRAST: Final = {Modality.T1: "T1", Modality.T1CE: "T1", Modality.T2: "T2", Modality.FLAIR: "FLUID_ATTENUATED"}
_TIMING: Final = {
    Modality.T1: ("GRADIENT", 1900.0, 2.5, 900.0),
    Modality.T1CE: ("GRADIENT", 1900.0, 2.5, 900.0),
    Modality.T2: ("SPIN", 5000.0, 100.0, None),
    Modality.FLAIR: ("SPIN", 9000.0, 120.0, 2500.0),
}


def pulse_sequence(modality: Modality) -> dict[str, Any]:
    """Return what the image says of how a sequence was acquired.

    Args:
        modality: The sequence.
    """
    spin = _TIMING[modality][0] == "SPIN"
    return {
        "AcquisitionContrast": _CONTRAST[modality],
        "EchoPulseSequence": _TIMING[modality][0],
        "MRAcquisitionType": "2D" if spin else "3D",
        **({"MultipleSpinEcho": "NO"} if spin else {"CoverageOfKSpace": "FULL"}),
    }


def shared_groups(modality: Modality) -> Dataset:
    """Return what is said of all frames, but for where they lie.

    Args:
        modality: The sequence.
    """
    _, repetition_ms, echo_ms, inversion_ms = _TIMING[modality]
    groups = anatomy()
    groups.MRImageFrameTypeSequence = [
        item(**FRAME_TYPE, ComplexImageComponent="MAGNITUDE", AcquisitionContrast=_CONTRAST[modality])
    ]
    groups.MRFOVGeometrySequence = [item(**_FIELD_OF_VIEW)]
    groups.MRTimingAndRelatedParametersSequence = [
        item(
            RepetitionTime=repetition_ms,
            FlipAngle=90,
            EchoTrainLength=1,
            RFEchoTrainLength=1,
            GradientEchoTrainLength=0,
            SpecificAbsorptionRateSequence=[
                item(SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY", SpecificAbsorptionRateValue=1.0)
            ],
            OperatingModeSequence=[item(OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL")],
            GradientOutputType="DB_DT",
            GradientOutput=0.0,
        )
    ]
    groups.MREchoSequence = [item(EffectiveEchoTime=echo_ms)]
    inversion = {"InversionRecovery": "NO"} if inversion_ms is None else _inversion(inversion_ms)
    groups.MRModifierSequence = [item(**inversion, **_MODIFIER)]
    groups.MRImagingModifierSequence = [item(**_IMAGING_MODIFIER)]
    groups.MRAveragesSequence = [item(NumberOfAverages=1)]
    groups.MRReceiveCoilSequence = [item(**_RECEIVE_COIL)]
    groups.MRTransmitCoilSequence = [item(**_TRANSMIT_COIL)]
    return groups


def legacy_groups() -> Dataset:
    """Return what a converted image says of all frames, but for where they lie."""
    groups = anatomy()
    groups.MRImageFrameTypeSequence = [item(**FRAME_TYPE)]
    groups.UnassignedSharedConvertedAttributesSequence = [
        item(RepetitionTime=1900, EchoTime=2.5, InversionTime=900, ScanningSequence=["GR", "IR"])
    ]
    return groups


def anatomy() -> Dataset:
    """Return that frames show a brain."""
    brain = item(CodeValue="12738006", CodingSchemeDesignator="SCT", CodeMeaning="Brain")
    return item(FrameAnatomySequence=[item(FrameLaterality="U", AnatomicRegionSequence=[brain])])


def item(**values: Any) -> Dataset:  # noqa: ANN401  # elements hold anything
    """Return a dataset with elements.

    Args:
        values: Values by keyword; lists of datasets become sequences.
    """
    dataset = Dataset()
    for keyword, value in values.items():
        is_sequence = isinstance(value, list) and value and isinstance(value[0], Dataset)
        setattr(dataset, keyword, Sequence(value) if is_sequence else value)
    return dataset


def _inversion(inversion_ms: float) -> dict[str, Any]:
    return {"InversionRecovery": "YES", "InversionTimes": inversion_ms}


_MODIFIER: Final = {
    "FlowCompensation": "NONE",
    "Spoiling": "NONE",
    "T2Preparation": "NO",
    "SpectrallySelectedExcitation": "NONE",
    "SpatialPresaturation": "NONE",
    "PartialFourier": "NO",
    "ParallelAcquisition": "NO",
}
_FIELD_OF_VIEW: Final = {
    "InPlanePhaseEncodingDirection": "ROW",
    "MRAcquisitionFrequencyEncodingSteps": 2,
    "MRAcquisitionPhaseEncodingStepsInPlane": 2,
    "MRAcquisitionPhaseEncodingStepsOutOfPlane": 2,
    "PercentSampling": 100.0,
    "PercentPhaseFieldOfView": 100.0,
}
_IMAGING_MODIFIER: Final = {
    "MagnetizationTransfer": "NONE",
    "BloodSignalNulling": "NO",
    "Tagging": "NONE",
    "TransmitterFrequency": 127.7,
    "PixelBandwidth": 200.0,
}
_RECEIVE_COIL: Final = {
    "ReceiveCoilName": "HEAD",
    "ReceiveCoilManufacturerName": "",
    "ReceiveCoilType": "VOLUME",
    "QuadratureReceiveCoil": "NO",
}
_TRANSMIT_COIL: Final = {"TransmitCoilName": "BODY", "TransmitCoilManufacturerName": "", "TransmitCoilType": "BODY"}
