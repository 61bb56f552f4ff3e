"""How much of an image is head, for a stripped one."""

from collections.abc import Iterator, Sequence
from typing import Final

from tds_data.quality.codes import flag
from tds_data.quality.sampling import SampledImage
from tds_data.report import QualityFlag

HEAD_LIMITS_ML: Final = (300.0, 2500.0)
"""A stripped head with less or more content is refused."""
USUAL_BRAIN_ML: Final = (800.0, 2000.0)
"""A stripped head with less or more content is warned of."""
MIN_BACKGROUND_SHARE: Final = 0.3
"""A stripped image has at least this share of constant background."""
MIN_OVERLAP: Final = 0.7
"""A sequence that covers less than this share of the largest one's content is warned of."""


def coverage_flags(sequences: Sequence[SampledImage]) -> Iterator[QualityFlag]:
    """Yield what speaks against the amount of content in each image.

    Args:
        sequences: The usable images of one study.
    """
    largest = max((sequence.volume_ml for sequence in sequences if not _has_skull(sequence)), default=0.0)
    for sequence in sequences:
        yield from _amount(sequence)
        if sequence.volume_ml < MIN_OVERLAP * largest:
            message = f"{sequence.name} covers much less of the head than the others; check its field of view"
            yield flag("LOW-COVERAGE", message, f"{sequence.volume_ml / largest:.0%}", subject=sequence.name)


def _amount(sequence: SampledImage) -> Iterator[QualityFlag]:
    name, shown = sequence.name, f"{sequence.volume_ml:.0f} mL"
    low, _ = HEAD_LIMITS_ML
    if _has_skull(sequence):
        message = f"{name} is not skull-stripped: its background is not constant or its content is no brain's; "
        yield flag("SKULL-PRESENT", message + "strip the skull first", shown, subject=name)
    elif sequence.volume_ml < low:
        message = f"{name} holds less than {low:.0f} mL of content, too little for a head; export it again"
        yield flag("EMPTY-HEAD", message, shown, subject=name)
    elif not USUAL_BRAIN_ML[0] <= sequence.volume_ml <= USUAL_BRAIN_ML[1]:
        message = f"{name} holds an unusual brain volume; check the skull stripping"
        yield flag("BRAIN-VOLUME", message, shown, subject=name)


def _has_skull(sequence: SampledImage) -> bool:
    return sequence.background_share < MIN_BACKGROUND_SHARE or sequence.volume_ml > HEAD_LIMITS_ML[1]
