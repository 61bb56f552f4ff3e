"""Objects that agree, and what changes one of them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tds_clinical.dicom.writing.cross_check import BuiltObject, cross_check
from tds_clinical.dicom.writing.encapsulated_pdf import build_encapsulated_pdf
from tds_clinical.dicom.writing.key_images import KeyPicture, build_key_images
from tds_clinical.dicom.writing.objects import ResultKind
from tds_clinical.dicom.writing.segmentation import SegmentationKind, build_segmentation
from tds_clinical.dicom.writing.structure_set import build_structure_set
from tds_clinical.dicom.writing.structured_report import build_structured_report
from tds_clinical.errors import ResultsDisagree
from tds_clinical.findings import ResultContext

PDF = b"%PDF-1.4 report"
PICTURES = tuple(KeyPicture(pixels=np.full((4, 6, 3), n, np.uint8), title=f"{n}") for n in (1, 2))
OTHER_UID = "2.25.12345"

Change = Callable[[Dataset], object]


def built(context: ResultContext, kind: SegmentationKind = SegmentationKind.BINARY) -> tuple[BuiltObject, ...]:
    segmentation = build_segmentation(context, kind=kind)
    key_images = build_key_images(context, PICTURES)
    datasets = (
        (ResultKind.SEGMENTATION, "seg.dcm", segmentation),
        (ResultKind.STRUCTURE_SET, "rtstruct.dcm", build_structure_set(context, segmentation)),
        *((ResultKind.KEY_IMAGE, f"key-image-{n}.dcm", image) for n, image in enumerate(key_images, start=1)),
        (ResultKind.REPORT, "report.dcm", build_encapsulated_pdf(context, PDF)),
        (ResultKind.STRUCTURED_REPORT, "sr.dcm", build_structured_report(context, segmentation)),
    )
    return tuple(BuiltObject(kind=k, file_name=name, data=to_bytes(dataset)) for k, name, dataset in datasets)


def to_bytes(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def changed(objects: tuple[BuiltObject, ...], name: str, change: Change) -> tuple[BuiltObject, ...]:
    def one(entry: BuiltObject) -> BuiltObject:
        if entry.file_name != name:
            return entry
        dataset = entry.read()
        change(dataset)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        return replace(entry, data=to_bytes(dataset))

    return tuple(map(one, objects))


def refuse(context: ResultContext, objects: tuple[BuiltObject, ...], match: str) -> None:
    with pytest.raises(ResultsDisagree, match=match) as caught:
        cross_check(context, objects, pictures=PICTURES, pdf=PDF)
    message = str(caught.value)
    assert message.endswith("; nothing was written")
    header = context.source.header
    told = [str(header.PatientName), header.PatientID, "2.25.", header.StudyInstanceUID]
    assert not [identifier for identifier in told if identifier in message]


def items(dataset: Dataset) -> Iterator[Dataset]:
    yield dataset
    for child in dataset.get("ContentSequence", []):
        yield from items(child)


def item(dataset: Dataset, code: str, index: int = 0) -> Dataset:
    return [i for i in items(dataset) if i.ConceptNameCodeSequence[0].CodeValue == code][index]
