"""The checks of one case that need no knowledge of what a brain looks like."""

from collections.abc import Iterator
from typing import Final

from tds_data.case import Case
from tds_data.quality.coverage import coverage_flags
from tds_data.quality.grids import grid_flags
from tds_data.quality.intensities import clipped_flags, unusable_flags
from tds_data.quality.labels import mask_flags, scheme_flags
from tds_data.quality.sampling import SampledImage
from tds_data.quality.sequences import missing_flags, same_flags
from tds_data.quality.slices import slice_flags
from tds_data.report import QualityFlag
from tds_data.vocabulary import Label

UNUSABLE: Final = frozenset({"NOT-FINITE", "CONSTANT-IMAGE"})
"""Findings after which nothing more can be said of an image."""


def check_structure(case: Case) -> tuple[QualityFlag, ...]:
    """Return what speaks against a case's grid, slices, intensities, sequences and labels, in that order.

    Args:
        case: Sequences on one grid, with labels 0 to 3 in the mask if there is one.
    """
    usable: list[SampledImage] = []
    flags = [*image_flags(case, usable)]
    if case.reference is not None:
        flags += scheme_flags(case.reference, set(Label), "brats-2023")
        flags += mask_flags(case.reference, usable)
    return tuple(flags)


def image_flags(case: Case, usable: list[SampledImage]) -> Iterator[QualityFlag]:
    """Yield what speaks against a case's images.

    Args:
        case: Sequences on one grid.
        usable: Receives the images that a network could use.
    """
    yield from missing_flags(case)
    yield from grid_flags(case.grid)
    for modality, volume in case.images.items():
        image = SampledImage.of(modality.value, volume)
        unusable = list(unusable_flags(image))
        yield from unusable
        if not unusable:
            usable.append(image)
            yield from slice_flags(image)
            yield from clipped_flags(image)
    yield from coverage_flags(usable)
    yield from same_flags(usable)
