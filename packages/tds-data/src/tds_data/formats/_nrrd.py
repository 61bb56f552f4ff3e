"""NRRD, with its voxels in the same file or in one beside it, raw or in gzip.

See http://teem.sourceforge.net/nrrd/format.html. Which axes lie in space is decided in `_nrrd_axes`.
"""

import math
import os
import re
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from tds_data.errors import VolumeReadError, VoxelError
from tds_data.formats._inflate import Container
from tds_data.formats._nrrd_axes import find_axes
from tds_data.formats._stored import StoredVoxels, opened, read_start
from tds_data.formats._text_header import MAX_HEADER_BYTES, Fields
from tds_data.formats._whole_file import packed
from tds_data.formats.image_file import ImageFile
from tds_data.formats.names import Format
from tds_data.volume import VoxelArray

_MAGIC: Final = re.compile(rb"NRRD000[1-5]\r?\n")
_END: Final = re.compile(rb"\n\r?\n")
_SPATIAL_AXES: Final = 3
_TYPES: Final = {
    name: code
    for code, names in {
        "i1": "signed char, int8, int8_t",
        "u1": "uchar, unsigned char, uint8, uint8_t",
        "i2": "short, short int, signed short, signed short int, int16, int16_t",
        "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
        "i4": "int, signed int, int32, int32_t",
        "u4": "uint, unsigned int, uint32, uint32_t",
        "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
        "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
        "f4": "float",
        "f8": "double",
    }.items()
    for name in names.split(", ")
}
_BYTE_ORDERS: Final[dict[str, Literal["<", ">"]]] = {"little": "<", "big": ">"}
_CONTAINERS: Final = {"raw": None, "gzip": Container.GZIP, "gz": Container.GZIP}
_SEVERAL_FILES: Final = re.compile(r"LIST\b|\S*%\S*\s+[+-]?\d")
_ALIASES: Final = {
    "centers": "centerings",
    "datafile": "data file",
    "lineskip": "line skip",
    "byteskip": "byte skip",
    "axismins": "axis mins",
}
_TO_END: Final = -1


def open_nrrd(path: Path) -> ImageFile:
    """Return what a NRRD file's header says.

    Args:
        path: A `.nrrd` or `.nhdr` file.

    Raises:
        VolumeReadError: If it cannot be read, is not NRRD, is encoded otherwise than raw or in gzip, points to data
            outside its folder, or holds no volumes of plain numbers with a place.
    """
    fields, end = _read_fields(path)
    dimension = fields.integer("dimension", lowest=1)
    sizes = fields.lengths("sizes", dimension)
    axes = find_axes(fields, sizes)
    source = _source(fields, sizes, end)
    return ImageFile(
        path=path,
        format=Format.NRRD,
        shape=axes.shape,
        volume_count=1 if axes.volume_axis is None else sizes[axes.volume_axis],
        stored_dtype=source.dtype,
        ras_from_voxel=axes.ras_from_voxel,
        affine_source=axes.source,
        volume_axis=axes.volume_axis,
        source=source,
    )


def encode_nrrd(voxels: VoxelArray, ras_from_voxel: NDArray[np.float64]) -> bytes:
    """Return a NRRD file in gzip encoding, in world axes LPS, as ITK and 3D Slicer write it.

    Args:
        voxels: Array of three or four axes; booleans are stored as uint8.
        ras_from_voxel: Affine of shape (4, 4), which is kept exactly.

    Raises:
        VoxelError: If NRRD has no name for the voxels' type.
    """
    voxels = voxels.astype(np.uint8) if voxels.dtype == bool else voxels
    code = voxels.dtype.str[1:]
    if code not in _TYPES.values():
        message = f"NRRD has no voxels of type {voxels.dtype}; convert them to another float"
        raise VoxelError(message)
    lists = voxels.ndim - _SPATIAL_AXES
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ras_from_voxel
    vectors = [f"({','.join(repr(float(n)) for n in lps[:3, column])})" for column in (0, 1, 2, 3)]
    lines = [
        "NRRD0004",
        f"type: {next(name for name, known in _TYPES.items() if known == code)}",
        f"dimension: {voxels.ndim}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, voxels.shape))}",
        f"space directions: {' '.join([*vectors[:3], *['none'] * lists])}",
        f"kinds: {' '.join(['domain'] * _SPATIAL_AXES + ['list'] * lists)}",
        'space units: "mm" "mm" "mm"',
        "endian: little",
        "encoding: gzip",
        f"space origin: {vectors[3]}",
    ]
    little = voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)
    return ("\n".join(lines) + "\n\n").encode("ascii") + packed(little.tobytes(order="F"), Container.GZIP)


