"""The images that a structured report is about (PS3.16, TID 1600)."""

from typing import Final

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    ImageContentItem,
    RelationshipTypeValues,
    UIDRefContentItem,
)
from pydicom.dataset import Dataset

from tds_clinical.codes import MILLIMETRE, Code
from tds_clinical.dicom.source import SourceSeries
from tds_clinical.dicom.writing._sr_items import concept, container, number

_LIBRARY: Final = Code("111028", "DCM", "Image Library")
_GROUP: Final = Code("126200", "DCM", "Image Library Group")
_SOURCE: Final = Code("260753009", "SCT", "Source")
_MODALITY: Final = Code("121139", "DCM", "Modality")
_MR: Final = Code("MR", "DCM", "Magnetic Resonance")  # CID 29
_FRAME_OF_REFERENCE: Final = Code("112227", "DCM", "Frame of Reference UID")
_PIXELS: Final = Code("{pixels}", "UCUM", "Pixels")
_ACQUIRED: Final = RelationshipTypeValues.HAS_ACQ_CONTEXT
_SIZES: Final = (
    ("Rows", Code("110910", "DCM", "Pixel Data Rows")),
    ("Columns", Code("110911", "DCM", "Pixel Data Columns")),
)
_SPACINGS: Final = (
    Code("111066", "DCM", "Vertical Pixel Spacing"),
    Code("111026", "DCM", "Horizontal Pixel Spacing"),
)
_POSITIONS: Final = (
    Code("110901", "DCM", "Image Position (Patient) X"),
    Code("110902", "DCM", "Image Position (Patient) Y"),
    Code("110903", "DCM", "Image Position (Patient) Z"),
)


def image_library(source: SourceSeries) -> ContainerContentItem:
    """Return the library of a series' images: what they share once, and where each one lies.

    Args:
        source: The series.
    """
    return container(_LIBRARY, [container(_GROUP, [*_shared(source), *map(_entry, source.headers)])])


def _shared(source: SourceSeries) -> list[ContentItem]:
    header = source.header
    items: list[ContentItem] = [
        CodeContentItem(name=concept(_MODALITY), value=concept(_MR), relationship_type=_ACQUIRED)
    ]
    if source.frame_of_reference_uid:
        items.append(
            UIDRefContentItem(
                name=concept(_FRAME_OF_REFERENCE),
                value=source.frame_of_reference_uid,
                relationship_type=_ACQUIRED,
            )
        )
    items += [
        number(name, int(header[keyword].value), _PIXELS, _ACQUIRED) for keyword, name in _SIZES if keyword in header
    ]
    return items + _numbers(header, "PixelSpacing", _SPACINGS)


def _entry(header: Dataset) -> ImageContentItem:
    item = ImageContentItem(
        name=concept(_SOURCE),
        referenced_sop_class_uid=header.SOPClassUID,
        referenced_sop_instance_uid=header.SOPInstanceUID,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    place = _numbers(header, "ImagePositionPatient", _POSITIONS)
    if place:
        item.ContentSequence = ContentSequence(place)
    return item


def _numbers(header: Dataset, keyword: str, names: tuple[Code, ...]) -> list[ContentItem]:
    values = header.get(keyword)
    if values is None:  # multi-frame images say it frame by frame
        return []
    return [number(name, float(value), MILLIMETRE, _ACQUIRED) for name, value in zip(names, values, strict=True)]
