"""What a segmentation says of each of its frames: where it lies, which segment it is and what it was drawn on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from tds_clinical.codes import SEGMENTATION, SOURCE_IMAGE_FOR_SEGMENTATION
from tds_clinical.dicom.source import SourceFrame, SourceSeries
from tds_clinical.dicom.writing.source_planes import SourcePlanes
from tds_clinical.findings import ResultContext

_SEGMENT_IDENTIFICATION: Final = Tag("SegmentIdentificationSequence")
_SEGMENT_NUMBER: Final = Tag("ReferencedSegmentNumber")
_PLANE_POSITION: Final = Tag("PlanePositionSequence")
_IMAGE_POSITION: Final = Tag("ImagePositionPatient")


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePlace:
    """What a stored frame shows.

    Attributes:
        slice_index: Index of the slice along the mask's z axis.
        segment: Segment Number; 0 in a label map, whose frames show all segments.
    """

    slice_index: int
    segment: int = 0


def add_functional_groups(
    dataset: Dataset, context: ResultContext, planes: SourcePlanes, places: Sequence[FramePlace]
) -> None:
    """Give a segmentation its dimensions and functional groups (PS3.3, sections C.7.6.16 and C.7.6.17).

    Args:
        dataset: The segmentation, changed.
        context: What it is about.
        planes: Where the slices lie.
        places: Its frames in their order.
    """
    pointers = [(_IMAGE_POSITION, _PLANE_POSITION, "Position")]
    if places[0].segment:
        pointers.insert(0, (_SEGMENT_NUMBER, _SEGMENT_IDENTIFICATION, "Segment"))
    organization_uid = context.uids.make("segmentation", dataset.SegmentationType, "dimensions")
    organization = Dataset()
    organization.DimensionOrganizationUID = organization_uid
    dataset.DimensionOrganizationSequence = [organization]
    dataset.DimensionIndexSequence = [_index(organization_uid, *pointer) for pointer in pointers]
    dataset.SharedFunctionalGroupsSequence = [_shared(context.source, planes)]
    rank = {index: n for n, index in enumerate(sorted({place.slice_index for place in places}), start=1)}
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame(context.source, planes, place, rank[place.slice_index]) for place in places
    ]


def _index(organization_uid: UID, pointer: BaseTag, group: BaseTag, label: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = organization_uid
    item.DimensionIndexPointer = pointer
    item.FunctionalGroupPointer = group
    item.DimensionDescriptionLabel = label
    return item


def _shared(source: SourceSeries, planes: SourcePlanes) -> Dataset:
    measures = Dataset()
    measures.PixelSpacing = list(planes.pixel_spacing)
    measures.SliceThickness = planes.thickness
    measures.SpacingBetweenSlices = planes.slice_spacing
    orientation = Dataset()
    orientation.ImageOrientationPatient = list(planes.orientation)
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    if source.frames is None:  # each frame comes from the series as a whole
        whole = [SourceFrame(instance=index) for index in range(len(source.headers))]
        shared.DerivationImageSequence = [_derivation(source, whole, places_kept=False)]
    return shared


def _frame(source: SourceSeries, planes: SourcePlanes, place: FramePlace, rank: int) -> Dataset:
    frame = Dataset()
    content = Dataset()
    content.DimensionIndexValues = [place.segment, rank] if place.segment else rank
    frame.FrameContentSequence = [content]
    position = Dataset()
    position.ImagePositionPatient = list(planes.positions[place.slice_index])
    frame.PlanePositionSequence = [position]
    if place.segment:
        identification = Dataset()
        identification.ReferencedSegmentNumber = place.segment
        frame.SegmentIdentificationSequence = [identification]
    if source.frames is not None:
        picture = source.frames[place.slice_index]
        frame.DerivationImageSequence = [_derivation(source, [picture], places_kept=True)]
    return frame


def _derivation(source: SourceSeries, pictures: Sequence[SourceFrame], *, places_kept: bool) -> Dataset:
    derivation = Dataset()
    derivation.DerivationCodeSequence = [SEGMENTATION.to_dataset()]
    derivation.SourceImageSequence = [_source_image(source, picture, places_kept=places_kept) for picture in pictures]
    return derivation


def _source_image(source: SourceSeries, picture: SourceFrame, *, places_kept: bool) -> Dataset:
    header = source.headers[picture.instance]
    image = Dataset()
    image.ReferencedSOPClassUID = header.SOPClassUID
    image.ReferencedSOPInstanceUID = header.SOPInstanceUID
    if picture.frame is not None:
        image.ReferencedFrameNumber = picture.frame
    image.SpatialLocationsPreserved = "YES" if places_kept else "NO"
    image.PurposeOfReferenceCodeSequence = [SOURCE_IMAGE_FOR_SEGMENTATION.to_dataset()]
    return image
