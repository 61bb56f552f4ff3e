"""Lattices in millimetres and smooth random fields that can be evaluated on any of them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
"""Float32 array."""
Point = tuple[float, float, float]
"""A place in RAS+ millimetres."""

_KERNEL_WIDTH: Final = 0.75
_KERNEL_REACH: Final = 3


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
        centres = np.arange(self.shape[axis], dtype=np.float64) + 0.5
        places: NDArray[np.float64] = self.low_mm[axis] + self.spacing_mm * centres
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
        return Lattice(low_mm=self.low_mm, high_mm=self.high_mm, spacing_mm=spacing_mm)

    def interpolate(self, values: Float, target: "Lattice") -> Float:
        """Return values of this lattice at another one's voxel centres: linear inside, the edge repeated outside.

        Args:
            values: Array of this lattice's shape.
            target: Where values are wanted.
        """
        matrices = []
        for axis, size in enumerate(self.shape):
            index = (target.axis_mm(axis) - self.low_mm[axis]) / self.spacing_mm - 0.5
            offset = np.abs(np.clip(index, 0, size - 1)[:, None] - np.arange(size)[None])
            matrices.append(np.clip(1 - offset, 0, None).astype(np.float32))
        return _separable(values, matrices)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SmoothField:
    """A stationary Gaussian random field with unit variance.

    White noise on coarse nodes is spread by a separable Gaussian kernel, so the same field can be evaluated at any
    resolution for the price of three small matrix products.

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
        shape = [int(np.ceil(extent / scale_mm)) + 2 * _KERNEL_REACH for extent in extents]
        x, y, z = (a - (_KERNEL_REACH - 0.5) * scale_mm for a in box.low_mm)
        nodes = rng.standard_normal(shape, dtype=np.float32)
        return SmoothField(nodes=nodes, low_mm=(x, y, z), scale_mm=scale_mm)

    def on(self, lattice: Lattice) -> Float:
        """Return the field at a lattice's voxel centres.

        Args:
            lattice: A lattice inside the box for which the field was drawn.
        """
        matrices = []
        for axis, size in enumerate(self.nodes.shape):
            place = (lattice.axis_mm(axis) - self.low_mm[axis]) / self.scale_mm
            kernel = np.exp(-0.5 * ((place[:, None] - np.arange(size)[None]) / _KERNEL_WIDTH) ** 2)
            kernel /= np.linalg.norm(kernel, axis=1, keepdims=True)
            matrices.append(kernel.astype(np.float32))
        return _separable(self.nodes, matrices)


def _separable(values: Float, matrices: list[Float]) -> Float:
    # One large product per axis: batches of small ones crawl when a threaded BLAS has to share its cores.
    for matrix in matrices:
        values = np.tensordot(values, matrix, axes=(0, 1))
    return np.ascontiguousarray(values)
