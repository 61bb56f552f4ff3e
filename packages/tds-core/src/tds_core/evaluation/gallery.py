"""Pictures of the cases that went worst, to be looked at before any mean is believed. Needs the extra `report`."""

import heapq
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tds_core.evaluation.report import GalleryEntry, require_report
from tds_core.evaluation.summary import ScoredCase
from tds_data.geometry import to_canonical
from tds_data.report import RESEARCH_USE_NOTICE
from tds_data.task import Task
from tds_data.volume import Volume

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS: Final = ((213, 94, 0), (86, 180, 233), (240, 228, 66), (0, 158, 115), (204, 121, 167), (230, 159, 0))
"""Of the labels 1, 2, ...; after the last they begin again. From Okabe and Ito (2008)."""

_PANEL_PX: Final = 320
_BAR_PX: Final = 22
_OPACITY: Final = 0.5
_DARKEST_PERCENT: Final = 1.0
_BRIGHTEST_PERCENT: Final = 99.7
_INK: Final = (232, 237, 242)

Pixels = NDArray[np.uint8]


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

        Raises:
            MissingDependency: If the extra `report` is not installed.
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
    """Return the axial slice in which two masks differ most: the expert's on the left, the one to judge on the right.

    Args:
        scores: Of the case.
        judged: Its masks.
        task: Names the labels.

    Raises:
        MissingDependency: If the extra `report` is not installed.
    """
    require_report()
    found, truth = (to_canonical(mask).voxels for mask in (judged.found, judged.truth))
    number = _slice_to_show(found, truth)
    edges_mm = to_canonical(judged.truth).spacing_mm
    grey = _grey(judged, number)
    panels = [_panel(grey, mask[:, :, number], edges_mm) for mask in (truth, found)]
    dice = ", ".join(f"{region} {row['dice'] or 0.0:.3f}" for region, row in scores.values.items())
    caption = (
        f"Axial slice {number + 1} of {truth.shape[2]}, in which the masks differ most: on the left the expert's, on the "
        f"right the one found. Dice {dice}."
    )
    return GalleryEntry(
        case=scores.case, phantom=scores.phantom, png=_framed(panels, task, phantom=scores.phantom), caption=caption
    )


def _slice_to_show(found: NDArray[np.generic], truth: NDArray[np.generic]) -> int:
    """Return the slice with most voxels that differ; of equal masks, with most of the mask; else the middle one."""
    for voxels in (found != truth, truth != 0):
        counts = np.count_nonzero(voxels, axis=(0, 1))
        if counts.any():
            return int(np.argmax(counts))
    return int(truth.shape[2] // 2)


def _grey(judged: JudgedCase, number: int) -> Pixels:
    """Return a slice as grey values of shape (x, y); black without an image."""
    if judged.image is None:
        return np.zeros(to_canonical(judged.truth).shape[:2], np.uint8)
    plane = np.asarray(to_canonical(judged.image).voxels[:, :, number], np.float32)
    inside = plane[plane != plane.min()]
    if not inside.size:
        return np.zeros(plane.shape, np.uint8)
    low, high = np.percentile(inside, (_DARKEST_PERCENT, _BRIGHTEST_PERCENT))
    low = min(low, high - 1e-6)
    return np.asarray(np.clip((plane - low) / (high - low), 0, 1) * 255, np.uint8)


def _panel(grey: Pixels, labels: NDArray[np.generic], edges_mm: tuple[float, float, float]) -> "Image":
    """Return a slice with its labels over it, in millimetres that are square, patient's right on the left."""
    from PIL import Image  # noqa: PLC0415  # an optional extra

    width_mm, height_mm = grey.shape[0] * edges_mm[0], grey.shape[1] * edges_mm[1]
    scale = _PANEL_PX / max(width_mm, height_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
    shown = Image.fromarray(_turned(grey)).resize(size, Image.Resampling.BILINEAR)
    over = Image.fromarray(_turned(np.asarray(labels, np.uint8))).resize(size, Image.Resampling.NEAREST)
    pixels = np.repeat(np.asarray(shown, np.float32)[..., None], 3, axis=2)
    numbers = np.asarray(over)
    inside = numbers > 0
    colours = np.asarray(COLOURS, np.float32)[(numbers[inside].astype(int) - 1) % len(COLOURS)]
    pixels[inside] = (1 - _OPACITY) * pixels[inside] + _OPACITY * colours
    return Image.fromarray(pixels.round().astype(np.uint8))


def _turned(plane: Pixels) -> Pixels:
    return np.ascontiguousarray(plane[::-1, ::-1].T)


def _framed(panels: "list[Image]", task: Task, *, phantom: bool) -> bytes:
    from PIL import Image, ImageDraw  # noqa: PLC0415  # an optional extra

    width, height = (sum(panel.width for panel in panels) + _BAR_PX // 2, panels[0].height)
    frame = Image.new("RGB", (max(width, 2 * _PANEL_PX), height + 3 * _BAR_PX), (17, 20, 24))
    pen = ImageDraw.Draw(frame)
    left = 0
    for panel, title in zip(panels, ("expert", "found"), strict=True):
        pen.text((left + 4, 4), title, fill=_INK)
        frame.paste(panel, (left, _BAR_PX))
        left += panel.width + _BAR_PX // 2
    right = 4.0
    for number, name in enumerate(task.labels):
        pen.rectangle((right, height + _BAR_PX + 6, right + 10, height + _BAR_PX + 16), COLOURS[number % len(COLOURS)])
        pen.text((right + 15, height + _BAR_PX + 4), name, fill=_INK)
        right += 30 + pen.textlength(name)
    words = f"PHANTOM, not a patient. {RESEARCH_USE_NOTICE}" if phantom else RESEARCH_USE_NOTICE
    pen.text((4, height + 2 * _BAR_PX + 4), words, fill=_INK)
    buffer = io.BytesIO()
    frame.save(buffer, format="PNG")
    return buffer.getvalue()
