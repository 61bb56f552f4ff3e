"""NOT-A-BRAIN: the content has not the shape of a brain, or nothing inside.

The average brain is laid over the foreground by an affine fit. A ball, a bottle, a trunk or noise agrees with it badly,
or only when stretched beyond what heads do. A brain's shape without tissue contrast inside is no brain either.
"""

from typing import Final

import numpy as np

from tds_data.quality.codes import flag
from tds_data.quality.content.atlas import BrainFit, Placed, fit_brain, load_atlas
from tds_data.quality.content.robust import robust_fit
from tds_data.quality.content.skull import find_head
from tds_data.quality.content.view import ContentView, Float
from tds_data.report import QualityFlag

MIN_AGREEMENT: Final = 0.95
"""Correlation with the average brain. Patients after resection or with a cut field of view stay above 0.97; the best
fitted ellipsoid, which a ball or a bottle becomes, reaches 0.935."""
MIN_HEAD_AGREEMENT: Final = 0.8
"""Likewise for a head with its skull, which may hold a face and a neck."""
SCALE_LIMITS: Final = (0.6, 1.35)
"""Size against the average brain along any direction. Adults lie between 0.8 and 1.1; a monkey's brain below 0.5."""
HEAD_SCALE_LIMITS: Final = (0.7, 2.3)
"""Likewise for a head with its skull, which may hold a face and a neck."""
MAX_TILT_DEG: Final = 50.0
"""A brain that is turned further than this lies across its header's directions."""
MIN_TISSUE_CONTRAST: Final = 0.06
"""How much white matter, grey matter and fluid have to differ in the sequence that shows it best, as a logarithm.
Patients show twice as much; a brain's outline filled with noise shows a hundredth."""

_INSIDE: Final = 0.9
_MIN_VOXELS: Final = 1000


def lay_brain(view: ContentView) -> BrainFit | None:
    """Return how the average brain lies over a case, or `None` if it has too little foreground.

    Args:
        view: The case; never without a sequence, and its first one leads.
    """
    first = next(iter(view.sequences.values()))
    head = find_head(first)
    return fit_brain(view, first.share if head.masked else head.mask.astype(np.float32))


def check_shape(fit: BrainFit | None, *, stripped: bool) -> tuple[QualityFlag, ...]:
    """Return the finding about a foreground that has not the shape of a brain.

    Args:
        fit: What `lay_brain` returned.
        stripped: Whether the skull is gone; a head with it is only held to a rough likeness.
    """
    message = "the content has not the shape of a brain in a usual position; check that the series is one of the head"
    if fit is None:
        return (flag("NOT-A-BRAIN", message, "hardly any content"),)
    limit = MIN_AGREEMENT if stripped else MIN_HEAD_AGREEMENT
    low, high = SCALE_LIMITS if stripped else HEAD_SCALE_LIMITS
    fits = fit.agreement >= limit and low <= fit.scales[0] and fit.scales[2] <= high and fit.tilt_deg <= MAX_TILT_DEG
    if fits:
        return ()
    shown = (
        f"agreement {fit.agreement:.2f} (at least {limit:.2f}), scale {fit.scales[0]:.2f} to {fit.scales[2]:.2f}, "
        f"turned by {fit.tilt_deg:.0f} degrees"
    )
    return (flag("NOT-A-BRAIN", message, shown),)


def measure_tissue_contrast(image: Float, share: Float) -> float | None:
    """Return the largest logarithm between two tissues' brightness; `None` where there is too little inside.

    Args:
        image: A sequence on the atlas's lattice.
        share: The part of each voxel that is foreground.
    """
    atlas = load_atlas()
    inside = (atlas.brain > _INSIDE) & (share > _INSIDE)
    if np.count_nonzero(inside) < _MIN_VOXELS:
        return None
    tissues = np.stack([tissue[inside] for tissue in (atlas.white, atlas.grey, atlas.fluid)], axis=1)
    fit = robust_fit(tissues.astype(np.float64), image[inside].astype(np.float64))
    values = np.maximum(fit.coefficients, 1e-3)
    return float(np.log(values.max() / values.min()))


def check_tissue(placed: Placed) -> tuple[QualityFlag, ...]:
    """Return the finding about a brain's shape with nothing of a brain inside.

    Args:
        placed: The case on the atlas's lattice.
    """
    contrasts = [measure_tissue_contrast(image, placed.share) for image in placed.images.values()]
    known = [contrast for contrast in contrasts if contrast is not None]
    if not known or max(known) >= MIN_TISSUE_CONTRAST:
        return ()
    message = "no sequence shows a difference between white matter, grey matter and fluid; check what the series holds"
    return (flag("NOT-A-BRAIN", message, f"largest difference {max(known):.1%}"),)
