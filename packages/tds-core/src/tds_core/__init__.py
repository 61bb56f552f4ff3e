"""Models, inference, evaluation and training for brain-tumour segmentation.

Names are loaded when they are first used; importing the package costs nothing. Training (`tds_core.training`) needs the
extra `train`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tds_core.api import TumorDetector, TumorSegmenter, quick_detect
    from tds_core.bundle import Bundle, load_bundle
    from tds_core.engine import Engine, Ensemble, open_engine, open_model
    from tds_core.errors import (
        BundleAltered,
        BundleIncompatible,
        BundleNotFound,
        BundleUntrusted,
        ConfigError,
        CoreError,
        DeviceUnavailable,
        EvaluationError,
        MissingDependency,
        ModelError,
        OutOfMemory,
        TrainingError,
    )
    from tds_core.evaluation import CaseScores, evaluate_case
    from tds_core.golden import verify_golden
    from tds_core.inference import InferenceOptions, Segmentation, segment
    from tds_core.lesions import find_lesions
    from tds_core.metrics import dice, hd95_mm
    from tds_core.prediction import predict

__all__ = [
    "Bundle",
    "BundleAltered",
    "BundleIncompatible",
    "BundleNotFound",
    "BundleUntrusted",
    "CaseScores",
    "ConfigError",
    "CoreError",
    "DeviceUnavailable",
    "Engine",
    "Ensemble",
    "EvaluationError",
    "InferenceOptions",
    "MissingDependency",
    "ModelError",
    "OutOfMemory",
    "Segmentation",
    "TrainingError",
    "TumorDetector",
    "TumorSegmenter",
    "dice",
    "evaluate_case",
    "find_lesions",
    "hd95_mm",
    "load_bundle",
    "open_engine",
    "open_model",
    "predict",
    "quick_detect",
    "segment",
    "verify_golden",
]

_HOMES: Final = {
    "api": ("TumorDetector", "TumorSegmenter", "quick_detect"),
    "bundle": ("Bundle", "load_bundle"),
    "engine": ("Engine", "Ensemble", "open_engine", "open_model"),
    "errors": (
        "BundleAltered",
        "BundleIncompatible",
        "BundleNotFound",
        "BundleUntrusted",
        "ConfigError",
        "CoreError",
        "DeviceUnavailable",
        "EvaluationError",
        "MissingDependency",
        "ModelError",
        "OutOfMemory",
        "TrainingError",
    ),
    "evaluation": ("CaseScores", "evaluate_case"),
    "golden": ("verify_golden",),
    "inference": ("InferenceOptions", "Segmentation", "segment"),
    "lesions": ("find_lesions",),
    "metrics": ("dice", "hd95_mm"),
    "prediction": ("predict",),
}


def __getattr__(name: str) -> object:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
