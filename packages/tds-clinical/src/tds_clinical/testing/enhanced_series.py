"""Volumes written as one enhanced multi-frame MR image (PS3.3, sections A.36 and A.70), valid for validators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage

from tds_clinical.testing._enhanced_groups import (
    ENHANCED_MODULES,
    FRAME_TYPE,
    item,
    legacy_groups,
    pulse_sequence,
    shared_groups,
)
from tds_clinical.testing.classic_series import (
    PATIENT_AND_STUDY,
    ClassicSeriesOptions,
    made_up_uid,
    plane_geometry,
    save,
    slice_position,
)
from tds_data.vocabulary import Modality
from tds_data.volume import Volume


class EnhancedDimension(StrEnum):
    """What tells the volumes of one enhanced image apart."""

    ECHO = "echo"
    TIME = "time"
    B_VALUE = "b-value"
    STACK = "stack"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhancedSeriesOptions:
    """How an enhanced image is written.

    Attributes:
        modality: Which sequence the header describes.
        series_number: Series Number.
        seed: Makes all identifiers and the shuffling.
        dimension: What tells the volumes apart, if there are several.
        legacy: Whether to write a Legacy Converted image, whose classic attributes stand unassigned.
        shuffle: Whether frames are in no spatial order.
        geometry_per_frame: Whether orientation and spacing are said of each frame rather than of all.
        rescale: Slope and intercept from stored to real values.
        tags: Elements of the image to set on top, by keyword; `None` removes one.
    """

    modality: Modality = Modality.T1
    series_number: int = 1
    seed: int = 0
    dimension: EnhancedDimension = EnhancedDimension.TIME
    legacy: bool = False
    shuffle: bool = True
    geometry_per_frame: bool = False
    rescale: tuple[float, float] = (1.0, 0.0)
    tags: Mapping[str, Any] = field(default_factory=dict)


def write_enhanced_series(volumes: Sequence[Volume], path: Path, options: EnhancedSeriesOptions) -> Path:
    """Return the file of an enhanced image with a frame for each slice of each volume.

    Args:
        volumes: Voxels of one integer type of 16 bits and of one shape (columns, rows, slices), any orientation. They
            share one grid, unless they are stacks.
        path: Where to write; folders are made.
        options: How to write.

    Raises:
        GeometryNotSupported: If the volumes' axes are not at right angles.
        DicomWriteError: If the file cannot be written.
    """
    first = volumes[0]
    frames = list(product(range(len(volumes)), range(first.shape[2])))
    if options.shuffle:
        order = np.random.default_rng(options.seed).permutation(len(frames))
        frames = [frames[n] for n in order]
    image = _image(first, len(frames), options)
    image.SharedFunctionalGroupsSequence = [_shared(first, options)]
    image.PerFrameFunctionalGroupsSequence = [_frame(volumes[v], v, k, options) for v, k in frames]
    image.DimensionOrganizationSequence, image.DimensionIndexSequence = _dimensions(options)
    for keyword, value in options.tags.items():
        if value is None:
            delattr(image, keyword)
        else:
            setattr(image, keyword, value)
    pixels = [_stored(volumes[v].voxels[:, :, k].T, options) for v, k in frames]
    image.PixelData = np.stack(pixels).astype("<i2" if image.PixelRepresentation else "<u2").tobytes()
    save(image, path)
    return path


def _stored(pixels: NDArray[np.generic], options: EnhancedSeriesOptions) -> NDArray[np.float64]:
    slope, intercept = options.rescale
    return np.rint((pixels.astype(np.float64) - intercept) / slope)


def _image(first: Volume, frames: int, options: EnhancedSeriesOptions) -> Dataset:
    classic = _as_classic(options)
    values: dict[str, Any] = {
        **PATIENT_AND_STUDY,
        **_description(options),
        "ImageType": FRAME_TYPE["FrameType"],
        "SOPClassUID": LegacyConvertedEnhancedMRImageStorage if options.legacy else EnhancedMRImageStorage,
        "SOPInstanceUID": made_up_uid(classic, "enhanced", options.series_number),
        "StudyInstanceUID": made_up_uid(classic, "study"),
        "SeriesInstanceUID": made_up_uid(classic, "series", options.series_number),
        "FrameOfReferenceUID": made_up_uid(classic, "frame of reference"),
        "SeriesNumber": options.series_number,
        "SeriesDescription": f"{options.modality} enhanced",
        "InstanceNumber": 1,
        "NumberOfFrames": frames,
        "Rows": first.shape[1],
        "Columns": first.shape[0],
        "PixelRepresentation": int(np.issubdtype(first.voxels.dtype, np.signedinteger)),
        "AcquisitionContextSequence": DicomSequence([]),
    }
    for keyword in ("ScanOptions", "EchoTrainLength", "AcquisitionDate", "AcquisitionTime"):
        values.pop(keyword)
    return item(**values)


def _description(options: EnhancedSeriesOptions) -> dict[str, Any]:
    if not options.legacy:
        return {**ENHANCED_MODULES, **pulse_sequence(options.modality)}
    presentation = {keyword: value for keyword, value in FRAME_TYPE.items() if keyword != "FrameType"}
    return {**presentation, "PresentationLUTShape": "IDENTITY"}


def _shared(first: Volume, options: EnhancedSeriesOptions) -> Dataset:
    groups = legacy_groups() if options.legacy else shared_groups(options.modality)
    if options.dimension is EnhancedDimension.ECHO and not options.legacy:
        del groups.MREchoSequence
    if not options.geometry_per_frame and options.dimension is not EnhancedDimension.STACK:
        _add_geometry(groups, first, options)
    slope, intercept = options.rescale
    groups.PixelValueTransformationSequence = [item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")]
    return groups


def _add_geometry(groups: Dataset, volume: Volume, options: EnhancedSeriesOptions) -> None:
    geometry = plane_geometry(volume, _as_classic(options))
    measures = {key: geometry[key] for key in ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices")}
    groups.PixelMeasuresSequence = [item(**measures)]
    groups.PlaneOrientationSequence = [item(ImageOrientationPatient=geometry["ImageOrientationPatient"])]


def _frame(volume: Volume, index: int, k: int, options: EnhancedSeriesOptions) -> Dataset:
    groups = Dataset()
    stacked = options.dimension is EnhancedDimension.STACK
    content: dict[str, Any] = {
        "FrameAcquisitionNumber": 1,
        "FrameReferenceDateTime": "20000101120000",
        "FrameAcquisitionDateTime": "20000101120000",
        "FrameAcquisitionDuration": 1000.0,
        "StackID": str(index + 1) if stacked else "1",
        "InStackPositionNumber": k + 1,
        "DimensionIndexValues": [index + 1, k + 1],
    }
    if options.dimension is EnhancedDimension.TIME:
        content["TemporalPositionIndex"] = index + 1
    groups.FrameContentSequence = [item(**content)]
    groups.PlanePositionSequence = [item(ImagePositionPatient=slice_position(volume, k))]
    if options.legacy:
        groups.UnassignedPerFrameConvertedAttributesSequence = [item(SliceLocation=k)]
    if stacked or options.geometry_per_frame:
        _add_geometry(groups, volume, options)
    if options.dimension is EnhancedDimension.ECHO:
        groups.MREchoSequence = [item(EffectiveEchoTime=20.0 * (index + 1))]
    if options.dimension is EnhancedDimension.B_VALUE:
        kind = {"DiffusionDirectionality": "ISOTROPIC"} if index else {"DiffusionDirectionality": "NONE"}
        groups.MRDiffusionSequence = [item(DiffusionBValue=500.0 * index, **kind)]
    return groups


_POINTERS: Final = {
    EnhancedDimension.ECHO: ("EffectiveEchoTime", "MREchoSequence"),
    EnhancedDimension.TIME: ("TemporalPositionIndex", "FrameContentSequence"),
    EnhancedDimension.B_VALUE: ("DiffusionBValue", "MRDiffusionSequence"),
    EnhancedDimension.STACK: ("StackID", "FrameContentSequence"),
}


def _dimensions(options: EnhancedSeriesOptions) -> tuple[DicomSequence, DicomSequence]:
    uid = made_up_uid(_as_classic(options), "dimensions", options.series_number)
    pointers = (_POINTERS[options.dimension], ("InStackPositionNumber", "FrameContentSequence"))
    indices = [
        item(DimensionOrganizationUID=uid, DimensionIndexPointer=Tag(what), FunctionalGroupPointer=Tag(where))
        for what, where in pointers
    ]
    return DicomSequence([item(DimensionOrganizationUID=uid)]), DicomSequence(indices)


def _as_classic(options: EnhancedSeriesOptions) -> ClassicSeriesOptions:
    return ClassicSeriesOptions(
        modality=options.modality, series_number=options.series_number, seed=options.seed, shuffle=options.shuffle
    )
