"""Siemens mosaics: the slices of a volume, tiled into one large image.

The tiles run along the rows of the image, first slice at the top left, and the last ones may be empty. Image Position
(Patient) is that of an image as large as the mosaic around the centre of the slice, so the corner of a tile lies
inwards of it. In which direction the slices run is only in the scanner's own header.
"""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.dicom._csa import read_csa
from tds_clinical.dicom._tags import number, numbers
from tds_clinical.errors import DicomReadError

_CSA_GROUP: Final = 0x0029
_CSA_CREATOR: Final = "SIEMENS CSA HEADER"
_CSA_ELEMENT: Final = 0x10
_COUNT_GROUP: Final = 0x0019
_COUNT_CREATOR: Final = "SIEMENS MR HEADER"
_COUNT_ELEMENT: Final = 0x0A
_COUNT: Final = re.compile(r"[1-9][0-9]{0,2}")  # each tile gets a header of its own, so that more would fill the memory
_SHOWN: Final = re.compile(r"-?[0-9]{1,6}")
_PARALLEL: Final = 0.99


def tile_values(path: Path, image: Dataset) -> Iterator[Mapping[str, Any]]:
    """Yield what the header of each slice would say, if it were a file of its own.

    Args:
        path: The file, for messages.
        image: Whole header of the mosaic.

    Raises:
        DicomReadError: If the scanner's own header or the geometry is missing, or does not fit the image.
    """
    csa = _csa(path, image)
    count = _count(path, image, csa)
    side = math.ceil(math.sqrt(count))
    rows, columns = (int(number(image, keyword) or 0) for keyword in ("Rows", "Columns"))
    if rows < side or columns < side or rows % side or columns % side:
        reason = f"{count} slices do not fit a mosaic of {rows} rows and {columns} columns; export one image per slice"
        raise DicomReadError(path, reason)
    shape = (rows // side, columns // side)
    corner, step = _geometry(path, image, csa, shape)
    for tile in range(count):
        yield {
            "Rows": shape[0],
            "Columns": shape[1],
            "ImagePositionPatient": (corner + tile * step).round(6).tolist(),
        }


def _csa(path: Path, image: Dataset) -> Mapping[str, tuple[str, ...]]:
    try:
        content = image.private_block(_CSA_GROUP, _CSA_CREATOR)[_CSA_ELEMENT].value
        return read_csa(bytes(content))
    except Exception as error:  # damaged private elements fail in pydicom in many ways
        reason = (
            "it is a mosaic without the scanner's private header (0029,1010), which says how many slices it holds and "
            f"which way they run ({type(error).__name__}); export it with private elements, or one image per slice"
        )
        raise DicomReadError(path, reason) from error


def _count(path: Path, image: Dataset, csa: Mapping[str, tuple[str, ...]]) -> int:
    counts = set()
    if "NumberOfImagesInMosaic" in csa:
        counts |= set(csa["NumberOfImagesInMosaic"][:1])
    with suppress(Exception):  # not every version writes the number again, and damage counts as none
        counts.add(str(image.private_block(_COUNT_GROUP, _COUNT_CREATOR)[_COUNT_ELEMENT].value))
    if len(counts) == 1:
        (count,) = counts
        if _COUNT.fullmatch(count):
            return int(count)
    seen = " and ".join(count if _SHOWN.fullmatch(count) else "no number" for count in sorted(counts)) or "none"
    raise DicomReadError(path, f"the number of slices in the mosaic is {seen}; export one image per slice")


def _geometry(
    path: Path, image: Dataset, csa: Mapping[str, tuple[str, ...]], shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    position = _vector(path, image, "ImagePositionPatient", 3)
    orientation = _vector(path, image, "ImageOrientationPatient", 6)
    row_spacing, column_spacing = _vector(path, image, "PixelSpacing", 2)
    spacing = number(image, "SpacingBetweenSlices") or 0.0
    across, down = orientation[:3], orientation[3:]
    normal = np.cross(across, down)
    along = _direction(path, csa, normal)
    if spacing <= 0:
        reason = "it is a mosaic without a positive SpacingBetweenSlices; export one image per slice"
        raise DicomReadError(path, reason)
    rows, columns = (number(image, keyword) or 0.0 for keyword in ("Rows", "Columns"))
    corner = position + across * column_spacing * (columns - shape[1]) / 2 + down * row_spacing * (rows - shape[0]) / 2
    return corner, along * normal * spacing


def _direction(path: Path, csa: Mapping[str, tuple[str, ...]], normal: NDArray[np.float64]) -> float:
    try:
        said = np.array([float(value) for value in csa.get("SliceNormalVector", ())])
    except ValueError:
        said = np.empty(0)
    along = float(said @ normal) if said.shape == (3,) else 0.0
    if not abs(along) > _PARALLEL:
        reason = (
            "the private header of the mosaic has no slice normal that fits its orientation; export one image per slice"
        )
        raise DicomReadError(path, reason)
    return math.copysign(1.0, along)


def _vector(path: Path, image: Dataset, keyword: str, count: int) -> NDArray[np.float64]:
    values = numbers(image, keyword, count)
    if values is None:
        raise DicomReadError(path, f"its header has no usable {keyword}; export it again from the scanner or archive")
    return np.array(values)
