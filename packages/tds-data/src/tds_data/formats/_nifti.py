"""NIfTI-1 and NIfTI-2 in one file, plain or in gzip. nibabel interprets the headers.

The affine is the sform if its code is above zero, else the qform if its code is, else what nibabel makes of the voxel
sizes, with a logged warning.
"""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from tds_data.errors import VolumeReadError, VoxelError
from tds_data.formats._inflate import Container
from tds_data.formats._stored import StoredVoxels, opened, read_start, unpacking
from tds_data.formats._unpack import GZIP_MAGIC, unpack_into
from tds_data.formats.image_file import AffineSource, ImageFile, wrong_axes
from tds_data.formats.names import Format
from tds_data.volume import VoxelArray, corner_shift_mm

NIFTI_WRITABLE: Final = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
"""The types that readers of NIfTI commonly know."""

_Header: TypeAlias = Any  # nibabel's header classes carry no annotations
_HEADERS: Final[dict[int, Any]] = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_HEADER_BYTES: Final = 544
_SPATIAL_AXES: Final = 3
_MAX_AXIS: Final = 32767
_MM_PER_UNIT: Final = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # by NIfTI's codes: unknown, metre, millimetre, micron
_UNIT_CODES: Final = 8  # the three low bits of xyzt_units; the others are about time
_FORM_TOLERANCE_MM: Final = 0.1

logger = logging.getLogger(__name__)


def open_nifti(path: Path) -> ImageFile:
    """Return what a NIfTI file's header says.

    Args:
        path: A file whose content decides whether it is packed, not its name.

    Raises:
        VolumeReadError: If it cannot be read, is not NIfTI in one file, has not three or four axes, or holds voxels or
            an affine that cannot be used.
    """
    header, raw, packed = _read_header(path)
    shape = _trimmed(header)
    if len(shape) not in {_SPATIAL_AXES, _SPATIAL_AXES + 1}:
        raise wrong_axes(path, shape)
    dtype = _checked_dtype(path, header)
    with _damage_named(path):
        offset = int(header.get_data_offset()) or _default_offset(path, header)
        slope, intercept = header.get_slope_inter()
        place, source, disagreement = _place(path, header, raw, shape[:_SPATIAL_AXES])
    if offset < 0 or min(shape) <= 0:
        reason = f"its header promises {shape} voxels from byte {offset} on, which cannot be; copy or export it again"
        raise VolumeReadError(path, reason)
    where: dict[str, Any] = {"container": None, "offset": offset}
    if packed:
        where = {"container": Container.GZIP, "offset": 0, "skip": offset}
    scaled = slope is not None and (slope, intercept or 0.0) != (1.0, 0.0)
    return ImageFile(
        path=path,
        format=Format.NIFTI,
        shape=(shape[0], shape[1], shape[2]),
        volume_count=shape[_SPATIAL_AXES] if len(shape) > _SPATIAL_AXES else 1,
        stored_dtype=dtype,
        ras_from_voxel=place,
        scaling=(float(slope), float(intercept or 0.0)) if scaled else None,
        affine_source=source,
        form_disagreement_mm=disagreement,
        source=StoredVoxels(path=path, shape=shape, dtype=dtype, **where),
    )


def read_nifti_shape(path: Path) -> tuple[int, ...]:
    """Return the length of each axis, without trailing axes of length one beyond the third.

    Args:
        path: A NIfTI file with any number of axes.

    Raises:
        VolumeReadError: If it cannot be read or is not NIfTI in one file.
    """
    return _trimmed(_read_header(path)[0])


def encode_nifti(voxels: VoxelArray, ras_from_voxel: NDArray[np.float64]) -> bytes:
    """Return a NIfTI-1 file, not packed.

    Args:
        voxels: Array of three or four axes; booleans are stored as uint8.
        ras_from_voxel: Affine of shape (4, 4); the header keeps seven digits of it.

    Raises:
        VoxelError: If NIfTI cannot hold the voxels' type or an axis so long.
    """
    voxels = voxels.astype(np.uint8) if voxels.dtype == bool else voxels
    if voxels.dtype.name not in NIFTI_WRITABLE:
        message = f"voxels of type {voxels.dtype} cannot be stored; convert them to one of {', '.join(NIFTI_WRITABLE)}"
        raise VoxelError(message)
    if max(voxels.shape) > _MAX_AXIS:
        message = f"NIfTI-1 holds at most {_MAX_AXIS} voxels along an axis, and the shape is {voxels.shape}; crop it"
        raise VoxelError(message)
    voxels = voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)
    no_extensions = b"\0\0\0\0"
    return bytes(_new_header(voxels, ras_from_voxel).binaryblock) + no_extensions + voxels.tobytes(order="F")


