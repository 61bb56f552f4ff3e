"""What the pictures of a study show: oriented volumes, windows and the places to stop at."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tds_clinical.errors import ReportError
from tds_clinical.reports.paint import Paint, PaintStyle, paint_labels
from tds_clinical.reports.slices import (
    Field,
    Plane,
    View,
    Window,
    field_of,
    nearest_voxel,
    slice_shares,
    window_of,
)
from tds_data.case import Case
from tds_data.geometry import to_canonical
from tds_data.report import Lesion, LesionReport
from tds_data.vocabulary import Label, Modality, Region
from tds_data.volume import Volume

MODALITY_NAMES: Final[dict[Modality, str]] = {
    Modality.T1: "T1",
    Modality.T1CE: "T1ce",
    Modality.T2: "T2",
    Modality.FLAIR: "FLAIR",
}
"""Each sequence as radiologists write it."""

READING_ORDER: Final = (Modality.FLAIR, Modality.T1CE, Modality.T2, Modality.T1)
"""Sequences in the order in which a report shows them."""

_BEST_BACKGROUND: Final = (Modality.FLAIR, Modality.T2, Modality.T1CE, Modality.T1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """A study that is ready to be pictured.

    Attributes:
        images: Canonical intensities of each sequence.
        windows: Window of each sequence.
        mask: Canonical labels 0 to 3.
        field: What part of the head pictures show.
        phantom: Whether the study is synthetic.
    """

    images: Mapping[Modality, Volume]
    windows: Mapping[Modality, Window]
    mask: Volume
    field: Field
    phantom: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stop:
    """A place at which the three planes cross.

    Attributes:
        lesion: The lesion at that place, or `None` for the middle of the head.
        views: One picture of each plane.
        paints: The labels in each picture for each style that was asked for, `None` where there are none.
    """

    lesion: Lesion | None
    views: tuple[View, ...]
    paints: Mapping[PaintStyle, tuple[Paint | None, ...]]

    @property
    def is_labelled(self) -> bool:
        """Whether any of the pictures shows a label."""
        return any(paint is not None for paints in self.paints.values() for paint in paints)


def make_scene(case: Case, mask: Volume, report: LesionReport) -> Scene:
    """Return the study ready to be pictured.

    Args:
        case: The sequences.
        mask: Labels 0 to 3 on the case's grid.
        report: What was found.

    Raises:
        ReportError: If the mask is not on the case's grid or holds other labels.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    if not case.grid.same_grid(mask):
        message = (
            f"the mask ({mask.shape} voxels) and the study ({case.grid.shape} voxels) are not on the same grid; "
            "give the mask that was made from this study"
        )
        raise ReportError(message)
    highest, lowest = mask.voxels.max(), mask.voxels.min()
    if lowest < Label.BACKGROUND or highest > Label.ET:
        message = f"the mask holds labels from {lowest} to {highest}; translate it to the labels 0 to 3 first"
        raise ReportError(message)
    images = {m: to_canonical(v) for m, v in case.images.items()}
    return Scene(
        images=images,
        windows={m: window_of(v) for m, v in images.items()},
        mask=to_canonical(mask),
        field=field_of(images[best_background(case.images)]),
        phantom=report.phantom,
    )


def best_background(available: Collection[Modality]) -> Modality:
    """Return the sequence on which the whole tumour shows best.

    Args:
        available: The sequences to choose from, at least one.
    """
    return next(m for m in _BEST_BACKGROUND if m in available)


def chief_sequences(available: Collection[Modality], lesion: Lesion | None) -> tuple[Modality, ...]:
    """Return the sequences that one look needs: the best background, and T1ce where there is a core to see.

    Args:
        available: The sequences to choose from, at least one.
        lesion: What is looked at, `None` for the middle of the head.
    """
    background = best_background(available)
    has_core = lesion is not None and lesion.volume_ml.get(Region.TC, 0.0) > 0
    if has_core and Modality.T1CE in available and background is not Modality.T1CE:
        return background, Modality.T1CE
    return (background,)


def stops(
    scene: Scene, lesions: tuple[Lesion, ...], *, size_px: int, styles: tuple[PaintStyle, ...] = (PaintStyle.BOTH,)
) -> tuple[Stop, ...]:
    """Return where to look: at the centroid of each lesion, or at the middle of the head if there is none.

    Args:
        scene: The study.
        lesions: The lesions to look at.
        size_px: Edge of each picture in pixels.
        styles: How the labels will be drawn.
    """
    if not lesions:
        middle = np.round(scene.field.centre).astype(int)
        x, y, z = np.clip(middle, 0, np.array(scene.mask.shape) - 1).tolist()
        return (_stop(scene, None, _views(scene, (x, y, z), size_px), styles),)
    places = [nearest_voxel(scene.mask, lesion.centroid_mm) for lesion in lesions]
    return tuple(
        _stop(scene, lesion, _views(scene, index, size_px), styles)
        for lesion, index in zip(lesions, places, strict=True)
    )


def _views(scene: Scene, index: tuple[int, int, int], size_px: int) -> tuple[View, ...]:
    return tuple(View(plane=plane, index=index, field=scene.field, size_px=size_px) for plane in Plane)


def _stop(scene: Scene, lesion: Lesion | None, views: tuple[View, ...], styles: tuple[PaintStyle, ...]) -> Stop:
    shares = [slice_shares(scene.mask, view) for view in views]
    paints = {style: tuple(None if s is None else paint_labels(s, style) for s in shares) for style in styles}
    return Stop(lesion=lesion, views=views, paints=paints)
