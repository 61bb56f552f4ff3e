"""Whole cases through a network in training: windows, probabilities of regions, scores."""

from tds_core.training.validation.plan import window_plan
from tds_core.training.validation.prediction import PredictionConfig, predict_case, predict_image, region_probabilities
from tds_core.training.validation.validator import SlidingWindowValidator, region_dice

__all__ = [
    "PredictionConfig",
    "SlidingWindowValidator",
    "predict_case",
    "predict_image",
    "region_dice",
    "region_probabilities",
    "window_plan",
]
