"""Lesion-wise scores of BraTS 2023.

Every lesion of the reference counts alike, however large. The challenge's description and rules: Baid et al. 2021
(arXiv:2107.02314) for the regions, the organisers' announcement of lesion-wise scores (2023) and LaBella et al. 2023
(arXiv:2305.07642) for the rest.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from tds_core.errors import EvaluationError
from tds_core.metrics._surfaces import element_surfaces
from tds_core.metrics.distances import element_hd95_mm, pair_for_distances
from tds_core.metrics.masks import Mask, MaskPair, Spacing, pair_masks
from tds_core.metrics.overlap import count_overlap

Labels = NDArray[np.unsignedinteger]
"""Number of the component that each voxel belongs to, 0 outside all."""

_CONNECTIVITY: Final = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionRule:
    """How lesions are told apart and counted. The defaults are those for gliomas in BraTS 2023.

    Attributes:
        dilation: Steps by which the reference grows before lesions are told apart and matched; each step takes in
            voxels that share a face or an edge.
        min_volume_mm3: Lesions of the reference up to this volume are not counted.
        penalty_mm: HD95 of a missed and of a false lesion, millimetres.

    Raises:
        EvaluationError: If one of them is negative or not finite.
    """

    dilation: int = 3
    min_volume_mm3: float = 50.0
    penalty_mm: float = 374.0

    def __post_init__(self) -> None:
        if not all(0 <= value < math.inf for value in (self.dilation, self.min_volume_mm3, self.penalty_mm)):
            message = f"lesions cannot be told apart by {self}; give finite numbers from 0"
            raise EvaluationError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionScore:
    """Score of one lesion of the reference.

    Attributes:
        volume_ml: Its volume, millilitres.
        found: Whether a found lesion lies within the dilation.
        dice: Dice with all found lesions that do, 0 if there is none.
        hd95_mm: 95th percentile Hausdorff distance to them, or the penalty.
    """

    volume_ml: float
    found: bool
    dice: float
    hd95_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionScores:
    """Scores of all lesions of a case.

    Attributes:
        lesions: Each lesion of the reference that counts.
        false_lesions: Found lesions that belong to none, not even to one too small to count.
        penalty_mm: HD95 of a false lesion.
    """

    lesions: tuple[LesionScore, ...]
    false_lesions: int
    penalty_mm: float

    @property
    def lesions_true(self) -> int:
        """Lesions of the reference that count."""
        return len(self.lesions)

    @property
    def lesions_found(self) -> int:
        """Lesions of the reference that were found."""
        return sum(lesion.found for lesion in self.lesions)

    @property
    def lesions_missed(self) -> int:
        """Lesions of the reference that were not found."""
        return self.lesions_true - self.lesions_found

    @property
    def dice(self) -> float:
        """Mean Dice over true and false lesions, false ones being 0; 1 if there are none of either."""
        count = self.lesions_true + self.false_lesions
        return sum(lesion.dice for lesion in self.lesions) / count if count else 1.0

    @property
    def hd95_mm(self) -> float:
        """Mean HD95 over true and false lesions, false ones being the penalty; 0 if there are none of either."""
        distances = [lesion.hd95_mm for lesion in self.lesions] + [self.penalty_mm] * self.false_lesions
        return fmean(distances) if distances else 0.0

    @property
    def sensitivity(self) -> float:
        """Share of the lesions that were found; 1 if there are none and none was found, 0 if only false ones were."""
        if not self.lesions_true:
            return float(not self.false_lesions)
        return self.lesions_found / self.lesions_true

    @property
    def f1(self) -> float:
        """Twice the found lesions over true, found and false ones; 1 if there are none."""
        count = 2 * self.lesions_found + self.lesions_missed + self.false_lesions
        return 2 * self.lesions_found / count if count else 1.0


def score_lesions(found: Mask, truth: Mask, spacing_mm: Spacing, *, rule: LesionRule = LesionRule()) -> LesionScores:
    """Return the lesion-wise scores of BraTS 2023.

    Args:
        found: The mask to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis; the axes must be orthogonal.
        rule: How lesions are told apart and counted.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    pad = rule.dilation + 1
    return score_pair_lesions(pair_masks(found, truth, spacing_mm, margin=(pad, pad, pad)), rule)


