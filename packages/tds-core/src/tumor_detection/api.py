"""`quick_detect`, `TumorDetector` and `TumorSegmenter` of `tds_core`."""

from tds_core.api import TumorDetector, TumorSegmenter, quick_detect

__all__ = ["TumorDetector", "TumorSegmenter", "quick_detect"]