def _read_fields(path: Path) -> tuple[Fields, int]:
    """Return the fields by their names in lower case, and where the header ends."""
    start = read_start(path, MAX_HEADER_BYTES)
    magic = _MAGIC.match(start)
    if magic is None:
        raise VolumeReadError(path, "it is no NRRD file, whatever its name says; give it the suffix of what it is")
    found = _END.search(start, magic.end() - 1)
    if found is None and len(start) == MAX_HEADER_BYTES:
        raise VolumeReadError(path, "its header does not end; export it again")
    end = len(start) if found is None else found.end()
    values: dict[str, str] = {}
    for line in start[magic.end() : end].decode("utf-8", "surrogateescape").splitlines():
        name, colon, value = line.partition(":")
        if line.startswith("#") or not colon or value.startswith("="):
            continue
        name = " ".join(name.lower().split())
        name = _ALIASES.get(name, name)
        if name in values:
            raise VolumeReadError(path, f"its header says {name!r} twice; keep one of the lines")
        values[name] = value.strip()
    fields = Fields(path, values)
    if found is None and "data file" not in values:
        raise VolumeReadError(path, "its header breaks off; the file is truncated, copy or download it again")
    return fields, end


def _source(fields: Fields, sizes: tuple[int, ...], end: int) -> StoredVoxels:
    encoding = fields.values.get("encoding", "").lower()
    if encoding not in _CONTAINERS:
        fields.refuse("encoding", "only raw and gzip are read; save it with one of them")
    container, dtype = _CONTAINERS[encoding], _dtype(fields)
    detached = "data file" in fields.values
    if detached and _SEVERAL_FILES.match(fields.values["data file"]):
        fields.refuse("data file", "voxels in several files are not read; save them in one")
    path = fields.data_file("data file") if detached else fields.path
    offset = _after_lines(fields, path, 0 if detached else end)
    skip = fields.integer("byte skip", lowest=_TO_END, default=0)
    size_bytes = math.prod(sizes) * dtype.itemsize
    if skip == _TO_END:
        if container is not None:
            fields.refuse("byte skip", "that only works with raw voxels; save it again without")
        with opened(path, fields.path) as file:
            there = os.fstat(file.fileno()).st_size - offset
        if there < size_bytes:
            reason = f"its header promises {sizes} voxels, {size_bytes} bytes, and {there} are there; export it again"
            raise VolumeReadError(fields.path, reason)
        offset, skip = offset + there - size_bytes, 0
    if container is None:
        offset, skip = offset + skip, 0
    return StoredVoxels(path=path, shape=sizes, dtype=dtype, container=container, offset=offset, skip=skip)


def _dtype(fields: Fields) -> "np.dtype[np.generic]":
    code = _TYPES.get(" ".join(fields.values.get("type", "").lower().split()))
    if code is None:
        fields.refuse("type", "voxels are plain integers or floats; convert it to one of them")
    dtype = np.dtype(code)
    if dtype.itemsize == 1:
        return dtype
    order = _BYTE_ORDERS.get(fields.values.get("endian", "").lower())
    if order is None:
        fields.refuse("endian", "it must be little or big; export it again")
    return dtype.newbyteorder(order)


def _after_lines(fields: Fields, path: Path, offset: int) -> int:
    lines = fields.integer("line skip", lowest=0, default=0)
    if lines == 0:
        return offset
    with opened(path, fields.path) as file:
        file.seek(offset)
        start = file.read(MAX_HEADER_BYTES)
    ends = [match.end() for match in re.finditer(rb"\n", start)]
    if lines > len(ends):
        fields.refuse("line skip", "the data file has fewer lines at its beginning; export it again")
    return offset + ends[lines - 1]