def _new_header(voxels: VoxelArray, ras_from_voxel: NDArray[np.float64]) -> _Header:
    zooms = (*np.linalg.norm(ras_from_voxel[:3, :3], axis=0), *[1.0] * (voxels.ndim - _SPATIAL_AXES))
    header = _HEADERS[348](endianness="<")
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape)
    header.set_xyzt_units("mm")
    header.set_zooms(zooms)
    header.set_sform(ras_from_voxel, code=1)
    try:
        header.set_qform(ras_from_voxel, code=1, strip_shears=False)
    except HeaderDataError:
        header.set_qform(None, code=0)
        header.set_zooms(zooms)
    header["scl_slope"], header["scl_inter"] = 1.0, 0.0
    header["vox_offset"] = header.single_vox_offset
    header["magic"] = header.single_magic
    return header


def _read_header(path: Path) -> tuple[_Header, _Header, bool]:
    """Return the header with harmless faults mended, the header as it is, and whether the file is packed."""
    data = read_start(path, _HEADER_BYTES)
    packed = data.startswith(GZIP_MAGIC)
    if packed:
        block = bytearray(_HEADER_BYTES)
        with opened(path, path) as file, unpacking(path, Container.GZIP):
            found = unpack_into(memoryview(block), file, Container.GZIP)
        data = bytes(block[:found])
    sizes = {int.from_bytes(data[:4], "little"), int.from_bytes(data[:4], "big")}
    kind = next((_HEADERS[size] for size in sizes if size in _HEADERS), None)
    if kind is None:
        raise VolumeReadError(path, "it is no NIfTI file, whatever its name says; convert the image to NIfTI first")
    with _damage_named(path):
        raw = kind(data[: kind.template_dtype.itemsize], check=False)
        header = raw.copy()
        header.check_fix(logger=logger)
        header.get_data_dtype()
        header.get_data_shape()
    if not header["magic"].item().startswith(b"n+"):
        raise VolumeReadError(path, "it is half of an image pair (.hdr and .img); convert it to a single .nii.gz")
    return header, raw, packed


def _trimmed(header: _Header) -> tuple[int, ...]:
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > _SPATIAL_AXES and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _default_offset(path: Path, header: _Header) -> int:
    logger.warning("nifti_offset_missing file=%s: the voxels are taken to follow the header", path.name)
    return int(header.single_vox_offset)


def _checked_dtype(path: Path, header: _Header) -> "np.dtype[np.generic]":
    dtype: np.dtype[np.generic] = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > np.dtype(np.float64).itemsize:
        label = nib.nifti1.data_type_codes.label[int(header["datatype"])]
        raise VolumeReadError(path, f"its voxels are of type {label}; convert them to plain integers or floats")
    return dtype


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        with np.errstate(all="ignore"):  # what overflows is found in the values
            yield
    except VolumeReadError:
        raise
    except (HeaderDataError, WrapStructError, ValueError, OverflowError) as error:
        raise VolumeReadError(path, f"its NIfTI header is damaged ({error}); copy or export it again") from error


def _place(
    path: Path, header: _Header, raw: _Header, shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], AffineSource, float | None]:
    """Return the affine in millimetres, where it comes from, and how far sform and qform disagree."""
    has_sform, has_qform = int(raw["sform_code"]) > 0, int(raw["qform_code"]) > 0
    if not has_sform:
        sizes = [float(size) for size in raw["pixdim"][1:4]]
        if not all(0 < size < math.inf for size in sizes):
            reason = f"its header gives voxel sizes of {sizes}, and they must be finite and above zero; export it again"
            raise VolumeReadError(path, reason)
    factor = _mm_factor(path, header)
    to_mm = np.diag([factor, factor, factor, 1.0])
    if has_sform:
        place = to_mm @ header.get_sform()
        disagreement = _disagreement_mm(path, shape, place, header, to_mm) if has_qform else None
        return place, AffineSource.SFORM, disagreement
    if has_qform:
        return to_mm @ header.get_qform(), AffineSource.QFORM, None
    logger.warning("nifti_without_orientation file=%s: left and right are assumed from the voxel order", path.name)
    return to_mm @ header.get_base_affine(), AffineSource.ASSUMED, None


def _disagreement_mm(
    path: Path, shape: tuple[int, ...], place: NDArray[np.float64], header: _Header, to_mm: NDArray[np.float64]
) -> float:
    try:
        shift = corner_shift_mm((shape[0], shape[1], shape[2]), place, to_mm @ header.get_qform())
    except (HeaderDataError, ValueError):  # no rotation at all
        shift = math.inf
    shift = shift if math.isfinite(shift) else math.inf
    if shift > _FORM_TOLERANCE_MM:
        logger.warning("nifti_forms_disagree file=%s shift_mm=%.3g: the sform is taken", path.name, shift)
    return shift


def _mm_factor(path: Path, header: _Header) -> float:
    code = int(header["xyzt_units"]) % _UNIT_CODES
    factor = _MM_PER_UNIT.get(code, 1.0)
    if code not in _MM_PER_UNIT:
        logger.warning("nifti_unit_unknown file=%s code=%d: millimetres are assumed", path.name, code)
    elif factor != 1.0:
        logger.warning("nifti_unit_converted file=%s factor=%g", path.name, factor)
    return factor
