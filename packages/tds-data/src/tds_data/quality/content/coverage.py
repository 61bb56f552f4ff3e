"""PARTIAL-COVERAGE: the brain ends at a flat cut.

A whole brain tapers off along every axis. Where its first or last slice is nearly as large as the largest, a part of it
lies outside the field of view, or was blanked.
"""

from typing import Final

import numpy as np

from tds_data.quality.codes import flag
from tds_data.quality.content.view import LOW_SPACING_MM, ContentView, Mask
from tds_data.report import QualityFlag

FLAT_CUT: Final = 0.3
"""Area of the outermost slice against the largest. A brain that ends below the cerebellum, as many do, stays at half of
this; one cut at the vertex by a centimetre is above."""

_SIDES: Final = (("left", "right"), ("back", "front"), ("bottom", "top"))


def measure_ends(mask: Mask, spacing_mm: tuple[float, float, float]) -> dict[str, float]:
    """Return the area at each side of a brain, averaged over 3 mm, as a share of its largest section on that axis.

    Args:
        mask: Foreground in RAS order.
        spacing_mm: Edges of its voxels.
    """
    ends = {}
    for axis, names in enumerate(_SIDES):
        areas = np.count_nonzero(mask, axis=tuple(a for a in range(3) if a != axis))
        filled = np.flatnonzero(areas)
        if filled.size == 0:
            return {}
        inside = areas[filled[0] : filled[-1] + 1]
        slab = max(1, round(LOW_SPACING_MM / spacing_mm[axis]))
        for name, part in zip(names, (inside[:slab], inside[-slab:]), strict=True):
            ends[name] = float(part.mean() / inside.max())
    return ends


def check_coverage(view: ContentView) -> tuple[QualityFlag, ...]:
    """Return a finding for the sequences whose brain is cut off, all in one if they are cut alike.

    Args:
        view: The case.
    """
    cuts: dict[str, list[str]] = {}
    seen: list[tuple[Mask, str]] = []
    for modality, sequence in view.sequences.items():
        shown = next((text for mask, text in seen if np.array_equal(mask, sequence.mask)), None)
        if shown is None:
            ends = measure_ends(sequence.mask, view.spacing_mm)
            shown = ", ".join(f"{name} {area:.0%}" for name, area in ends.items() if area > FLAT_CUT)
            seen.append((sequence.mask, shown))
        if shown:
            cuts.setdefault(shown, []).append(modality.value)
    return tuple(_finding(shown, ", ".join(names)) for shown, names in cuts.items())


def _finding(shown: str, subject: str) -> QualityFlag:
    message = f"the brain ends at a flat cut in {subject}; use a series whose field of view holds all of it"
    return flag("PARTIAL-COVERAGE", message, f"area at the cut against the largest: {shown}", subject=subject)
