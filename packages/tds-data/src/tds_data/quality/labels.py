"""What speaks against a mask: values outside its scheme, places outside the brain, specks."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.geometry import bounding_box
from tds_data.quality.codes import flag
from tds_data.quality.sampling import SampledImage
from tds_data.report import QualityFlag, Severity
from tds_data.volume import Volume, VoxelArray

SPECK_ML: Final = 0.01
"""An island of this volume or less, or of at most two voxels, is a speck."""
FEW_SPECKS: Final = 20
"""Fewer specks than this are a note, more a warning."""
OUTSIDE_ML: Final = 0.02
"""A mask may lie outside the brain by this much, as resampling leaves it."""

_TOUCHING: Final = np.ones((3, 3, 3), dtype=bool)  # by a face, an edge or a corner
_SPECK_VOXELS: Final = 2
_SHOWN: Final = 5


def scheme_flags(mask: Volume, allowed: Collection[int], scheme: str) -> Iterator[QualityFlag]:
    """Yield whether a mask holds values that its scheme does not know.

    Args:
        mask: As stored.
        allowed: The scheme's numbers; 0 is always allowed.
        scheme: What to call the scheme.
    """
    values = np.unique(mask.voxels[mask.voxels != 0])
    strange = [value for value in values if not (np.isfinite(value) and int(value) == value and int(value) in allowed)]
    if strange:
        known = ", ".join(map(str, sorted({0, *allowed})))
        message = (
            f"the mask holds values outside the scheme {scheme} ({known}); map them to it or name the right scheme"
        )
        shown = ", ".join(f"{value:g}" for value in strange[:_SHOWN]) + (", ..." if len(strange) > _SHOWN else "")
        yield flag("LABELS-OUTSIDE-SCHEME", message, shown, subject="mask")


def mask_flags(mask: Volume, images: Sequence[SampledImage]) -> Iterator[QualityFlag]:
    """Yield what speaks against where a mask's labels are.

    Args:
        mask: Labels; everything but 0 and NaN counts.
        images: The usable images on the mask's grid.
    """
    marked = _marked(mask.voxels)
    box = bounding_box(marked)
    if box is None:
        yield flag("EMPTY-MASK", "the mask marks nothing; make sure that there is no tumour to mark", subject="mask")
        return
    inside = marked[box.slices]
    yield from _outside(inside, [image.mask[box.slices] for image in images], mask.voxel_volume_ml)
    yield from _specks(inside, mask.voxel_volume_ml)


def _marked(voxels: VoxelArray) -> NDArray[np.bool_]:
    marked: NDArray[np.bool_] = voxels != 0
    return marked & ~np.isnan(voxels) if voxels.dtype.kind == "f" else marked


def _outside(
    marked: NDArray[np.bool_], heads: Sequence[NDArray[np.bool_]], voxel_volume_ml: float
) -> Iterator[QualityFlag]:
    if not heads:
        return
    total = int(np.count_nonzero(marked))
    outside = total - int(np.count_nonzero(marked & np.logical_or.reduce(list(heads))))
    volume_ml = outside * voxel_volume_ml
    if volume_ml > OUTSIDE_ML:
        message = "part of the mask lies where every image is background; check that mask and images belong together"
        yield flag(
            "LABELS-OUTSIDE-BRAIN", message, f"{volume_ml:.2g} mL, {100 * outside / total:.2g}% of it", subject="mask"
        )


def _specks(marked: NDArray[np.bool_], voxel_volume_ml: float) -> Iterator[QualityFlag]:
    numbered, _ = ndimage.label(marked, _TOUCHING)
    sizes = np.bincount(numbered.ravel())[1:]
    limit = max(SPECK_ML / voxel_volume_ml, _SPECK_VOXELS)
    specks = int(np.count_nonzero(sizes <= limit))
    if specks:
        severity = Severity.INFO if specks < FEW_SPECKS else Severity.WARNING
        message = (
            f"the mask has islands of at most {SPECK_ML} mL or two voxels; remove those that are slips of the brush"
        )
        yield flag("SPECKS", message, f"{specks} of {len(sizes)} islands", subject="mask", severity=severity)
