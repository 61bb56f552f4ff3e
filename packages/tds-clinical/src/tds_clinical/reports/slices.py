"""Planes through a place in a volume, as a radiologist expects to see them.

Volumes here are canonical: their axes run as close to right, anterior and superior as the grid allows
(`tds_data.geometry.to_canonical`). Pictures follow the radiological convention: the patient's right is on the
picture's left, anterior is up in an axial plane and on the left in a sagittal one, superior is up in the others.
Planes of an oblique grid are the planes of that grid, which is how it was acquired.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tds_data.geometry import bounding_box
from tds_data.preprocess import foreground
from tds_data.report import Point
from tds_data.vocabulary import Label
from tds_data.volume import Volume, VoxelArray

Pixels = NDArray[np.uint8]
"""Grey levels of shape (row, column)."""
Shares = NDArray[np.float32]
"""Share of each pixel that each label fills: shape (label, row, column), labels 0 to 3, in [0, 1]."""

_WINDOW_PERCENTILES: Final = (0.5, 99.5)
_MARGIN: Final = 1.12
_MIN_FIELD_MM: Final = 60.0
_SAMPLED_ABOVE_VOXELS: Final = 96


class Plane(StrEnum):
    """One of the three anatomical planes."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    @property
    def picture_axes(self) -> tuple[int, int]:
        """The canonical axes that run along the picture's columns and rows, both of them backwards."""
        return _PICTURE_AXES[self]

    @property
    def normal_axis(self) -> int:
        """The canonical axis that the plane is perpendicular to."""
        return 3 - sum(_PICTURE_AXES[self])

    @property
    def edge_letters(self) -> tuple[str, str, str, str]:
        """Where the patient's sides are at the picture's left, right, top and bottom."""
        columns, rows = _PICTURE_AXES[self]
        return "RAS"[columns], "LPI"[columns], "RAS"[rows], "LPI"[rows]