def score_pair_lesions(pair: MaskPair, rule: LesionRule) -> LesionScores:
    """Return the lesion-wise scores of a pair with a margin of at least `rule.dilation` + 1 voxels.

    Args:
        pair: The masks.
        rule: How lesions are told apart and counted.
    """
    zones = _components(_dilated(pair.truth, rule.dilation))
    parts = _components(pair.found)
    matches = _matches(zones[pair.found], parts[pair.found])
    lesions = zones * pair.truth
    sizes = np.bincount(zones[pair.truth], minlength=1)
    boxes, part_boxes = find_objects(lesions), find_objects(parts)
    scores = []
    for zone in np.flatnonzero(sizes[1:] * pair.voxel_ml * 1000.0 > rule.min_volume_mm3) + 1:
        mine = matches[matches[:, 0] == zone, 1]
        box = _around([boxes[zone - 1], *(part_boxes[part - 1] for part in mine)])
        scores.append(_score_lesion(_held(parts[box], mine), lesions[box] == zone, pair.spacing_mm, rule))
    false_lesions = len(part_boxes) - np.unique(matches[:, 1]).size
    return LesionScores(lesions=tuple(scores), false_lesions=false_lesions, penalty_mm=rule.penalty_mm)


def _score_lesion(mine: Mask, lesion: Mask, spacing_mm: Spacing, rule: LesionRule) -> LesionScore:
    pair = pair_for_distances(mine, lesion, spacing_mm)
    counts = count_overlap(pair)
    return LesionScore(
        volume_ml=counts.truth * pair.voxel_ml,
        found=counts.found > 0,
        dice=counts.dice,
        hd95_mm=element_hd95_mm(element_surfaces(pair), rule.penalty_mm),
    )


def _matches(zones: Labels, parts: Labels) -> NDArray[np.int64]:
    """Return which parts reach into which zones, as rows of zone and part.

    Args:
        zones: Zone at each voxel that was found, 0 outside all.
        parts: Part at the same voxels.
    """
    size = int(parts.max(initial=0)) + 1
    keys = zones.astype(np.int64) * size + parts
    first = np.ones(keys.size, dtype=np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])  # neighbours mostly are of one pair
    keys = np.unique(keys[first & (zones > 0)])
    return np.stack(np.divmod(keys, size), axis=1)


def _held(parts: Labels, numbers: NDArray[np.int64]) -> Mask:
    wanted = np.zeros(max(int(parts.max()), int(numbers.max(initial=0))) + 1, dtype=np.bool_)
    wanted[numbers] = True
    held: Mask = wanted[parts]
    return held


def _around(boxes: Sequence[tuple[slice, ...]]) -> tuple[slice, ...]:
    """Return the box around boxes."""
    return tuple(slice(min(s.start for s in along), max(s.stop for s in along)) for along in zip(*boxes, strict=True))


def _components(mask: Mask) -> Labels:
    components: Labels = cc3d.connected_components(mask, connectivity=_CONNECTIVITY)
    return components


def _dilated(mask: Mask, steps: int) -> Mask:
    for _ in range(steps):
        along_x, along_y = _spread(mask, 0), _spread(mask, 1)
        mask = _spread(along_x, 1) | _spread(along_x, 2) | _spread(along_y, 2)
    return mask


def _spread(mask: Mask, axis: int) -> Mask:
    """Return a mask together with itself moved by one voxel either way along an axis."""
    spread = mask.copy()
    here = np.moveaxis(spread, axis, 0)
    there = np.moveaxis(mask, axis, 0)
    here[1:] |= there[:-1]
    here[:-1] |= there[1:]
    return spread
