"""Scores of every region of two label maps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tds_core.errors import EvaluationError
from tds_core.metrics._nearest import margin_for
from tds_core.metrics._surfaces import element_surfaces, voxel_surfaces
from tds_core.metrics.calibration import REGION_MARGIN_MM, Calibration, calibrate, region_of_interest
from tds_core.metrics.distances import EMPTY_DISTANCE_MM, element_dice, hd95_mm, voxel_hd95_mm
from tds_core.metrics.lesions import LesionRule, score_pair_lesions
from tds_core.metrics.masks import (
    Mask,
    Spacing,
    check_masks,
    check_shapes,
    label_mask,
    pair_masks,
    region_mask,
    union_box,
)
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

    Raises:
        EvaluationError: If a length is negative or not finite, or there is no bin.
    """

    tolerance_mm: float = 1.0
    empty_mm: float = EMPTY_DISTANCE_MM
    lesions: LesionRule = field(default_factory=LesionRule)
    bins: int = 15
    margin_mm: float = REGION_MARGIN_MM

    def __post_init__(self) -> None:
        lengths = {"tolerance_mm": self.tolerance_mm, "empty_mm": self.empty_mm, "margin_mm": self.margin_mm}
        bad = [f"{name} = {value}" for name, value in lengths.items() if not 0.0 <= value < math.inf]
        if bad or self.bins < 1:
            seen = ", ".join([*bad, f"{self.bins} bins"])
            message = f"scores cannot be made with {seen}; give finite lengths from 0 and one bin at least"
            raise EvaluationError(message)


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
        EvaluationError: If the arrays cannot be compared, or a region holds the background.
    """
    given = probabilities or {}
    _check_inputs(found, truth, spacing_mm, regions, given)
    voxels = truth.size
    box = _box_to_look_at(found, truth, spacing_mm, options)
    found, truth = found[box], truth[box]
    scores = {}
    for name, labels in regions.items():
        mine, reference = label_mask(found, labels), label_mask(truth, labels)
        scores[name] = _score(mine, reference, spacing_mm, options, voxels=voxels)
        if name in given:
            calibration = _calibration(mine, reference, spacing_mm, given[name][box], options)
            scores[name] = replace(scores[name], calibration=calibration)
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
    check_masks(found, truth, spacing_mm)
    scores = score_masks(
        found.view(np.uint8),
        truth.view(np.uint8),
        spacing_mm,
        {"region": (1,)},
        probabilities=None if probability is None else {"region": probability},
        options=options,
    )
    return scores["region"]


def region_dice(found: NDArray[np.generic], truth: NDArray[np.generic]) -> dict[Region, float]:
    """Return the Dice of each region of two label maps.

    Args:
        found: Labels to judge, 0 to 3.
        truth: Reference labels of the same shape.

    Raises:
        EvaluationError: If the arrays cannot be compared.
    """
    return {r: dice(region_mask(found, r), region_mask(truth, r)) for r in REGIONS}


def region_hd95_mm(found: NDArray[np.generic], truth: NDArray[np.generic], spacing_mm: Spacing) -> dict[Region, float]:
    """Return the 95th percentile Hausdorff distance of each region of two label maps, in millimetres.

    Args:
        found: Labels to judge, 0 to 3.
        truth: Reference labels of the same shape.
        spacing_mm: Voxel size along each axis.

    Raises:
        EvaluationError: If the arrays cannot be compared.
    """
    return {r: hd95_mm(region_mask(found, r), region_mask(truth, r), spacing_mm) for r in REGIONS}


def _score(found: Mask, truth: Mask, spacing_mm: Spacing, options: ScoreOptions, *, voxels: int) -> RegionScores:
    x, y, z = (max(options.lesions.dilation + 1, reach) for reach in margin_for(spacing_mm))
    pair = replace(pair_masks(found, truth, spacing_mm, margin=(x, y, z)), voxels=voxels)
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
    )


def _check_inputs(
    found: NDArray[np.generic],
    truth: NDArray[np.generic],
    spacing_mm: Spacing,
    regions: Mapping[str, tuple[int, ...]],
    probabilities: Mapping[str, NDArray[np.floating]],
) -> None:
    check_shapes(found, truth, spacing_mm)
    unknown = sorted(set(probabilities) - set(regions))
    if unknown:
        message = f"there are probabilities of {', '.join(unknown)}, but the regions are {', '.join(regions)}"
        raise EvaluationError(message)
    around = [name for name, labels in regions.items() if 0 in labels]
    if around:
        message = f"the regions {', '.join(around)} hold the label 0; that is what lies outside all: leave it out"
        raise EvaluationError(message)
    for name, probability in probabilities.items():
        if probability.shape != truth.shape:
            message = f"the probabilities of {name!r} have the shape {probability.shape}, the labels {truth.shape}"
            raise EvaluationError(message)


def _box_to_look_at(
    found: NDArray[np.generic], truth: NDArray[np.generic], spacing_mm: Spacing, options: ScoreOptions
) -> tuple[slice, ...]:
    """Return the box that holds every label, and every place where a region's calibration is judged."""
    widths = [math.ceil(options.margin_mm / size) for size in spacing_mm]
    box = union_box(found, truth)
    return tuple(slice(max(0, s.start - width), s.stop + width) for s, width in zip(box, widths, strict=True))


def _calibration(
    found: Mask, truth: Mask, spacing_mm: Spacing, probability: NDArray[np.floating], options: ScoreOptions
) -> Calibration | None:
    box = region_of_interest(found, truth, spacing_mm, margin_mm=options.margin_mm)
    return None if box is None else calibrate(probability[box.slices], truth[box.slices], bins=options.bins)