_PICTURE_AXES: Final = {Plane.AXIAL: (0, 1), Plane.CORONAL: (0, 2), Plane.SAGITTAL: (1, 2)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which intensities become black and white.

    Attributes:
        low: Intensity that is shown black, as is everything below.
        high: Intensity that is shown white, as is everything above; larger than `low`.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What part of the head a picture shows, the same in every plane.

    Attributes:
        centre: Continuous voxel index of the middle of the head.
        width_mm: Edge of the cube around it that pictures show, in millimetres.
    """

    centre: Point
    width_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A square picture of one plane.

    Attributes:
        plane: Which way the plane lies.
        index: Voxel that the plane and its two companions run through.
        field: What part of the head is shown.
        size_px: Edge of the picture in pixels.
    """

    plane: Plane
    index: tuple[int, int, int]
    field: Field
    size_px: int

    @property
    def pixel_mm(self) -> float:
        """Edge of a pixel in millimetres."""
        return self.field.width_mm / self.size_px


def window_of(volume: Volume) -> Window:
    """Return the window between robust percentiles of the volume's foreground.

    Args:
        volume: Canonical intensities.

    Raises:
        VoxelError: If the image holds NaN or infinities or is constant.
    """
    voxels = _sampled(volume, _step(volume))
    inside = voxels[foreground(voxels)].astype(np.float64)
    low, high = np.percentile(inside, _WINDOW_PERCENTILES)
    return Window(low=float(low), high=max(float(high), float(np.nextafter(np.float32(low), np.float32(np.inf)))))


def field_of(volume: Volume) -> Field:
    """Return the cube around the head.

    Args:
        volume: Canonical intensities; everything that differs from the background counts as head.

    Raises:
        VoxelError: If the image holds NaN or infinities or is constant.
    """
    step = _step(volume)
    box = bounding_box(foreground(_sampled(volume, step)))
    if box is None:  # pragma: no cover  # foreground() refuses an empty image first
        return Field(centre=(0.0, 0.0, 0.0), width_mm=_MIN_FIELD_MM)
    x, y, z = ((a + b - 1) / 2 * step for a, b in zip(box.start, box.stop, strict=True))
    extent_mm = max(n * step * s for n, s in zip(box.shape, volume.spacing_mm, strict=True))
    return Field(centre=(x, y, z), width_mm=max(extent_mm * _MARGIN, _MIN_FIELD_MM))


def nearest_voxel(grid: Volume, point_mm: Point) -> tuple[int, int, int]:
    """Return the voxel of the grid that lies nearest to a place.

    Args:
        grid: Any volume.
        point_mm: RAS+ millimetres; a place outside is moved to the nearest face.
    """
    continuous = (np.linalg.inv(grid.ras_from_voxel) @ (*point_mm, 1.0))[:3]
    # Rounding first keeps a place halfway between two voxels on the same side, however the file was stored.
    rounded = np.floor(np.round(continuous, 5) + 0.5).astype(int)
    x, y, z = np.clip(rounded, 0, np.array(grid.shape) - 1).tolist()
    return x, y, z


def plane_position_mm(grid: Volume, view: View) -> float:
    """Return where the plane cuts its own axis, in RAS+ millimetres.

    Args:
        grid: The canonical volume that the view was made for.
        view: The plane.
    """
    place = grid.ras_from_voxel @ (*view.index, 1.0)
    return float(round(place[view.plane.normal_axis], 5)) + 0.0


def pixel_of(grid: Volume, view: View, voxel: tuple[float, float, float]) -> tuple[float, float]:
    """Return the column and row, in pixels, at which a voxel's centre is drawn.

    Args:
        grid: The canonical volume that the view was made for.
        view: The picture.
        voxel: Continuous voxel index; its part along the plane's normal is ignored.
    """
    left, top, right, bottom = _source_box(grid, view)
    columns, rows = view.plane.picture_axes
    column = (grid.shape[columns] - 0.5 - voxel[columns] - left) / (right - left)
    row = (grid.shape[rows] - 0.5 - voxel[rows] - top) / (bottom - top)
    return column * view.size_px, row * view.size_px


def slice_pixels(volume: Volume, view: View, window: Window) -> Pixels:
    """Return the grey levels of a plane, resampled to square pixels; black outside the volume.

    Args:
        volume: Canonical intensities.
        view: The picture.
        window: Intensities that are black and white.

    Returns:
        Array of shape (size_px, size_px).
    """
    plane = _plane(volume.voxels, view).astype(np.float32)
    grey = np.clip((plane - window.low) * (255.0 / (window.high - window.low)), 0.0, 255.0)
    return _resized(np.round(grey).astype(np.uint8), _source_box(volume, view), view, Image.Resampling.BICUBIC)


def slice_shares(mask: Volume, view: View) -> Shares | None:
    """Return how much of each pixel each label fills, or `None` where the plane meets no label at all.

    Args:
        mask: Canonical labels 0 to 3.
        view: The picture.

    Returns:
        Array of shape (4, size_px, size_px).
    """
    plane = _plane(mask.voxels, view)
    if not plane.any():
        return None
    box = _source_box(mask, view)
    shares = np.zeros((len(Label), view.size_px, view.size_px), dtype=np.float32)
    for label in (Label.NCR, Label.ED, Label.ET):
        indicator = (plane == label).astype(np.uint8) * np.uint8(255)
        shares[label] = _resized(indicator, box, view, Image.Resampling.BILINEAR) / np.float32(255)
    shares[Label.BACKGROUND] = 1.0 - shares[1:].sum(axis=0)
    return shares


def _step(volume: Volume) -> int:
    """Return how many voxels to move on when looking at a volume as a whole."""
    return 2 if min(volume.shape) > _SAMPLED_ABOVE_VOXELS else 1


def _sampled(volume: Volume, step: int) -> VoxelArray:
    return np.ascontiguousarray(volume.voxels[::step, ::step, ::step])


def _plane(voxels: VoxelArray, view: View) -> VoxelArray:
    # A view: np.take would first copy a whole volume whose axes were flipped.
    plane: VoxelArray = np.moveaxis(voxels, view.plane.normal_axis, 0)[view.index[view.plane.normal_axis]]
    return plane.T[::-1, ::-1]


def _source_box(grid: Volume, view: View) -> tuple[float, float, float, float]:
    """Return the picture's left, top, right and bottom in pixels of the unscaled plane."""
    edges = []
    for axis in view.plane.picture_axes:
        middle = grid.shape[axis] - 0.5 - view.field.centre[axis]
        half = view.field.width_mm / 2 / grid.spacing_mm[axis]
        edges.append((middle - half, middle + half))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def _resized(plane: Pixels, box: tuple[float, float, float, float], view: View, resampling: Image.Resampling) -> Pixels:
    rows, columns = plane.shape
    left, top, right, bottom = box
    west, north = (max(0, int(np.ceil(-edge))) for edge in (left, top))
    east, south = max(0, int(np.ceil(right)) - columns), max(0, int(np.ceil(bottom)) - rows)
    padded = np.pad(plane, ((north, south), (west, east)))
    inside = (left + west, top + north, right + west, bottom + north)
    picture = Image.fromarray(padded).resize((view.size_px, view.size_px), resampling, box=inside)
    return np.asarray(picture)
