"""Pictures of what was found as Secondary Capture images (PS3.3, section A.8.1)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from tds_clinical.codes import SOURCE_IMAGE_FOR_SEGMENTATION
from tds_clinical.dicom.writing.objects import (
    add_equipment,
    add_file_meta,
    add_patient_and_study,
    instance_item,
    local_time,
    stamp,
)
from tds_clinical.errors import ReportError
from tds_clinical.findings import ResultContext
from tds_data.report import RESEARCH_USE_NOTICE

_CHANNELS: Final = 3
_LARGEST_SIDE: Final = 65535
_BITS: Final = 8
_LONGEST_DESCRIPTION: Final = 1024  # characters of a Short Text (PS3.5, section 6.2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeyPicture:
    """One picture to file.

    Attributes:
        pixels: Red, green and blue, uint8, shape (rows, columns, 3); whoever draws it writes no name into it, and that
            it is for research use only.
        title: What it shows, without patient identifiers.
        lesion: Number of the lesion that it shows; `None` if it shows all or none.
    """

    pixels: NDArray[np.uint8]
    title: str
    lesion: int | None = None

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, self.pixels.dtype
        is_picture = len(shape) == _CHANNELS and shape[-1] == _CHANNELS and kind == np.uint8
        if not is_picture or not all(0 < side <= _LARGEST_SIDE for side in shape[:2]):
            message = f"a picture is uint8 of shape (rows, columns, 3), this one is {kind} of shape {shape}"
            raise ReportError(message)


def build_key_images(context: ResultContext, pictures: Sequence[KeyPicture]) -> tuple[Dataset, ...]:
    """Return pictures as Secondary Capture images of one series.

    They say that they were derived from every image of the source, and that nothing in them tells whose they are.

    Args:
        context: What they are about.
        pictures: What they show, in order.

    Returns:
        An object for each picture, ready to be saved.
    """
    return tuple(_key_image(context, picture, number) for number, picture in enumerate(pictures, start=1))


def _key_image(context: ResultContext, picture: KeyPicture, number: int) -> Dataset:
    dataset = Dataset()
    add_patient_and_study(dataset, context)
    add_equipment(dataset, context)
    stamp(dataset, local_time(context), "InstanceCreation", "Content", "Series")
    dataset.Modality = "OT"
    dataset.ConversionType = "WSD"
    dataset.SeriesInstanceUID = context.uids.make("key-image", "series")
    dataset.SeriesNumber = context.first_series_number + 3
    dataset.SeriesDescription = "Key images (research use only)"
    digest = hashlib.sha256(np.ascontiguousarray(picture.pixels).tobytes()).hexdigest()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = context.uids.make("key-image", "instance", number, digest)
    dataset.InstanceNumber = number
    dataset.BodyPartExamined = "BRAIN"
    dataset.PatientOrientation = ""
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    notice = f". {RESEARCH_USE_NOTICE}"
    dataset.DerivationDescription = picture.title[: _LONGEST_DESCRIPTION - len(notice)] + notice
    dataset.SourceImageSequence = [_source_item(header) for header in context.source.headers]
    _add_pixels(dataset, picture.pixels)
    add_file_meta(dataset)
    return dataset


def _source_item(header: Dataset) -> Dataset:
    item = instance_item(header)
    item.PurposeOfReferenceCodeSequence = [SOURCE_IMAGE_FOR_SEGMENTATION.to_dataset()]
    return item


def _add_pixels(dataset: Dataset, pixels: NDArray[np.uint8]) -> None:
    dataset.SamplesPerPixel = _CHANNELS
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = dataset.BitsStored = _BITS
    dataset.HighBit = _BITS - 1
    dataset.PixelRepresentation = 0
    data = np.ascontiguousarray(pixels).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
