"""Whether two images are one: their details, one laid onto the other.

Details are what is between 4 and 12 mm in size inside the head or body; the outline, which patients may share, is left
out. The second image is mirrored in every way and moved to where it suits the first best.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from tds_data.curation.spectrum import in_cells
from tds_data.volume import Volume

_FINE: Final = 1.0  # cells of 4 mm
_COARSE: Final = 3.0
_BRIGHT_QUANTILE: Final = 0.99
_INSIDE: Final = 0.1  # of the bright
_LEAST_WEIGHT: Final = 0.05
_EDGE: Final = 2  # cells that are partly outside
_MIN_CELLS: Final = 100
_MIN_SHARE: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detail:
    """An image's details.

    Attributes:
        values: Shape (x, y, z), in cells of 4 mm; 0 outside.
        inside: Where they count.
    """

    values: NDArray[np.float32]
    inside: NDArray[np.bool_]


def detail(volume: Volume) -> Detail:
    """Return an image's details.

    Args:
        volume: An image of any kind and orientation.
    """
    cells = in_cells(volume)
    lit = np.abs(cells[cells != 0])
    bright = np.quantile(lit, _BRIGHT_QUANTILE) if lit.size else 1.0
    body = ndimage.binary_fill_holes(np.abs(cells) > _INSIDE * bright)
    inside = ndimage.binary_erosion(body, iterations=_EDGE)
    if np.count_nonzero(inside) < _MIN_CELLS:
        inside = body
    values = _smoothed(cells, body, _FINE) - _smoothed(cells, body, _COARSE)
    return Detail(values=np.where(inside, values, np.float32(0)), inside=inside)


def overlap_correlation(first: Detail, second: Detail, order: tuple[int, int, int] = (0, 1, 2)) -> float:
    """Return how alike two images' details are where they overlap, 1 for the same, 0 if they overlap too little.

    Args:
        first: Details of one image.
        second: Of another one.
        order: Which of the second's axes lies along each of the first's.
    """
    turned = Detail(values=second.values.transpose(order), inside=second.inside.transpose(order))
    sizes = [fft.next_fast_len(a + b, real=True) for a, b in zip(first.values.shape, turned.values.shape, strict=True)]
    waves = fft.rfftn(first.values, sizes)
    return max(_mirrored(first, waves, turned, steps, sizes) for steps in product((1, -1), repeat=3))


def _mirrored(
    first: Detail, waves: NDArray[np.complex64], second: Detail, steps: tuple[int, ...], sizes: list[int]
) -> float:
    mirror = tuple(slice(None, None, step) for step in steps)
    values, inside = second.values[mirror], second.inside[mirror]
    match = fft.irfftn(waves * np.conj(fft.rfftn(values, sizes)), sizes)
    place = np.unravel_index(np.argmax(match), match.shape)
    here, there = [], []
    for at, size, length, other in zip(place, sizes, first.values.shape, values.shape, strict=True):
        offset = int(at) if at < length else int(at) - size
        start, stop = max(0, offset), min(length, offset + other)
        here.append(slice(start, stop))
        there.append(slice(start - offset, stop - offset))
    both = first.inside[tuple(here)] & inside[tuple(there)]
    least = max(2, _MIN_SHARE * min(np.count_nonzero(first.inside), np.count_nonzero(inside)))
    if np.count_nonzero(both) < least:
        return 0.0
    return _correlation(first.values[tuple(here)][both], values[tuple(there)][both])


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 0.0


def _smoothed(cells: NDArray[np.float32], body: NDArray[np.bool_], sigma: float) -> NDArray[np.float32]:
    """Return the mean of the body around each cell: what is outside takes no part."""
    weights = body.astype(np.float32)
    total = ndimage.gaussian_filter(cells * weights, sigma, mode="constant")
    share = ndimage.gaussian_filter(weights, sigma, mode="constant")
    return np.asarray(total / np.maximum(share, _LEAST_WEIGHT), np.float32)
