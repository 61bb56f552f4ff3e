"""MetaImage, with its voxels in the same file or in one beside it, raw or in zlib.

As ITK reads it: world axes are LPS whatever `AnatomicalOrientation` says, and each triple of `TransformMatrix` is the
direction of one axis.
"""

import logging
import math
import os
import re
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.errors import VolumeReadError, VoxelError
from tds_data.formats._inflate import Container
from tds_data.formats._stored import StoredVoxels, opened, read_start
from tds_data.formats._text_header import MAX_HEADER_BYTES, Fields
from tds_data.formats._unpack import GZIP_MAGIC
from tds_data.formats._whole_file import packed
from tds_data.formats.image_file import AffineSource, ImageFile, wrong_axes
from tds_data.formats.names import Format
from tds_data.volume import VoxelArray

_SPATIAL_AXES: Final = 3
_TYPES: Final = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",  # of four bytes in this format
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_COLOUR_CHANNELS: Final = frozenset({3, 4})
_MATRIX_KEYS: Final = ("TransformMatrix", "Rotation", "Orientation")
_ORIGIN_KEYS: Final = ("Offset", "Position", "Origin")
_SPACING_KEYS: Final = ("ElementSpacing", "ElementSize")
_ORDER_KEYS: Final = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_LAST_KEY: Final = "ElementDataFile"
_KEY: Final = re.compile(r"^[ \t]*(\w+)[ \t]*[=:][ \t]*(.*?)[ \t\r]*$")
_SEVERAL_FILES: Final = re.compile(r"LIST\b|\S*%\S*\s+[+-]?\d")
_TO_END: Final = -1
_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])

logger = logging.getLogger(__name__)


def open_metaimage(path: Path) -> ImageFile:
    """Return what a MetaImage file's header says.

    Args:
        path: A `.mha` or `.mhd` file.

    Raises:
        VolumeReadError: If it cannot be read, is not MetaImage, points to data outside its folder, or holds no volumes
            of plain numbers with a place.
    """
    fields, end = _read_fields(path)
    count = fields.integer("NDims", lowest=1)
    sizes = fields.lengths("DimSize", count)
    if count not in {_SPATIAL_AXES, _SPATIAL_AXES + 1}:
        raise wrong_axes(path, sizes)
    channels = fields.integer("ElementNumberOfChannels", lowest=1, default=1)
    dtype = _dtype(fields, channels)
    if channels > 1 and count > _SPATIAL_AXES:
        fields.refuse("ElementNumberOfChannels", "that makes five axes; split it into one file per sequence")
    axes, volume_axis = (sizes, None if count == _SPATIAL_AXES else _SPATIAL_AXES)
    if channels > 1:
        axes, volume_axis = (channels, *sizes), 0
    affine, source = _place(fields, count)
    return ImageFile(
        path=path,
        format=Format.METAIMAGE,
        shape=(sizes[0], sizes[1], sizes[2]),
        volume_count=1 if volume_axis is None else axes[volume_axis],
        stored_dtype=dtype,
        ras_from_voxel=affine,
        affine_source=source,
        volume_axis=volume_axis,
        source=_source(fields, axes, dtype, end),
    )


def encode_metaimage(voxels: VoxelArray, ras_from_voxel: NDArray[np.float64]) -> bytes:
    """Return a MetaImage file with header and compressed voxels, as ITK reads it.

    Args:
        voxels: Array of three or four axes; booleans are stored as uint8.
        ras_from_voxel: Affine of shape (4, 4), kept up to the rounding of double precision.

    Raises:
        VoxelError: If MetaImage has no name for the voxels' type.
    """
    voxels = voxels.astype(np.uint8) if voxels.dtype == bool else voxels
    kind = next((name for name, code in _TYPES.items() if code == voxels.dtype.str[1:]), None)
    if kind is None:
        message = f"MetaImage has no voxels of type {voxels.dtype}; convert them to another float"
        raise VoxelError(message)
    data = packed(voxels.astype(voxels.dtype.newbyteorder("<"), copy=False).tobytes(order="F"), Container.ZLIB)
    lps, count = _LPS @ ras_from_voxel, voxels.ndim
    spacing = np.ones(count)
    spacing[:3] = np.linalg.norm(lps[:3, :3], axis=0)
    directions, offset = np.eye(count), np.zeros(count)
    directions[:3, :3], offset[:3] = (lps[:3, :3] / spacing[:3]).T, lps[:3, 3]
    lines = {
        "ObjectType": "Image",
        "NDims": str(count),
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "True",
        "CompressedDataSize": str(len(data)),
        "TransformMatrix": _numbers(directions.ravel()),
        "Offset": _numbers(offset),
        "CenterOfRotation": _numbers(np.zeros(count)),
        "ElementSpacing": _numbers(spacing),
        "DimSize": " ".join(map(str, voxels.shape)),
        "ElementType": kind,
        _LAST_KEY: "LOCAL",
    }
    return "".join(f"{key} = {value}\n" for key, value in lines.items()).encode("ascii") + data


