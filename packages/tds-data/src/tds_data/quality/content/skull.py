"""SKULL-PRESENT: scalp and skull are still around the brain.

From the outer surface inwards, a head goes from bright scalp through dark bone to bright brain; a stripped brain only
brightens, or darkens, from its rim on. So the median intensity at each depth is looked at: a deep valley in it is bone.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.quality.codes import flag
from tds_data.quality.content.view import ContentView, Float, Mask, Sequence
from tds_data.report import QualityFlag

VALLEY_LIMIT: Final = 0.25
"""Depth of the valley between scalp and brain, as a share of the lower of the two. Stripped patients stay below half of
it, in every sequence; bone of 5 mm between scalp and brain gives three times as much."""
MIN_BACKGROUND_SHARE: Final = 0.3
"""A masked image has at least this share of constant background; one with less has air with noise in it."""

_DEPTHS: Final = 12
_MIN_VOXELS: Final = 50
_AIR: Final = 0.5
_INSIDE: Final = 0.5
_BINS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Head:
    """What of a sequence is no air.

    Attributes:
        mask: Boolean of the small picture's shape, without holes, one piece.
        masked: Whether the image's background is constant, as after stripping or defacing.
    """

    mask: Mask
    masked: bool


def find_head(sequence: Sequence) -> Head:
    """Return what of a sequence is no air: its foreground, or what is bright if the air holds noise.

    Args:
        sequence: One sequence of a view.
    """
    masked = sequence.background_share >= MIN_BACKGROUND_SHARE
    if masked:
        bright = sequence.share > _INSIDE
    else:
        bright = sequence.low > _AIR * _threshold(sequence.low)
        bright = ndimage.binary_opening(ndimage.binary_closing(bright, iterations=2))
    return Head(mask=_largest_piece(ndimage.binary_fill_holes(bright)), masked=masked)


def measure_depth(head: Head) -> NDArray[np.intp]:
    """Return how many small voxels deep each one lies under the surface; 0 outside.

    Where the head goes on beyond the field of view there is no surface: a cut shows brain beside bone beside scalp.

    Args:
        head: What of a picture is no air.
    """
    padded = np.pad(head.mask, 1, mode="constant" if head.mask.all() else "edge")
    depth: NDArray[np.intp] = np.rint(ndimage.distance_transform_edt(padded)[1:-1, 1:-1, 1:-1]).astype(np.intp)
    return depth


def measure_valley(image: Float, depth: NDArray[np.intp]) -> float:
    """Return how deep the valley between rim and middle is, 0 for none to 1.

    Args:
        image: A small picture.
        depth: What `measure_depth` returned.
    """
    return _valley(_profile(image, depth))


def check_skull(view: ContentView) -> tuple[QualityFlag, ...]:
    """Return a finding for each sequence that still holds the skull.

    Args:
        view: The case.
    """
    flags = []
    known: list[tuple[Mask, NDArray[np.intp]]] = []
    for modality, sequence in view.sequences.items():
        head = find_head(sequence)
        depth = next((d for mask, d in known if np.array_equal(mask, head.mask)), None)
        if depth is None:
            depth = measure_depth(head)
            known.append((head.mask, depth))
        valley = measure_valley(sequence.low, depth)
        message = f"{modality} is not skull-stripped: {{}}; strip the skull first"
        if valley > VALLEY_LIMIT:
            text = message.format("a dark ring of bone lies between a bright rim and the brain")
            flags.append(flag("SKULL-PRESENT", text, f"ring {valley:.0%} darker", subject=modality.value))
        elif not head.masked:
            text = message.format("its background is not constant")
            shown = f"{sequence.background_share:.0%} constant background"
            flags.append(flag("SKULL-PRESENT", text, shown, subject=modality.value))
    return tuple(flags)


def _profile(image: Float, depth: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the median at each depth of 3 mm, from the surface on, as far as there are enough voxels."""
    medians = []
    for layer in range(1, _DEPTHS + 1):
        values = image[depth == layer]
        if values.size < _MIN_VOXELS:
            break
        medians.append(float(np.median(values)))
    return np.array(medians)


def _valley(profile: NDArray[np.float64]) -> float:
    deepest = 0.0
    for layer in range(1, len(profile) - 1):
        rim = min(profile[:layer].max(), profile[layer + 1 :].max())
        if rim > 0:
            deepest = max(deepest, 1 - profile[layer] / rim)
    return float(min(deepest, 1.0))


def _largest_piece(mask: Mask) -> Mask:
    pieces, count = ndimage.label(mask)
    if count <= 1:
        return np.asarray(mask, dtype=np.bool_)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax(), dtype=np.bool_)


def _threshold(image: Float) -> float:
    """Return the value that parts dark from bright best (Otsu 1979)."""
    counts, edges = np.histogram(image, _BINS)
    middles = (edges[1:] + edges[:-1]) / 2
    below, mass = np.cumsum(counts), np.cumsum(counts * middles)
    apart = (mass[-1] * below / below[-1] - mass) ** 2 / np.maximum(below * (below[-1] - below), 1)
    return float(middles[apart.argmax()])
