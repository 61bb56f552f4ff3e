"""Segmentations as DICOM Segmentation objects (PS3.3, section A.51), which viewers lay over the images.

The object is made of pydicom's datasets directly, so that the same context gives the same bytes and every place is the
source's own, digit by digit; the tests read it back with highdicom, dcmqi and the bare elements of the file.
"""

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, SegmentationStorage

from tds_clinical.codes import (
    BACKGROUND,
    BRAIN,
    LABEL_CIELAB,
    LABEL_CODES,
    MORPHOLOGICALLY_ABNORMAL,
    CieLab,
)
from tds_clinical.dicom.writing.objects import add_equipment, add_file_meta, add_patient_and_study, local_time, stamp
from tds_clinical.dicom.writing.segment_items import algorithm_item, check_drawable, segment_name, segment_words
from tds_clinical.dicom.writing.segmentation_frames import FramePlace, add_functional_groups
from tds_clinical.dicom.writing.source_planes import source_planes
from tds_clinical.findings import Findings, ResultContext, Segment
from tds_data.vocabulary import Label

LABEL_MAP_STORAGE: Final = UID("1.2.840.10008.5.1.4.1.1.66.7")
"""SOP class of label maps: Label Map Segmentation Storage, DICOM 2024d."""

_BLACK: Final[CieLab] = (0, 32896, 32896)
_LARGEST_BYTE: Final = 255


class SegmentationKind(StrEnum):
    """How voxels are stored: one bit for each segment, which every viewer reads, or one number for each voxel."""

    BINARY = "BINARY"
    LABELMAP = "LABELMAP"


def build_segmentation(context: ResultContext, *, kind: SegmentationKind = SegmentationKind.BINARY) -> Dataset:
    """Return the mask as a DICOM Segmentation with a segment for each label of each lesion.

    Frames lie exactly on the frames of the source and refer to them; where the source was resampled they lie on its
    grid, in the same frame of reference, and the references name whole images. A `BINARY` segmentation holds only the
    frames in which a segment has voxels, a `LABELMAP` one has a frame for each slice. The same context gives the
    same bytes.

    Args:
        context: What was found, and where.
        kind: How voxels are stored.

    Returns:
        The object, ready to be saved.

    Raises:
        ResultsDisagree: If nothing was found, because a segmentation has one segment or more (PS3.3, section
            C.8.20.2); if the source names no frame of reference; if its headers and the mask's grid disagree.
    """
    check_drawable(context, "and a DICOM segmentation cannot be empty")
    numbers = segment_numbers(context.findings)
    planes = source_planes(context.source)
    dataset = Dataset()
    _add_identity(dataset, context, kind)
    add_patient_and_study(dataset, context)
    _add_series(dataset, context, kind)
    _add_image(dataset, context, kind)
    dataset.SegmentSequence = _segments(context, kind)
    if kind is SegmentationKind.BINARY:
        places, pixels = _binary_frames(numbers, len(context.findings.segments))
    else:
        places, pixels = _label_map_frames(numbers)
    dataset.NumberOfFrames = len(places)
    add_functional_groups(dataset, context, planes, places)
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    add_file_meta(dataset)
    return dataset


def segment_numbers(findings: Findings) -> NDArray[np.uint16]:
    """Return the number of the segment that each voxel belongs to.

    Args:
        findings: What was found.

    Returns:
        Uint16 array of the mask's shape, 0 outside segments.
    """
    largest = max((segment.lesion for segment in findings.segments), default=0)
    table = np.zeros((largest + 1, max(Label) + 1), np.uint16)
    for segment in findings.segments:
        table[segment.lesion, segment.label] = segment.number
    return np.asarray(table[findings.lesion_map, findings.mask.voxels])


def _add_identity(dataset: Dataset, context: ResultContext, kind: SegmentationKind) -> None:
    binary = kind is SegmentationKind.BINARY
    dataset.SOPClassUID = SegmentationStorage if binary else LABEL_MAP_STORAGE
    dataset.SOPInstanceUID = context.uids.make("segmentation", kind, "instance")
    stamp(dataset, local_time(context), "InstanceCreation", "Content", "Series")


def _add_series(dataset: Dataset, context: ResultContext, kind: SegmentationKind) -> None:
    source = context.source
    dataset.Modality = "SEG"
    dataset.SeriesInstanceUID = context.uids.make("segmentation", kind, "series")
    dataset.SeriesNumber = context.first_series_number
    dataset.SeriesDescription = "Tumour segmentation, research use only"
    dataset.InstanceNumber = 1
    dataset.FrameOfReferenceUID = source.frame_of_reference_uid
    dataset.PositionReferenceIndicator = source.header.get("PositionReferenceIndicator", "")
    add_equipment(dataset, context)
    dataset.ReferencedSeriesSequence = [_referenced_series(context)]


