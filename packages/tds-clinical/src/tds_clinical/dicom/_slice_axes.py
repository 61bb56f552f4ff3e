"""Where the slices of a series lie, as numbers: points of a slice to LPS millimetres and back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tds_clinical.dicom.source import SourceSeries
from tds_clinical.dicom.writing.source_planes import SourcePlanes, source_planes

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SliceAxes:
    """The planes of a series' slices, each as its own image's header places it.

    Attributes:
        planes: The same in DICOM's words.
        in_plane: LPS steps of one column and of one row, millimetres, shape (2, 3).
        positions: LPS centre of each slice's first pixel, shape (slices, 3).
        normal: Unit LPS direction at right angles to the slices, shape (3,).
    """

    planes: SourcePlanes
    in_plane: Points
    positions: Points
    normal: Points

    def to_lps(self, points: Points, slices: NDArray[np.int64]) -> Points:
        """Return points in the patient.

        Args:
            points: Columns and rows, in pixels, shape (n, 2).
            slices: Slice of each, shape (n,).

        Returns:
            LPS millimetres, shape (n, 3).
        """
        return np.asarray(self.positions[slices] + points @ self.in_plane)

    def to_slice(self, points: Points, slice_index: int) -> Points:
        """Return points of the patient as columns and rows of a slice, dropped onto it at right angles.

        Args:
            points: LPS millimetres, shape (n, 3).
            slice_index: The slice.

        Returns:
            Pixels, shape (n, 2).
        """
        return np.asarray((points - self.positions[slice_index]) @ np.linalg.pinv(self.in_plane))

    def nearest_slice(self, points: Points) -> tuple[int, float]:
        """Return the slice that points lie in, and the largest distance of any of them from it in millimetres.

        Args:
            points: LPS millimetres, shape (n, 3).
        """
        heights = points @ self.normal
        slices = self.positions @ self.normal
        nearest = int(np.abs(slices - heights.mean()).argmin())
        return nearest, float(np.abs(heights - slices[nearest]).max())


def slice_axes(source: SourceSeries) -> SliceAxes:
    """Return where the slices of a series lie.

    Args:
        source: The series.

    Raises:
        ResultsDisagree: As `source_planes`.
    """
    planes = source_planes(source)
    across, down = np.array(planes.orientation, np.float64).reshape(2, 3)
    row_mm, column_mm = (float(value) for value in planes.pixel_spacing)
    normal = np.cross(across, down)
    return SliceAxes(
        planes=planes,
        in_plane=np.stack([across * column_mm, down * row_mm]),
        positions=np.array(planes.positions, np.float64),
        normal=normal / np.linalg.norm(normal),
    )
