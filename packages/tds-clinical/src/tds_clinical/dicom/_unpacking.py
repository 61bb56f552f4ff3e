"""Files with several pictures, taken apart into pictures that each have a header of their own."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from pydicom.datadict import dictionary_VR
from pydicom.dataset import FileDataset

from tds_clinical.dicom._dataset import read_dataset
from tds_clinical.dicom._enhanced import frame_values
from tds_clinical.dicom._headers import ENHANCED_CLASSES
from tds_clinical.dicom._model import SliceFile, Tile
from tds_clinical.dicom._mosaic import tile_values
from tds_clinical.dicom._tags import number, text
from tds_clinical.errors import DicomReadError

_MANY_FRAMES: Final = (
    "it holds several frames and no functional groups (PS3.3, section C.7.6.16), so nothing says where each lies; "
    "export it as enhanced MR or as one image per slice"
)


def unpack_file(file: SliceFile) -> tuple[SliceFile, ...]:
    """Return the pictures of a file: itself, the frames of an enhanced image or the tiles of a mosaic.

    A file whose pictures cannot be told apart comes back whole, with its `problem`, so that the rest of its study can
    be read.

    Args:
        file: An image file as it was found.
    """
    try:
        if text(file.header, "SOPClassUID") in ENHANCED_CLASSES:
            return tuple(
                replace(file, header=_header(file, values), frame=frame)
                for frame, values in enumerate(frame_values(file.path, read_dataset(file.path)), start=1)
            )
        if "MOSAIC" in text(file.header, "ImageType").upper():
            return tuple(
                replace(file, header=_header(file, values), tile=Tile(index=index, image_shape=_shape(file)))
                for index, values in enumerate(tile_values(file.path, read_dataset(file.path)))
            )
    except DicomReadError as error:
        return (replace(file, problem=error),)
    if (number(file.header, "NumberOfFrames") or 1) > 1:
        return (replace(file, problem=DicomReadError(file.path, _MANY_FRAMES)),)
    return (file,)


def _header(file: SliceFile, values: Mapping[str, Any]) -> FileDataset:
    # New elements, since those of the file's own header are shared by all of its pictures.
    header = FileDataset("", dict(file.header.items()), file_meta=file.header.file_meta)
    for keyword, value in values.items():
        # What cannot be such a value is as good as missing, also where the file says something else of all pictures.
        header.pop(keyword, None)
        with suppress(Exception):  # pydicom refuses values in many ways
            header.add_new(keyword, dictionary_VR(keyword), value)
    return header


def _shape(file: SliceFile) -> tuple[int, int]:
    return int(number(file.header, "Rows") or 0), int(number(file.header, "Columns") or 0)
