"""Slices of a validation case with what was found and what the reference says, the same slices through time.

What was found is a translucent fill, the reference a line in the same colour with a dark rim. The colours are taken
from Okabe and Ito (2008), which stay apart for people with any common colour-vision deficiency. Every picture says
that it is for research only, and one of synthetic data says that too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import cc3d
import numpy as np
from numpy.typing import NDArray

from tds_core.errors import EvaluationError
from tds_core.pictures.canvas import Colour, Pixels, framed

LABEL_COLOURS: Final[tuple[Colour, ...]] = (
    (213, 94, 0),
    (86, 180, 233),
    (240, 228, 66),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
)
"""Colours of the labels 1, 2, ...; after the last they begin again."""

_SIZE_PX: Final = 384
_FILL_OPACITY: Final = 0.42
_LOWEST_PERCENT: Final = 1.0
_HIGHEST_PERCENT: Final = 99.7
_RIM: Final = (0, 0, 0)

Labels = NDArray[np.uint8]
"""Label numbers of shape (x, y, z), RAS+."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlay:
    """A slice of a case with what was found and what the reference says.

    Attributes:
        name: Stable name such as `case-3-axial`.
        pixels: Uint8 array of shape (row, column, 3).
    """

    name: str
    pixels: NDArray[np.uint8]


class Plane(StrEnum):
    """How a volume is cut."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    @property
    def normal(self) -> int:
        """The axis (0 x, 1 y, 2 z) that the plane is perpendicular to."""
        return {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}[self]

    @property
    def edges(self) -> tuple[str, str, str, str]:
        """What lies to the left, right, top and bottom: patient's right is on the left, front is on the left."""
        return {
            Plane.SAGITTAL: ("A", "P", "S", "I"),
            Plane.CORONAL: ("R", "L", "S", "I"),
            Plane.AXIAL: ("R", "L", "A", "P"),
        }[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """How a case is looked at, chosen once for a run.

    Attributes:
        name: Stable name without anything about the patient, such as `case-3`.
        slices: Voxel along x, y, z that the three planes go through.
        labels: Names of the labels 1, 2, ....
        phantom: Whether the case is synthetic; the picture says so.
        spacing_mm: Edges of a voxel along x, y, z, millimetres.
    """

    name: str
    slices: tuple[int, int, int]
    labels: tuple[str, ...]
    phantom: bool
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)


