"""Volumes written as Siemens mosaics: the slices of each volume tiled into one classic image, with a private header."""

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from tds_clinical.dicom._decimal import decimal
from tds_clinical.testing.classic_series import ClassicSeriesOptions, made_up_uid, save, write_classic_series
from tds_data.volume import Volume

_CSA_NAME_BYTES: Final = 64
_CSA_ALIGNMENT: Final = 4
_CSA_MARK: Final = 77
_FRACTION: Final = re.compile(r"-?\d+\.\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class MosaicSeriesOptions:
    """How mosaics are written.

    Attributes:
        series: What a classic series of the same volume would say.
        reverse_tiles: Whether the first tile is the last slice along the volume's third axis.
        with_private_header: Whether the private header is there; anonymisation often removes it.
    """

    series: ClassicSeriesOptions = field(default_factory=ClassicSeriesOptions)
    reverse_tiles: bool = False
    with_private_header: bool = True


def write_mosaic_series(volumes: Sequence[Volume], folder: Path, options: MosaicSeriesOptions) -> tuple[Path, ...]:
    """Return the files of a series of mosaics, one for each volume.

    Args:
        volumes: Voxels of shape (columns, rows, slices), any orientation; all on one grid.
        folder: Where to write; made if absent.
        options: How to write.

    Raises:
        GeometryNotSupported: If the volumes' axes are not at right angles.
        DicomWriteError: If a file cannot be written.
    """
    paths = []
    for index, volume in enumerate(volumes):
        slices = write_classic_series(volume, folder / "slices", options.series)
        images = [pydicom.dcmread(path) for path in slices]
        for path in slices:
            path.unlink()
        path = folder / f"mosaic{index + 1:03d}.dcm"
        save(_mosaic(images[::-1] if options.reverse_tiles else images, index, options), path)
        paths.append(path)
    (folder / "slices").rmdir()
    return tuple(paths)


def _mosaic(slices: Sequence[Dataset], index: int, options: MosaicSeriesOptions) -> Dataset:
    image = Dataset(slices[0])
    side = math.ceil(math.sqrt(len(slices)))
    rows, columns = image.Rows, image.Columns
    tiles = np.zeros((side * rows, side * columns), slices[0].pixel_array.dtype)
    for position, picture in enumerate(slices):
        down, right = divmod(position, side)
        tiles[down * rows : (down + 1) * rows, right * columns : (right + 1) * columns] = picture.pixel_array
    across, down_ = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
    row_spacing, column_spacing = map(float, image.PixelSpacing)
    outwards = across * column_spacing * (side - 1) * columns / 2 + down_ * row_spacing * (side - 1) * rows / 2
    corner = np.array(image.ImagePositionPatient, float) - outwards
    step = np.array(slices[1].ImagePositionPatient, float) - np.array(slices[0].ImagePositionPatient, float)
    image.ImagePositionPatient = [decimal(c) for c in corner]
    image.Rows, image.Columns = tiles.shape
    image.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    image.Manufacturer = "SIEMENS"
    image.AcquisitionNumber = image.InstanceNumber = index + 1
    image.SOPInstanceUID = made_up_uid(options.series, "mosaic", options.series.series_number, index)
    image.PixelData = tiles.tobytes()
    if options.with_private_header:
        normal = [f"{value:.8f}" for value in step / np.linalg.norm(step)]
        entries = {
            "AcquisitionMatrixText": [f"{rows}*{columns}"],
            "NumberOfImagesInMosaic": [str(len(slices))],
            "SliceNormalVector": normal,
        }
        image.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", csa_header(entries))
        image.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", len(slices))
    return image


def csa_header(entries: Mapping[str, Sequence[str]]) -> bytes:
    """Return a private header of the second form.

    Args:
        entries: Values by name.
    """
    content = b"SV10\x04\x03\x02\x01" + struct.pack("<2I", len(entries), _CSA_MARK)
    for name, values in entries.items():
        name_field = name.encode().ljust(_CSA_NAME_BYTES, b"\0")
        vr = _value_representation(values).ljust(4, b"\0")
        content += struct.pack("<64si4s3i", name_field, len(values), vr, 4, len(values), _CSA_MARK)
        for value in values:
            text = value.encode() + b"\0"
            content += struct.pack("<4i", len(text), len(text), _CSA_MARK, len(text))
            content += text + b"\0" * (-len(text) % _CSA_ALIGNMENT)
    return content


def _value_representation(values: Sequence[str]) -> bytes:
    if all(value.isdecimal() for value in values):
        return b"IS"
    return b"FD" if all(_FRACTION.fullmatch(value) for value in values) else b"SH"
