"""How well probabilities tell how often they are right."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_core.errors import EvaluationError
from tds_core.metrics.masks import Mask, Spacing, check_masks
from tds_data.box import Box, bounding_box

REGION_MARGIN_MM: Final = 10.0
"""How far the region in which calibration is judged reaches beyond both masks, millimetres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A reliability diagram: probabilities in bins of one width over 0 to 1.

    Attributes:
        counts: Voxels in each bin.
        confidence: Mean probability in each bin; NaN where it is empty.
        frequency: Share of each bin's voxels that are in the reference; NaN where it is empty.
        brier: Mean squared difference of probability and truth (Brier 1950), in [0, 1].
    """

    counts: tuple[int, ...]
    confidence: tuple[float, ...]
    frequency: tuple[float, ...]
    brier: float

    @property
    def expected_error(self) -> float:
        """Mean gap of confidence and frequency, weighted by the bins' voxels (ECE; Naeini et al. 2015), in [0, 1]."""
        return sum(n * gap for n, gap in zip(self.counts, self._gaps(), strict=True)) / sum(self.counts)

    @property
    def maximum_error(self) -> float:
        """Largest gap of confidence and frequency over the bins that hold a voxel (MCE), in [0, 1]."""
        return max(self._gaps())

    def _gaps(self) -> list[float]:
        pairs = zip(self.confidence, self.frequency, strict=True)
        return [0.0 if math.isnan(mean) else abs(mean - share) for mean, share in pairs]


def calibrate(probability: NDArray[np.floating], truth: Mask, *, bins: int = 15) -> Calibration:
    """Return how well probabilities agree with a reference.

    Args:
        probability: Float array of probabilities of being inside, in [0, 1]; cut to the region to judge.
        truth: The reference, of the same shape.
        bins: How many bins of one width; a probability on an edge belongs to the bin below it.

    Raises:
        EvaluationError: If the shapes differ, there is no voxel, or a probability is not in [0, 1].
    """
    if probability.shape != truth.shape or truth.dtype != np.bool_ or not truth.size or bins < 1:
        message = (
            f"probabilities of shape {probability.shape} cannot be compared with a {truth.dtype} reference of shape "
            f"{truth.shape} in {bins} bins; give two arrays of one shape with a voxel at least, the second boolean"
        )
        raise EvaluationError(message)
    values = probability.ravel().astype(np.float64)
    if not (values.min() >= 0.0 and values.max() <= 1.0):
        message = f"probabilities lie from {values.min()} to {values.max()}; they must be numbers from 0 to 1"
        raise EvaluationError(message)
    inside = truth.ravel()
    place = np.clip(np.ceil(values * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, weights=values, minlength=bins) / counts
        frequency = np.bincount(place, weights=inside, minlength=bins) / counts
    return Calibration(
        counts=tuple(int(n) for n in counts),
        confidence=tuple(float(c) for c in confidence),
        frequency=tuple(float(f) for f in frequency),
        brier=float(np.mean(np.square(values - inside))),
    )


def pool_calibration(parts: Sequence[Calibration]) -> Calibration:
    """Return the calibration over the voxels of several.

    Args:
        parts: At least one, all with the same number of bins.

    Raises:
        EvaluationError: If there is none, or they have different bins.
    """
    if not parts or len({len(part.counts) for part in parts}) > 1:
        message = f"calibrations of {[len(part.counts) for part in parts]} bins cannot be pooled; give some of one"
        raise EvaluationError(message)
    counts = np.array([part.counts for part in parts])
    total = counts.sum(axis=0)
    with np.errstate(invalid="ignore"):
        confidence, frequency = (
            np.nansum(counts * np.array([getattr(part, name) for part in parts]), axis=0) / total
            for name in ("confidence", "frequency")
        )
    voxels = counts.sum(axis=1)
    return Calibration(
        counts=tuple(int(n) for n in total),
        confidence=tuple(float(c) for c in confidence),
        frequency=tuple(float(f) for f in frequency),
        brier=float(np.average([part.brier for part in parts], weights=voxels)),
    )


def region_of_interest(
    found: Mask, truth: Mask, spacing_mm: Spacing, *, margin_mm: float = REGION_MARGIN_MM
) -> Box | None:
    """Return the box in which calibration is judged: around both masks and some millimetres more.

    Over a whole head almost every voxel is far from any tumour and certainly none, which would hide every error.

    Args:
        found: The mask to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis.
        margin_mm: How far the box reaches beyond the masks.

    Returns:
        The box, cut to the grid, or `None` if both masks are empty.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    check_masks(found, truth, spacing_mm)
    box = bounding_box(found | truth)
    if box is None:
        return None
    widths = [math.ceil(margin_mm / size) for size in spacing_mm]
    x, y, z = (max(0, start - width) for start, width in zip(box.start, widths, strict=True))
    i, j, k = (min(size, stop + width) for size, stop, width in zip(truth.shape, box.stop, widths, strict=True))
    return Box(start=(x, y, z), stop=(i, j, k))
