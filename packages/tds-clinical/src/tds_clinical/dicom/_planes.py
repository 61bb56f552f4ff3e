"""Image planes of a series: where each slice lies and whether together they fill a regular grid.

Places here are in DICOM's patient axes (LPS, millimetres; PS3.3, section C.7.6.2) until `ras_from_lps` leaves them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_clinical.dicom._model import SeriesFiles, SliceFile
from tds_clinical.dicom._tags import number, numbers, text
from tds_clinical.errors import DicomReadError, GeometryNotSupported

_RAS_FROM_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_COSINE_TOLERANCE: Final = 1e-3
_SPACING_TOLERANCE_MM: Final = 1e-3
_SAME_PLACE_MM: Final = 1e-2
_MOST_PIXELS: Final = 65535
_SMALLEST_MM: Final = 1e-4
_FARTHEST_MM: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """Where one slice lies.

    Attributes:
        file: The slice's picture.
        shape: Rows and columns.
        position_mm: LPS centre of the first pixel, shape (3,).
        across: Unit LPS direction in which the column index rises, shape (3,).
        down: Unit LPS direction in which the row index rises, shape (3,).
        spacing_mm: Distance between rows, distance between columns.
    """

    file: SliceFile
    shape: tuple[int, int]
    position_mm: NDArray[np.float64]
    across: NDArray[np.float64]
    down: NDArray[np.float64]
    spacing_mm: tuple[float, float]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit LPS direction in which slices are counted, shape (3,)."""
        normal = np.cross(self.across, self.down)
        return np.asarray(normal / np.linalg.norm(normal))


def read_planes(files: Sequence[SliceFile]) -> list[Plane]:
    """Return where each picture lies.

    Args:
        files: Pictures that each lie in one plane.

    Raises:
        DicomReadError: If the geometry of one is missing or is none.
    """
    shapes = [_shape(file) for file in files]
    orientations = np.array([_required(file, "ImageOrientationPatient", 6) for file in files])
    spacings = [_required(file, "PixelSpacing", 2) for file in files]
    positions = np.array([_required(file, "ImagePositionPatient", 3) for file in files])
    across, down = orientations[:, :3], orientations[:, 3:]
    products = np.stack([(across**2).sum(1) - 1, (down**2).sum(1) - 1, (across * down).sum(1)])
    turned = np.abs(products).max(axis=0) <= _COSINE_TOLERANCE
    placed = np.abs(positions).max(axis=1) <= _FARTHEST_MM
    for file, shape, spacing, unit, near in zip(files, shapes, spacings, turned, placed, strict=True):
        sized = _SMALLEST_MM <= min(spacing) <= max(spacing) <= _FARTHEST_MM
        if not (unit and sized and near and 1 <= min(shape) <= max(shape) <= _MOST_PIXELS):
            reason = "its position, orientation, pixel spacing or matrix size is impossible; export it again"
            raise DicomReadError(file.path, reason)
    return [
        Plane(
            file=files[n],
            shape=shapes[n],
            position_mm=positions[n],
            across=across[n],
            down=down[n],
            spacing_mm=(spacings[n][0], spacings[n][1]),
        )
        for n in range(len(files))
    ]


def difference(planes: Sequence[Plane]) -> str:
    """Return in what planes differ that slices of one volume share; empty if they are alike.

    Args:
        planes: Any planes; at least one.
    """
    first = planes[0]
    for plane in planes:
        if plane.shape != first.shape:
            return f"slices of {first.shape} and {plane.shape} rows and columns are mixed; export them as two series"
    spacings = np.array([plane.spacing_mm for plane in planes])
    for worst in np.flatnonzero(np.abs(spacings - spacings[0]).max(axis=1) > _SPACING_TOLERANCE_MM)[:1]:
        other = planes[worst].spacing_mm
        return f"pixel spacings {first.spacing_mm} and {other} mm are mixed; export them as two series"
    axes = np.array([(plane.across, plane.down) for plane in planes])
    if np.abs(axes - axes[0]).max() > _COSINE_TOLERANCE:
        return "slices of different orientation are mixed, as in a localizer; export one orientation as one series"
    frames = {text(plane.file.header, "FrameOfReferenceUID") for plane in planes} - {""}
    if len(frames) > 1:
        return (
            f"its slices name {len(frames)} frames of reference (PS3.3, section C.7.4.1), so nothing says how they lie "
            "to each other; export them as two series"
        )
    return ""


def slice_places(planes: Sequence[Plane]) -> list[int]:
    """Return for each plane which slice along the normal it is, counted from 0; those at the same place share one.

    Args:
        planes: Planes that are alike.
    """
    positions = np.array([plane.position_mm for plane in planes]) @ planes[0].normal
    order = np.argsort(positions, kind="stable")
    places = [0] * len(planes)
    place, start = 0, positions[order[0]]
    for index in order:
        if positions[index] - start >= _SAME_PLACE_MM:
            place, start = place + 1, positions[index]
        places[index] = place
    return places


def places(series: SeriesFiles) -> list[list[Plane]]:
    """Return the planes of a volume along the slice normal, those at the same place together.

    Args:
        series: Pictures that each lie in one plane.

    Raises:
        DicomReadError: If a slice has no usable geometry, or the pictures of a file cannot be told apart.
        GeometryNotSupported: If the slices differ in orientation, spacing or matrix size.
    """
    for file in series.slices:
        if file.problem is not None:
            raise file.problem
    planes = read_planes(series.slices)
    reason = difference(planes)
    if reason:
        raise GeometryNotSupported(series.label, reason)
    indices = slice_places(planes)
    grouped: list[list[Plane]] = [[] for _ in range(max(indices) + 1)]
    for index, plane in zip(indices, planes, strict=True):
        grouped[index].append(plane)
    return grouped


def ras_from_lps(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an affine that leads to RAS+ millimetres in place of DICOM's LPS, shape (4, 4)."""
    return np.asarray(_RAS_FROM_LPS @ affine)


def _shape(file: SliceFile) -> tuple[int, int]:
    header = file.header
    rows, columns = (_required(file, keyword, 1)[0] for keyword in ("Rows", "Columns"))
    grey = text(header, "PhotometricInterpretation") == "MONOCHROME2"
    if not grey or number(header, "SamplesPerPixel") != 1:
        raise DicomReadError(file.path, "only MONOCHROME2 images are supported; export the original images")
    return int(rows), int(columns)


def _required(file: SliceFile, keyword: str, count: int) -> tuple[float, ...]:
    values = numbers(file.header, keyword, count)
    if values is None:
        reason = f"its header has no usable {keyword}; export it again from the scanner or archive"
        raise DicomReadError(file.path, reason)
    return values
