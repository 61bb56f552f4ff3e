"""The same short way in as `tds_core`, under a friendlier name."""

from tumor_detection.api import TumorDetector, TumorSegmenter, quick_detect

__all__ = ["TumorDetector", "TumorSegmenter", "quick_detect"]
