"""One small picture of a case, computed once and shared by all content checks.

Every sequence is averaged to 3 mm voxels in RAS order over the box that holds the head, and scaled so that the median
of its foreground is one. The full-resolution voxels of that box are kept beside it, without a copy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tds_data.case import Case
from tds_data.geometry import Box, Shape, bounding_box, resample, to_canonical
from tds_data.preprocess import background
from tds_data.vocabulary import Modality
from tds_data.volume import Volume, VoxelArray

Float: TypeAlias = NDArray[np.float32]
"""A float32 array."""
Mask: TypeAlias = NDArray[np.bool_]
"""A boolean array."""

LOW_SPACING_MM: Final = 3.0
"""Edge of the small picture's voxels: half a gyrus, and a hundred thousand of them in a head."""
_MARGIN_MM: Final = 6.0
_DARK_PERCENTILE: Final = 0.5
_INSIDE: Final = 0.5
_FLAT: Final = 1e-4  # of the largest value: less is what rounding leaves of a constant
_SHIFTED: Final = 0.1  # of the median above the floor: what a spline leaves below zero is less


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sequence:
    """One sequence of a view.

    Attributes:
        voxels: Full-resolution voxels in RAS order within the view's box, any numeric dtype, shape of the box.
        mask: Where they differ from the background, same shape.
        low: Float32, the small picture; background 0, median of the foreground 1.
        share: Float32 of the same shape, the part of each small voxel that is foreground, 0 to 1.
        background_share: The part of the whole image that is background, 0 to 1.
        scale: What a full-resolution intensity above `floor` was divided by.
        floor: Intensity that became 0.
        is_shifted: Whether tissue reaches well below the background, as in an image that was standardised before: then
            ratios of intensities mean nothing.
    """

    voxels: VoxelArray
    mask: Mask
    low: Float
    share: Float
    background_share: float
    scale: float
    floor: float
    is_shifted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContentView:
    """The small picture of a case.

    Attributes:
        sequences: The sequences that hold something, in model order; perhaps none.
        grid: A canonical (RAS) volume of the case's whole field of view.
        box: The part of it that the sequences' voxels cover.
        ras_from_low: Affine of shape (4, 4) from the small picture's voxel indices to RAS+ millimetres.
        reference: The reference mask in RAS order within the box, if there is one with a lesion.
    """

    sequences: Mapping[Modality, Sequence]
    grid: Volume
    box: Box
    ras_from_low: NDArray[np.float64]
    reference: VoxelArray | None

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Edges of the full-resolution voxels in RAS order, in millimetres."""
        return self.grid.spacing_mm

    @property
    def low_shape(self) -> Shape:
        """Voxels of the small picture along each axis."""
        x, y, z = low_shape(self.box.shape, self.spacing_mm)
        return x, y, z

    def shrink(self, voxels: VoxelArray) -> Float:
        """Return full-resolution voxels of the box, averaged to the small picture's voxels.

        Args:
            voxels: Numbers of the box's shape.
        """
        image = voxels.astype(np.float32, order="K")
        x, y, z = (LOW_SPACING_MM / s for s in self.spacing_mm)
        if image.strides[0] >= image.strides[2]:
            return resample(image, (x, y, z), self.low_shape)
        # NIfTI files hold x as the fastest axis: turning the whole image around first would cost more than averaging.
        return resample(image.T, (z, y, x), self.low_shape[::-1]).T


def low_shape(shape: Shape, spacing_mm: tuple[float, float, float]) -> Shape:
    """Return how many small voxels cover a box.

    Args:
        shape: Full-resolution voxels along each axis.
        spacing_mm: Their edges.
    """
    x, y, z = (max(1, int(np.ceil(n * s / LOW_SPACING_MM - 1e-6))) for n, s in zip(shape, spacing_mm, strict=True))
    return x, y, z


def make_view(case: Case) -> ContentView:
    """Return the small picture of a case.

    Images that hold NaN or infinities or are constant are left out: the gate names those by itself.

    Args:
        case: Registered sequences on one grid.
    """
    found = {m: (v, mask) for m, image in case.images.items() for v, mask in _usable(to_canonical(image))}
    grid = to_canonical(case.grid)
    boxes = [box for _, mask in found.values() if (box := bounding_box(mask)) is not None]
    box = _union(boxes, grid) if boxes else Box(start=(0, 0, 0), stop=grid.shape)
    bare = ContentView(
        sequences=MappingProxyType({}), grid=grid, box=box, ras_from_low=_low_affine(grid, box), reference=None
    )
    sequences: dict[Modality, Sequence] = {}
    for modality, (volume, mask) in found.items():
        sequence = _sequence(bare, volume, mask, tuple(sequences.values()))
        if sequence is not None:
            sequences[modality] = sequence
    reference = None if case.reference is None else to_canonical(case.reference).voxels[box.slices]
    return ContentView(
        sequences=MappingProxyType(sequences),
        grid=grid,
        box=box,
        ras_from_low=bare.ras_from_low,
        reference=reference if reference is not None and reference.any() else None,
    )


def _usable(volume: Volume) -> list[tuple[Volume, Mask]]:
    """Return the volume and its foreground, or nothing if there is none."""
    voxels = volume.voxels
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        return []
    mask = voxels != background(voxels)
    return [(volume, mask)] if mask.any() else []


def _union(boxes: list[Box], grid: Volume) -> Box:
    start, stop = [], []
    for axis, (length, spacing) in enumerate(zip(grid.shape, grid.spacing_mm, strict=True)):
        margin = int(np.ceil(_MARGIN_MM / spacing))
        start.append(max(0, min(b.start[axis] for b in boxes) - margin))
        stop.append(min(length, max(b.stop[axis] for b in boxes) + margin))
    return Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))


def _low_affine(grid: Volume, box: Box) -> NDArray[np.float64]:
    """Return where the small voxels' centres lie; both lattices share the box's outer corner."""
    factors = LOW_SPACING_MM / np.array(grid.spacing_mm)
    full_from_low = np.diag([*factors, 1.0])
    full_from_low[:3, 3] = np.array(box.start) + factors / 2 - 0.5
    return grid.ras_from_voxel @ full_from_low


def _sequence(view: ContentView, volume: Volume, mask: Mask, others: tuple[Sequence, ...]) -> Sequence | None:
    slices = view.box.slices
    voxels, inside = volume.voxels[slices], mask[slices].copy(order="K")
    # Stripped sequences mostly share one mask: it is averaged once.
    share = next((o.share for o in others if np.array_equal(o.mask, inside)), None)
    share = view.shrink(inside) if share is None else share
    empty = background(volume.voxels)
    low = view.shrink(voxels if empty == 0 else voxels.astype(np.float32) - np.float32(empty))
    values = low[share > _INSIDE] / share[share > _INSIDE]
    if values.size == 0:
        return None
    # An image that was z-scored before has tissue below its background.
    floor = min(0.0, float(np.percentile(values, _DARK_PERCENTILE)))
    scale = float(np.median(values)) - floor
    if scale <= _FLAT * float(np.abs(values).max()):
        return None
    low = np.asarray((low - np.float32(floor) * share) / np.float32(scale), np.float32)
    return Sequence(
        voxels=voxels,
        mask=inside,
        low=low,
        share=share,
        background_share=1.0 - float(np.count_nonzero(mask)) / mask.size,
        scale=scale,
        floor=floor + float(empty),
        is_shifted=-floor > _SHIFTED * scale,
    )
