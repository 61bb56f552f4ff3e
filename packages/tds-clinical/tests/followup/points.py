"""Time points whose lesions are balls in the world, on whatever grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tds_clinical.followup import TimePoint
from tds_clinical.testing.mask_report import report_mask
from tds_data.vocabulary import MODALITIES, Label, Modality
from tds_data.volume import Volume

FIRST, SECOND, THIRD = date(2026, 1, 10), date(2026, 3, 20), date(2026, 7, 1)


@dataclass(frozen=True, kw_only=True)
class Ball:
    """A ball of one label, RAS+ millimetres."""

    at: tuple[float, float, float]
    radius: float
    label: Label = Label.ET


def grid(spacing_mm: float = 1.0, edge_mm: float = 72.0) -> Volume:
    """Return an empty box around the origin."""
    size = round(edge_mm / spacing_mm)
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = -edge_mm / 2
    return Volume(np.zeros((size, size, size), np.uint8), affine)


def paint(space: Volume, balls: Sequence[Ball], space_from_world: NDArray[np.float64] | None = None) -> Volume:
    """Return a mask with balls, the later ones on top, after a rigid move of the world."""
    move = np.eye(4) if space_from_world is None else space_from_world
    indices = np.indices(space.shape).reshape(3, -1)
    places = space.ras_from_voxel[:3, :3] @ indices + space.ras_from_voxel[:3, 3:]
    voxels = np.zeros(space.shape, np.uint8)
    for ball in balls:
        centre = (move @ [*ball.at, 1.0])[:3, None]
        inside = (np.linalg.norm(places - centre, axis=0) < ball.radius).reshape(space.shape)
        voxels[inside] = ball.label
    return Volume(voxels, space.ras_from_voxel)


def point(
    balls: Sequence[Ball],
    when: date | None = FIRST,
    *,
    space: Volume | None = None,
    relative_interval: float | None = None,
    modalities: tuple[Modality, ...] = MODALITIES,
    phantom: bool = True,
) -> TimePoint:
    """Return a time point whose image is its mask: good enough where headers are trusted."""
    mask = paint(grid() if space is None else space, balls)
    report = report_mask(mask, modalities=modalities, relative_interval=relative_interval, phantom=phantom)
    label = "undated" if when is None else when.isoformat()
    return TimePoint(label=label, when=when, image=mask, mask=mask, report=report)
