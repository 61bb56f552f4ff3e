"""Segments as an RT Structure Set (PS3.3, section A.19), which planning systems read.

One region of interest for each segment. What role it has in a plan is left open: no volume is called a target, and the
object is unapproved. Files are written in implicit VR, because explicit VR cannot hold the contour data of a large
region (PS3.3, section C.8.8.6). The object definition has no element for the identifiers that segments are tracked by
over time, so they stand in the description of each region.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage
from scipy import ndimage

from tds_clinical.codes import (
    BRAIN,
    LABEL_CIELAB,
    LABEL_CODES,
    MORPHOLOGICALLY_ABNORMAL,
)
from tds_clinical.dicom._decimal import decimal
from tds_clinical.dicom._slice_axes import SliceAxes, slice_axes
from tds_clinical.dicom.source import SourceFrame, SourceSeries
from tds_clinical.dicom.writing.contours import HoleStyle, Outline, outline_region
from tds_clinical.dicom.writing.objects import (
    add_equipment,
    add_file_meta,
    add_patient_and_study,
    instance_item,
    local_time,
    stamp,
)
from tds_clinical.dicom.writing.segment_items import algorithm_item, check_drawable, segment_name, segment_words
from tds_clinical.findings import Findings, ResultContext, Segment
from tds_clinical.reports.paint import LABEL_COLOURS
from tds_data.report import RESEARCH_USE_NOTICE

_STUDY_CLASS: Final = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, retired: what readers expect here
_CONTOUR_DATA: Final = Tag("ContourData")
_REGULAR_MM: Final = 0.01


def build_structure_set(
    context: ResultContext, segmentation: Dataset | None = None, *, holes: HoleStyle = HoleStyle.KEYHOLE
) -> Dataset:
    """Return the segments as an RT Structure Set with a region of interest for each.

    Contours lie on the planes of the source's slices and refer to the images there; where the source was resampled
    they lie on the planes of its grid and refer to none. The same context gives the same bytes.

    Args:
        context: What was found, and where.
        segmentation: The segmentation object of the same context, which the regions then name as their source.
        holes: How holes are written. Readers before DICOM 2022 do not know the XOR style.

    Returns:
        The object, ready to be saved.

    Raises:
        ResultsDisagree: If nothing was found, because there is nothing to outline; if the source names no frame of
            reference; if its headers and the mask's grid disagree.
    """
    check_drawable(context, "so that there is nothing to outline")
    axes = slice_axes(context.source)
    segments = context.findings.segments
    dataset = Dataset()
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.SOPInstanceUID = context.uids.make("structure set", "instance", holes)
    stamp(dataset, local_time(context), "InstanceCreation", "Series", "StructureSet")
    add_patient_and_study(dataset, context)
    add_equipment(dataset, context)
    _add_series(dataset, context, holes)
    dataset.StructureSetROISequence = [_region(context, segment, segmentation) for segment in segments]
    dataset.ROIContourSequence = [
        _contours(context.source, segment, outlines, axes)
        for segment, outlines in zip(segments, _outlines(context.findings, holes), strict=True)
    ]
    dataset.RTROIObservationsSequence = [_observation(segment) for segment in segments]
    dataset.ApprovalStatus = "UNAPPROVED"
    add_file_meta(dataset, ImplicitVRLittleEndian)
    return dataset


def _add_series(dataset: Dataset, context: ResultContext, holes: HoleStyle) -> None:
    source = context.source
    dataset.Modality = "RTSTRUCT"
    dataset.SeriesInstanceUID = context.uids.make("structure set", "series", holes)
    dataset.SeriesNumber = context.first_series_number + 2
    dataset.SeriesDescription = "Tumour outlines, research use only"
    dataset.OperatorsName = ""
    dataset.FrameOfReferenceUID = source.frame_of_reference_uid
    dataset.PositionReferenceIndicator = source.header.get("PositionReferenceIndicator", "")
    dataset.InstanceNumber = 1
    dataset.StructureSetLabel = "TUMOUR"
    dataset.StructureSetName = "Tumour outlines, research use only"
    dataset.StructureSetDescription = RESEARCH_USE_NOTICE
    dataset.ReferencedFrameOfReferenceSequence = [_frame_of_reference(source)]


def _frame_of_reference(source: SourceSeries) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = source.header.SeriesInstanceUID
    series.ContourImageSequence = [_image(source, index) for index in range(len(source.headers))]
    study = Dataset()
    study.ReferencedSOPClassUID = _STUDY_CLASS
    study.ReferencedSOPInstanceUID = source.header.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    item = Dataset()
    item.FrameOfReferenceUID = source.frame_of_reference_uid
    item.RTReferencedStudySequence = [study]
    return item


def _image(source: SourceSeries, index: int) -> Dataset:
    """Return the reference to an image, with those of its frames that are slices unless all of them are."""
    item = instance_item(source.headers[index])
    used = sorted({f.frame for f in source.frames or () if f.instance == index and f.frame is not None})
    if used and len(used) < int(source.headers[index].get("NumberOfFrames") or 1):
        item.ReferencedFrameNumber = used
    return item


def _region(context: ResultContext, segment: Segment, segmentation: Dataset | None) -> Dataset:
    model = context.findings.report.model
    item = Dataset()
    item.ROINumber = segment.number
    item.ReferencedFrameOfReferenceUID = context.source.frame_of_reference_uid
    item.ROIName = segment_name(segment)
    item.ROIDescription = (
        f"{segment_words(segment)}; Tracking ID {segment.tracking_id}; Tracking UID {segment.tracking_uid}"
    )
    item.ROIVolume = decimal(segment.volume_ml)
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    item.ROIGenerationDescription = f"{model.name} {model.version}"[:64]
    item.ROIDerivationAlgorithmIdentificationSequence = [algorithm_item(context)]
    if segmentation is not None:
        origin = instance_item(segmentation)
        origin.ReferencedSegmentNumber = segment.number
        item.DefinitionSourceSequence = [origin]
    return item


def _outlines(findings: Findings, holes: HoleStyle) -> Iterator[tuple[Outline, ...]]:
    """Return the outlines of each segment, looked for around its lesion alone."""
    boxes = ndimage.find_objects(findings.lesion_map)
    for segment in findings.segments:
        box = boxes[segment.lesion - 1]
        region = (findings.lesion_map[box] == segment.lesion) & (findings.mask.voxels[box] == segment.label)
        yield outline_region(region, holes=holes, first=(box[0].start, box[1].start, box[2].start))


def _contours(source: SourceSeries, segment: Segment, outlines: tuple[Outline, ...], axes: SliceAxes) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = segment.number
    item.ROIDisplayColor = list(LABEL_COLOURS[segment.label])
    item.RecommendedDisplayCIELabValue = list(LABEL_CIELAB[segment.label])
    kind = "CLOSEDPLANAR_XOR" if any(outline.is_hole for outline in outlines) else "CLOSED_PLANAR"
    item.ContourSequence = list(_contour_items(source, outlines, axes, kind))
    planes = _pixel_planes(source, axes)
    if planes is not None:
        item.SourcePixelPlanesCharacteristicsSequence = [planes]
    return item


def _contour_items(
    source: SourceSeries, outlines: tuple[Outline, ...], axes: SliceAxes, kind: str
) -> Iterable[Dataset]:
    counts = [len(outline.points) for outline in outlines]
    slices = np.repeat([outline.slice_index for outline in outlines], counts)
    points = axes.to_lps(np.concatenate([outline.points for outline in outlines]), slices)
    texts = iter([f"{value:.5f}" for value in (np.round(points, 5) + 0.0).ravel().tolist()])
    for number, (outline, count) in enumerate(zip(outlines, counts, strict=True), start=1):
        item = Dataset()
        item.ContourNumber = number
        if source.frames is not None:
            item.ContourImageSequence = [_slice_image(source, source.frames[outline.slice_index])]
        item.ContourGeometricType = kind
        item.NumberOfContourPoints = count
        item[_CONTOUR_DATA] = _decimal_strings(itertools.islice(texts, 3 * count))
        # Lets pydicom write the contour data as they are where the file's encoding is the same.
        item.set_original_encoding(is_implicit_vr=True, is_little_endian=True, character_encoding="iso8859")
        yield item


def _decimal_strings(values: Iterable[str]) -> RawDataElement:
    """Return contour data as they are stored; pydicom's own decimal strings would take most of the time."""
    stored = "\\".join(values).encode("ascii")
    stored += b" " * (len(stored) % 2)
    return RawDataElement(_CONTOUR_DATA, "DS", len(stored), stored, 0, is_implicit_VR=True, is_little_endian=True)


