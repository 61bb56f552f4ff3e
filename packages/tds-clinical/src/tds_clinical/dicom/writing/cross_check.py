"""Whether all objects of one result agree with each other and with the findings, before any of them is written.

Each object is read back from the bytes that would be written, by code that shares nothing with what built it but the
codes and identifiers.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
import pydicom
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.uid import RE_VALID_UID

from tds_clinical.dicom.writing._agreement import agree, agree_identifier
from tds_clinical.dicom.writing._check_segmentation import check_segmentation
from tds_clinical.dicom.writing._check_structure_set import check_structure_set
from tds_clinical.dicom.writing._check_structured_report import check_structured_report
from tds_clinical.dicom.writing.key_images import KeyPicture
from tds_clinical.dicom.writing.objects import ResultKind
from tds_clinical.errors import ResultsDisagree
from tds_clinical.findings import ResultContext

_IDENTITY: Final = ("PatientID", "PatientName", "StudyInstanceUID", "AccessionNumber", "StudyID")
_STUDY_CLASS: Final = "1.2.840.10008.3.1.2.3.1"  # a structure set refers to its study as if that were an object
_FRAMES_OF_REFERENCE: Final = ("FrameOfReferenceUID", "ReferencedFrameOfReferenceUID")
_MAGIC: Final = b"%PDF-"
_LONGEST_UID: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltObject:
    """One object as it would be written.

    Attributes:
        kind: What it is.
        file_name: Its name in the result's folder.
        data: The whole file.
    """

    kind: ResultKind
    file_name: str
    data: bytes

    def read(self) -> Dataset:
        """Return the object as it is in the file."""
        return pydicom.dcmread(BytesIO(self.data))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    name: str
    kind: ResultKind
    dataset: Dataset
    items: list[Dataset]
    """The dataset and all items of its sequences, at every depth."""


def cross_check(
    context: ResultContext,
    objects: Sequence[BuiltObject],
    *,
    pictures: Sequence[KeyPicture] = (),
    pdf: bytes | None = None,
) -> None:
    """Go on if objects agree with each other and with what they are about.

    They are of the source's patient, study and frame of reference. Segments have the voxels, places, codes and tracking
    identifiers of the findings, and the structured report, the structure set and the findings say the same of them.
    Whatever an object refers to is an image of the source or another one of the objects. All identifiers are valid and
    no two objects share one. Key images and report hold what they were made from.

    Args:
        context: What they are about.
        objects: All objects of one result.
        pictures: What the key images were made from.
        pdf: What the report was made from.

    Raises:
        ResultsDisagree: If anything disagrees; the message says what, without identifiers.
    """
    try:
        _check_all(context, [_read(entry) for entry in objects], pictures, pdf)
    except ResultsDisagree:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        message = f"an object lacks something that it must have ({type(error).__name__}); nothing was written"
        raise ResultsDisagree(message) from error


def _check_all(
    context: ResultContext, read: Sequence[_Read], pictures: Sequence[KeyPicture], pdf: bytes | None
) -> None:
    by_kind = {kind: [entry.dataset for entry in read if entry.kind is kind] for kind in ResultKind}
    for entry in read:
        _check_identity(entry, context)
    _check_uids(read, context)
    _check_references(read, context)
    _check_contents(by_kind, context)
    _check_pictures(by_kind[ResultKind.KEY_IMAGE], pictures)
    for dataset in by_kind[ResultKind.REPORT]:
        _check_pdf(dataset, pdf)


def _check_contents(by_kind: Mapping[ResultKind, list[Dataset]], context: ResultContext) -> None:
    segmentation = next(iter(by_kind[ResultKind.SEGMENTATION]), None)
    if segmentation is not None:
        check_segmentation(context, segmentation)
    for report in by_kind[ResultKind.STRUCTURED_REPORT]:
        check_structured_report(context, report, segmentation)
    for structure_set in by_kind[ResultKind.STRUCTURE_SET]:
        check_structure_set(context, structure_set, segmentation)


def _check_identity(entry: _Read, context: ResultContext) -> None:
    header = context.source.header
    for keyword in _IDENTITY:
        agree_identifier(
            f"{entry.name}, {keyword}", str(entry.dataset.get(keyword) or ""), str(header.get(keyword) or "")
        )
    expected = context.source.frame_of_reference_uid
    for keyword in _FRAMES_OF_REFERENCE:
        for item in entry.items:
            if keyword in item:
                agree_identifier(f"{entry.name}, frame of reference", str(item[keyword].value), expected)


def _check_uids(read: Iterable[_Read], context: ResultContext) -> None:
    taken = {str(header.SOPInstanceUID) for header in context.source.headers}
    series: dict[str, ResultKind] = {}
    for entry in read:
        instance, in_series = str(entry.dataset.SOPInstanceUID), str(entry.dataset.SeriesInstanceUID)
        if not (_is_valid(instance) and _is_valid(in_series)):
            _refuse(f"{entry.name}: its UID or that of its series is not valid")
        if instance in taken:
            _refuse(f"{entry.name}: another object has the same SOP Instance UID")
        is_source = in_series == context.source.header.SeriesInstanceUID
        if is_source or series.setdefault(in_series, entry.kind) is not entry.kind:
            _refuse(f"{entry.name}: its series is that of objects of another kind")
        taken.add(instance)
    tracking = [segment.tracking_uid for segment in context.findings.segments]
    tracking += context.findings.lesion_uids.values()
    if len(set(tracking)) != len(tracking) or not all(map(_is_valid, tracking)):
        _refuse("a tracking UID is not valid, or two things have the same one")


def _is_valid(uid: str) -> bool:
    return len(uid) <= _LONGEST_UID and re.fullmatch(RE_VALID_UID, uid) is not None


def _check_references(read: Sequence[_Read], context: ResultContext) -> None:
    datasets = [*context.source.headers, *(entry.dataset for entry in read)]
    known = {(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)) for dataset in datasets}
    known.add((_STUDY_CLASS, str(context.source.header.StudyInstanceUID)))
    for entry in read:
        referring = [item for item in entry.items if "ReferencedSOPInstanceUID" in item]
        if not {(str(i.ReferencedSOPClassUID), str(i.ReferencedSOPInstanceUID)) for i in referring} <= known:
            _refuse(f"{entry.name}: it refers to an object that is neither in the source nor in the results")


def _read(built: BuiltObject) -> _Read:
    dataset = built.read()
    return _Read(name=built.file_name, kind=built.kind, dataset=dataset, items=list(_items(dataset)))


def _items(dataset: Dataset) -> Iterator[Dataset]:
    """Return a dataset and all items of its sequences, without decoding other elements."""
    yield dataset
    for tag in list(dataset.keys()):
        known = dataset.get_item(tag).VR or (dictionary_VR(tag) if dictionary_has_tag(tag) else "UN")
        if known == "SQ":
            for item in dataset[tag].value:
                yield from _items(item)


def _check_pictures(key_images: Sequence[Dataset], pictures: Sequence[KeyPicture]) -> None:
    if key_images:
        agree("number of key images", len(key_images), len(pictures))
    for number, (dataset, picture) in enumerate(zip(key_images, pictures, strict=False), start=1):
        agree(f"key image {number}, shape", dataset.pixel_array.shape, picture.pixels.shape)
        if not np.array_equal(dataset.pixel_array, picture.pixels):
            _refuse(f"key image {number}: its pixels are not those of its picture")


def _check_pdf(dataset: Dataset, pdf: bytes | None) -> None:
    stored = dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength]
    if not stored.startswith(_MAGIC) or stored != pdf:
        _refuse("the report's object does not hold the PDF that it was made from")


def _refuse(what: str) -> None:
    message = f"{what}; nothing was written"
    raise ResultsDisagree(message)