def _referenced_series(context: ResultContext) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = context.source.header.SeriesInstanceUID
    series.ReferencedInstanceSequence = []
    for header in context.source.headers:
        instance = Dataset()
        instance.ReferencedSOPClassUID = header.SOPClassUID
        instance.ReferencedSOPInstanceUID = header.SOPInstanceUID
        series.ReferencedInstanceSequence.append(instance)
    return series


def _add_image(dataset: Dataset, context: ResultContext, kind: SegmentationKind) -> None:
    columns, rows, _ = context.source.shape
    bits = 1 if kind is SegmentationKind.BINARY else _label_map_bits(context.findings)
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    dataset.LossyImageCompression = "00"
    dataset.SegmentationType = str(kind)
    dataset.SegmentsOverlap = "NO"
    dataset.ContentLabel = "SEGMENTATION"
    dataset.ContentDescription = "Labels of each lesion; research use only, not reviewed"
    dataset.ContentCreatorName = ""
    if kind is SegmentationKind.LABELMAP:
        dataset.PixelPaddingValue = 0
    header = context.source.header
    if header.get("LossyImageCompression") == "01":
        for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if keyword in header:
                setattr(dataset, keyword, header.get(keyword))


def _label_map_bits(findings: Findings) -> int:
    return 8 if len(findings.segments) <= _LARGEST_BYTE else 16


def _segments(context: ResultContext, kind: SegmentationKind) -> list[Dataset]:
    described = [_described(context, segment) for segment in context.findings.segments]
    if kind is SegmentationKind.BINARY:
        return described
    background = Dataset()
    background.SegmentNumber = 0
    background.SegmentLabel = "Background"
    background.SegmentAlgorithmType = described[0].SegmentAlgorithmType
    background.SegmentAlgorithmName = described[0].SegmentAlgorithmName
    background.SegmentedPropertyCategoryCodeSequence = [BACKGROUND.to_dataset()]
    background.SegmentedPropertyTypeCodeSequence = [BACKGROUND.to_dataset()]
    background.RecommendedDisplayCIELabValue = list(_BLACK)
    return [background, *described]


def _described(context: ResultContext, segment: Segment) -> Dataset:
    model = context.findings.report.model
    item = Dataset()
    item.SegmentNumber = segment.number
    item.SegmentLabel = segment_name(segment)
    item.SegmentDescription = segment_words(segment)
    item.SegmentAlgorithmType = "AUTOMATIC"
    item.SegmentAlgorithmName = model.name[:64]
    item.SegmentedPropertyCategoryCodeSequence = [MORPHOLOGICALLY_ABNORMAL.to_dataset()]
    item.SegmentedPropertyTypeCodeSequence = [LABEL_CODES[segment.label].to_dataset()]
    item.AnatomicRegionSequence = [BRAIN.to_dataset()]
    item.RecommendedDisplayCIELabValue = list(LABEL_CIELAB[segment.label])
    item.TrackingID = segment.tracking_id
    item.TrackingUID = segment.tracking_uid
    item.SegmentationAlgorithmIdentificationSequence = [algorithm_item(context)]
    return item


def _binary_frames(numbers: NDArray[np.uint16], count: int) -> tuple[list[FramePlace], bytes]:
    """Return the frames that hold something, segment by segment, slice by slice, and their bits."""
    slices = np.ascontiguousarray(numbers.transpose(2, 1, 0))
    voxels = np.stack([np.bincount(picture.ravel(), minlength=count + 1) for picture in slices])
    places = [
        FramePlace(slice_index=int(index), segment=segment)
        for segment in range(1, count + 1)
        for index in np.flatnonzero(voxels[:, segment])
    ]
    frames = np.empty((len(places), *slices.shape[1:]), bool)
    for frame, place in zip(frames, places, strict=True):
        frame[:] = slices[place.slice_index] == place.segment
    return places, np.packbits(frames.ravel(), bitorder="little").tobytes()


def _label_map_frames(numbers: NDArray[np.uint16]) -> tuple[list[FramePlace], bytes]:
    """Return a frame for each slice, and the numbers in them."""
    stored = numbers.transpose(2, 1, 0).astype("<u2" if numbers.max() > _LARGEST_BYTE else np.uint8)
    return [FramePlace(slice_index=index) for index in range(numbers.shape[2])], stored.tobytes()
