"""The quality gate and the checks behind it."""

from tds_data.quality.gate import (
    ANISOTROPY_LIMIT,
    HEAD_LIMITS_ML,
    MIN_BACKGROUND_SHARE,
    MIN_EXTENT_MM,
    MIN_OVERLAP,
    SPACING_LIMITS_MM,
    THICK_SLICES_MM,
    USUAL_BRAIN_ML,
    check_case,
    refuse_errors,
)

__all__ = [
    "ANISOTROPY_LIMIT",
    "HEAD_LIMITS_ML",
    "MIN_BACKGROUND_SHARE",
    "MIN_EXTENT_MM",
    "MIN_OVERLAP",
    "SPACING_LIMITS_MM",
    "THICK_SLICES_MM",
    "USUAL_BRAIN_ML",
    "check_case",
    "refuse_errors",
]
