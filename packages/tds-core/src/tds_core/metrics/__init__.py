"""Agreement of masks: overlap, volumes, distances, lesions, and how far probabilities can be trusted.

Everything takes boolean masks of shape (x, y, z) and, where millimetres matter, the voxel size along each axis.
`score_masks` takes label maps and gives every score of every region of a task.

Empty masks, everywhere: if both are empty, nothing was missed and nothing made up, and the score is the best there is
(1, or a distance or error of 0). If one of them is, it is the worst: shares are 0, distances are `EMPTY_DISTANCE_MM`
(373.13 mm, the diagonal of the BraTS field of view), lesion-wise distances the penalty of BraTS 2023 (374 mm), and the
relative volume error is infinite if the reference is the empty one. Calibration needs a voxel to be judged at.
"""

from tds_core.metrics.calibration import (
    REGION_MARGIN_MM,
    Calibration,
    calibrate,
    pool_calibration,
    region_of_interest,
)
from tds_core.metrics.distances import (
    EMPTY_DISTANCE_MM,
    average_surface_distance_mm,
    hd95_mm,
    hd_mm,
    surface_dice,
)
from tds_core.metrics.lesions import LesionRule, LesionScore, LesionScores, score_lesions
from tds_core.metrics.masks import Mask, Spacing, label_mask, region_mask
from tds_core.metrics.overlap import dice, iou, precision, sensitivity, specificity
from tds_core.metrics.regions import (
    RegionScores,
    ScoreOptions,
    region_dice,
    region_hd95_mm,
    score_masks,
    score_region,
)
from tds_core.metrics.volumes import (
    absolute_volume_error_ml,
    relative_volume_error,
    volume_error_ml,
    volume_ml,
)

__all__ = [
    "EMPTY_DISTANCE_MM",
    "REGION_MARGIN_MM",
    "Calibration",
    "LesionRule",
    "LesionScore",
    "LesionScores",
    "Mask",
    "RegionScores",
    "ScoreOptions",
    "Spacing",
    "absolute_volume_error_ml",
    "average_surface_distance_mm",
    "calibrate",
    "dice",
    "hd95_mm",
    "hd_mm",
    "iou",
    "label_mask",
    "pool_calibration",
    "precision",
    "region_dice",
    "region_hd95_mm",
    "region_mask",
    "region_of_interest",
    "relative_volume_error",
    "score_lesions",
    "score_masks",
    "score_region",
    "sensitivity",
    "specificity",
    "surface_dice",
    "volume_error_ml",
    "volume_ml",
]
