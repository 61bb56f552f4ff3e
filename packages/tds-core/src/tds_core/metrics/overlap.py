"""Overlap of two masks, voxel by voxel."""

from dataclasses import dataclass

import numpy as np

from tds_core.metrics.masks import Mask, MaskPair, pair_masks


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How two masks agree, in voxels.

    Attributes:
        both: Voxels of both masks (true positives).
        found: Voxels of the mask to judge.
        truth: Voxels of the reference.
        voxels: Voxels of the grid.
    """

    both: int
    found: int
    truth: int
    voxels: int

    @property
    def dice(self) -> float:
        """Twice the common voxels over the sum of both masks' (Dice 1945)."""
        return _share(2 * self.both, self.found + self.truth)

    @property
    def iou(self) -> float:
        """Common voxels over voxels of either mask (Jaccard 1912)."""
        return _share(self.both, self.found + self.truth - self.both)

    @property
    def sensitivity(self) -> float:
        """Share of the reference that was found."""
        return _share(self.both, self.truth, nothing=not self.found)

    @property
    def precision(self) -> float:
        """Share of what was found that is in the reference."""
        return _share(self.both, self.found, nothing=not self.truth)

    @property
    def specificity(self) -> float:
        """Share of what is outside the reference that was left out."""
        neither = self.voxels - self.found - self.truth + self.both
        return _share(neither, self.voxels - self.truth, nothing=self.found == self.voxels)


def count_overlap(pair: MaskPair) -> Counts:
    """Return how two masks agree.

    Args:
        pair: The masks.
    """
    return Counts(
        both=int(np.count_nonzero(pair.found & pair.truth)),
        found=int(np.count_nonzero(pair.found)),
        truth=int(np.count_nonzero(pair.truth)),
        voxels=pair.voxels,
    )


def dice(found: Mask, truth: Mask) -> float:
    """Return the Dice coefficient of two masks, in [0, 1]: 1 if both are empty, 0 if one is.

    Args:
        found: The mask to judge.
        truth: The reference.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    return count_overlap(pair_masks(found, truth)).dice


def iou(found: Mask, truth: Mask) -> float:
    """Return the intersection over the union of two masks, in [0, 1]: 1 if both are empty, 0 if one is.

    Args:
        found: The mask to judge.
        truth: The reference.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    return count_overlap(pair_masks(found, truth)).iou


def sensitivity(found: Mask, truth: Mask) -> float:
    """Return the share of the reference that was found, in [0, 1]: 1 if both masks are empty, 0 if one is.

    Args:
        found: The mask to judge.
        truth: The reference.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    return count_overlap(pair_masks(found, truth)).sensitivity


def precision(found: Mask, truth: Mask) -> float:
    """Return the share of what was found that is in the reference, in [0, 1]: 1 if both are empty, 0 if one is.

    Args:
        found: The mask to judge.
        truth: The reference.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    return count_overlap(pair_masks(found, truth)).precision


def specificity(found: Mask, truth: Mask) -> float:
    """Return the share of what is outside the reference that was left out, in [0, 1].

    It is the sensitivity of the complements: 1 if both masks fill the grid, 0 if one does.

    Args:
        found: The mask to judge.
        truth: The reference.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    return count_overlap(pair_masks(found, truth)).specificity


def _share(part: int, whole: int, *, nothing: bool = True) -> float:
    """Return part / whole; of an empty whole 1 if there is nothing on the other side either, else 0."""
    return part / whole if whole else float(nothing)
