"""Pictures of cases that people should look at: where mask and reference differ most."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tds_core.evaluation.report import GalleryEntry, worst_first
from tds_core.evaluation.summary import ScoredCase
from tds_core.pictures import CaseView, Plane, draw_overlay, encode_png
from tds_data.case import Case
from tds_data.geometry import to_canonical
from tds_data.vocabulary import Label, Modality
from tds_data.volume import Volume

_ORDER = (Modality.FLAIR, Modality.T1CE, Modality.T2, Modality.T1)
_LABELS = tuple(label.name for label in Label if label)


def draw_case(case: Case, found: Volume, scored: ScoredCase) -> GalleryEntry:
    """Return the axial slice of a case in which mask and reference differ most.

    Args:
        case: With a reference.
        found: Labels 0 to 3 on the case's grid.
        scored: Its scores, for the caption.

    Raises:
        ValueError: If the case has no reference.
    """
    if case.reference is None:
        message = f"case {case.name!r} has no reference to draw; add one"
        raise ValueError(message)
    modality = next(m for m in _ORDER if m in case.images)
    image = to_canonical(case.images[modality])
    labels, truth = (to_canonical(v).voxels.astype(np.uint8) for v in (found, case.reference))
    view = CaseView(
        name=scored.case,
        slices=_slices(labels, truth),
        labels=_LABELS,
        phantom=scored.phantom,
        spacing_mm=image.spacing_mm,
    )
    picture = draw_overlay(image.voxels.astype(np.float32), labels, truth, view, Plane.AXIAL)
    dice = ", ".join(f"{region} {row['dice'] or 0.0:.3f}" for region, row in scored.values.items())
    return GalleryEntry(
        case=scored.case,
        phantom=scored.phantom,
        png=encode_png(picture.pixels),
        caption=f"Dice {dice}; {modality} in the axial slice where mask and reference differ most",
    )


def worst_entries(
    entries: Sequence[GalleryEntry], cases: Sequence[ScoredCase], count: int = 6
) -> tuple[GalleryEntry, ...]:
    """Return the pictures of the cases with the lowest mean Dice, patients and phantoms each by themselves.

    Args:
        entries: One for each case.
        cases: Their scores.
        count: How many patients, and how many phantoms.
    """
    by_name = {entry.case: entry for entry in entries}
    chosen = []
    for phantom in (False, True):
        group = worst_first([case for case in cases if case.phantom is phantom and case.case in by_name])
        chosen += [by_name[case.case] for case in group[:count]]
    return tuple(chosen)


def _slices(found: NDArray[np.uint8], truth: NDArray[np.uint8]) -> tuple[int, int, int]:
    x, y, z = (n // 2 for n in truth.shape)
    differing = np.count_nonzero(found != truth, axis=(0, 1))
    marked = np.count_nonzero(truth, axis=(0, 1))
    chosen = differing if differing.any() else marked
    return x, y, int(chosen.argmax()) if chosen.any() else z
