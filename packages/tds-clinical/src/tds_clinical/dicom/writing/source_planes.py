"""Where the pictures lie that a result is drawn on, in DICOM's own words.

A result takes position, orientation and spacing from the headers of its source, digit by digit, so that viewers find
each of its frames on the frame that it belongs to; a resampled volume has none, and its planes follow from its affine.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.dicom._decimal import decimal
from tds_clinical.dicom._tags import numbers, texts
from tds_clinical.dicom.source import SourceFrame, SourceSeries
from tds_clinical.errors import ResultsDisagree

_LPS_FROM_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_SAME_PLACE_MM: Final = 0.05
_SAME_PLACE_STEPS: Final = 0.05
_RIGHT_ANGLE: Final = 1e-3

DecimalStrings = tuple[str, ...]
"""Values of an element of DICOM's decimal strings, each of 16 characters at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlanes:
    """The planes of a volume's slices.

    Attributes:
        orientation: Image Orientation (Patient), six values.
        pixel_spacing: Distance between rows, distance between columns, millimetres.
        thickness: Slice Thickness, millimetres.
        slice_spacing: Distance between neighbouring slices, millimetres.
        positions: Image Position (Patient) of each slice along z, three values each.
    """

    orientation: DecimalStrings
    pixel_spacing: DecimalStrings
    thickness: str
    slice_spacing: str
    positions: tuple[DecimalStrings, ...]


def source_planes(source: SourceSeries) -> SourcePlanes:
    """Return the planes of a series' slices.

    Args:
        source: The series.

    Raises:
        ResultsDisagree: If the headers do not put the slices where the affine does, or if a resampled volume's axes
            are not at right angles.
    """
    from_affine = _planes_of_affine(source)
    if source.frames is None:
        return from_affine
    frames = [_frame_items(source.headers[frame.instance], frame) for frame in source.frames]
    planes = SourcePlanes(
        orientation=_strings(frames[0], "PlaneOrientationSequence", "ImageOrientationPatient", 6),
        pixel_spacing=_strings(frames[0], "PixelMeasuresSequence", "PixelSpacing", 2),
        thickness=_thickness(frames[0]) or from_affine.thickness,
        slice_spacing=from_affine.slice_spacing,
        positions=tuple(_strings(items, "PlanePositionSequence", "ImagePositionPatient", 3) for items in frames),
    )
    _check_same_place(planes, from_affine, source)
    return planes


def _frame_items(header: Dataset, frame: SourceFrame) -> tuple[Dataset, ...]:
    """Return where a frame's attributes may be: its own functional groups, the shared ones, the header itself."""
    if frame.frame is None:
        return (header,)
    groups: list[Dataset] = []
    for keyword, index in (
        ("PerFrameFunctionalGroupsSequence", frame.frame - 1),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        sequence = header.get(keyword) or []
        if index < len(sequence):
            groups.append(sequence[index])
    return (*groups, header)


def _strings(items: tuple[Dataset, ...], group: str, keyword: str, count: int) -> DecimalStrings:
    for item in items:
        for holder in (*(item.get(group) or []), item):
            if numbers(holder, keyword, count) is not None:
                return texts(holder, keyword)
    message = f"the source's headers have no usable {keyword}; read the series again from its files"
    raise ResultsDisagree(message)


def _thickness(items: tuple[Dataset, ...]) -> str | None:
    for item in items:
        for holder in (*(item.get("PixelMeasuresSequence") or []), item):
            thickness = numbers(holder, "SliceThickness", 1)
            if thickness is not None and thickness[0] > 0:
                return texts(holder, "SliceThickness")[0]
    return None


def _planes_of_affine(source: SourceSeries) -> SourcePlanes:
    lps = _LPS_FROM_RAS @ source.ras_from_voxel
    spacing_mm = np.linalg.norm(lps[:3, :3], axis=0)
    cosines = lps[:3, :3] / spacing_mm
    if source.frames is None and not np.allclose(cosines.T @ cosines, np.eye(3), atol=_RIGHT_ANGLE):
        message = (
            "the resampled series' axes are not at right angles, which no DICOM frame can be; resample it to a box"
        )
        raise ResultsDisagree(message)
    places = lps[:3, 3] + np.arange(source.shape[2])[:, None] * lps[:3, 2]
    spacing = [decimal(mm) for mm in spacing_mm]
    return SourcePlanes(
        orientation=tuple(decimal(c) for c in cosines[:, :2].T.ravel()),
        pixel_spacing=(spacing[1], spacing[0]),
        thickness=spacing[2],
        slice_spacing=spacing[2],
        positions=tuple(tuple(decimal(c) for c in place) for place in places),
    )


def _check_same_place(planes: SourcePlanes, from_affine: SourcePlanes, source: SourceSeries) -> None:
    """Corners of each frame, by its header and by the affine: what is mirrored, turned or in another order is off."""
    count = len(planes.positions)
    if count != source.shape[2]:
        message = f"the source has {count} frames for {source.shape[2]} slices; read the series again from its files"
        raise ResultsDisagree(message)
    off_mm = float(np.linalg.norm(_corners(planes, source) - _corners(from_affine, source), axis=-1).max())
    allowed_mm = _SAME_PLACE_MM + _SAME_PLACE_STEPS * float(from_affine.slice_spacing)
    if off_mm > allowed_mm:
        message = (
            f"the source's headers put its slices up to {off_mm:.2f} mm off the mask's grid; "
            "read the series again from its files, and give the mask that was made on it"
        )
        raise ResultsDisagree(message)


def _corners(planes: SourcePlanes, source: SourceSeries) -> NDArray[np.float64]:
    """Return the centres of the corner pixels of each frame, shape (frame, 4, 3), LPS millimetres."""
    columns, rows, _ = source.shape
    across, down = np.array(planes.orientation, float).reshape(2, 3)
    row_mm, column_mm = (float(value) for value in planes.pixel_spacing)
    positions = np.array(planes.positions, float)
    steps = [(i, j) for i in (0, columns - 1) for j in (0, rows - 1)]
    return np.stack([positions + across * (i * column_mm) + down * (j * row_mm) for i, j in steps], axis=1)
