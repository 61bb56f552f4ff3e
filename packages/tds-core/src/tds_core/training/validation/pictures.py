"""The same slices of the same cases at each validation."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_core.pictures import CaseView, Overlay, choose_slices, draw_overlays
from tds_core.regions import paint_regions
from tds_data.cache import CachedCase
from tds_data.task import Task

_SHOWN_FIRST: Final = "flair"
"""The channel that shows most of a brain tumour."""


class Pictures:
    """Draws validation cases, each always at the slices that it was first drawn at.

    Args:
        task: Names channels and labels.
        spacing_mm: Edges of the network's voxels along x, y, z.
    """

    def __init__(self, task: Task, spacing_mm: tuple[float, float, float]) -> None:
        self._task, self._spacing_mm = task, spacing_mm
        self._views: dict[int, CaseView] = {}

    def draw(
        self,
        number: int,
        case: CachedCase,
        image: NDArray[np.float32],
        labels: NDArray[np.uint8],
        found: Mapping[str, NDArray[np.bool_]],
    ) -> tuple[Overlay, ...]:
        """Return the three planes of a case.

        Args:
            number: Of the case in the run; it names the pictures, because a case's name may be a patient's.
            case: Says which channels are there.
            image: Float32 array of shape (channel, x, y, z).
            labels: The reference, uint8 of shape (x, y, z).
            found: Boolean array of shape (x, y, z) for each region.
        """
        if number not in self._views:
            self._views[number] = CaseView(
                name=f"case-{number}",
                slices=choose_slices(labels),
                labels=self._task.labels,
                phantom=case.phantom,
                spacing_mm=self._spacing_mm,
            )
        shown = image[self._channel(case.present)]
        return draw_overlays(shown, paint_regions(found, self._task), labels, self._views[number])

    def _channel(self, present: tuple[bool, ...]) -> int:
        there = [c for c, is_there in zip(self._task.channels, present, strict=True) if is_there]
        chosen = _SHOWN_FIRST if _SHOWN_FIRST in there else there[0]
        return self._task.channels.index(chosen)
