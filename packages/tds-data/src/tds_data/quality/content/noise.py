"""LOW-SNR: noise beside the contrast between tissues.

The noise is read where anatomy hardly reaches: the mixed third difference along x, y and z, by its median, inside the
brain. The contrast is the range of the 3 mm averages.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.quality.codes import flag
from tds_data.quality.content.robust import robust_deviation
from tds_data.quality.content.view import ContentView, Sequence
from tds_data.report import QualityFlag

NOISE_LIMIT: Final = 0.2
"""Noise of one voxel against the range between the 10th and the 90th percentile of the tissue. Untouched patients,
whose images were smoothed by resampling, stay below a third of it; noise of a tenth of a T1's brightness is above."""

_SLAB: Final = (0.45, 0.7)
_MIN_VOXELS: Final = 2000
_INSIDE: Final = 0.98
_EROSION: Final = 2


def measure_noise(sequence: Sequence) -> float | None:
    """Return the noise as a share of the contrast; `None` where there is too little inside.

    Args:
        sequence: One sequence of a view.
    """
    slices = sequence.voxels.shape[2]
    slab = slice(int(slices * _SLAB[0]), max(int(slices * _SLAB[1]), int(slices * _SLAB[0]) + 4))
    mask = ndimage.binary_erosion(sequence.mask[:, :, slab], iterations=_EROSION)
    low = sequence.low[sequence.share > _INSIDE]
    if np.count_nonzero(mask) < _MIN_VOXELS or low.size < _MIN_VOXELS // 10:
        return None
    voxels = sequence.voxels[:, :, slab].astype(np.float32)
    mixed: NDArray[np.float32] = np.diff(np.diff(np.diff(voxels, axis=2), axis=1), axis=0)
    inside = mixed[mask[1:, 1:, 1:]].astype(np.float64)
    darkest, brightest = np.quantile(low, [0.1, 0.9])
    contrast = float(brightest - darkest) * sequence.scale
    return robust_deviation(inside) / np.sqrt(8) / contrast if contrast > 0 else None


def check_noise(view: ContentView) -> tuple[QualityFlag, ...]:
    """Return a finding for each sequence whose noise hides the contrast between tissues.

    Args:
        view: The case.
    """
    flags = []
    for modality, sequence in view.sequences.items():
        noise = measure_noise(sequence)
        if noise is not None and noise > NOISE_LIMIT:
            message = f"{modality} is noisy beside the contrast between its tissues; prefer another acquisition"
            flags.append(flag("LOW-SNR", message, f"noise is {noise:.0%} of the contrast", subject=modality.value))
    return tuple(flags)
