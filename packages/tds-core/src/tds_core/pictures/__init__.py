"""Slices of cases with what was found and what the reference says, drawn with NumPy alone.

Every picture carries its marks (research use only, phantom) in its pixels, whatever is installed where it is drawn.
"""

from tds_core.pictures.png import encode_png
from tds_core.pictures.slices import (
    LABEL_COLOURS,
    CaseView,
    Labels,
    Overlay,
    Plane,
    choose_slices,
    draw_overlay,
    draw_overlays,
)

__all__ = [
    "LABEL_COLOURS",
    "CaseView",
    "Labels",
    "Overlay",
    "Plane",
    "choose_slices",
    "draw_overlay",
    "draw_overlays",
    "encode_png",
]
