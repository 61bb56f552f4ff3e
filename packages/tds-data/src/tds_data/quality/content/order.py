"""SEQUENCE-SWAPPED: a sequence looks like another one than its name says.

How two sequences of the same head go together does not depend on the scanner: T1 and T1ce rise together, T2 falls where
T1 rises, FLAIR lies between. The correlations that the names foretell are compared with those under every exchange of
names.
"""

from itertools import combinations, permutations
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.quality.codes import flag
from tds_data.quality.content.interior import Interior
from tds_data.report import QualityFlag
from tds_data.vocabulary import Modality

EXPECTED: Final = MappingProxyType(
    {
        frozenset({Modality.T1, Modality.T1CE}): (0.6, 0.2),
        frozenset({Modality.T1, Modality.T2}): (-0.5, 0.2),
        frozenset({Modality.T1, Modality.FLAIR}): (0.35, 0.2),
        frozenset({Modality.T1CE, Modality.T2}): (-0.45, 0.2),
        frozenset({Modality.T1CE, Modality.FLAIR}): (0.1, 0.2),
        frozenset({Modality.T2, Modality.FLAIR}): (0.0, 0.3),
    }
)
"""Correlation of the local contrast of two sequences and its spread, rounded from the training patients."""
SWAP_EVIDENCE: Final = 4.0
"""How much likelier (as a logarithm) other names have to be. Untouched patients stay below one."""

_BLUR_VOXELS: Final = 15
_TAILS: Final = (0.02, 0.98)


def correlate(interior: Interior) -> dict[frozenset[Modality], float]:
    """Return the correlation of each two sequences' local contrast inside the brain.

    Args:
        interior: The inside of a case.
    """
    weight = ndimage.uniform_filter(interior.mask.astype(np.float32), _BLUR_VOXELS)
    local: dict[Modality, NDArray[np.float64]] = {}
    for modality, image in interior.images.items():
        drift = ndimage.uniform_filter(image * interior.mask, _BLUR_VOXELS)
        values = image[interior.mask] - drift[interior.mask] / weight[interior.mask]
        low, high = np.quantile(values, _TAILS)
        local[modality] = np.clip(values, low, high).astype(np.float64)
    return {
        frozenset(pair): float(np.corrcoef(local[pair[0]], local[pair[1]])[0, 1]) for pair in combinations(local, 2)
    }


def find_swap(seen: dict[frozenset[Modality], float]) -> tuple[dict[Modality, Modality], float]:
    """Return the likeliest content of each name, and how much likelier it is than what the names say.

    Args:
        seen: What `correlate` returned.
    """
    names = sorted(frozenset().union(*seen), key=list(Modality).index)
    best, likelihood = {name: name for name in names}, -np.inf
    stated = _likelihood(seen, best)
    for content in permutations(names):
        mapping = dict(zip(names, content, strict=True))
        if (value := _likelihood(seen, mapping)) > likelihood:
            best, likelihood = mapping, value
    return best, likelihood - stated


def check_order(interior: Interior) -> tuple[QualityFlag, ...]:
    """Return the finding about sequences under each other's names, if there are any.

    Args:
        interior: The inside of a case; nothing can be said about fewer than three sequences.
    """
    if len(interior.images) < 3:  # noqa: PLR2004  # two go together alike under each other's names
        return ()
    content, evidence = find_swap(correlate(interior))
    moved = [name for name, looks in content.items() if name != looks]
    if not moved or evidence < SWAP_EVIDENCE:
        return ()
    shown = ", ".join(f"{name} looks like {content[name]}" for name in moved)
    message = f"{shown}; check which file holds which sequence"
    subject = ", ".join(moved)
    return (flag("SEQUENCE-SWAPPED", message, f"evidence {evidence:.1f} (logarithm)", subject=subject),)


def _likelihood(seen: dict[frozenset[Modality], float], content: dict[Modality, Modality]) -> float:
    total = 0.0
    for pair, value in seen.items():
        mean, spread = EXPECTED[frozenset(content[name] for name in pair)]
        total -= ((value - mean) / spread) ** 2 / 2 + float(np.log(spread))
    return total
