"""Scores of every region of two label maps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tds_core.errors import EvaluationError
from tds_core.metrics._nearest import margin_for
from tds_core.metrics._surfaces import element_surfaces, voxel_surfaces
from tds_core.metrics.calibration import REGION_MARGIN_MM, Calibration, calibrate, region_of_interest
from tds_core.metrics.distances import EMPTY_DISTANCE_MM, element_dice, hd95_mm, voxel_hd95_mm
from tds_core.metrics.lesions import LesionRule, score_pair_lesions
from tds_core.metrics.masks import Mask, Spacing, label_mask, pair_masks, region_mask
from tds_core.metrics.overlap import count_overlap, dice
from tds_data.vocabulary import REGIONS, Region


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOptions:
    """What scores depend on.

    Attributes:
        tolerance_mm: Largest distance that counts as agreement in the surface Dice.
        empty_mm: HD95 if exactly one mask is empty.
        lesions: How lesions are told apart and counted.
        bins: Bins of the calibration.
        margin_mm: How far calibration is judged beyond both masks.
    """

    tolerance_mm: float = 1.0
    empty_mm: float = EMPTY_DISTANCE_MM
    lesions: LesionRule = field(default_factory=LesionRule)
    bins: int = 15
    margin_mm: float = REGION_MARGIN_MM


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionScores:
    """Scores of one region of one case.

    Attributes:
        dice: Dice coefficient, in [0, 1].
        iou: Intersection over union, in [0, 1].
        sensitivity: Share of the reference that was found, in [0, 1].
        specificity: Share of what is outside the reference that was left out, in [0, 1].
        precision: Share of what was found that is in the reference, in [0, 1].
        volume_ml_found: Volume of the mask to judge, millilitres.
        volume_ml_truth: Volume of the reference, millilitres.
        volume_error_ml: The first less the second.
        hd95_mm: 95th percentile Hausdorff distance, millimetres.
        surface_dice: Share of both surfaces within the tolerance of the other, in [0, 1].
        lesion_dice: Lesion-wise Dice of BraTS 2023, in [0, 1].
        lesion_hd95_mm: Lesion-wise HD95 of BraTS 2023, millimetres.
        lesions_true: Lesions of the reference that count.
        lesions_found: Of those, how many were found.
        lesions_missed: Of those, how many were not.
        lesions_false: Found lesions that belong to none of the reference.
        calibration: How well the probabilities tell how often they are right; `None` without probabilities, or if both
            masks are empty.
    """

    dice: float
    iou: float
    sensitivity: float
    specificity: float
    precision: float
    volume_ml_found: float
    volume_ml_truth: float
    volume_error_ml: float
    hd95_mm: float
    surface_dice: float
    lesion_dice: float
    lesion_hd95_mm: float
    lesions_true: int
    lesions_found: int
    lesions_missed: int
    lesions_false: int
    calibration: Calibration | None = None


def score_masks(
    found: NDArray[np.generic],
    truth: NDArray[np.generic],
    spacing_mm: Spacing,
    regions: Mapping[str, tuple[int, ...]],
    *,
    probabilities: Mapping[str, NDArray[np.floating]] | None = None,
    options: ScoreOptions = ScoreOptions(),
) -> dict[str, RegionScores]:
    """Return the scores of each region of two label maps.

    Args:
        found: Labels to judge, of shape (x, y, z).
        truth: Reference labels of the same shape.
        spacing_mm: Voxel size along each axis; the axes must be orthogonal.
        regions: Labels of each region, such as `Task.regions`.
        probabilities: Probability of each region, of the same shape as the labels; regions may be left out.
        options: What the scores depend on.

    Raises:
        EvaluationError: If the arrays cannot be compared.
    """
    unknown = sorted(set(probabilities or {}) - set(regions))
    if unknown:
        message = f"there are probabilities of {', '.join(unknown)}, but the regions are {', '.join(regions)}"
        raise EvaluationError(message)
    scores = {}
    for name, labels in regions.items():
        mine, reference = label_mask(found, labels), label_mask(truth, labels)
        scores[name] = score_region(
            mine, reference, spacing_mm, probability=(probabilities or {}).get(name), options=options
        )
    return scores


def score_region(
    found: Mask,
    truth: Mask,
    spacing_mm: Spacing,
    *,
    probability: NDArray[np.floating] | None = None,
    options: ScoreOptions = ScoreOptions(),
) -> RegionScores:
    """Return the scores of one region.

    Args:
        found: The mask to judge.
        truth: The reference.
        spacing_mm: Voxel size along each axis; the axes must be orthogonal.
        probability: Probability of being inside, of the same shape.
        options: What the scores depend on.

    Raises:
        EvaluationError: If the arrays cannot be compared.
    """
    x, y, z = (max(options.lesions.dilation + 1, reach) for reach in margin_for(tuple(spacing_mm)))
    pair = pair_masks(found, truth, spacing_mm, margin=(x, y, z))
    counts = count_overlap(pair)
    lesions = score_pair_lesions(pair, options.lesions)
    return RegionScores(
        dice=counts.dice,
        iou=counts.iou,
        sensitivity=counts.sensitivity,
        specificity=counts.specificity,
        precision=counts.precision,
        volume_ml_found=counts.found * pair.voxel_ml,
        volume_ml_truth=counts.truth * pair.voxel_ml,
        volume_error_ml=(counts.found - counts.truth) * pair.voxel_ml,
        hd95_mm=voxel_hd95_mm(voxel_surfaces(pair), options.empty_mm),
        surface_dice=element_dice(element_surfaces(pair), options.tolerance_mm),
        lesion_dice=lesions.dice,
        lesion_hd95_mm=lesions.hd95_mm,
        lesions_true=lesions.lesions_true,
        lesions_found=lesions.lesions_found,
        lesions_missed=lesions.lesions_missed,
        lesions_false=lesions.false_lesions,
        calibration=None if probability is None else _calibration(found, truth, spacing_mm, probability, options),
    )


def region_dice(found: NDArray[np.generic], truth: NDArray[np.generic]) -> dict[Region, float]:
    """Return the Dice of each region of two label maps.

    Args:
        found: Labels to judge, 0 to 3.
        truth: Reference labels of the same shape.
    """
    return {r: dice(region_mask(found, r), region_mask(truth, r)) for r in REGIONS}


def region_hd95_mm(found: NDArray[np.generic], truth: NDArray[np.generic], spacing_mm: Spacing) -> dict[Region, float]:
    """Return the 95th percentile Hausdorff distance of each region of two label maps, in millimetres.

    Args:
        found: Labels to judge, 0 to 3.
        truth: Reference labels of the same shape.
        spacing_mm: Voxel size along each axis.
    """
    return {r: hd95_mm(region_mask(found, r), region_mask(truth, r), spacing_mm) for r in REGIONS}


def _calibration(
    found: Mask, truth: Mask, spacing_mm: Spacing, probability: NDArray[np.floating], options: ScoreOptions
) -> Calibration | None:
    if probability.shape != truth.shape:
        message = (
            f"probabilities of shape {probability.shape} do not fit masks of shape {truth.shape}; give one of each"
        )
        raise EvaluationError(message)
    box = region_of_interest(found, truth, spacing_mm, margin_mm=options.margin_mm)
    return None if box is None else calibrate(probability[box.slices], truth[box.slices], bins=options.bins)
