"""How metrics are shown: their names, units and which way is better."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricInfo:
    """How a metric is shown.

    Attributes:
        name: Its key in tables.
        title: What people read.
        unit: Its unit; empty for a share or a count.
        higher_is_better: `None` where neither is, as for a volume.
        limits: The range that an axis shows; open ends are `None`.
    """

    name: str
    title: str
    unit: str = ""
    higher_is_better: bool | None = None
    limits: tuple[float | None, float | None] = (None, None)

    @property
    def label(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


CALIBRATION: Final = "calibration_error"
"""Only where probabilities were judged, too."""

_SHARE: Final = (0.0, 1.0)
_FROM_ZERO: Final = (0.0, None)

METRICS: Final = MappingProxyType(
    {
        info.name: info
        for info in (
            MetricInfo(name="dice", title="Dice", higher_is_better=True, limits=_SHARE),
            MetricInfo(name="iou", title="IoU", higher_is_better=True, limits=_SHARE),
            MetricInfo(
                name="hd95_mm", title="Hausdorff distance, 95 %", unit="mm", higher_is_better=False, limits=_FROM_ZERO
            ),
            MetricInfo(name="surface_dice", title="Surface Dice", higher_is_better=True, limits=_SHARE),
            MetricInfo(name="sensitivity", title="Sensitivity", higher_is_better=True, limits=_SHARE),
            MetricInfo(name="precision", title="Precision", higher_is_better=True, limits=_SHARE),
            MetricInfo(name="specificity", title="Specificity", higher_is_better=True, limits=_SHARE),
            MetricInfo(name="volume_ml_found", title="Volume found", unit="mL", limits=_FROM_ZERO),
            MetricInfo(name="volume_ml_truth", title="Volume marked", unit="mL", limits=_FROM_ZERO),
            MetricInfo(name="volume_error_ml", title="Volume error", unit="mL"),
            MetricInfo(name="lesion_dice", title="Lesion-wise Dice", higher_is_better=True, limits=_SHARE),
            MetricInfo(
                name="lesion_hd95_mm", title="Lesion-wise HD95", unit="mm", higher_is_better=False, limits=_FROM_ZERO
            ),
            MetricInfo(name="lesions_true", title="Lesions marked", limits=_FROM_ZERO),
            MetricInfo(name="lesions_found", title="Lesions found", limits=_FROM_ZERO),
            MetricInfo(name="lesions_missed", title="Lesions missed", higher_is_better=False, limits=_FROM_ZERO),
            MetricInfo(name="lesions_false", title="False lesions", higher_is_better=False, limits=_FROM_ZERO),
            MetricInfo(name=CALIBRATION, title="Calibration error", higher_is_better=False, limits=_SHARE),
        )
    }
)
"""Metrics that are known by name; others are shown by their key."""


def describe_metric(name: str) -> MetricInfo:
    """Return how a metric is shown.

    Args:
        name: Its key.

    Examples:
        >>> describe_metric("volume_error_ml").label
        'Volume error (mL)'
    """
    return METRICS.get(name, MetricInfo(name=name, title=name.replace("_", " ")))
