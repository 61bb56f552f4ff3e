"""Cutting a patch: a plain copy where nothing turns, matrix products where it is only scaled, sampling otherwise.

Voxels outside the source are zero, or -1 in channels with a window. Images are interpolated linearly, as MONAI's Affine
does and by the same `grid_sample`. Labels take the class with the largest interpolated share, and only where the lesion
can be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tds_data.box import Box, Shape
from tds_data.loading.augmentation.filters import Taps, along_axes, cubic_spline, interpolate, taps
from tds_data.loading.augmentation.record import IDENTITY, Elastic, Geometry
from tds_data.loading.augmentation.source import VoxelSource
from tds_data.loading.augmentation.workspace import Workspace

_SLAB_VOXELS: Final = {"cpu": 1 << 17, "cuda": 1 << 24}
_TOGETHER: Final = 3
"""Labels that are interpolated at a time: positions are worked out once for them all, and memory is bounded."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """How the voxels of a patch lie in a source.

    Attributes:
        start: The source's voxel under the patch's first voxel, were nothing turned; may lie outside.
        shape: Voxels of the patch along x, y, z.
        geometry: Turns, scales, mirrors, deformations about the patch's middle.
    """

    start: Shape
    shape: Shape
    geometry: Geometry

    @property
    def matrix(self) -> NDArray[np.float64]:
        """From voxels of the patch to voxels of the source, mirrors included; float64 of shape (3, 3)."""
        return np.array(self.geometry.matrix) @ np.diag([-1.0 if m else 1.0 for m in self.geometry.mirrored])

    @property
    def offset(self) -> NDArray[np.float64]:
        """What to add after the matrix; float64 of shape (3,)."""
        middle = (np.array(self.shape) - 1) / 2
        return np.array(self.start) + middle - self.matrix @ middle


def place(source: VoxelSource, placement: Placement, image: Tensor, labels: Tensor, workspace: Workspace) -> None:
    """Fill a patch.

    Args:
        source: Where to cut from.
        placement: Where, and how turned.
        image: Float32 tensor of shape (channel, x, y, z), contiguous; overwritten.
        labels: Uint8 tensor of shape (x, y, z); overwritten.
        workspace: Scratch on the same device.
    """
    _place(source, placement, image, labels, workspace)
    for channel in source.windowed:
        image[channel].sub_(1)


def _place(source: VoxelSource, placement: Placement, image: Tensor, labels: Tensor, workspace: Workspace) -> None:
    """Fill a patch, channels with a window shifted so that they begin at 0, which is what lies outside."""
    geometry = placement.geometry
    if geometry.matrix == IDENTITY and geometry.elastic is None:
        _copy(source, placement, image, labels)
        return
    lattice = _Lattice.of(placement, image.device)
    box = _source_box(placement, Box(start=(0, 0, 0), stop=placement.shape), source.shape)
    labels.zero_()
    if box is None:
        image.zero_()
        return
    region = workspace.get("region", (image.shape[0], *box.shape))
    source.read_image(box, (False, False, False), region)
    _shift(source, region)
    if _is_scaled(placement):
        _scale_image(region, box, placement, image, workspace)
    else:
        _sample_image(region, box, lattice, image, workspace)
    _place_labels(source, placement, lattice, labels, workspace)


def _shift(source: VoxelSource, part: Tensor) -> None:
    for channel in source.windowed:
        part[channel].add_(1)


def _copy(source: VoxelSource, placement: Placement, image: Tensor, labels: Tensor) -> None:
    """Copy voxels, mirrored and with zeros outside the source."""
    inside = _overlap(placement.start, placement.shape, source.shape)
    if inside is None:
        image.zero_()
        labels.zero_()
        return
    if inside.shape != placement.shape:
        image.zero_()
        labels.zero_()
    mirrored = placement.geometry.mirrored
    at = tuple(
        slice(stop - b, stop - a) if flip else slice(a - start, b - start)
        for a, b, start, stop, flip in zip(
            inside.start,
            inside.stop,
            placement.start,
            (s + n for s, n in zip(placement.start, placement.shape, strict=True)),
            mirrored,
            strict=True,
        )
    )
    source.read_image(inside, mirrored, image[:, *at])
    _shift(source, image[:, *at])
    source.read_labels(inside, mirrored, labels[at])


def _scale_image(region: Tensor, box: Box, placement: Placement, image: Tensor, workspace: Workspace) -> None:
    along = _scale_taps(placement, Box(start=(0, 0, 0), stop=placement.shape), box)
    for channel in range(image.shape[0]):
        interpolate(region[channel], along, image[channel], workspace)


def _scale_taps(placement: Placement, part: Box, box: Box) -> tuple[Taps, Taps, Taps]:
    """Return how a part of a patch that is only scaled is interpolated from a part of the source."""
    steps, offset = np.diag(placement.matrix), placement.offset - box.start
    x, y, z = (
        taps(np.arange(s.start, s.stop) * step + first, size, fade=True)
        for s, step, first, size in zip(part.slices, steps, offset, box.shape, strict=True)
    )
    return x, y, z


def _sample_image(region: Tensor, box: Box, lattice: "_Lattice", image: Tensor, workspace: Workspace) -> None:
    x, y, z = image.shape[1:]
    for slab in _slabs(Box(start=(0, 0, 0), stop=(x, y, z)), image.device):
        grid = lattice.grid(slab, box, workspace)
        image[:, *slab.slices] = functional.grid_sample(region[None], grid[None], align_corners=False)[0]


def _slabs(part: Box, device: torch.device) -> Iterator[Box]:
    """Give a part slab by slab: positions and result of one stay in the cache, and in memory that is already there."""
    (first, *low), (last, *high) = part.start, part.stop
    step = max(1, _SLAB_VOXELS.get(device.type, _SLAB_VOXELS["cpu"]) // (part.shape[1] * part.shape[2]))
    for x in range(first, last, step):
        yield Box(start=(x, low[0], low[1]), stop=(min(x + step, last), high[0], high[1]))


def _place_labels(
    source: VoxelSource, placement: Placement, lattice: "_Lattice", labels: Tensor, workspace: Workspace
) -> None:
    part = source.lesion_box and _patch_box(placement, source.lesion_box)
    box = part and _source_box(placement, part, source.shape)
    if not part or not box:
        return
    numbers = workspace.get("labels", box.shape, torch.uint8)
    source.read_labels(box, (False, False, False), numbers)
    found = source.label_numbers
    sampler = _Sampler(placement=placement, lattice=lattice, part=part, box=box, workspace=workspace)
    if len(found) <= _TOGETHER:
        for slab, shares in sampler.sampled(numbers, found):
            _largest(shares, found, labels[slab.slices], workspace)
        return
    # Too many to hold the shares of all: the largest so far, and how much all have together.
    best, total = workspace.get("best", part.shape).zero_(), workspace.get("total", part.shape).zero_()
    for first in range(0, len(found), _TOGETHER):
        some = found[first : first + _TOGETHER]
        for slab, shares in sampler.sampled(numbers, some):
            at = tuple(slice(a - s, b - s) for a, b, s in zip(slab.start, slab.stop, part.start, strict=True))
            for label, share in zip(some, shares, strict=True):
                labels[slab.slices].masked_fill_(share > best[at], label)
                torch.maximum(best[at], share, out=best[at])
                total[at].add_(share)
    labels[part.slices].masked_fill_(best <= total.neg_().add_(1), 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sampler:
    """Interpolates the shares of labels."""

    placement: Placement
    lattice: "_Lattice"
    part: Box
    box: Box
    workspace: Workspace

    def sampled(self, numbers: Tensor, labels: tuple[int, ...]) -> Iterator[tuple[Box, Tensor]]:
        """Give parts of the patch, and in each the share of every label."""
        shares = self.workspace.get("region", (len(labels), *self.box.shape))
        for place, label in enumerate(labels):
            torch.eq(numbers, label, out=shares[place])
        if _is_scaled(self.placement):
            along = _scale_taps(self.placement, self.part, self.box)
            scaled = self.workspace.get("scaled", (len(labels), *self.part.shape))
            for place in range(len(labels)):
                interpolate(shares[place], along, scaled[place], self.workspace)
            yield self.part, scaled
            return
        for slab in _slabs(self.part, numbers.device):
            grid = self.lattice.grid(slab, self.box, self.workspace)
            yield slab, functional.grid_sample(shares[None], grid[None], align_corners=False)[0]


def _largest(shares: Tensor, numbers: tuple[int, ...], labels: Tensor, workspace: Workspace) -> None:
    """Give each voxel the label with the largest share; what the labels leave is background."""
    largest = workspace.get("largest", tuple(labels.shape))
    torch.sum(shares, 0, out=largest)
    largest.neg_().add_(1)
    for label, share in zip(numbers, shares, strict=True):
        labels.masked_fill_(share > largest, label)
        torch.maximum(largest, share, out=largest)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lattice:
    """Source positions of the voxels of a patch, by parts: a term for each axis, and a spline."""

    terms: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    splines: tuple[Tensor, Tensor, Tensor] | None
    control: Tensor | None
    device: torch.device

    @classmethod
    def of(cls, placement: Placement, device: torch.device) -> "_Lattice":
        matrix, offset = placement.matrix, placement.offset
        x, y, z = (np.arange(n)[:, None] * matrix[:, axis] for axis, n in enumerate(placement.shape))
        elastic = placement.geometry.elastic
        if elastic is None:
            return cls(terms=(x + offset, y, z), splines=None, control=None, device=device)
        weights = [cubic_spline(n, elastic.spacing_voxels) for n in placement.shape]
        control = _displacements(elastic, tuple(w.shape[1] for w in weights)) @ np.array(placement.geometry.matrix).T
        a, b, c = (torch.from_numpy(w.astype(np.float32)).to(device) for w in weights)
        return cls(
            terms=(x + offset, y, z),
            splines=(a, b, c),
            control=torch.from_numpy(np.moveaxis(control, -1, 0).astype(np.float32)).to(device),
            device=device,
        )

    def grid(self, part: Box, box: Box, workspace: Workspace) -> Tensor:
        """Return the positions of a part of the patch in a part of the source, as `grid_sample` takes them."""
        grid = workspace.get("grid", (*part.shape, 3))
        for axis in range(3):
            # grid_sample counts from -1 to 1 between the outer faces, and names the last axis first.
            size = box.shape[axis]
            x, y, z = (
                torch.from_numpy((term[s, axis] * (2 / size)).astype(np.float32)).to(self.device)
                for term, s in zip(self.terms, part.slices, strict=True)
            )
            plane = y[:, None] + z[None] + ((1 - 2 * box.start[axis]) / size - 1)
            component = grid[..., 2 - axis]
            torch.add(x[:, None, None], plane, out=component)
            if self.splines is not None and self.control is not None:
                a, b, c = (matrix[s] for matrix, s in zip(self.splines, part.slices, strict=True))
                bent = workspace.get("c", part.shape)
                along_axes(self.control[axis].contiguous(), (a, b, c), bent, workspace)
                component.add_(bent, alpha=2 / size)
        return grid


def _displacements(elastic: Elastic, shape: tuple[int, ...]) -> NDArray[np.float64]:
    rng = np.random.default_rng(elastic.seed)
    return rng.uniform(-elastic.magnitude_voxels, elastic.magnitude_voxels, (*shape, 3))


def _source_box(placement: Placement, part: Box, size: Shape) -> Box | None:
    """Return what of the source a part of the patch is interpolated from."""
    return _mapped(placement.matrix, placement.offset, _grown(part, placement.geometry.elastic), size)


def _patch_box(placement: Placement, part: Box) -> Box | None:
    """Return where in the patch a part of the source can come to lie."""
    inverse = np.linalg.inv(placement.matrix)
    found = _mapped(np.asarray(inverse, np.float64), -inverse @ placement.offset, _grown(part, None, margin=1.0), None)
    if found is None:  # pragma: no cover  # an unbounded target always overlaps
        return None
    reach = 0.0 if placement.geometry.elastic is None else placement.geometry.elastic.magnitude_voxels
    low = [max(0, int(np.floor(a - reach))) for a in found.start]
    high = [min(n, int(np.ceil(b + reach))) for b, n in zip(found.stop, placement.shape, strict=True)]
    return _box(low, high)


def _grown(
    part: Box, elastic: Elastic | None, *, margin: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first and last voxel centres of a part, moved outwards."""
    reach = margin + (0.0 if elastic is None else elastic.magnitude_voxels)
    low, high = np.array(part.start, np.float64), np.array(part.stop, np.float64)
    return low - reach, high - 1 + reach


def _mapped(
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    corners: tuple[NDArray[np.float64], NDArray[np.float64]],
    size: Shape | None,
) -> Box | None:
    """Return the box of voxels that linear interpolation at the image of a box touches."""
    low, high = corners
    middle = matrix @ ((low + high) / 2) + offset
    reach = np.abs(matrix) @ ((high - low) / 2)
    start = [int(n) for n in np.floor(middle - reach)]
    stop = [int(n) for n in np.floor(middle + reach) + 2]
    if size is not None:
        start = [max(0, a) for a in start]
        stop = [min(n, b) for n, b in zip(size, stop, strict=True)]
    return _box(start, stop)


def _overlap(start: Shape, shape: Shape, size: Shape) -> Box | None:
    low = [max(0, a) for a in start]
    high = [min(n, a + length) for n, a, length in zip(size, start, shape, strict=True)]
    return _box(low, high)


def _box(start: list[int], stop: list[int]) -> Box | None:
    if any(a >= b for a, b in zip(start, stop, strict=True)):
        return None
    return Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))


def _is_scaled(placement: Placement) -> bool:
    matrix = placement.matrix
    return placement.geometry.elastic is None and not np.count_nonzero(matrix - np.diag(np.diag(matrix)))
