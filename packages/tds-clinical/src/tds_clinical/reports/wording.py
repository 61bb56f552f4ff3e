"""Numbers and sentences as a report prints them."""

from typing import Final

from tds_data.report import LesionReport, Point
from tds_data.vocabulary import REGION_NAMES, REGIONS

NO_LESION: Final = "No tumour found by the model; this does not exclude one."
"""The sentence for an empty result."""

_SMALLEST_ML: Final = 0.01
_ONE_DECIMAL_FROM_ML: Final = 1.0


def millilitres(volume_ml: float) -> str:
    """Return a volume without its unit, with as many decimals as it deserves.

    Args:
        volume_ml: Millilitres.

    Examples:
        >>> [millilitres(v) for v in (0.0, 0.004, 0.25, 84.16)]
        ['0', '< 0.01', '0.25', '84.2']
    """
    if volume_ml <= 0:
        return "0"
    if volume_ml < _SMALLEST_ML:
        return f"< {_SMALLEST_ML}"
    return f"{volume_ml:.2f}" if volume_ml < _ONE_DECIMAL_FROM_ML else f"{volume_ml:.1f}"


def place(point_mm: Point) -> str:
    """Return a place as whole millimetres along x, y and z.

    Args:
        point_mm: RAS+ millimetres.

    Examples:
        >>> place((-0.2, 12.6, -30.0))
        '0, 13, -30'
    """
    return ", ".join(str(round(c)) for c in point_mm)


def summary(report: LesionReport) -> str:
    """Return the result in one sentence.

    Args:
        report: What was found.
    """
    if not report.lesions:
        return NO_LESION
    count = len(report.lesions)
    parts = [f"{REGION_NAMES[r]} {millilitres(report.volume_ml.get(r, 0.0))} mL" for r in REGIONS]
    return f"{count} lesion{'s' if count > 1 else ''} found by the model: {', of which '.join(parts)}."
