"""The short way into `tds_core`, under a friendlier name; importing it costs nothing."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tumor_detection.api import TumorDetector, TumorSegmenter, quick_detect

__all__ = ["TumorDetector", "TumorSegmenter", "quick_detect"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.api"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
