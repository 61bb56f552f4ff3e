"""Regular grids in RAS+ millimetres and smooth random fields that can be evaluated on any of them."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.phantoms.exact import Float, Taps, along_axis, normals, settled_array

Point = tuple[float, float, float]
"""A place in RAS+ millimetres."""

_SPLINE_REACH: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """A regular grid along the RAS+ axes.

    Attributes:
        low_mm: Outer corner with the smallest coordinates.
        high_mm: Opposite corner; the last voxel may stop short of it.
        spacing_mm: Edge of the cubic voxels.
    """

    low_mm: Point
    high_mm: Point
    spacing_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        x, y, z = (
            max(1, int((b - a) / self.spacing_mm + 1e-6)) for a, b in zip(self.low_mm, self.high_mm, strict=True)
        )
        return x, y, z

    @property
    def ras_from_voxel(self) -> NDArray[np.float64]:
        """Affine of shape (4, 4) from voxel indices to millimetres."""
        affine = np.diag([self.spacing_mm] * 3 + [1.0])
        affine[:3, 3] = np.array(self.low_mm) + self.spacing_mm / 2
        return affine

    def axis_mm(self, axis: int) -> NDArray[np.float64]:
        """Return the voxel centres along one axis, in millimetres.

        Args:
            axis: 0, 1 or 2.
        """
        places: NDArray[np.float64] = self.low_mm[axis] + self.spacing_mm * (
            np.arange(self.shape[axis], dtype=np.float64) + 0.5
        )
        return places

    def axes_mm(self) -> tuple[Float, Float, Float]:
        """Return the voxel centres as three arrays that broadcast to the shape of the lattice."""
        x, y, z = (self.axis_mm(a).astype(np.float32) for a in range(3))
        return x[:, None, None], y[None, :, None], z[None, None, :]

    def at_spacing(self, spacing_mm: float) -> "Lattice":
        """Return a lattice over the same box with other voxels.

        Args:
            spacing_mm: Edge of the voxels.
        """
        return replace(self, spacing_mm=spacing_mm)

    def part(self, slices: tuple[slice, slice, slice]) -> "Lattice":
        """Return the lattice of a box of voxels.

        Args:
            slices: With start and stop along each axis.
        """
        low = [a + self.spacing_mm * s.start for a, s in zip(self.low_mm, slices, strict=True)]
        high = [a + self.spacing_mm * s.stop for a, s in zip(self.low_mm, slices, strict=True)]
        return replace(self, low_mm=(low[0], low[1], low[2]), high_mm=(high[0], high[1], high[2]))

    def interpolate(self, values: Float, target: "Lattice") -> Float:
        """Return values of this lattice at another one's voxel centres: linear inside, the edge repeated outside.

        Args:
            values: Array of this lattice's shape.
            target: Where values are wanted.
        """
        for axis in (2, 1, 0):  # the array grows from axis to axis; whole planes are copied when it is largest
            index = (target.axis_mm(axis) - self.low_mm[axis]) / self.spacing_mm - 0.5
            values = along_axis(values, axis, linear_taps(index, self.shape[axis]))
        return values


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SmoothField:
    """A Gaussian random field with unit variance everywhere.

    White noise on coarse nodes is spread by a cubic B-spline, so the same field can be evaluated at any resolution for
    the price of four additions along each axis.

    Attributes:
        nodes: Independent standard normal values.
        low_mm: Place of the first node.
        scale_mm: Distance between nodes.
    """

    nodes: Float
    low_mm: Point
    scale_mm: float

    @staticmethod
    def draw(rng: np.random.Generator, box: Lattice, scale_mm: float) -> "SmoothField":
        """Return a random field that covers a box.

        Args:
            rng: Source of randomness.
            box: Lattice whose box is covered.
            scale_mm: Typical size of the field's features.
        """
        extents = (b - a for a, b in zip(box.low_mm, box.high_mm, strict=True))
        shape = tuple(int(np.ceil(extent / scale_mm)) + 2 * _SPLINE_REACH for extent in extents)
        x, y, z = (a - (_SPLINE_REACH - 0.5) * scale_mm for a in box.low_mm)
        return SmoothField(nodes=normals(rng, shape), low_mm=(x, y, z), scale_mm=scale_mm)

    def on(self, lattice: Lattice) -> Float:
        """Return the field at a lattice's voxel centres.

        Args:
            lattice: A lattice inside the box for which the field was drawn.
        """
        values = self.nodes
        for axis in (2, 1, 0):
            place = (lattice.axis_mm(axis) - self.low_mm[axis]) / self.scale_mm
            values = along_axis(values, axis, _spline_taps(place, self.nodes.shape[axis]))
        return values


def linear_taps(index: NDArray[np.float64], size: int) -> Taps:
    """Return the two places that linear interpolation adds up along an axis, and their weights.

    Args:
        index: Where values are wanted, in voxels; beyond the ends the last voxel is repeated.
        size: Voxels along the axis.
    """
    inside = np.clip(settled_array(index, 20), 0, size - 1)
    left = np.minimum(inside.astype(np.intp), max(size - 2, 0))
    weight = (inside - left).astype(np.float32)
    return (left, np.float32(1) - weight), (np.minimum(left + 1, size - 1), weight)


def cubic_taps(index: NDArray[np.float64], size: int) -> Taps:
    """Return the four places that sharp cubic interpolation (Catmull and Rom) adds up along an axis, and their weights.

    Args:
        index: Where values are wanted, in voxels; beyond the ends the last voxel is repeated.
        size: Voxels along the axis.
    """
    inside = np.clip(settled_array(index, 20), 0, size - 1)
    left = np.minimum(inside.astype(np.intp), max(size - 2, 0))
    t = inside - left
    weights = np.stack(
        [
            -0.5 * t**3 + t**2 - 0.5 * t,
            1.5 * t**3 - 2.5 * t**2 + 1,
            -1.5 * t**3 + 2 * t**2 + 0.5 * t,
            0.5 * t**3 - 0.5 * t**2,
        ]
    )
    weights = settled_array(weights).astype(np.float32)
    return tuple((np.clip(left + step - 1, 0, size - 1), weights[step]) for step in range(4))


def _spline_taps(place: NDArray[np.float64], size: int) -> Taps:
    place = settled_array(place, 20)
    left = np.floor(place).astype(np.intp)
    t = place - left
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3])
    weights /= np.sqrt(weights[0] ** 2 + weights[1] ** 2 + weights[2] ** 2 + weights[3] ** 2)
    weights = settled_array(weights).astype(np.float32)
    return tuple((np.clip(left + step - 1, 0, size - 1), weights[step]) for step in range(4))