def choose_slices(truth: Labels) -> tuple[int, int, int]:
    """Return the voxel at the centre of the largest lesion of a reference; the middle one where there is none.

    Args:
        truth: The reference; a lesion is any label above 0, connected by faces, edges or corners.

    Returns:
        The lesion's own voxel that is nearest to its centroid, so each plane through it shows the lesion.
    """
    lesions, count = cc3d.connected_components(np.ascontiguousarray(truth > 0), connectivity=26, return_N=True)
    if count == 0:
        return _three([n // 2 for n in truth.shape])
    sizes = np.bincount(lesions.ravel(), minlength=count + 1)
    voxels = np.argwhere(lesions == 1 + int(np.argmax(sizes[1:])))
    distance = ((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1)
    return _three([int(n) for n in voxels[int(np.argmin(distance))]])


def draw_overlays(image: NDArray[np.float32], found: Labels, truth: Labels, view: CaseView) -> tuple[Overlay, ...]:
    """Return the three planes of a case.

    Args:
        image: One channel of shape (x, y, z), z-scores.
        found: What the network says.
        truth: The reference.
        view: Where to look.

    Raises:
        EvaluationError: If the three are not on the same grid.
    """
    return tuple(draw_overlay(image, found, truth, view, plane) for plane in Plane)


def draw_overlay(image: NDArray[np.float32], found: Labels, truth: Labels, view: CaseView, plane: Plane) -> Overlay:
    """Return one plane of a case; grey values are spread alike in every picture of the same image.

    Args:
        image: One channel of shape (x, y, z), z-scores.
        found: What the network says.
        truth: The reference.
        view: Where to look.
        plane: How to cut.

    Raises:
        EvaluationError: If the three are not on the same grid.
    """
    if not image.shape == found.shape == truth.shape:
        message = (
            f"image {image.shape}, found labels {found.shape} and reference {truth.shape} are not on the same grid; "
            "give all three as (x, y, z) of the network's grid"
        )
        raise EvaluationError(message)
    cuts = [_cut(volume, view, plane) for volume in (image, found, truth)]
    rows, columns = _pixel_grid(cuts[0].shape, _edges_mm(view, plane))
    nearest = np.ix_(np.rint(rows).astype(int), np.rint(columns).astype(int))
    grey = _spread(_resample(cuts[0].astype(np.float32), rows, columns), image)
    grey[cuts[0][nearest] == image.flat[0]] = 0.0  # zero, the background, is the mean of z-scores
    picture = np.repeat(grey[..., None], 3, axis=2)
    _fill(picture, cuts[1][nearest])
    _outline(picture, cuts[2][nearest])
    pixels = framed(
        picture.round().astype(np.uint8),
        edges=plane.edges,
        legend=[(name, _colour(number)) for number, name in enumerate(view.labels, start=1)],
        phantom=view.phantom,
    )
    return Overlay(name=f"{view.name}-{plane}", pixels=pixels)


def _cut(volume: NDArray[np.generic], view: CaseView, plane: Plane) -> NDArray[np.generic]:
    """Return a slice with rows from top to bottom and columns from left to right."""
    return np.flip(np.take(volume, view.slices[plane.normal], axis=plane.normal).T)


def _edges_mm(view: CaseView, plane: Plane) -> tuple[float, float]:
    """Return the height and width of a slice's pixels."""
    x, y, z = view.spacing_mm
    return {Plane.SAGITTAL: (z, y), Plane.CORONAL: (z, x), Plane.AXIAL: (y, x)}[plane]


def _pixel_grid(shape: Sequence[int], edges_mm: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the rows and columns of the picture lie on the slice, in voxels."""
    lengths = [n * mm for n, mm in zip(shape, edges_mm, strict=True)]
    scale = _SIZE_PX / max(lengths)
    counts = [max(1, round(length * scale)) for length in lengths]
    rows, columns = (
        np.clip((np.arange(count) + 0.5) * n / count - 0.5, 0, n - 1) for count, n in zip(counts, shape, strict=True)
    )
    return rows, columns


def _resample(values: NDArray[np.float32], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Pixels:
    """Return values between the pixels' centres by linear interpolation."""
    for axis, places in enumerate((rows, columns)):
        low = np.floor(places).astype(int)
        high = np.minimum(low + 1, values.shape[axis] - 1)
        share = np.expand_dims(places - low, 1 - axis)
        values = values.take(low, axis=axis) * (1 - share) + values.take(high, axis=axis) * share
    return values.astype(np.float32)


def _spread(grey: Pixels, image: NDArray[np.float32]) -> Pixels:
    """Return grey values of 0 to 255, from the image's darkest to its brightest outside the background."""
    inside = image[image != image.flat[0]]  # the corner is background
    low, high = np.percentile(inside, (_LOWEST_PERCENT, _HIGHEST_PERCENT)) if inside.size else (0.0, 0.0)
    return np.clip((grey - low) / max(float(high - low), 1e-6) * 255.0, 0.0, 255.0).astype(np.float32)


def _fill(picture: Pixels, labels: NDArray[np.generic]) -> None:
    for number in _numbers(labels):
        inside = labels == number
        picture[inside] = picture[inside] * (1 - _FILL_OPACITY) + np.array(_colour(number)) * _FILL_OPACITY


def _outline(picture: Pixels, labels: NDArray[np.generic]) -> None:
    numbers = _numbers(labels)
    lines = {number: _border(labels == number) for number in numbers}
    if not lines:
        return
    every = np.logical_or.reduce(list(lines.values()))
    picture[_grown(every) & ~every] = _RIM
    for number, line in lines.items():
        picture[line] = _colour(number)


def _border(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the outermost two pixels of a mask."""
    return inside & _grown(_grown(~inside))


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _numbers(labels: NDArray[np.generic]) -> list[int]:
    return [int(number) for number in np.unique(labels) if number > 0]


def _colour(number: int) -> Colour:
    return LABEL_COLOURS[(number - 1) % len(LABEL_COLOURS)]


def _three(numbers: Sequence[int]) -> tuple[int, int, int]:
    x, y, z = numbers
    return x, y, z