def _numbers(values: NDArray[np.float64]) -> str:
    return " ".join(repr(float(value) + 0.0) for value in values)


def _read_fields(path: Path) -> tuple[Fields, int]:
    """Return the fields, and where the header ends: after the line that names the data file."""
    start = read_start(path, MAX_HEADER_BYTES)
    values: dict[str, str] = {}
    position = 0
    while _LAST_KEY not in values:
        end = start.find(b"\n", position)
        line = start[position : end if end >= 0 else len(start)]
        match = _KEY.match(line.decode("utf-8", "surrogateescape"))
        if match is None and line.strip():
            raise VolumeReadError(path, "it is no MetaImage file, whatever its name says; give it the right suffix")
        if match is not None:
            values.setdefault(match[1], match[2])
        if end < 0:
            position = len(start)
            break
        position = end + 1
    fields = Fields(path, values)
    if values.get("ObjectType", "Image") != "Image":
        fields.refuse("ObjectType", "only images are read; export the image")
    if _LAST_KEY not in values:
        fields.refuse(_LAST_KEY, "the file is truncated or no MetaImage; copy or export it again")
    return fields, position


def _dtype(fields: Fields, channels: int) -> "np.dtype[np.generic]":
    code = _TYPES.get(fields.values.get("ElementType", ""))
    if code is None:
        fields.refuse("ElementType", "voxels are plain integers or floats; convert it to one of them")
    if code == "u1" and channels in _COLOUR_CHANNELS:
        fields.refuse("ElementNumberOfChannels", "bytes in so many channels are colours; convert it to plain numbers")
    if not _flag(fields, "BinaryData", default=True):
        fields.refuse("BinaryData", "voxels in text are not read; save it as binary")
    for key, plain in (("ElementToIntensityFunctionSlope", 1.0), ("ElementToIntensityFunctionOffset", 0.0)):
        if key in fields.values and fields.numbers(key, 1)[0] != plain:
            fields.refuse(key, "programs differ on whether that counts; save the scaled values themselves")
    big = _flag(fields, fields.first(*_ORDER_KEYS), default=False)
    return np.dtype(code).newbyteorder(">" if big else "<")


def _flag(fields: Fields, key: str, *, default: bool) -> bool:
    text = fields.values.get(key, str(default)).lower()
    if text not in {"true", "false", "1", "0"}:
        fields.refuse(key, "it must be True or False; export it again")
    return text in {"true", "1"}


def _place(fields: Fields, count: int) -> tuple[NDArray[np.float64], AffineSource]:
    matrix_key, origin_key, spacing_key = (fields.first(*keys) for keys in (_MATRIX_KEYS, _ORIGIN_KEYS, _SPACING_KEYS))
    directions, source = np.eye(count), AffineSource.ASSUMED
    if matrix_key in fields.values:
        directions = np.array(fields.numbers(matrix_key, count * count)).reshape(count, count).T
        source = AffineSource.HEADER
    else:
        logger.warning("metaimage_without_orientation file=%s: the axes LPS are assumed", fields.path.name)
    given = spacing_key in fields.values
    spacing = np.array(fields.numbers(spacing_key, count, positive=True)) if given else np.ones(count)
    origin = np.array(fields.numbers(origin_key, count)) if origin_key in fields.values else np.zeros(count)
    if np.any(directions[:3, 3:]) or np.any(directions[3:, :3]):
        fields.refuse(matrix_key, "the fourth axis must not mix with space; split it into one file per sequence")
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions[:3, :3] * spacing[:3], origin[:3]
    return _LPS @ affine, source


def _source(fields: Fields, axes: tuple[int, ...], dtype: "np.dtype[np.generic]", end: int) -> StoredVoxels:
    name = fields.values[_LAST_KEY]
    if _SEVERAL_FILES.match(name):
        fields.refuse(_LAST_KEY, "voxels in several files are not read; save them in one")
    local = name.upper() == "LOCAL"
    path = fields.path if local else fields.data_file(_LAST_KEY)
    skip = fields.integer("HeaderSize", lowest=_TO_END, default=0)
    compressed = _flag(fields, "CompressedData", default=False)
    if (local and skip > 0) or (compressed and skip == _TO_END):
        fields.refuse("HeaderSize", "programs differ on what that means here; save it again without")
    offset = end if local else max(skip, 0)
    with opened(path, fields.path) as file:
        there = os.fstat(file.fileno()).st_size
        file.seek(offset)
        packed_in_gzip = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    if skip == _TO_END:
        offset = max(offset, there - math.prod(axes) * dtype.itemsize)
    container = (Container.GZIP if packed_in_gzip else Container.ZLIB) if compressed else None
    return StoredVoxels(path=path, shape=axes, dtype=dtype, container=container, offset=offset)
