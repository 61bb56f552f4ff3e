"""Sequences that are absent, and sequences that are there twice under two names."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.case import Case
from tds_data.quality.codes import flag
from tds_data.quality.sampling import SampledImage
from tds_data.report import QualityFlag
from tds_data.vocabulary import MODALITIES

_EVERY: Final = (slice(None, None, 2),) * 3  # of the sample; ten thousand voxels are plenty
_MIN_SHARED: Final = 100  # sampled voxels that both heads must cover
_MIN_CORRELATION: Final = 0.99  # below this, no rounding makes one image of another
_SURE_CORRELATION: Final = 0.99995  # above this, they differ by less than any two acquisitions do
_ROUNDING: Final = 0.4  # the error of rounding is 0.29 steps on average; the rest is allowance for clipping


def missing_flags(case: Case) -> Iterator[QualityFlag]:
    """Yield each of the four sequences that a case lacks.

    Args:
        case: One patient's sequences.
    """
    for modality in MODALITIES:
        if modality not in case.images:
            message = f"{modality} is missing; results are less accurate without it"
            yield flag("MISSING-SEQUENCE", message, modality.value, subject=modality.value)


def same_flags(sequences: Sequence[SampledImage]) -> Iterator[QualityFlag]:
    """Yield each pair of sequences that are one image, as it is or with its intensities rescaled.

    Two acquisitions of one head never agree up to rounding, even of one contrast: their noise differs.

    Args:
        sequences: The usable images of one study, on one grid.
    """
    for first, second in combinations(sequences, 2):
        likeness = _likeness(first, second)
        if likeness is not None:
            message = (
                f"{first.name} and {second.name} are one image under two names; find out which of them it is and "
                "replace or remove the other"
            )
            yield flag("SAME-SEQUENCE", message, likeness, subject=f"{first.name}, {second.name}")


def _likeness(first: SampledImage, second: SampledImage) -> str | None:
    both = first.sampled_mask[_EVERY] & second.sampled_mask[_EVERY]
    if np.count_nonzero(both) < _MIN_SHARED:
        return None
    x, y = (image.sample[_EVERY][both].astype(np.float64) for image in (first, second))
    if np.array_equal(x, y):
        return "identical"
    deviations = x.std(), y.std()
    if not min(deviations) > 0:
        return None
    x, y = (x - x.mean()) / deviations[0], (y - y.mean()) / deviations[1]
    correlation = float(x @ y) / x.size
    if abs(correlation) < _MIN_CORRELATION:
        return None
    if abs(correlation) < _SURE_CORRELATION and not _within_rounding(x, y, correlation):
        return None
    return f"rescaled, correlation {correlation:.5f}"


def _within_rounding(x: NDArray[np.float64], y: NDArray[np.float64], correlation: float) -> bool:
    """Tell whether two images in units of their deviations differ by no more than both were rounded."""
    unexplained = np.sqrt(max(0.0, 1.0 - correlation**2))
    return bool(unexplained <= _ROUNDING * (_step(x) + _step(y)))


def _step(values: NDArray[np.float64]) -> float:
    levels = np.unique(values)
    return float(np.diff(levels).min())
