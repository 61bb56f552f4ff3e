"""Models, inference, evaluation and training for brain-tumour segmentation.

Names are loaded when they are first used; importing the package costs nothing. Training needs the extra `train`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tds_core.api import TumorDetector, TumorSegmenter, quick_detect
    from tds_core.bundle import Bundle, load_bundle
    from tds_core.evaluation import CaseScores, evaluate_case
    from tds_core.inference import InferenceOptions, Segmentation, segment
    from tds_core.lesions import find_lesions
    from tds_core.metrics import dice, hd95_mm

__all__ = [
    "Bundle",
    "CaseScores",
    "InferenceOptions",
    "Segmentation",
    "TumorDetector",
    "TumorSegmenter",
    "dice",
    "evaluate_case",
    "find_lesions",
    "hd95_mm",
    "load_bundle",
    "quick_detect",
    "segment",
]

_HOMES: Final = {
    "Bundle": "bundle",
    "CaseScores": "evaluation",
    "InferenceOptions": "inference",
    "Segmentation": "inference",
    "TumorDetector": "api",
    "TumorSegmenter": "api",
    "dice": "metrics",
    "evaluate_case": "evaluation",
    "find_lesions": "lesions",
    "hd95_mm": "metrics",
    "load_bundle": "bundle",
    "quick_detect": "api",
    "segment": "inference",
}


def __getattr__(name: str) -> object:
    """Return a public name, importing its module on first use."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
