"""Where each time point lies in the space of the latest one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_clinical.errors import ClinicalDependency, FollowUpError
from tds_clinical.followup.model import AlignmentSummary
from tds_clinical.followup.options import Alignment, TimePoint
from tds_data.errors import GeometryError, MissingDependency, RegistrationFailed, VoxelError

Affine = NDArray[np.float64]

_LATEST: Final = AlignmentSummary(method="reference")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aligned:
    """How one time point lies on the latest one.

    Attributes:
        latest_from_point: Rigid matrix of shape (4, 4) from its RAS+ millimetres to those of the latest one.
        summary: How it was found.
    """

    latest_from_point: Affine
    summary: AlignmentSummary


def align(points: Sequence[TimePoint], how: Alignment) -> tuple[Aligned, ...]:
    """Return where each time point lies on the latest one.

    Args:
        points: Oldest first.
        how: By registering their images, or by their headers.

    Raises:
        FollowUpError: If two images cannot be registered.
        ClinicalDependency: If SimpleITK is not installed.
    """
    fixed = points[-1]
    earlier = [_align(point, fixed, how, number) for number, point in enumerate(points[:-1], start=1)]
    return (*earlier, Aligned(latest_from_point=np.eye(4), summary=_LATEST))


def _align(moving: TimePoint, fixed: TimePoint, how: Alignment, number: int) -> Aligned:
    if how is Alignment.HEADERS:
        return Aligned(latest_from_point=np.eye(4), summary=AlignmentSummary(method="headers"))
    from tds_data.raw.register import register_rigid  # noqa: PLC0415  # few comparisons need scipy's transforms early

    try:
        found = register_rigid(moving.image, fixed.image)
    except MissingDependency as error:
        package = "SimpleITK"
        raise ClinicalDependency(package, "followup") from error
    except (RegistrationFailed, VoxelError, GeometryError) as error:
        message = (
            f"time point {number} cannot be registered onto the latest one: {error}; or trust the headers if both "
            "studies already lie in one space"
        )
        raise FollowUpError(message) from error
    summary = AlignmentSummary(
        method="registered", shift_mm=found.shift_mm, turn_deg=found.turn_deg, spread_mm=found.spread_mm
    )
    return Aligned(latest_from_point=found.fixed_from_moving, summary=summary)
