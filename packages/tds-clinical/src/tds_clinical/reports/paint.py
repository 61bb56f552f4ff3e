"""Labels as colours: a translucent fill and a crisp outline.

The palette is taken from Okabe and Ito (2008), chosen so that the three labels differ in lightness as well as in hue
and stay apart for people with any common colour-vision deficiency.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_clinical.reports.slices import Pixels, Shares
from tds_data.vocabulary import Label

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

LABEL_COLOURS: Final[dict[Label, Colour]] = {
    Label.NCR: (213, 94, 0),
    Label.ED: (86, 180, 233),
    Label.ET: (240, 228, 66),
}
"""The colour of each label: vermilion, sky blue and yellow."""

_LINE_WIDTH_PX: Final = 1.6
_MIN_SLOPE: Final = 1e-3


class PaintStyle(Enum):
    """How labels are drawn: the opacity of their fill and of their outlines."""

    CONTOUR = (0.0, 0.95)
    """Outlines alone, so that nothing hides what is inside."""
    FILL = (0.45, 0.45)
    """Filled evenly, so that what belongs to which label shows at a glance."""
    BOTH = (0.16, 0.95)
    """Outlines and a faint fill, for a single picture."""

    @property
    def fill_opacity(self) -> float:
        """Opacity inside a label, 0 to 1."""
        return self.value[0]

    @property
    def line_opacity(self) -> float:
        """Opacity of the outline, 0 to 1."""
        return self.value[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paint:
    """A colour layer for a part of a picture.

    Attributes:
        row: First row that is covered.
        column: First column that is covered.
        opacity: Float32 array of shape (row, column) in [0, 1].
        colour: Float32 array of shape (row, column, 3), 0 to 255, already multiplied by the opacity.
    """

    row: int
    column: int
    opacity: NDArray[np.float32]
    colour: NDArray[np.float32]


def paint_labels(shares: Shares, style: PaintStyle = PaintStyle.BOTH) -> Paint:
    """Return the layer that shows the labels.

    Every label is filled where its share is the largest. The outlines are those of the necrosis, the tumour core and
    the whole tumour, each in the colour of the label that it runs through and just inside the border, so that
    neighbours never cover each other.

    Args:
        shares: Share of each pixel that each label fills, of shape (4, row, column).
        style: How they are drawn.
    """
    rows, columns = _around(shares[Label.BACKGROUND] < 1.0)
    part = shares[:, rows, columns]
    opacity = np.zeros(part.shape[1:], dtype=np.float32)
    colour = np.zeros((*part.shape[1:], 3), dtype=np.float32)
    whole = _distance_px(0.5 - part[Label.BACKGROUND])
    core = _distance_px(part[Label.NCR] + part[Label.ET] - 0.5)
    for label, tint in LABEL_COLOURS.items():
        others = np.delete(part, label, axis=0).max(axis=0)
        inside = _distance_px(part[label] - others)
        cover = np.clip(inside + 0.5, 0.0, 1.0)
        border = {Label.NCR: inside, Label.ED: whole, Label.ET: core}[label]
        line = np.clip(_LINE_WIDTH_PX + 0.5 - border, 0.0, 1.0)
        alpha = cover * (style.fill_opacity + (style.line_opacity - style.fill_opacity) * line)
        opacity += (1.0 - opacity) * alpha
        colour *= (1.0 - alpha)[..., None]
        colour += alpha[..., None] * np.array(tint, dtype=np.float32)
    return Paint(row=rows.start, column=columns.start, opacity=opacity, colour=colour)


def coloured(grey: Pixels, paint: Paint | None) -> NDArray[np.uint8]:
    """Return a grey picture as RGB, with a colour layer over it.

    Args:
        grey: Grey levels of shape (row, column).
        paint: The layer, or `None` for the plain picture.

    Returns:
        Array of shape (row, column, 3).
    """
    picture = np.repeat(grey[..., None], 3, axis=2)
    if paint is not None:
        height, width = paint.opacity.shape
        part = np.s_[paint.row : paint.row + height, paint.column : paint.column + width]
        mixed = picture[part] * (1.0 - paint.opacity[..., None]) + paint.colour
        picture[part] = np.clip(np.round(mixed), 0, 255).astype(np.uint8)
    return picture


def _around(hits: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the rows and columns that hold every hit and, where there is room, two pixels beyond."""
    ranges = []
    for axis in (1, 0):
        found = np.flatnonzero(hits.any(axis=axis))
        first, last = (int(found[0]), int(found[-1])) if found.size else (0, 0)
        ranges.append(slice(max(first - 2, 0), last + 3))
    return ranges[0], ranges[1]


def _distance_px(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the distance to the level's zero line in pixels, positive where the level is, to first order."""
    slope = np.hypot(_steepest(level, 0), _steepest(level, 1))
    return np.asarray(level / np.maximum(slope, _MIN_SLOPE), dtype=np.float32)


def _steepest(level: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return the larger of the steps to both neighbours; a central difference would be flat on a thin ridge."""
    step = np.abs(np.diff(level, axis=axis))
    before, after = [(0, 0), (0, 0)], [(0, 0), (0, 0)]
    before[axis], after[axis] = (1, 0), (0, 1)
    steepest: NDArray[np.float32] = np.maximum(np.pad(step, before), np.pad(step, after))
    return steepest
