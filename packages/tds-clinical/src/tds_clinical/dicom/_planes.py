"""Image planes of a series: where each slice lies and whether together they fill a regular grid.

Places here are in DICOM's patient axes (LPS, millimetres; PS3.3, section C.7.6.2) until `ras_from_voxel` leaves them.
"""

from dataclasses import dataclass
from statistics import median_low
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_clinical.dicom._model import SeriesFiles, SliceFile
from tds_clinical.dicom._tags import number, numbers, text
from tds_clinical.errors import DicomReadError, GeometryNotSupported, IncompleteSeries

_RAS_FROM_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_COSINE_TOLERANCE: Final = 1e-3
_SPACING_TOLERANCE_MM: Final = 1e-3
_FEWEST_SLICES: Final = 2
_SAME_PLACE_MM: Final = 1e-2
_GAP_TOLERANCE: Final = 0.05
_DRIFT_TOLERANCE_MM: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """Where one slice lies.

    Attributes:
        file: The slice's file.
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


def read_plane(file: SliceFile) -> Plane:
    """Return where a slice lies.

    Args:
        file: A single-frame image.

    Raises:
        DicomReadError: If its geometry is missing or is none.
    """
    header = file.header
    rows, columns = (_required(file, keyword, 1)[0] for keyword in ("Rows", "Columns"))
    orientation = np.array(_required(file, "ImageOrientationPatient", 6))
    row_spacing, column_spacing = _required(file, "PixelSpacing", 2)
    across, down = orientation[:3], orientation[3:]
    unit = np.allclose([across @ across, down @ down, across @ down], [1, 1, 0], atol=_COSINE_TOLERANCE)
    if not unit or min(row_spacing, column_spacing) <= 0 or min(rows, columns) < 1:
        reason = "its orientation, pixel spacing or matrix size is impossible; export it again from the scanner"
        raise DicomReadError(file.path, reason)
    grey = text(header, "PhotometricInterpretation") == "MONOCHROME2"
    if not grey or number(header, "SamplesPerPixel") != 1:
        raise DicomReadError(file.path, "only MONOCHROME2 images are supported; export the original images")
    return Plane(
        file=file,
        shape=(int(rows), int(columns)),
        position_mm=np.array(_required(file, "ImagePositionPatient", 3)),
        across=across,
        down=down,
        spacing_mm=(row_spacing, column_spacing),
    )


def places(series: SeriesFiles) -> list[list[Plane]]:
    """Return the planes of a series along the slice normal, those at the same place together.

    Args:
        series: Single-frame images.

    Raises:
        DicomReadError: If a slice has no usable geometry.
        GeometryNotSupported: If the slices differ in orientation, spacing or matrix size.
    """
    planes = [read_plane(file) for file in series.slices]
    for plane in planes:
        _check_alike(series, planes[0], plane)
    normal = planes[0].normal
    planes.sort(key=lambda p: float(p.position_mm @ normal))
    grouped = [[planes[0]]]
    for plane in planes[1:]:
        if (plane.position_mm - grouped[-1][0].position_mm) @ normal < _SAME_PLACE_MM:
            grouped[-1].append(plane)
        else:
            grouped.append([plane])
    return grouped


def ras_from_voxel(series: SeriesFiles, planes: list[Plane]) -> NDArray[np.float64]:
    """Return the affine from (column, row, slice) indices to RAS+ millimetres, shape (4, 4).

    Args:
        series: The series, for messages.
        planes: One plane for each place, along the slice normal.

    Raises:
        GeometryNotSupported: If there is a single slice, or the slices are shifted against each other.
        IncompleteSeries: If the distances between slices differ.
    """
    if len(planes) < _FEWEST_SLICES:
        raise GeometryNotSupported(series.label, "it has a single slice; a volume needs at least two")
    first = planes[0]
    steps = np.diff([p.position_mm @ first.normal for p in planes])
    _check_steps(series, steps)
    step = (planes[-1].position_mm - first.position_mm) / (len(planes) - 1)
    line = first.position_mm + np.arange(len(planes))[:, None] * (step @ first.normal) * first.normal
    drift_mm = float(np.linalg.norm(np.array([p.position_mm for p in planes]) - line, axis=1).max())
    if drift_mm > _DRIFT_TOLERANCE_MM + _GAP_TOLERANCE * float(steps.mean()):
        reason = f"its slices are shifted against each other by up to {drift_mm:.2f} mm; resample them to a box first"
        raise GeometryNotSupported(series.label, reason)
    row_spacing, column_spacing = first.spacing_mm
    lps = np.eye(4)
    lps[:3, :3] = np.stack([first.across * column_spacing, first.down * row_spacing, step], axis=1)
    lps[:3, 3] = first.position_mm
    return np.asarray(_RAS_FROM_LPS @ lps)


def _check_steps(series: SeriesFiles, steps: NDArray[np.float64]) -> None:
    expected = float(median_low(steps.tolist()))
    worst = int(np.argmax(np.abs(steps - expected)))
    if abs(steps[worst] - expected) > _GAP_TOLERANCE * expected:
        raise IncompleteSeries(series.label, gap_mm=float(steps[worst]), expected_mm=expected, after_slice=worst + 1)


def _check_alike(series: SeriesFiles, first: Plane, plane: Plane) -> None:
    if plane.shape != first.shape:
        reason = f"slices of {first.shape} and {plane.shape} rows and columns are mixed; export them as two series"
        raise GeometryNotSupported(series.label, reason)
    if not np.allclose(plane.spacing_mm, first.spacing_mm, rtol=0, atol=_SPACING_TOLERANCE_MM):
        reason = f"pixel spacings {first.spacing_mm} and {plane.spacing_mm} mm are mixed; export them as two series"
        raise GeometryNotSupported(series.label, reason)
    turned = [plane.across - first.across, plane.down - first.down]
    if not np.allclose(turned, 0, atol=_COSINE_TOLERANCE):
        reason = "slices of different orientation are mixed, as in a localizer; export one orientation as one series"
        raise GeometryNotSupported(series.label, reason)


def _required(file: SliceFile, keyword: str, count: int) -> tuple[float, ...]:
    values = numbers(file.header, keyword, count)
    if values is None:
        reason = f"its header has no usable {keyword}; export it again from the scanner or archive"
        raise DicomReadError(file.path, reason)
    return values
