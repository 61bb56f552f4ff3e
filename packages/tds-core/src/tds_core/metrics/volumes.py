"""Volumes of masks and how far they are apart."""

import math

import numpy as np

from tds_core.metrics.masks import Mask, Spacing, check_masks


def volume_ml(mask: Mask, spacing_mm: Spacing) -> float:
    """Return the volume of a mask in millilitres.

    Args:
        mask: The mask.
        spacing_mm: Voxel size along each axis.

    Raises:
        EvaluationError: If it is no mask.
    """
    check_masks(mask, mask, spacing_mm)
    return int(np.count_nonzero(mask)) * math.prod(spacing_mm) / 1000.0


def volume_error_ml(found: Mask, truth: Mask, spacing_mm: Spacing) -> float:
    """Return the volume of what was found less that of the reference, in millilitres: below zero if too little.

    Args:
        found: The mask to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    check_masks(found, truth, spacing_mm)
    return volume_ml(found, spacing_mm) - volume_ml(truth, spacing_mm)


def absolute_volume_error_ml(found: Mask, truth: Mask, spacing_mm: Spacing) -> float:
    """Return by how many millilitres the volumes of two masks differ.

    Args:
        found: The mask to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    return abs(volume_error_ml(found, truth, spacing_mm))


def relative_volume_error(found: Mask, truth: Mask) -> float:
    """Return the volume error as a share of the reference's volume: 0 if both are empty, infinite if the reference is.

    Args:
        found: The mask to judge.
        truth: The reference.

    Raises:
        EvaluationError: If the masks cannot be compared.
    """
    check_masks(found, truth, (1.0, 1.0, 1.0))
    mine, reference = int(np.count_nonzero(found)), int(np.count_nonzero(truth))
    if not reference:
        return math.inf if mine else 0.0
    return (mine - reference) / reference
