"""A series becomes a volume."""

import logging
import warnings
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_clinical.dicom._dataset import read_dataset
from tds_clinical.dicom._model import SeriesFiles, SliceFile
from tds_clinical.dicom._pixels import decode_pixels
from tds_clinical.dicom._planes import Plane, places, ras_from_voxel
from tds_clinical.dicom._tags import number
from tds_clinical.errors import DicomReadError, GeometryNotSupported
from tds_data.volume import Volume, VoxelArray

_LOG = logging.getLogger(__name__)

_PIXEL_TAGS: Final = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PixelData",
)


def read_series(series: SeriesFiles) -> Volume:
    """Return a series of single-frame images as one volume.

    Slices are ordered by their place along the slice normal, never by Instance Number. An image that is there twice
    is read once, with a logged warning.

    Args:
        series: Classic single-frame MR images of one series.

    Returns:
        Voxels of shape (columns, rows, slices): `voxels[i, j, k]` is column `i` of row `j` of slice `k`. They keep the
        stored integer type unless a rescale slope or intercept applies, then they are float32.

    Raises:
        DicomReadError: If a file is damaged or lacks its geometry.
        IncompleteSeries: If slices are missing or unevenly spaced.
        GeometryNotSupported: If the series is multi-frame, a mosaic, a time series, a single slice or irregular.
    """
    for file in series.slices:
        if file.problem:
            raise GeometryNotSupported(series.label, file.problem)
    with warnings.catch_warnings():
        # As for headers: harmless deviations such as surplus padding are no news to the caller, damage is an error.
        warnings.filterwarnings("ignore", module="pydicom")
        planes = _one_per_place(series, places(series))
        affine = ras_from_voxel(series, planes)
        voxels = _read_voxels(planes)
    return Volume(voxels.transpose(2, 1, 0), affine)


def _one_per_place(series: SeriesFiles, grouped: list[list[Plane]]) -> list[Plane]:
    repeated = [group for group in grouped if len(group) > 1]
    for group in repeated:
        first, *others = (_read_slice(plane) for plane in group)
        if not all(np.array_equal(first, other) for other in others):
            reason = (
                f"{len(repeated)} of its {len(grouped)} slice places hold more than one image; time series, several "
                "echoes or phases are not supported yet: export one volume as one series"
            )
            raise GeometryNotSupported(series.label, reason)
    if repeated:
        _LOG.warning("identical_slices_dropped series=%s places=%d", series.number, len(repeated))
    return [group[0] for group in grouped]


def _read_voxels(planes: Sequence[Plane]) -> VoxelArray:
    slices = [_read_slice(plane) for plane in planes]
    dtype = np.result_type(*{s.dtype for s in slices})
    return np.stack(slices).astype(dtype, copy=False)


def _read_slice(plane: Plane) -> VoxelArray:
    pixels = _read_pixels(plane.file)
    if pixels.shape != plane.shape:
        reason = f"its pixels have shape {pixels.shape}, its header says {plane.shape}; export it again"
        raise DicomReadError(plane.file.path, reason)
    return _rescaled(plane.file, pixels)


def _read_pixels(file: SliceFile) -> VoxelArray:
    return decode_pixels(file.path, read_dataset(file.path, tags=_PIXEL_TAGS, pixels=True))


def _rescaled(file: SliceFile, pixels: VoxelArray) -> VoxelArray | NDArray[np.float32]:
    slope = number(file.header, "RescaleSlope")
    intercept = number(file.header, "RescaleIntercept")
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    if slope == 0.0:
        raise DicomReadError(file.path, "its rescale slope is 0, which erases the image; export it again")
    if (slope, intercept) == (1.0, 0.0):
        return pixels
    return (pixels.astype(np.float64) * slope + intercept).astype(np.float32)