def _slice_image(source: SourceSeries, frame: SourceFrame) -> Dataset:
    item = instance_item(source.headers[frame.instance])
    if frame.frame is not None:
        item.ReferencedFrameNumber = frame.frame
    return item


def _pixel_planes(source: SourceSeries, axes: SliceAxes) -> Dataset | None:
    """Return the stack of planes that contours were drawn on (PS3.3, section C.8.8.6.4), `None` if it is uneven."""
    heights = (axes.positions - axes.positions[0]) @ axes.normal
    first = 0 if heights[-1] > 0 else len(heights) - 1
    spacing_mm = float(axes.planes.slice_spacing)
    steps = np.abs(np.arange(len(heights)) - first)[:, None]
    even = axes.positions[first] + steps * spacing_mm * axes.normal
    if np.abs(axes.positions - even).max() > _REGULAR_MM:
        return None
    columns, rows, slices = source.shape
    item = Dataset()
    item.PixelSpacing = list(axes.planes.pixel_spacing)
    item.SpacingBetweenSlices = axes.planes.slice_spacing
    item.ImageOrientationPatient = list(axes.planes.orientation)
    item.ImagePositionPatient = list(axes.planes.positions[first])
    item.NumberOfFrames = slices
    item.Rows, item.Columns = rows, columns
    return item


def _observation(segment: Segment) -> Dataset:
    item = Dataset()
    item.ObservationNumber = segment.number
    item.ReferencedROINumber = segment.number
    item.SegmentedPropertyCategoryCodeSequence = [MORPHOLOGICALLY_ABNORMAL.to_dataset()]
    item.RTROIIdentificationCodeSequence = [LABEL_CODES[segment.label].to_dataset()]
    item.AnatomicRegionSequence = [BRAIN.to_dataset()]
    item.RTROIInterpretedType = ""
    item.ROIInterpreter = ""
    return item
