"""Pictures of the cases that went worst, to be looked at before any mean is believed."""

import heapq
from dataclasses import dataclass, field

import numpy as np

from tds_core.evaluation.report import GalleryEntry
from tds_core.evaluation.summary import ScoredCase
from tds_core.pictures import CaseView, Labels, Plane, draw_overlay, encode_png
from tds_data.geometry import to_canonical
from tds_data.task import Task
from tds_data.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedCase:
    """Two masks of a case, and what they were drawn on; all on one grid.

    Attributes:
        found: The mask to judge, with the task's labels.
        truth: The expert's mask.
        image: What is shown beneath; nothing if `None`.
    """

    found: Volume
    truth: Volume
    image: Volume | None = None


@dataclass(slots=True, kw_only=True)
class Gallery:
    """Keeps pictures of the worst cases while cases go by, patients apart from phantoms.

    Attributes:
        task: Names the labels.
        most: How many of each kind are kept.
    """

    task: Task
    most: int = 6
    _kept: dict[bool, list[tuple[float, int, GalleryEntry]]] = field(default_factory=dict)
    _seen: int = 0

    def consider(self, scores: ScoredCase, judged: JudgedCase) -> None:
        """Draw a case if it is among the worst so far, by its mean Dice over regions.

        Args:
            scores: Its scores.
            judged: Its masks.
        """
        heap = self._kept.setdefault(scores.phantom, [])
        badness = -scores.mean("dice")
        self._seen += 1
        if len(heap) < self.most or badness > heap[0][0]:
            heapq.heappush(heap, (badness, -self._seen, draw_case(scores, judged, self.task)))
            if len(heap) > self.most:
                heapq.heappop(heap)

    def entries(self) -> tuple[GalleryEntry, ...]:
        """Return what was kept, the worst patient first, phantoms last."""
        return tuple(
            entry for phantom in (False, True) for *_, entry in sorted(self._kept.get(phantom, ()), reverse=True)
        )


def draw_case(scores: ScoredCase, judged: JudgedCase, task: Task) -> GalleryEntry:
    """Return the axial slice in which two masks differ most: what was found as a fill, the expert's mask as a line.

    Args:
        scores: Of the case.
        judged: Its masks.
        task: Names the labels.
    """
    grid = to_canonical(judged.truth)
    truth = np.asarray(grid.voxels, np.uint8)
    found = np.asarray(to_canonical(judged.found).voxels, np.uint8)
    image = np.zeros(truth.shape, np.float32)
    if judged.image is not None:
        image = np.asarray(to_canonical(judged.image).voxels, np.float32)
    number = _slice_to_show(found, truth)
    view = CaseView(
        name=scores.case,
        slices=(0, 0, number),
        labels=task.labels,
        phantom=scores.phantom,
        spacing_mm=grid.spacing_mm,
    )
    picture = draw_overlay(image, found, truth, view, Plane.AXIAL)
    dice = ", ".join(f"{region} {row['dice'] or 0.0:.3f}" for region, row in scores.values.items())
    caption = (
        f"Axial slice {number + 1} of {truth.shape[2]}, in which the masks differ most: the fill is what was found, "
        f"the line the expert's mask. Dice {dice}."
    )
    return GalleryEntry(case=scores.case, phantom=scores.phantom, png=encode_png(picture.pixels), caption=caption)


def _slice_to_show(found: Labels, truth: Labels) -> int:
    """Return the slice with most voxels that differ; of equal masks, with most of the mask; else the middle one."""
    for voxels in (found != truth, truth != 0):
        counts = np.count_nonzero(voxels, axis=(0, 1))
        if counts.any():
            return int(np.argmax(counts))
    return int(truth.shape[2] // 2)
