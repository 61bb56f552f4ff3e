"""The borders of labels in a slice, as paths for SVG that run along the edges of pixels."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tds_data.vocabulary import REGION_LABELS, REGIONS, Region


def region_outlines(labels: NDArray[np.generic]) -> tuple[tuple[Region, str], ...]:
    """Return the border of each region that a slice holds, the outermost first.

    Args:
        labels: Labels 0 to 3, shape (row, column).
    """
    found = ((region, np.isin(labels, list(REGION_LABELS[region]))) for region in REGIONS)
    return tuple((region, outline(mask)) for region, mask in found if mask.any())


def outline(mask: NDArray[np.bool_]) -> str:
    """Return the border of a mask as the data of an SVG path, in pixels from the upper left corner.

    Args:
        mask: Shape (row, column).

    Examples:
        >>> outline(np.array([[True]]))
        'M0 0h1M0 1h1M0 0v1M1 0v1'
    """
    padded = np.pad(mask, 1)
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]
    along = (padded[1:-1, 1:] != padded[1:-1, :-1]).T
    rows = (f"M{start} {y}h{length}" for y, edge in enumerate(across) for start, length in _runs(edge))
    columns = (f"M{x} {start}v{length}" for x, edge in enumerate(along) for start, length in _runs(edge))
    return "".join((*rows, *columns))


def _runs(edge: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    changes = np.flatnonzero(np.diff(np.pad(edge, 1).astype(np.int8)))
    for start, stop in changes.reshape(-1, 2):
        yield int(start), int(stop - start)
