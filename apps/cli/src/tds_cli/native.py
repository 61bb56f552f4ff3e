"""Back from where a study was segmented to where one of its sequences was taken."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tds_cli.study import RawStudy
from tds_data.case import Case
from tds_data.errors import SequenceNotFound
from tds_data.geometry import from_canonical, to_canonical
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

if TYPE_CHECKING:
    from tds_core.inference import Segmentation
    from tds_data.raw.plan import Plan

RESULT_ORDER = (Modality.T1CE, Modality.T1, Modality.T2, Modality.FLAIR)
"""Results lie on the grid of the first of these that a study has, unless another is chosen."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WayBack:
    """How a result comes to the grid of one sequence.

    Attributes:
        modality: The sequence.
        native: It as it was read.
        plan: How the study was prepared; `None` if its sequences lay on one grid and were left there.
    """

    modality: Modality
    native: Volume
    plan: "Plan | None" = None

    def carry(self, mask: Volume) -> Volume:
        """Return a mask on the sequence's own grid.

        Args:
            mask: Labels 0 to 3 on the grid that was segmented.
        """
        if self.plan is None:
            return self.native.with_voxels(from_canonical(to_canonical(mask).voxels, self.native))
        from tds_data.raw.plan import to_native  # noqa: PLC0415  # few studies need it

        return to_native(mask, self.plan, self.modality)

    def carry_result(self, found: "Segmentation") -> "Segmentation":
        """Return a segmentation measured on the sequence's own grid, with the case moved there for pictures.

        Args:
            found: On the grid that was segmented.
        """
        from tds_core.intervals import Bounds, measured_again  # noqa: PLC0415  # the runtime of models is imported late

        bounds = Bounds(narrow=self.carry(found.bounds.narrow), wide=self.carry(found.bounds.wide))
        mask = self.carry(found.mask)
        report = measured_again(found.report, mask, bounds)
        case = Case(name=found.case.name, images={m: self._draw(m, v) for m, v in found.case.images.items()})
        return replace(found, case=case, mask=mask, bounds=bounds, report=report)

    def _draw(self, modality: Modality, image: Volume) -> Volume:
        if self.plan is None or self.modality is self.plan.reference:
            return self.native.with_voxels(from_canonical(to_canonical(image).voxels, self.native))
        if modality is self.modality:
            return self.native
        from tds_data.raw.resampling import resample_to  # noqa: PLC0415  # few studies need it

        back = np.linalg.inv(self.plan.sequence(self.modality).prepared_from_native).astype(np.float64, copy=False)
        return resample_to(image, self.native, back)


def result_sequence(raw: RawStudy, wanted: Modality | None) -> Modality:
    """Return the sequence on whose grid results shall lie.

    Args:
        raw: The study.
        wanted: The user's choice, if any.

    Raises:
        SequenceNotFound: If the study has no such sequence.
    """
    found = next((m for m in ((wanted,) if wanted else RESULT_ORDER) if m in raw.images), None)
    if found is None:
        message = f"the study has no {wanted}; results can lie on the grid of {', '.join(raw.images)}"
        raise SequenceNotFound(message)
    return found


def as_they_lie(raw: RawStudy) -> Case | None:
    """Return the case that the sequences make without being moved, or `None` if they do not share one grid.

    Args:
        raw: The study.
    """
    canonical = {modality: to_canonical(volume) for modality, volume in raw.images.items()}
    grid = next(iter(canonical.values()))
    if not all(grid.same_grid(volume) for volume in canonical.values()):
        return None
    return Case(name=raw.name, images={m: grid.with_voxels(v.voxels) for m, v in canonical.items()})
