"""All content checks of one case."""

from tds_data.case import Case
from tds_data.quality.content.atlas import Placed, place
from tds_data.quality.content.bias import check_bias
from tds_data.quality.content.brain import check_shape, check_tissue, lay_brain
from tds_data.quality.content.contrast import check_contrast
from tds_data.quality.content.coverage import check_coverage
from tds_data.quality.content.flipped import check_mask_side, check_study_side
from tds_data.quality.content.interior import find_interior
from tds_data.quality.content.mirrored import check_mirrored
from tds_data.quality.content.motion import check_motion
from tds_data.quality.content.noise import check_noise
from tds_data.quality.content.order import check_order
from tds_data.quality.content.registration import check_registration
from tds_data.quality.content.skull import check_skull
from tds_data.quality.content.view import ContentView, make_view
from tds_data.report import QualityFlag


def check_content(case: Case) -> tuple[QualityFlag, ...]:
    """Return what the pictures themselves say against a case.

    A finding that makes others meaningless stands alone: nothing else is said of what is no brain, and of a head with
    its skull only that. Images that hold NaN or infinities, are constant or have no foreground are left out.

    Args:
        case: Registered sequences on one grid, with labels 0 to 3 in the mask if there is one.
    """
    return check_view(make_view(case))


def check_view(view: ContentView) -> tuple[QualityFlag, ...]:
    """Return what `check_content` does, from a picture that was made before.

    Args:
        view: What `make_view` returned.
    """
    if not view.sequences:
        return ()
    skull = check_skull(view)
    fit = lay_brain(view)
    shape = check_shape(fit, stripped=not skull)
    if shape or fit is None:
        return shape
    if skull:
        return skull
    placed = place(view, fit)
    tissue = check_tissue(placed)
    if tissue:
        return tissue
    alone = [*check_coverage(view), *check_noise(view), *check_bias(view, placed)]
    return (*alone, *_check_together(view, placed))


def _check_together(view: ContentView, placed: Placed) -> tuple[QualityFlag, ...]:
    """Return what the sequences say about each other; a mirrored sequence or a swap would distort the rest."""
    interior = find_interior(view)
    sides = (*check_mask_side(placed), *check_study_side(placed))
    if interior is None:
        return sides
    distorted = check_mirrored(placed, interior) or check_order(interior)
    if distorted:
        return distorted
    return (*sides, *check_contrast(view), *check_registration(interior), *check_motion(interior))
