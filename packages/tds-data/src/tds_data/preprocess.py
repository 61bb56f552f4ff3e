"""From a case to the tensor that a network sees, and back to the study's own grid.

The same functions feed training and inference. Each sequence is oriented to RAS, cropped to the head, z-scored over
its own foreground and averaged (or interpolated) to the network's voxels; sequences that are absent are all zero. Masks
travel as the share of each voxel that a region fills, both ways, and become labels by a threshold at the end.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tds_data.case import Case
from tds_data.errors import GeometryError, VoxelError
from tds_data.geometry import Box, Interpolation, Shape, bounding_box, from_canonical, resample, to_canonical
from tds_data.vocabulary import MODALITIES, REGION_LABELS, REGIONS, Modality, Region
from tds_data.volume import Volume, VoxelArray

FloatImage = NDArray[np.float32]
"""A float32 array; four axes are (channel, x, y, z)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessConfig:
    """How cases become tensors; part of a model bundle.

    Attributes:
        modalities: Channel order of the network.
        spacing_mm: Edges of the voxels that the network sees, in millimetres: one number for cubes, or one for each
            axis from left to right, back to front and bottom to top.
        clip: Largest absolute z-score; values beyond are clipped to it.
        interpolation: How images get values along axes whose voxels shrink; see `tds_data.geometry.resample`. Masks
            and probabilities are always interpolated linearly.

    Raises:
        GeometryError: If an edge is not a positive, finite number or there are not one or three of them.
        VoxelError: If the clip is not above 0.
    """

    modalities: tuple[Modality, ...] = MODALITIES
    spacing_mm: float | tuple[float, float, float] = 2.0
    clip: float = 6.0
    interpolation: Interpolation = Interpolation.LINEAR

    def __post_init__(self) -> None:
        edges = self.spacing_mm if isinstance(self.spacing_mm, tuple) else (self.spacing_mm,)
        if len(edges) not in {1, 3} or not all(math.isfinite(edge) and edge > 0 for edge in edges):
            message = f"a network's voxels have one edge or three, each above 0 mm; {self.spacing_mm} was given"
            raise GeometryError(message)
        if not self.clip > 0:
            message = f"z-scores are clipped to a number above 0; {self.clip} was given"
            raise VoxelError(message)

    @property
    def voxel_mm(self) -> tuple[float, float, float]:
        """Edges of the network's voxels along x, y and z, in millimetres."""
        if isinstance(self.spacing_mm, tuple):
            return self.spacing_mm
        return self.spacing_mm, self.spacing_mm, self.spacing_mm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A case as a network sees it, and what is needed to go back.

    Attributes:
        tensor: Float32 array of shape (channel, x, y, z), z-scores, RAS orientation.
        grid: The case's own grid.
        box: The part of the RAS-oriented grid that the tensor covers.
        factors: Network voxel size divided by the RAS-oriented grid's voxel size along each axis.
    """

    tensor: FloatImage
    grid: Volume
    box: Box
    factors: tuple[float, float, float]


def prepare(case: Case, config: PreprocessConfig) -> Prepared:
    """Return the network's view of a case.

    Args:
        case: Registered, skull-stripped sequences on one grid.
        config: How to preprocess.

    Raises:
        VoxelError: If an image holds NaN or infinities or has no foreground.
    """
    canonical = {m: to_canonical(v) for m, v in case.images.items()}
    masks = {m: foreground(v.voxels, name=m) for m, v in canonical.items()}
    union = np.logical_or.reduce(list(masks.values()))
    box = bounding_box(union)
    if box is None:  # pragma: no cover  # foreground() refuses an empty image first
        message = "no foreground in any sequence"
        raise VoxelError(message)
    first = next(iter(canonical.values()))
    sx, sy, sz = (edge / s for edge, s in zip(config.voxel_mm, first.spacing_mm, strict=True))
    shape = network_shape(box.shape, (sx, sy, sz))
    tensor = np.zeros((len(config.modalities), *shape), dtype=np.float32)
    for channel, modality in enumerate(config.modalities):
        if modality in canonical:
            image = standardise(canonical[modality].voxels[box.slices], masks[modality][box.slices], config.clip)
            tensor[channel] = resample(image, (sx, sy, sz), shape, interpolation=config.interpolation)
    return Prepared(tensor=tensor, grid=case.grid, box=box, factors=(sx, sy, sz))


def prepare_reference(prepared: Prepared, reference: Volume) -> FloatImage:
    """Return the share of each network voxel that each region fills, for training.

    Args:
        prepared: The case's network view.
        reference: Mask with labels 0 to 3 on the case's grid.

    Returns:
        Float32 array of shape (region, x, y, z) in [0, 1], regions in the order WT, TC, ET.
    """
    labels = to_canonical(reference).voxels[prepared.box.slices]
    _, x, y, z = prepared.tensor.shape
    regions = [np.isin(labels, list(REGION_LABELS[region])).astype(np.float32) for region in REGIONS]
    return np.stack([resample(region, prepared.factors, (x, y, z)) for region in regions])


def restore(image: FloatImage, prepared: Prepared) -> FloatImage:
    """Return one network output on the case's own grid, zero outside the head.

    Args:
        image: Float32 array of shape (x, y, z) on the network grid.
        prepared: What `prepare` returned.
    """
    x, y, z = (1.0 / f for f in prepared.factors)
    inside = resample(image, (x, y, z), prepared.box.shape)
    canonical = np.zeros(to_canonical(prepared.grid).shape, dtype=np.float32)
    canonical[prepared.box.slices] = inside
    return np.asarray(from_canonical(canonical, prepared.grid), dtype=np.float32)


def foreground(voxels: VoxelArray, *, name: str = "image") -> NDArray[np.bool_]:
    """Return where an image differs from its background.

    The background is the commonest value of the six outer faces: 0 in a skull-stripped image, some other constant in
    one that was normalised before.

    Args:
        voxels: Array of shape (x, y, z).
        name: What to call the image in an error.

    Raises:
        VoxelError: If the image holds NaN or infinities or is constant.
    """
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        count = int(np.count_nonzero(~np.isfinite(voxels)))
        message = f"{name} holds {count} voxels that are NaN or infinite; export the image again"
        raise VoxelError(message)
    mask: NDArray[np.bool_] = voxels != background(voxels)
    if not mask.any():
        message = f"{name} is constant (every voxel is {voxels.flat[0]}); export the image again"
        raise VoxelError(message)
    return mask


def background(voxels: VoxelArray) -> np.generic:
    """Return the commonest value on the six outer faces.

    Args:
        voxels: Finite numbers of shape (x, y, z).
    """
    faces = [np.moveaxis(voxels, axis, 0)[index] for axis in range(3) for index in (0, -1)]
    first: np.generic = faces[0].flat[0]
    if all((face == first).all() for face in faces):
        return first
    values, counts = np.unique(np.concatenate([face.ravel() for face in faces]), return_counts=True)
    most_common: np.generic = values[counts.argmax()]
    return most_common


def region_labels(regions: Mapping[Region, NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Return the label map that nested region masks describe.

    Args:
        regions: Boolean masks of one shape for WT, TC and ET; TC is cut to WT and ET to TC.
    """
    whole = regions[Region.WT]
    core = regions[Region.TC] & whole
    enhancing = regions[Region.ET] & core
    labels = whole.astype(np.uint8) * 2
    labels[core] = 1
    labels[enhancing] = 3
    return labels


def standardise(voxels: VoxelArray, mask: NDArray[np.bool_], clip: float) -> FloatImage:
    """Return z-scores over a foreground, zero outside it.

    Args:
        voxels: Finite numbers of shape (x, y, z).
        mask: The foreground, of the same shape, not empty.
        clip: Largest absolute z-score.
    """
    # One memory layout for every orientation of the same head: sums then round alike.
    image = voxels.astype(np.float32, order="C")
    mask = np.ascontiguousarray(mask)
    inside = image[mask]
    deviation = float(inside.std(dtype=np.float64)) or 1.0
    image -= np.float32(inside.mean(dtype=np.float64))
    image /= np.float32(deviation)
    np.clip(image, -clip, clip, out=image)
    image *= mask
    return image


def network_shape(shape: Shape, factors: tuple[float, float, float]) -> Shape:
    """Return how many voxels of a network cover a grid, the last one in part.

    Args:
        shape: Voxels of the grid.
        factors: Network voxel size divided by the grid's along each axis.
    """
    x, y, z = (max(1, int(np.ceil(n / f - 1e-6))) for n, f in zip(shape, factors, strict=True))
    return x, y, z
